"""Open-loop error on a real full-size race car: the fit beside baselines, on the same windows.

The log is `iac/Putnam_park2023_run4_2.csv` (Deep Dynamics, arXiv:2312.04374), 25 Hz, rows from 394 on. Of
these, rows 0 to 6902 are trained on, the rest is tested on; rollouts of 1 s begin at every third row, with
25 rows of history before them. Inputs are the logged pedals and the steering angle, of the window alone. Path
RMSE of vx, vy and yaw rate over all starts, and the median over starts of each window's. Last line: one JSON
object.

    python benchmarks/iac.py --data FOLDER [--seeds 3]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl

from pct.cli.folders import keep_compiled_code
from pct.dynamics import MODEL_SPECS, with_fixed
from pct.dynamics.bounds import Bounds
from pct.dynamics.core import ModelSpec, flatten_params, unflatten_params
from pct.dynamics.vehicles import with_vehicle
from pct.evaluation.baselines.arx import fit_ridge_arx
from pct.measurement import Measurement, with_measurement
from pct.optimization.constants.estimate import Estimate, fit_parameters
from pct.optimization.constants.model import FittedModel
from pct.optimization.constants.verdicts import make_verdicts
from pct.optimization.network.epoch import Epoch, init_state, make_evaluate_fn
from pct.optimization.network.mlp import ParameterMLP, fit_normalization, network_settings
from pct.optimization.network.starts import observe
from pct.optimization.network.step import (
    make_network_step_fn,
    make_optimizer,
    make_predict_fn,
    make_window_loss_fn,
)
from pct.optimization.settings import TrainSettings
from pct.rollout.engine import make_engine
from pct.rollout.history import make_history_rollout
from pct.rollout.integration import make_integrator
from pct.windows.context import moving_channels
from pct.windows.store import WindowStore
from pct.windows.window_set import WindowSet, make_window_set

FIRST, SPLIT, DT, STEPS, HISTORY, STRIDE = 394, 6903, 0.04, 25, 25, 3
JUDGED = {"vx": "vx", "vy": "vy", "yaw_rate": "psi_dot"}
# The brake pressure that the paper divides by, in kPa.
FULL_BRAKE = 2757.9
PRIOR, HUBER, ITERATIONS, EPOCHS = 0.5, 5.0, 25, 10
# Spread of the starting points of further seeds, on the unbounded axis.
SPREAD = 0.1
EVERYTHING = Measurement(
    lag=("psi_dot",) * 3,
    bias=("vx", "vy", "psi_dot"),
    drift=("vx", "vy", "psi_dot"),
    actuator_lag=("throttle",),
    delay=("throttle", "brake"),
    steering=True,
    lever_arm=True,
    misaligned=True,
    pedals=True,
    observer=True,
)

# The offset of the steering and the turn of the sensor take their place.
SHIFTS = dict.fromkeys(("S_hf", "S_vf", "S_hr", "S_vr"))


def main() -> None:
    """Fit, judge and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder that holds iac/")
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    keep_compiled_code(jax)
    car = with_vehicle(MODEL_SPECS["singletrack-pacejka"], "av-21")
    plain = with_measurement(car, Measurement(pedals=True))
    spec = with_fixed(with_measurement(car, EVERYTHING), SHIFTS)
    table = read_log(args.data / "iac" / "Putnam_park2023_run4_2.csv")
    rows: dict[str, dict[str, Any]] = {}
    windows, train, test = make_windows(table, plain)
    rows["hold last value"] = score(hold(windows, test), windows, test)
    rows["ridge ARX"] = score(arx(windows, train, test, plain), windows, test)
    rows["constant fit, no measurement"] = fitted(plain, windows, train, test, 0)[0]
    windows, train, test = make_windows(table, spec)
    runs = []
    for seed in range(args.seeds):
        row, parameters, fit = fitted(spec, windows, train, test, seed)
        rows[f"constant fit, seed {seed}"] = row
        rows[f"network on top, seed {seed}"] = on_top(spec, fit, row, windows, train, test, seed)
        runs.append((row, parameters))
    # No prediction: the least that these equations can err there, whatever their parameters.
    rows["fit to the test rows"] = fitted(spec, windows, test, test, 0)[0]
    print(f"\n{'':32s}" + "".join(f"{name:>18s}" for name in JUDGED) + f"{'train s':>10s}")
    print(f"{'':32s}" + f"{'path RMSE (median)':>18s}" * len(JUDGED))
    for name, row in rows.items():
        cells = ""
        for key in JUDGED:
            text = f"{row[key]:.4f} ({row['median'][key]:.4f})"
            cells += f"{text:>18s}"
        print(f"{name:32s}{cells}{row.get('seconds', 0):10.0f}")
    best = runs[0][1]
    print("\nParameters, seed 0: value, standard error, bounds, verdict")
    for name, entry in best.items():
        value = f"{entry['value']:.5g} +- {entry['deviation']:.2g}"
        print(f"{name:22s}{value:24s}{entry['bounds']!s:22s}  {entry['verdict']}")
    ours = {key: float(np.mean([row[key] for row, _ in runs])) for key in JUDGED}
    median = {key: float(np.mean([row["median"][key] for row, _ in runs])) for key in JUDGED}
    print(json.dumps({"ours": ours, "ours_median": median, "rows": rows, "parameters": best}))


