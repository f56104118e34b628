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
import dataclasses
import json
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from scipy.stats import t

import pct
from pct.optimization.constants.estimate import PRIOR, fit_errors
from pct.optimization.constants.fitting import fit_windows
from pct.optimization.constants.rollout_errors import RolloutErrors, make_rollout_errors
from pct.optimization.constants.verdicts import make_verdicts
from pct.optimization.settings import FitSettings
from pct.recordings.trajectory import Trajectory
from pct.windows.store import make_window_store
from pct.windows.window_set import WindowSet

CAR = pct.model("singletrack-pacejka").hold("C_b")
SPEC = CAR.spec
DT, HORIZON = 0.02, 50
# Windows share no row.
SETTINGS = FitSettings(
    horizon=HORIZON, history=1, stride=HORIZON + 1, free_start=True, compare=("vx", "vy", "psi_dot")
)
NOISE = {"vx": 0.03, "vy": 0.03, "psi_dot": 0.05}
TIME_CONSTANTS = {"white": 0.0, "autocorrelated": 0.1}
# Share of the drives in which a parameter must be identified for its own share of intervals to count.
OFTEN = 0.2
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
    pct.keep_compiled_code()
    drives = pct.simulate(
        CAR, recordings=args.seeds, duration=args.duration, dt=DT, mu=(0.9,), fixed=TRUTH, noise=0.0
    )
    errors = make_rollout_errors(
        SPEC,
        SPEC.base_params(DT),
        SETTINGS.history,
        compare=SETTINGS.compare,
        free_start=SETTINGS.free_start,
    )
    result: dict[str, Any] = {}
    for kind, time_constant in TIME_CONSTANTS.items():
        begin = time.perf_counter()
        fit_one = partial(held, errors, time_constant)
        with ThreadPoolExecutor(max_workers=2) as pool:
            fits = list(pool.map(fit_one, drives, range(args.seeds)))
        rows = {name: [fit[name] for fit in fits if fit[name] is not None] for name in SPEC.param_keys}
        total = [hit for row in rows.values() for hit in row]
        shares = {name: (float(np.mean(row)), len(row)) for name, row in rows.items() if row}
        often = {name: share for name, (share, count) in shares.items() if count >= OFTEN * args.seeds}
        worst = min(often, key=lambda name: often[name], default="")
        result[kind] = {
            "overall": float(np.mean(total)),
            "worst": [worst, often.get(worst)],
            "by_parameter": {name: list(row) for name, row in shares.items()},
        }
        print(f"\n{kind} noise: {100 * np.mean(total):.1f} % of {len(total)} intervals hold the truth")
        if worst:
            print(f"  worst: {worst}, {100 * often[worst]:.1f} %")
        for name, (share, count) in shares.items():
            print(f"  {name:6s}{100 * share:6.1f} %  identified in {count} of {args.seeds} drives")
        print(f"  {time.perf_counter() - begin:.0f} s", flush=True)
    print(json.dumps(result))


def held(errors: RolloutErrors, time_constant: float, drive: pct.Drive, seed: int) -> dict[str, bool | None]:
    """Whether each parameter's interval holds the truth; None where it was not identified."""
    windows = noisy_windows(drive.trajectory, np.random.default_rng(seed), time_constant)
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
    """Windows of what the sensors show."""
    channels = dict(drive.channels)
    keep = np.exp(-DT / time_constant) if time_constant else 0.0
    for name, deviation in NOISE.items():
        white = rng.standard_normal(len(drive))
        noise = white.copy()
        for k in range(1, len(noise)):
            noise[k] = keep * noise[k - 1] + np.sqrt(1 - keep**2) * white[k]
        channels[name] = channels[name] + deviation * noise
    store = make_window_store([(drive.name, dataclasses.replace(drive, channels=channels))], SPEC)
    return fit_windows(SPEC, store, SETTINGS)


if __name__ == "__main__":
    main()
