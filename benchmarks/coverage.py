"""Do the intervals of a fit hold the truth as often as they say?

`pct.simulation` drives the same 1:10 car with Magic Formula tyres through other manoeuvres with each seed,
and sensors add noise: white, or autocorrelated with a time constant of 0.1 s, of the same size. Every drive
is fitted as `pct fit --no-observer --free-start --fixed C_b` does (an electric car), with its default prior
about values that are not the truth, and its covariance; an interval of 95 % is the value and its standard
error times Student's t for the blocks of the drive. Counted are the parameters of each fit with the verdict
"identified". Last line: one JSON object.

    python benchmarks/coverage.py [--seeds 100] [--duration 60]
    python benchmarks/coverage.py --sample [--seeds 100] [--records FILE] [--minutes 60]

With `--sample` the intervals of the posterior, `pct fit --sample`, stand beside those of the fit, on drives
of the same kind, the curvatures E held at their true values, and on a set where the valley of the cost
bends: cars whose tyres are drawn from the prior, drives of `--short` seconds far from the limit, so that the
slope of the tyre curve is known and its factors B, C and D are traded off. There every parameter counts,
whatever its verdict: over truths from the prior, intervals of a posterior are to hold 95 % of them. Finished
fits stand in the file of `--records`.
"""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from typing import Any

import numpy as np
from scipy.stats import t

import pct
from pct.optimization.constants.estimate import PRIOR, fit_errors
from pct.optimization.constants.posterior.nuts import Sampler
from pct.optimization.constants.rollout_errors import RolloutErrors, make_rollout_errors
from pct.optimization.constants.verdicts import make_verdicts
from pct.optimization.settings import FitSettings
from posteriors import Case, Problem, add_flags, record_of, records, show, summary

CAR = pct.model("singletrack-pacejka").hold("C_b")
SPEC = CAR.spec
HORIZON = 50
NOISE = {"vx": 0.03, "vy": 0.03, "psi_dot": 0.05}
# Windows share no row.
PROBLEM = Problem(
    SPEC,
    FitSettings(
        horizon=HORIZON, history=1, stride=HORIZON + 1, free_start=True, compare=("vx", "vy", "psi_dot")
    ),
    0.02,
    NOISE,
)
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
# E goes with B and C along a valley that winds: chains of a thousand draws do not get through.
SHAPED = CAR.hold("E_f", "E_r").spec
SHAPED_PROBLEM = PROBLEM._replace(spec=SHAPED)
# Where a valley bends: tyres alone, by a drive that asks for little of them.
BENT = pct.model("singletrack-pacejka").hold(
    *("I", "C_m1", "C_m2", "C_r0", "C_r2", "C_b"), *("E_f", "S_hf", "S_vf", "E_r", "S_hr", "S_vr")
)
BENT_PRIOR = 0.5
BENT_PROBLEM = Problem(
    BENT.spec,
    FitSettings(
        horizon=10, history=1, stride=11, free_start=True, compare=("vx", "vy", "psi_dot"), prior=BENT_PRIOR
    ),
    0.05,
    NOISE,
)
# Friction that the driver counts on, and the share of it that he asks for.
BENT_DRIVE: dict[str, Any] = {"mu": (0.6,), "grip": 0.8, "speed": (3.0, 6.0)}


def main() -> None:
    """Fit all drives and print the shares."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--duration", type=float, default=60.0)
    parser.add_argument("--sample", action="store_true", help="draw posteriors, too")
    parser.add_argument("--short", type=float, default=12.0, help="duration where a valley bends")
    parser.add_argument("--sets", nargs="+", choices=DRIVES, default=list(DRIVES), help="with --sample")
    add_flags(parser, draws=1000)
    args = parser.parse_args()
    pct.keep_compiled_code()
    print(json.dumps(by_posterior(args) if args.sample else by_standard_error(args)))


def by_posterior(args: argparse.Namespace) -> dict[str, Any]:
    """Shares of intervals of posteriors and of fits, by set and noise."""
    cases = [
        Case(name, kind, seed) for seed in range(args.seeds) for name in args.sets for kind in args.noise
    ]
    rows = records(cases, partial(one_drive, args=args, sampler=lru_cache(Sampler)), args)
    result: dict[str, Any] = {}
    for name in args.sets:
        for kind in args.noise:
            own = [row for row in rows if row["case"][:2] == (name, kind)]
            if own:
                found = result[f"{name}/{kind}"] = summary(own, identified=name == "usual")
                show(f"{name} drives, {kind} noise", found)
    return result


def one_drive(case: Case, *, args: argparse.Namespace, sampler: Any) -> dict[str, Any]:
    """The record of a drive of a set."""
    return DRIVES[case.set](case, args, sampler)


def usual_drive(case: Case, args: argparse.Namespace, sampler: Any) -> dict[str, Any]:
    """A drive as without `--sample`."""
    (drive,) = pct.simulate(
        CAR,
        recordings=1,
        duration=args.duration,
        dt=PROBLEM.dt,
        mu=(0.9,),
        fixed=TRUTH,
        noise=0.0,
        seed=case.seed,
    )
    windows = SHAPED_PROBLEM.windows(drive.trajectory, np.random.default_rng(case.seed), case.noise)
    return record_of(SHAPED_PROBLEM, windows, {**SHAPED.default_params, **TRUTH}, args.draws, sampler)


def bent_drive(case: Case, args: argparse.Namespace, sampler: Any) -> dict[str, Any]:
    """A short drive of a car from the prior."""
    rng = case.generator()
    values = BENT_PROBLEM.truth(BENT_PRIOR, rng)
    (drive,) = pct.simulate(
        BENT,
        recordings=1,
        duration=args.short,
        dt=BENT_PROBLEM.dt,
        fixed=values,
        noise=0.0,
        seed=case.seed,
        **BENT_DRIVE,
    )
    windows = BENT_PROBLEM.windows(drive.trajectory, rng, case.noise)
    return record_of(BENT_PROBLEM, windows, values, args.draws, sampler)


DRIVES = {"usual": usual_drive, "bent": bent_drive}


def by_standard_error(args: argparse.Namespace) -> dict[str, Any]:
    """Shares of intervals of fits, by noise."""
    settings = PROBLEM.settings
    drives = pct.simulate(
        CAR, recordings=args.seeds, duration=args.duration, dt=PROBLEM.dt, mu=(0.9,), fixed=TRUTH, noise=0.0
    )
    errors = make_rollout_errors(
        SPEC,
        SPEC.base_params(PROBLEM.dt),
        settings.history,
        compare=settings.compare,
        free_start=settings.free_start,
    )
    result: dict[str, Any] = {}
    for kind in args.noise:
        begin = time.perf_counter()
        fit_one = partial(held, errors, kind)
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
    return result


def held(errors: RolloutErrors, noise: str, drive: pct.Drive, seed: int) -> dict[str, bool | None]:
    """Whether each parameter's interval holds the truth; None where it was not identified."""
    windows = PROBLEM.windows(drive.trajectory, np.random.default_rng(seed), noise)
    fit = fit_errors(errors, windows, np.arange(len(windows)))
    verdicts = make_verdicts(fit, SPEC, PRIOR)
    reach = t.ppf(0.975, fit.blocks - 1) * fit.deviations(SPEC)
    truth = [TRUTH.get(name, SPEC.default_params[name]) for name in SPEC.param_keys]
    inside = np.abs(fit.values - truth) < reach
    return {
        name: bool(hit) if verdicts[name]["verdict"] == "identified" else None
        for name, hit in zip(SPEC.param_keys, inside, strict=True)
    }


if __name__ == "__main__":
    main()