def read_log(path: Path) -> dict[str, np.ndarray]:
    """Channels of the log in SI units; the heading only places the windows, nothing is judged on it."""
    table = pl.read_csv(path)[FIRST:]
    column = {name.strip("# "): table[name].to_numpy() for name in table.columns}
    delta = column["delta(rad)"]
    return {
        "x": column["x(m)"],
        "y": column["y(m)"],
        "psi": np.unwrap(column["phi(rad)"]),
        "vx": column["vx(m/s)"],
        "vy": column["vy(m/s)"],
        "psi_dot": column["omega(rad/s)"],
        "delta": delta,
        "delta_dot": np.append(np.diff(delta), 0.0) / DT,
        "throttle": column["throttle_ped_cmd(%)"] / 100,
        "brake": column["brake_ped_cmd(kPa)"] / FULL_BRAKE,
    }


def make_windows(table: dict[str, np.ndarray], spec: ModelSpec) -> tuple[WindowSet, np.ndarray, np.ndarray]:
    """All windows, and the numbers of those to train and to test on; none crosses the split."""

    def stack(names: tuple[str, ...]) -> np.ndarray:
        return np.stack([table[name] for name in names], axis=-1).astype(np.float32)

    count = len(table["x"])
    none = np.zeros((count, 0), np.float32)
    store = WindowStore(
        states=stack(spec.state_names),
        controls=stack(spec.control_names),
        exogenous=none,
        truth=none,
        times=DT * np.arange(count),
        recording=np.zeros(count, np.int32),
        recordings=("putnam park",),
        exogenous_names=(),
        truth_names=(),
        dt=DT,
    )
    train = np.arange(HISTORY, SPLIT - STEPS, STRIDE)
    test = np.arange(SPLIT + HISTORY, count - STEPS, STRIDE)
    windows = make_window_set(
        store, np.concatenate([train, test]), spec, horizon=STEPS, history=HISTORY, feature_mode="context"
    )
    return windows, np.arange(train.size), np.arange(train.size, train.size + test.size)


def fitted(
    spec: ModelSpec, windows: WindowSet, train: np.ndarray, test: np.ndarray, seed: int
) -> tuple[dict[str, Any], dict[str, dict[str, Any]], Estimate]:
    """Scores of a fit, its parameters, and itself."""
    base_params = spec.base_params(DT)
    begin = time.perf_counter()
    fit = fit_parameters(
        windows,
        train,
        spec,
        base_params,
        substeps=2,
        compare=tuple(JUDGED.values()),
        start=perturbed(spec, seed),
        prior=PRIOR,
        huber=HUBER,
        iterations=ITERATIONS,
        report=lambda i, cost: print(f"\r{i} {cost:.1f}  ", end="", file=sys.stderr, flush=True),
    )
    seconds = time.perf_counter() - begin
    roll = jax.jit(make_history_rollout(spec, base_params, "rk4", 2, HISTORY).states)
    params = fit.params(spec)
    predicted = roll({k: jnp.asarray(v, jnp.float32) for k, v in params.items()}, windows.whole(test))[1]
    verdicts = make_verdicts(fit, spec, PRIOR)
    deviations = unflatten_params(fit.deviations(spec), spec.param_keys, spec.full_shapes)
    named = {
        name: {
            "value": float(params[name]),
            "deviation": float(deviations[name]),
            "bounds": [float(f"{float(end):.5g}") for end in spec.param_bounds[name]],
            "verdict": verdict["verdict"],
        }
        for name, verdict in verdicts.items()
    }
    return {**score([np.asarray(x) for x in predicted], windows, test), "seconds": seconds}, named, fit


