"""Do the intervals of a fit hold the truth as often as they say?

`pct.simulation` drives the same 1:10 car with Magic Formula tyres through other manoeuvres with each seed,
and sensors add noise: white, or autocorrelated with a time constant of 0.1 s, of the same size. Every drive
is fitted as `pct fit --no-observer --free-start --fixed C_b` does (an electric car), with its default prior
about values that are not the truth, and its covariance; an interval of 95 % is the value and its standard
error times Student's t for the blocks of the drive. Counted are the parameters of each fit with the verdict
"identified". Last line: one JSON object.

    python benchmarks/coverage.py [--seeds 100] [--duration 60]
"""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import jax
import numpy as np
from scipy.stats import t

from pct.cli.folders import keep_compiled_code
from pct.dynamics import MODEL_SPECS, with_fixed
from pct.optimization.constants.estimate import PRIOR, fit_errors
from pct.optimization.constants.rollout_errors import RolloutErrors, make_rollout_errors
from pct.optimization.constants.verdicts import make_verdicts
from pct.recordings.derive import model_columns
from pct.recordings.trajectory import Trajectory
from pct.simulation import simulate
from pct.windows.store import WindowStore, window_starts
from pct.windows.window_set import WindowSet, make_window_set

SPEC = with_fixed(MODEL_SPECS["singletrack-pacejka"], {"C_b": None})
DT, HORIZON, HISTORY = 0.02, 50, 1
COMPARED = ("vx", "vy", "psi_dot")
NOISE = {"vx": 0.03, "vy": 0.03, "psi_dot": 0.05}
TIME_CONSTANTS = {"white": 0.0, "autocorrelated": 0.1}
# The car, by parameter over its default, which the fit starts from.
TRUTH = {
    name: SPEC.default_params[name] * factor
    for name, factor in {
        "B_f": 1.2, "C_f": 1.05, "D_f": 0.9, "B_r": 1.1, "C_r": 0.95, "D_r": 1.1,
        "I": 1.15, "C_m1": 0.9, "C_m2": 1.1, "C_r0": 1.2, "C_r2": 0.9,
    }.items()
}  # fmt: skip


def main() -> None:
    """Fit all drives and print the shares."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--duration", type=float, default=60.0)
    args = parser.parse_args()
    keep_compiled_code(jax)
    drives = simulate(
        SPEC, recordings=args.seeds, duration=args.duration, dt=DT, mu=(0.9,), fixed=TRUTH, noise=0.0
    )
    errors = make_rollout_errors(SPEC, SPEC.base_params(DT), HISTORY, compare=COMPARED, free_start=True)
    result: dict[str, Any] = {}
    for kind, time_constant in TIME_CONSTANTS.items():
        begin = time.perf_counter()
        fit_one = partial(held, errors, time_constant)
        with ThreadPoolExecutor(max_workers=2) as pool:
            fits = list(pool.map(fit_one, drives, range(args.seeds)))
        rows = {name: [fit[name] for fit in fits if fit[name] is not None] for name in SPEC.param_keys}
        total = [hit for row in rows.values() for hit in row]
        result[kind] = {
            "overall": float(np.mean(total)),
            "by_parameter": {name: [float(np.mean(row)), len(row)] for name, row in rows.items() if row},
        }
        print(f"\n{kind} noise: {100 * np.mean(total):.1f} % of {len(total)} intervals hold the truth")
        for name, (share, count) in result[kind]["by_parameter"].items():
            print(f"  {name:6s}{100 * share:6.1f} %  identified in {count} of {args.seeds} drives")
        print(f"  {time.perf_counter() - begin:.0f} s", flush=True)
    print(json.dumps(result))


def held(errors: RolloutErrors, time_constant: float, drive: Trajectory, seed: int) -> dict[str, bool | None]:
    """Whether each parameter's interval holds the truth; None where it was not identified."""
    windows = noisy_windows(drive, np.random.default_rng(seed), time_constant)
    fit = fit_errors(errors, windows, np.arange(len(windows)))
    verdicts = make_verdicts(fit, SPEC, PRIOR)
    reach = t.ppf(0.975, fit.blocks - 1) * fit.deviations(SPEC)
    truth = [TRUTH.get(name, SPEC.default_params[name]) for name in SPEC.param_keys]
    inside = np.abs(fit.values - truth) < reach
    return {
        name: bool(hit) if verdicts[name]["verdict"] == "identified" else None
        for name, hit in zip(SPEC.param_keys, inside, strict=True)
    }


def noisy_windows(drive: Trajectory, rng: np.random.Generator, time_constant: float) -> WindowSet:
    """Windows that share no row, of what the sensors show."""
    states, controls = model_columns(drive, SPEC)
    keep = np.exp(-DT / time_constant) if time_constant else 0.0
    for name, deviation in NOISE.items():
        white = rng.standard_normal(len(states))
        noise = white.copy()
        for k in range(1, len(noise)):
            noise[k] = keep * noise[k - 1] + np.sqrt(1 - keep**2) * white[k]
        states[:, SPEC.state_indices[name]] += deviation * noise
    none = np.zeros((len(states), 0))
    store = WindowStore(
        states.astype(np.float32), controls.astype(np.float32), none, none, DT * np.arange(len(states)),
        np.zeros(len(states), np.int32), (drive.name,), (), (), DT,
    )  # fmt: skip
    shape: Any = {"horizon": HORIZON, "history": HISTORY}
    starts = window_starts(store, stride=HORIZON + 1, **shape)
    return make_window_set(store, starts, SPEC, feature_mode="context", **shape)


if __name__ == "__main__":
    main()
