"""Is a posterior calibrated: do its intervals hold the truth, and are ranks of the truth uniform?

Truths are drawn from the prior of the fit, a drive of each is simulated by open-loop steering and driving,
sensors add noise (white, or autocorrelated with a time constant of 0.1 s), and `pct fit --sample` draws the
posterior. If it is calibrated, the rank of each truth among its draws is uniform [1]: p is that of a
chi-square test over up to ten bins. Intervals are quantiles of 95 %; beside them those of the fit (Student's
t for its blocks) and of a normal posterior. Last line: one JSON object.

    python benchmarks/calibration.py [--drives 200] [--records FILE] [--noise white] [--duration 40]

References:
    [1] S. Talts et al., "Validating Bayesian inference algorithms with simulation-based calibration",
        arXiv:1804.06788.
"""

from __future__ import annotations

import argparse
import json
from functools import lru_cache, partial
from typing import Any

import pct
from pct.optimization.constants.posterior.nuts import Sampler
from pct.optimization.settings import FitSettings
from posteriors import Case, Problem, add_flags, record_of, records, show, summary

# With truths of this prior the car understeers: one that spins has no posterior to speak of.
CAR = pct.model("singletrack").hold("I", "m", C_Sf=3.5).measured(observer=False)
DT, PRIOR = 0.05, 0.3
PROBLEM = Problem(
    CAR.spec,
    FitSettings(
        horizon=20, history=1, stride=21, free_start=True, compare=("v", "psi_dot", "beta"), prior=PRIOR
    ),
    DT,
    {"v": 0.05, "psi_dot": 0.05, "beta": 0.01},
)


def main() -> None:
    """Fit all drives and print shares and p values."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--drives", type=int, default=200)
    parser.add_argument("--duration", type=float, default=40.0)
    add_flags(parser, draws=400)
    args = parser.parse_args()
    pct.keep_compiled_code()
    cases = [Case("prior", kind, seed) for seed in range(args.drives) for kind in args.noise]
    rows = records(cases, partial(one_drive, args=args, sampler=lru_cache(Sampler)), args)
    result = {}
    for kind in args.noise:
        if own := [row for row in rows if row["case"].noise == kind]:
            result[kind] = summary(own, identified=False)
            show(f"{kind} noise", result[kind])
    print(json.dumps(result))


def one_drive(case: Case, *, args: argparse.Namespace, sampler: Any) -> dict[str, Any]:
    """The record of a truth from the prior."""
    rng = case.generator()
    values = PROBLEM.truth(PRIOR, rng)
    (drive,) = pct.simulate(
        CAR,
        recordings=1,
        duration=args.duration,
        dt=DT,
        mu=(values["mu"],),
        fixed={name: value for name, value in values.items() if name != "mu"},
        noise=0.0,
        seed=case.seed,
    )
    windows = PROBLEM.windows(drive.trajectory, rng, case.noise)
    return record_of(PROBLEM, windows, values, args.draws, sampler)


if __name__ == "__main__":
    main()
