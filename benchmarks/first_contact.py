"""Does `pct run` get from a stranger's log to parameters that hold, or say what is wrong?

Simulated drives of cars whose parameters are known and unlike all defaults are written as recorders leave
them: other names, units, frames, clocks and formats, each log with one fault (`first_contact_faults.py`).
`pct.run` reads each with nothing else given. A log is

- right, where every parameter that `pct run` trusts is within its interval, or 5 % of the truth, and so are
  the stiffnesses mu C_S of both axles, which any drive with bends tells;
- named, where it is not, but a message names the true cause;
- silently wrong, else.

The mass is held at what the nearest vehicle weighs, which no drive tells: the moment of inertia is compared
over it. Intervals hold all trusted parameters of a log at once with 95 % (Bonferroni). Last line: one JSON
object.

    python benchmarks/first_contact.py [--logs 60] [--seed 12000] [--only NUMBER ...]
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import norm

import pct
from first_contact_faults import FAULTS, UNKNOWABLE
from first_contact_logs import Log, make_log
from pct.api.running import Outcome
from pct.errors import PctError
from pct.optimization.constants.estimate import raw_slopes

# Nearer than this share of the truth is right, however short an interval is.
NEAR = 0.05


def main() -> None:
    """Make logs, run, judge, count."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--logs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=12_000)
    parser.add_argument("--only", type=int, nargs="*", help="numbers of logs")
    parser.add_argument("--keep", type=Path, help="folder of the logs, which are left there")
    args = parser.parse_args()
    pct.keep_compiled_code()
    counts: Counter[str] = Counter()
    strict, trusted, seconds = 0, 0, []
    for number in args.only or range(args.logs):
        fault, plant, cause = fault_of(number)
        with tempfile.TemporaryDirectory() as folder, Heard() as heard:
            place = args.keep / str(number) if args.keep else Path(folder)
            place.mkdir(parents=True, exist_ok=True)
            path, log = make_log(np.random.default_rng([args.seed, number]), plant, place)
            begin = time.perf_counter()
            try:
                outcome = pct.run(path, Path(folder) / "run", report=False, progress=heard.progress)
                verdict, told, exact = judge(outcome, log)
                messages = [*outcome.doubts, *outcome.fit.warnings, *heard.warnings]
                trusted += len(outcome.trusted)
            except PctError as error:
                verdict, told, exact, messages = "refused", str(error), False, [str(error), *heard.warnings]
            # Without a clear size of the car, whatever else is wrong, its parameters are not known.
            if verdict != "right" and any(re.search(f"{cause}|^wheelbase:", line) for line in messages):
                verdict = "named"
            seconds.append(time.perf_counter() - begin)
        counts[verdict] += 1
        strict += exact
        print(f"{number:3d} {verdict:8s} {fault:24s} {', '.join(log.said)}  {told}", flush=True)
        if verdict not in ("right", "named"):
            for line in [*messages, *heard.choices]:
                print(f"      {line[:300]}", flush=True)
    result = {
        "right": counts["right"],
        "named_cause": counts["named"],
        "silently_wrong": counts["wrong"],
        "refused_without_cause": counts["refused"],
        "within_intervals": strict,
        "trusted_parameters": trusted,
        "logs": sum(counts.values()),
        "median_seconds": round(float(np.median(seconds)), 1),
        "seed": args.seed,
    }
    print(json.dumps(result))


def fault_of(number: int) -> tuple[str, Any, str]:
    """Name, function and cause of a log's fault: three of each sixty cannot be known, five have none."""
    if number % 20 == 19:
        name = list(UNKNOWABLE)[number // 20 % len(UNKNOWABLE)]
        return name, *UNKNOWABLE[name]
    name = list(FAULTS)[number % len(FAULTS)]
    return name, *FAULTS[name]


class Heard(logging.Handler):
    """What a run says on the way: its records and the lines of its progress."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.warnings: list[str] = []
        self.choices: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a warning."""
        self.warnings.append(record.getMessage())

    def progress(self, line: Any) -> None:
        """Keep a choice with its reason."""
        if isinstance(line, str) and line.endswith(")"):
            self.choices.append(line)

    def __enter__(self) -> Heard:
        logging.getLogger("pct").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("pct").removeHandler(self)


def judge(outcome: Outcome, log: Log) -> tuple[str, str, bool]:
    """``right`` or ``wrong``, what was found, and whether all is within intervals alone."""
    fit, truth = outcome.fit, log.truth
    name = fit.model.spec.name
    if name != "singletrack":
        return "wrong", f"{name}: {', '.join(fit.params)}", False
    values = {key: float(value) for key, value in fit.params.items()}
    mass = float(fit.model.spec.default_params["m"]) if "m" not in values else values["m"]
    claims = []
    for key in outcome.trusted:
        if key in ("mu", "C_Sf", "C_Sr", "I"):
            expected = truth[key] * (mass / truth["m"] if key == "I" else 1.0)
            claims.append((key, values[key] / expected - 1.0, float(fit.deviations[key]) / expected))
    claims += [stiffness(outcome, log, axle) for axle in "fr"]
    reach = norm.ppf(1 - 0.05 / 2 / len(claims))
    exact = [abs(error) < reach * deviation for _, error, deviation in claims]
    right = [inside or abs(error) < NEAR for inside, (_, error, _) in zip(exact, claims, strict=True)]
    told = ", ".join(
        f"{key} {100 * error:+.1f} % ± {100 * deviation:.1f}" for key, error, deviation in claims
    )
    vehicle = outcome.choices["car.vehicle"][0]
    return "right" if all(right) else "wrong", f"{vehicle}: {told}", all(exact)


def stiffness(outcome: Outcome, log: Log, axle: str) -> tuple[str, float, float]:
    """Name, relative error and relative standard error of mu C_S of an axle."""
    fit = outcome.fit
    assert fit.result is not None
    estimate, spec = fit.result.estimate, fit.model.spec
    slopes = raw_slopes(spec, estimate.raw, estimate.values) / estimate.values
    pair = [list(spec.param_keys).index(key) for key in ("mu", f"C_S{axle}")]
    deviation = float(np.sqrt(slopes[pair] @ estimate.covariance[np.ix_(pair, pair)] @ slopes[pair]))
    found = float(fit.params["mu"]) * float(fit.params[f"C_S{axle}"])
    return f"mu C_S{axle}", found / (log.truth["mu"] * log.truth[f"C_S{axle}"]) - 1.0, deviation


if __name__ == "__main__":
    main()
