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
import json
import sys
import time
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import polars as pl

import pct
from pct.dynamics.bounds import Bounds
from pct.dynamics.core import ModelSpec, flatten_params, unflatten_params
from pct.evaluation.baselines.arx import fit_ridge_arx
from pct.evaluation.baselines.extrapolation import HoldLast
from pct.evaluation.windows import all_windows
from pct.optimization.model import Model
from pct.recordings.trajectory import Trajectory
from pct.windows.store import make_window_store
from pct.windows.window_set import WindowSet

FIRST, SPLIT, DT, STEPS, HISTORY, STRIDE = 394, 6903, 0.04, 25, 25, 3
JUDGED = {"vx": "vx", "vy": "vy", "yaw_rate": "psi_dot"}
# The brake pressure that the paper divides by, in kPa.
FULL_BRAKE = 2757.9
HUBER = 5.0
FIT: dict[str, Any] = {
    "horizon": STEPS,
    "history": HISTORY,
    "stride": STRIDE,
    "substeps": 2,
    "compare": tuple(JUDGED.values()),
    "prior": 0.5,
    "huber": HUBER,
    "iterations": 25,
}
TRAIN: dict[str, Any] = {
    "horizon": STEPS,
    "stride": STRIDE,
    "epochs": 10,
    "batch_size": 64,
    "lr": 1e-3,
    "lr_patience": 3,
    "encoder": "gru",
    "feature_mode": "context",
    "model_hidden": (32, 32),
    "huber": HUBER,
    "engine": "jax",
}
# Spread of the starting points of further seeds, on the unbounded axis.
SPREAD = 0.1
AV21 = pct.model("singletrack-pacejka", vehicle="av-21")
PLAIN_CAR = AV21.measured(pedals=True, observer=False)
# The offset of the steering and the turn of the sensor take the place of the shifts.
CAR = AV21.measured(
    lag=("psi_dot",) * 3,
    bias=("vx", "vy", "psi_dot"),
    drift=("vx", "vy", "psi_dot"),
    actuator_lag="throttle",
    delay=("throttle", "brake"),
    steering=True,
    lever_arm=True,
    misaligned=True,
    pedals=True,
).hold("S_hf", "S_vf", "S_hr", "S_vr")