def on_top(
    spec: ModelSpec,
    fit: Estimate,
    row: dict[str, Any],
    windows: WindowSet,
    train: np.ndarray,
    test: np.ndarray,
    seed: int,
) -> dict[str, Any]:
    """Scores of a recurrent network that begins as the fit, as of the epoch that did best on held-out rows.

    The last fifth of the training rows, behind a gap, is held out from the network; it is not new to the fit.
    """
    begin = time.perf_counter()
    left = dict(zip(JUDGED.values(), fit.sigma.tolist(), strict=True))
    spec = FittedModel(
        spec=spec,
        params=fit.params(spec),
        deviations={},
        dt=DT,
        integrator_name="rk4",
        substeps=2,
        settings={},
        remaining_error=left,
    ).spec_to_train()
    spec = dataclasses.replace(spec, train_loss_kwargs={**spec.train_loss_kwargs, "huber": HUBER})
    starts = windows.starts
    last = int(0.8 * SPLIT)
    shape: Any = {"horizon": STEPS, "history": HISTORY, "feature_mode": "context", "sequence": True}
    parts = train[starts[train] < last - STEPS], train[starts[train] > last + HISTORY], test
    learned, held_out, judged = (
        observe(make_window_set(windows.store, starts[part], spec, **shape), spec, "rk4", 2) for part in parts
    )
    features = learned.gather().features
    mean, std = fit_normalization(features)
    bounds = Bounds.of(spec)
    network = ParameterMLP(
        hidden_sizes=(32, 32),
        min_bounds=bounds.low,
        max_bounds=bounds.high,
        feature_mean=mean,
        feature_std=std,
        rows=HISTORY,
        channels=len(moving_channels(spec)),
        **network_settings(spec),
    )
    optimizer = make_optimizer(1e-3)
    init, shuffle = jax.random.split(jax.random.PRNGKey(seed))
    params = network.init(init, features[:1])
    base_params = spec.base_params(DT)
    engine = make_engine("jax", spec, base_params, "rk4", 2)
    step_fn = make_network_step_fn(
        network.apply,
        lambda *states, **weights: spec.loss_fn(*states, **spec.train_loss_kwargs, **weights),
        spec.param_keys,
        base_params,
        spec.dynamics_fn,
        make_integrator("rk4", 2),
        optimizer,
        param_shapes=spec.full_shapes,
        batch_loss=engine.train_loss,
        max_window_grad=10.0,
        param_slope=bounds.slope,
    )
    evaluate = make_evaluate_fn(held_out, make_window_loss_fn(network.apply, engine.eval_loss), 1024)
    state = init_state(params, optimizer.init(params), shuffle)
    epoch = Epoch(learned, step_fn, TrainSettings(epochs=EPOCHS, batch_size=64, lr_patience=3))
    best, best_loss = params, evaluate(params)
    for _ in range(EPOCHS):
        order = epoch.order(state)
        while int(state.position) < epoch.steps:
            state, _ = epoch.run(state, order)
        loss = evaluate(state.params)
        if loss < best_loss:
            best, best_loss = jax.device_get(state.params), loss
        state = epoch.finish(state, loss)
    seconds = row["seconds"] + time.perf_counter() - begin
    predict = make_predict_fn(network.apply, base_params, spec, make_integrator("rk4", 2))
    predicted = predict(best, judged.gather()).transpose(2, 1, 0)
    return {**score(list(predicted), windows, test), "seconds": seconds}


def perturbed(spec: ModelSpec, seed: int) -> dict[str, Any]:
    """The defaults for seed 0, else a point near them; the gains stay, or an observer may be unstable."""
    keys, shapes = spec.param_keys, spec.full_shapes
    bounds = Bounds.of(spec)
    raw = bounds.back(flatten_params(spec.default_params, keys, shapes))
    noise = SPREAD * np.random.default_rng(seed).standard_normal(raw.size) if seed else np.zeros(raw.size)
    moved = raw + noise * flatten_params({key: float(not shapes[key]) for key in keys}, keys, shapes)
    return unflatten_params(np.asarray(bounds.to(jnp.asarray(moved))), keys, shapes)


def hold(windows: WindowSet, numbers: np.ndarray) -> list[np.ndarray]:
    """Every state as it was at the start."""
    states = windows.whole(numbers).states
    return [np.repeat(np.asarray(x)[HISTORY : HISTORY + 1], STEPS, axis=0) for x in states]


def arx(windows: WindowSet, train: np.ndarray, test: np.ndarray, spec: ModelSpec) -> list[np.ndarray]:
    """States by a linear map of the history and of the inputs, fitted to the training windows."""
    fitted = fit_ridge_arx(windows.select(train), spec)
    return list(fitted.predict(windows.select(test)).transpose(2, 1, 0))


def score(predicted: list[np.ndarray], windows: WindowSet, numbers: np.ndarray) -> dict[str, Any]:
    """Path RMSE by channel over all windows, and the median of each window's."""
    truth = windows.whole(numbers).states
    names = list(MODEL_SPECS["singletrack-pacejka"].state_names)
    by_window = {
        key: np.sqrt(np.mean((predicted[i] - np.asarray(truth[i])[HISTORY + 1 :]) ** 2, axis=0))
        for key, i in ((key, names.index(channel)) for key, channel in JUDGED.items())
    }
    return {
        **{key: float(np.sqrt(np.mean(error**2))) for key, error in by_window.items()},
        "median": {key: float(np.median(error)) for key, error in by_window.items()},
    }


if __name__ == "__main__":
    main()
