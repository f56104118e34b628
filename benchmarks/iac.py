"""Open-loop error on a real full-size race car: the fit beside baselines, on the same windows.

The log is `iac/Putnam_park2023_run4_2.csv` (Deep Dynamics, arXiv:2312.04374), 25 Hz, rows from 394 on. Of
these, rows 0 to 6902 are trained on and the rest is tested on, then the other way round (swapped); rollouts
of 1 s begin at every third row, with 25 rows of history before them. Inputs are the logged pedals and the
steering angle, of the window alone. Path RMSE of vx, vy and yaw rate over all starts, and the median over
starts of each window's. Windows that explode are counted. Last line: one JSON object.

    python benchmarks/iac.py --data FOLDER [--seeds 3] [--parts as-published swapped]
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
from pct.evaluation.evaluate import RUN
from pct.evaluation.explosions import find_exploded
from pct.evaluation.scores import Errors, errors_of
from pct.evaluation.windows import all_windows
from pct.optimization.model import Model
from pct.recordings.trajectory import Trajectory
from pct.windows.store import make_window_store
from pct.windows.window_set import WindowSet

FIRST, SPLIT, DT, STEPS, HISTORY, STRIDE = 394, 6903, 0.04, 25, 25, 3
PARTS = ("as-published", "swapped")
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
# Of the interval of one model's errors over another's.
BLOCKS, DRAWS = 40, 1000
AV21 = pct.model("singletrack-pacejka", vehicle="av-21")
PLAIN_CAR = AV21.measured(pedals=True, observer=False)


def measured(car: pct.Car) -> pct.Car:
    """The car behind its sensors; their offset and turn take the place of the shifts of the tyres."""
    return car.measured(
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


CAR = measured(AV21)
FOUR_WHEELS = measured(pct.model("double-track", vehicle="av-21"))


def main() -> None:
    """Fit, judge and print each way."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder that holds iac/")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--no-network", action="store_true", help="fits alone, without a network on top")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="which part trains")
    args = parser.parse_args()
    pct.keep_compiled_code()
    log = read_log(args.data / "iac" / "Putnam_park2023_run4_2.csv")
    rows = {"as-published": ((0, SPLIT), (SPLIT, len(log))), "swapped": ((SPLIT, len(log)), (0, SPLIT))}
    results = {}
    for part in args.parts:
        results[part] = judge(log, *rows[part], seeds=args.seeds, network=not args.no_network)
        show(part, results[part])
    print(json.dumps(results))


def judge(
    log: Trajectory, train_rows: tuple[int, int], test_rows: tuple[int, int], *, seeds: int, network: bool
) -> dict[str, Any]:
    """Scores of all rows where one part of the log trains and the other tests, and the fitted parameters."""
    train, test = drive(log, *train_rows), drive(log, *test_rows)
    plain = fitted(PLAIN_CAR, train, 0)
    rows: dict[str, dict[str, Any]] = ladder(plain, test)
    others = list(rows)
    rows["constant fit, no measurement"] = judged(plain, test)
    runs = []
    fits = [fitted(CAR, train, seed) for seed in range(seeds)]
    first = fits[0]
    for seed, fit in enumerate(fits):
        row = judged(fit, test)
        rows[f"constant fit, seed {seed}"] = row
        if network:
            rows[f"network on top, seed {seed}"] = on_top(fit, train, test, seed)
        runs.append((row, parameters(fit)))
    four = {
        "double-track, seed 0": fitted(FOUR_WHEELS, train, 0),
        "double-track, from the fit": pct.fit(FOUR_WHEELS, train, start=first, **FIT),
    }
    for name, fit in four.items():
        rows[name] = {**judged(fit, test), "over_the_fit": change(fit.model, first.model, test)}
    # No prediction: the least that these equations can err there, whatever their parameters.
    rows["fit to the test rows"] = judged(fitted(CAR, test, 0), test)
    ours = {key: float(np.mean([row[key] for row, _ in runs])) for key in JUDGED}
    median = {key: float(np.mean([row["median"][key] for row, _ in runs])) for key in JUDGED}
    return {
        "ours": ours,
        "ours_median": median,
        "ahead": {key: [name for name in others if rows[name][key] <= ours[key]] for key in JUDGED},
        "rows": rows,
        "parameters": runs[0][1],
    }


def show(part: str, result: dict[str, Any]) -> None:
    """Print the rows and the parameters of one way."""
    print(f"\n{part:32s}" + "".join(f"{name:>18s}" for name in JUDGED) + f"{'exploded':>10s}{'train s':>10s}")
    print(f"{'':32s}" + f"{'path RMSE (median)':>18s}" * len(JUDGED))
    for name, row in result["rows"].items():
        cells = ""
        for key in JUDGED:
            text = f"{row[key]:.4f} ({row['median'][key]:.4f})"
            cells += f"{text:>18s}"
        print(f"{name:32s}{cells}{row['exploded']:10d}{row.get('seconds', 0):10.0f}")
        for key, (share, low, high) in row.get("over_the_fit", {}).items():
            print(f"{'':4s}{key} over that of the fit {share:+.1%} [{low:+.1%}, {high:+.1%}]")
    ahead = {key: names for key, names in result["ahead"].items() if names}
    print(f"Ahead of ours: {ahead or 'no row of the ladder'}")
    print("\nParameters, seed 0: value, standard error, bounds, verdict")
    for name, entry in result["parameters"].items():
        value = f"{entry['value']:.5g} +- {entry['deviation']:.2g}"
        print(f"{name:22s}{value:24s}{entry['bounds']!s:22s}  {entry['verdict']}")


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


