"""Is a posterior calibrated: do its intervals hold the truth, and are ranks of the truth uniform?

Truths are drawn from the prior of the fit, a drive of each is simulated by open-loop steering and driving,
sensors add noise (white, or autocorrelated with a time constant of 0.1 s), and `pct fit --sample` draws the
posterior. If it is calibrated, the rank of each truth among its draws is uniform [1]: p is that of a
chi-square test over up to ten bins. Intervals are quantiles of 95 %. Last line: one JSON object.

    python benchmarks/calibration.py [--drives 200] [--duration 40] [--draws 400] [--noise white]

References:
    [1] S. Talts et al., "Validating Bayesian inference algorithms with simulation-based calibration",
        arXiv:1804.06788.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from typing import Any

import numpy as np
from scipy.stats import chisquare

import pct
from pct.dynamics.bounds import Bounds
from pct.optimization.constants import fitting
from pct.optimization.constants.estimate import raw_values
from pct.optimization.constants.posterior.posterior import Posterior
from pct.optimization.settings import FitSettings
from pct.recordings.trajectory import Trajectory
from pct.windows.store import make_window_store

# With truths of this prior the car understeers: one that spins has no posterior to speak of.
CAR = pct.model("singletrack").hold("I", "m", C_Sf=3.5).measured(observer=False)
SPEC = CAR.spec
DT, PRIOR = 0.05, 0.3
SETTINGS = FitSettings(
    horizon=20, history=1, stride=21, free_start=True, compare=("v", "psi_dot", "beta"), prior=PRIOR
)
NOISE = {"v": 0.05, "psi_dot": 0.05, "beta": 0.01}
TIME_CONSTANTS = {"white": 0.0, "autocorrelated": 0.1}
MOST_BINS = 10


def main() -> None:
    """Fit all drives and print shares and p values."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--drives", type=int, default=200)
    parser.add_argument("--duration", type=float, default=40.0)
    parser.add_argument("--draws", type=int, default=400)
    parser.add_argument("--noise", nargs="+", choices=TIME_CONSTANTS, default=list(TIME_CONSTANTS))
    args = parser.parse_args()
    pct.keep_compiled_code()
    result: dict[str, Any] = {}
    for kind in args.noise:
        time_constant = TIME_CONSTANTS[kind]
        begin = time.perf_counter()
        held, ranks, normal, divergent = [], [], [], 0
        for seed in range(args.drives):
            truth, posterior = one_drive(seed, time_constant, args)
            low, high = posterior.interval.T
            held.append((low < truth) & (truth < high))
            normal.append((posterior.normal[:, 0] < truth) & (truth < posterior.normal[:, 1]))
            ranks.append((posterior.draws < truth).mean(axis=(0, 1)))
            print(f"{kind} {seed}: {held[-1].tolist()} {np.round(ranks[-1], 3).tolist()}", flush=True)
            divergent += int(posterior.divergent.sum())
        # At least five ranks are expected in each bin.
        bins = max(2, min(MOST_BINS, args.drives // 5))
        counts = [
            np.bincount(np.minimum((bins * r).astype(int), bins - 1), minlength=bins)
            for r in np.array(ranks).T
        ]
        result[kind] = {
            "drives": args.drives,
            "held": dict(zip(SPEC.param_keys, np.mean(held, axis=0).tolist(), strict=True)),
            "held_overall": float(np.mean(held)),
            "normal_held_overall": float(np.mean(normal)),
            "rank_p": dict(zip(SPEC.param_keys, (float(chisquare(c).pvalue) for c in counts), strict=True)),
            "divergent": divergent,
        }
        for name, value in result[kind].items():
            print(f"{kind} {name}: {value}")
        print(f"  {time.perf_counter() - begin:.0f} s", flush=True)
    print(json.dumps(result))


def one_drive(seed: int, time_constant: float, args: argparse.Namespace) -> tuple[np.ndarray, Posterior]:
    """A truth from the prior, and the posterior of a drive with it."""
    rng = np.random.default_rng([seed, int(1e3 * time_constant)])
    centre = raw_values(SPEC, SPEC.default_params)
    truth = Bounds.of(SPEC).on_host(centre + PRIOR * rng.standard_normal(centre.size))[0]
    values = dict(zip(SPEC.param_keys, truth.tolist(), strict=True))
    (drive,) = pct.simulate(
        CAR,
        recordings=1,
        duration=args.duration,
        dt=DT,
        mu=(values.pop("mu"),),
        fixed=values,
        noise=0.0,
        seed=seed,
    )
    windows = noisy_windows(drive.trajectory, rng, time_constant)
    fit = fitting.fit(SPEC, windows, dataclasses.replace(SETTINGS, seed=seed))
    return truth, fitting.with_posterior(fit, args.draws).posterior


def noisy_windows(drive: Trajectory, rng: np.random.Generator, time_constant: float) -> Any:
    """Windows of what the sensors show."""
    channels = dict(drive.channels)
    keep = np.exp(-DT / time_constant) if time_constant else 0.0
    for name, deviation in NOISE.items():
        white = rng.standard_normal(len(drive))
        for k in range(1, len(white)):
            white[k] = keep * white[k - 1] + np.sqrt(1 - keep**2) * white[k]
        channels[name] = channels[name] + deviation * white
    store = make_window_store([(drive.name, dataclasses.replace(drive, channels=channels))], SPEC)
    return fitting.fit_windows(SPEC, store, SETTINGS)


if __name__ == "__main__":
    main()