def main() -> None:
    """Fit, judge and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder that holds iac/")
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    pct.keep_compiled_code()
    log = read_log(args.data / "iac" / "Putnam_park2023_run4_2.csv")
    train, test = drive(log, 0, SPLIT), drive(log, SPLIT, len(log))
    rows: dict[str, dict[str, Any]] = {}
    plain = fitted(PLAIN_CAR, train, 0)
    windows = windows_of(plain.model, test)
    targets = np.asarray(windows.batch.targets)
    arx = fit_ridge_arx(plain.training_windows, plain.model.spec)
    rows["hold last value"] = score(HoldLast().predict(windows), targets)
    rows["ridge ARX"] = score(arx.predict(windows), targets)
    rows["constant fit, no measurement"] = judged(plain, test)
    runs = []
    for seed in range(args.seeds):
        fit = fitted(CAR, train, seed)
        row = judged(fit, test)
        rows[f"constant fit, seed {seed}"] = row
        rows[f"network on top, seed {seed}"] = on_top(fit, log, test, seed)
        runs.append((row, parameters(fit)))
    # No prediction: the least that these equations can err there, whatever their parameters.
    rows["fit to the test rows"] = judged(fitted(CAR, test, 0), test)
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


def read_log(path: Path) -> Trajectory:
    """Channels of the log in SI units; the heading only places the windows, nothing is judged on it."""
    table = pl.read_csv(path)[FIRST:]
    column = {name.strip("# "): table[name].to_numpy() for name in table.columns}
    delta = column["delta(rad)"]
    channels = {
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
    units = {channel.name: channel.unit for channel in (*CAR.spec.states, *CAR.spec.controls)}
    return Trajectory(
        path.stem, DT, channels, {name: units[name] for name in channels}, dict.fromkeys(channels, "measured")
    )


def drive(log: Trajectory, first: int, last: int) -> pct.Drives:
    """Rows of the log, the last one exclusive; no window crosses the ends."""
    part = log.slice(first, last)
    return pct.Drives((pct.Drive(part.name, part),))


def fitted(car: pct.Car, drives: pct.Drives, seed: int) -> pct.Fit:
    """A fit whose search begins at a point of the seed."""
    return pct.fit(
        car,
        drives,
        start=perturbed(car.spec, seed),
        progress=lambda step: print(step, file=sys.stderr, flush=True),
        **FIT,
    )


def judged(fit: pct.Fit, test: pct.Drives) -> dict[str, Any]:
    """Scores of a fit."""
    return {**score(*predicted(fit.model, test)), "seconds": fit.result.seconds}


def parameters(fit: pct.Fit) -> dict[str, dict[str, Any]]:
    """Value, standard error, bounds and verdict of each parameter."""
    return {
        name: {
            "value": float(fit.params[name]),
            "deviation": float(fit.deviations[name]),
            "bounds": [float(f"{float(end):.5g}") for end in fit.model.spec.param_bounds[name]],
            "verdict": verdict["verdict"],
        }
        for name, verdict in fit.verdicts.items()
    }


def on_top(fit: pct.Fit, log: Trajectory, test: pct.Drives, seed: int) -> dict[str, Any]:
    """Scores of a recurrent network that begins as the fit, as it is then or after the epoch that did best
    on held-out rows.

    The last fifth of the training rows is held out from the network; it is not new to the fit.
    """
    begin = time.perf_counter()
    last = int(0.8 * SPLIT)
    # The first row from which windows begin at rows that the fit reads, too.
    held_out = drive(log, -(-last // STRIDE) * STRIDE, SPLIT)
    network = pct.train(fit, drive(log, 0, last), validation=held_out, seed=seed, **TRAIN)
    learner, best = network.learner, network.model.params
    first = learner.start().params
    if learner.evaluate(first) <= network.result.best_loss:
        best = first
    seconds = fit.result.seconds + time.perf_counter() - begin
    return {**score(*predicted(learner.trained(best), test)), "seconds": seconds}


def windows_of(model: Model, drives: pct.Drives) -> WindowSet:
    """All windows of drives for a model."""
    return all_windows(model, make_window_store(drives.recordings, model.spec, dt=model.dt), "test")


def predicted(model: Model, test: pct.Drives) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and true states of all windows, (B, T, S) each."""
    windows = windows_of(model, test)
    return model.predict_states(model.prepare(windows).batch), np.asarray(windows.batch.targets)


def perturbed(spec: ModelSpec, seed: int) -> dict[str, Any]:
    """The defaults for seed 0, else a point near them; the gains stay, or an observer may be unstable."""
    keys, shapes = spec.param_keys, spec.full_shapes
    bounds = Bounds.of(spec)
    raw = bounds.back(flatten_params(spec.default_params, keys, shapes))
    noise = SPREAD * np.random.default_rng(seed).standard_normal(raw.size) if seed else np.zeros(raw.size)
    moved = raw + noise * flatten_params({key: float(not shapes[key]) for key in keys}, keys, shapes)
    return unflatten_params(np.asarray(bounds.to(jnp.asarray(moved))), keys, shapes)


def score(states: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    """Path RMSE by channel over all windows, and the median of each window's."""
    names = PLAIN_CAR.spec.state_names
    by_window = {
        key: np.sqrt(np.mean((states[:, :, i] - truth[:, :, i]) ** 2, axis=1))
        for key, i in ((key, names.index(channel)) for key, channel in JUDGED.items())
    }
    return {
        **{key: float(np.sqrt(np.mean(error**2))) for key, error in by_window.items()},
        "median": {key: float(np.median(error)) for key, error in by_window.items()},
    }


if __name__ == "__main__":
    main()