def ladder(fit: pct.Fit, test: pct.Drives) -> dict[str, dict[str, Any]]:
    """Scores of the rows of the ladder by name, on the windows of a fit; of those that are told no more."""
    result = pct.evaluate(fit, test, at=(STEPS * DT,), stride=STRIDE).result
    (seconds,) = result.at
    rows = {}
    for name, row in result.rows.items():
        scores = {key: row.scores[seconds].get(channel) for key, channel in JUDGED.items()}
        if name != RUN and row.comparable and all(scores.values()):
            rows[name] = {
                **{key: score.path_rmse.value for key, score in scores.items() if score},
                "median": {key: score.median_path_rmse.value for key, score in scores.items() if score},
                "exploded": row.exploded[seconds],
            }
    return rows


def judged(fit: pct.Fit, test: pct.Drives) -> dict[str, Any]:
    """Scores of a fit."""
    return {**score(fit.model, test), "seconds": fit.result.seconds}


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


def on_top(fit: pct.Fit, train: pct.Drives, test: pct.Drives, seed: int) -> dict[str, Any]:
    """Scores of a recurrent network that begins as the fit, and is the fit where it is no better on rows that
    are held out from it.
    """
    begin = time.perf_counter()
    network = pct.train(fit, train, seed=seed, **TRAIN)
    print("\n".join(network.facts), file=sys.stderr, flush=True)
    seconds = fit.result.seconds + time.perf_counter() - begin
    return {**score(network.model, test), "seconds": seconds}


def windows_of(model: Model, drives: pct.Drives) -> WindowSet:
    """All windows of drives for a model."""
    return all_windows(model, make_window_store(drives.recordings, model.spec, dt=model.dt), "test")


def perturbed(spec: ModelSpec, seed: int) -> dict[str, Any]:
    """The defaults for seed 0, else a point near them; the gains stay, or an observer may be unstable."""
    keys, shapes = spec.param_keys, spec.full_shapes
    bounds = Bounds.of(spec)
    raw = bounds.back(flatten_params(spec.default_params, keys, shapes))
    noise = SPREAD * np.random.default_rng(seed).standard_normal(raw.size) if seed else np.zeros(raw.size)
    moved = raw + noise * flatten_params({key: float(not shapes[key]) for key in keys}, keys, shapes)
    return unflatten_params(np.asarray(bounds.to(jnp.asarray(moved))), keys, shapes)


def score(model: Model, test: pct.Drives) -> dict[str, Any]:
    """Path RMSE by channel over all windows, the median of each window's, and how many explode."""
    errors, by_window, targets = errors_by_window(model, test)
    beyond = find_exploded(errors, targets, model.spec)
    return {
        **{key: float(np.sqrt(np.mean(error**2))) for key, error in by_window.items()},
        "median": {key: float(np.median(error)) for key, error in by_window.items()},
        "exploded": int(beyond.any(axis=(1, 2)).sum()),
    }


def errors_by_window(model: Model, test: pct.Drives) -> tuple[Errors, dict[str, np.ndarray], np.ndarray]:
    """All errors, path RMSE of each window by channel, (W,), and what was logged."""
    windows = windows_of(model, test)
    targets = np.asarray(windows.batch.targets)
    errors = errors_of(model.predict_states(model.prepare(windows).batch), targets, model.spec)
    by_window = {
        key: np.sqrt(np.mean(errors.values[:, :, errors.names.index(channel)] ** 2, axis=1))
        for key, channel in JUDGED.items()
    }
    return errors, by_window, targets


def change(model: Model, other: Model, test: pct.Drives) -> dict[str, list[float]]:
    """Path RMSE of a model over that of another, less one, by channel, with its 95 % interval by blocks."""
    squares = [
        {key: error**2 for key, error in errors_by_window(one, test)[1].items()} for one in (model, other)
    ]
    rng, found = np.random.default_rng(0), {}
    for key in JUDGED:
        own, theirs = (one[key] for one in squares)
        blocks = np.array_split(np.arange(own.size), BLOCKS)
        draws = [np.concatenate([blocks[i] for i in rng.integers(0, BLOCKS, BLOCKS)]) for _ in range(DRAWS)]
        ratios = [np.sqrt(own[rows].mean() / theirs[rows].mean()) - 1 for rows in draws]
        ends = np.quantile(ratios, [0.025, 0.975])
        found[key] = [float(np.sqrt(own.mean() / theirs.mean()) - 1), *map(float, ends)]
    return found


if __name__ == "__main__":
    main()
