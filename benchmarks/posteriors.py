"""What benchmarks of intervals share: noise of sensors, a record of a fit and its draws, a file of records.

A record is a line of JSON in the file of a benchmark, so that a run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import chisquare, t

from pct.dynamics.bounds import Bounds
from pct.dynamics.core import ModelSpec
from pct.optimization.constants import fitting
from pct.optimization.constants.estimate import raw_values, scalar_places
from pct.optimization.constants.posterior.nuts import Sampler
from pct.optimization.constants.posterior.posterior import LARGEST_RHAT, draw_posterior
from pct.optimization.settings import FitSettings
from pct.recordings.trajectory import Trajectory
from pct.windows.store import make_window_store
from pct.windows.window_set import WindowSet

TIME_CONSTANTS = {"white": 0.0, "autocorrelated": 0.1}
"""Of the noise of sensors, in s."""
MOST_BINS = 10
# Share of the truths beyond a 95 % interval.
BEYOND = 0.05
# By what a record's intervals are made; those of the fit have Student's t for its blocks.
KINDS = ("fit", "posterior", "normal")


class Case(NamedTuple):
    """A drive that is fitted.

    Attributes:
        set: name of its set of drives.
        noise: key of `TIME_CONSTANTS`.
        seed: of drive and noise.
    """

    set: str
    noise: str
    seed: int

    def generator(self) -> np.random.Generator:
        """Random numbers of this drive alone."""
        return np.random.default_rng([self.seed, int(1e3 * TIME_CONSTANTS[self.noise])])


class Problem(NamedTuple):
    """How drives of a set are logged and fitted.

    Attributes:
        spec: the model, with what is held.
        settings: of the fit.
        dt: time step in s.
        noise: standard deviation of each sensor by channel.
    """

    spec: ModelSpec
    settings: FitSettings
    dt: float
    noise: Mapping[str, float]

    def truth(self, deviation: float, rng: np.random.Generator) -> dict[str, float]:
        """Values of the learned parameters, drawn from a prior about the defaults on the unbounded axis."""
        centre = raw_values(self.spec, self.spec.default_params)
        drawn = Bounds.of(self.spec).on_host(centre + deviation * rng.standard_normal(centre.size))[0]
        return dict(zip(self.spec.param_keys, drawn.tolist(), strict=True))

    def windows(self, drive: Trajectory, rng: np.random.Generator, noise: str) -> WindowSet:
        """Windows of what the sensors show, with noise of a key of `TIME_CONSTANTS`."""
        channels = dict(drive.channels)
        keep = np.exp(-self.dt / TIME_CONSTANTS[noise]) if TIME_CONSTANTS[noise] else 0.0
        for name, deviation in self.noise.items():
            values = rng.standard_normal(len(drive))
            for k in range(1, len(values)):
                values[k] = keep * values[k - 1] + np.sqrt(1 - keep**2) * values[k]
            channels[name] = channels[name] + deviation * values
        shown = dataclasses.replace(drive, channels=channels)
        store = make_window_store([(drive.name, shown)], self.spec)
        return fitting.fit_windows(self.spec, store, self.settings)


def add_flags(parser: argparse.ArgumentParser, *, draws: int) -> None:
    """Flags of `records` and of draws."""
    parser.add_argument("--draws", type=int, default=draws, help="of each posterior")
    parser.add_argument("--noise", nargs="+", choices=TIME_CONSTANTS, default=list(TIME_CONSTANTS))
    parser.add_argument("--records", type=Path, help="file of finished fits, which a later start continues")
    parser.add_argument("--minutes", type=float, default=np.inf, help="no fit begins later")


def records(
    cases: Iterable[Case], make: Callable[[Case], dict[str, Any]], args: argparse.Namespace
) -> list[dict[str, Any]]:
    """A record of each case; those in the file are taken from there, others are added to it.

    Args:
        cases: in the order in which they are made.
        make: a record.
        args: with the flags of `add_flags` and others, which all but two belong to what a record is of.
    """
    place, begin = args.records, time.perf_counter()
    options = {
        name: value
        for name, value in sorted(vars(args).items())
        if name not in ("records", "minutes", "noise", "seeds", "drives", "sets")
    }
    lines = place.read_text().splitlines() if place is not None and place.exists() else []
    # The last line may have been cut.
    known = [json.loads(line) for line in lines if line.endswith("}")]
    done = {Case(*row["case"]): row for row in known if row["options"] == options}
    cases = list(cases)
    missing = [case for case in cases if case not in done]
    for count, case in enumerate(missing):
        spent = time.perf_counter() - begin
        if spent > 60 * args.minutes:
            break
        if count:
            left = spent / count * (len(missing) - count)
            print(f"{count} of {len(missing)} fits, {left / 60:.1f} min left", file=sys.stderr, flush=True)
        done[case] = {"case": case, "options": options, **make(case)}
        if place is not None:
            with place.open("a") as file:
                file.write(json.dumps(done[case]) + "\n")
    return [{**done[case], "case": case} for case in cases if case in done]


def record_of(
    problem: Problem,
    windows: WindowSet,
    truth: Mapping[str, float],
    draws: int,
    sampler: Callable[[int, int], Sampler],
) -> dict[str, Any]:
    """Intervals of 95 % of a fit and of its posterior, beside the truth.

    Args:
        problem: of the set.
        windows: of the drive.
        truth: by parameter.
        draws: of the posterior.
        sampler: one of a number of dimensions and draws of a chain, the same for the same numbers.
    """
    begin, worked = time.perf_counter(), time.process_time()
    fit = fitting.fit(problem.spec, windows, problem.settings)
    fitted = time.perf_counter() - begin
    posterior = draw_posterior(fit, draws, sampler=sampler(problem.spec.vector_size, -(-draws // 4)))
    estimate, places = fit.estimate, scalar_places(problem.spec)
    reach = t.ppf(1 - BEYOND / 2, max(1, estimate.blocks - 1)) * estimate.deviations(problem.spec)
    verdicts = fit.verdicts
    parameters = {
        name: {
            "truth": truth[name],
            "verdict": verdicts[name]["verdict"],
            "rank": float((posterior.draws[..., n] < truth[name]).mean()),
            "rhat": float(posterior.rhat[n]),
            "effective": float(posterior.effective[n]),
            "different": bool(posterior.different[n]),
            "fit": [float(estimate.values[place] + side * reach[place]) for side in (-1, 1)],
            "posterior": posterior.interval[n].tolist(),
            "normal": posterior.normal[n].tolist(),
        }
        for n, (name, place) in enumerate(places.items())
    }
    return {
        "parameters": parameters,
        "blocks": estimate.blocks,
        "divergent": int(posterior.divergent.sum()),
        "rollouts": posterior.steps,
        "fit_seconds": fitted,
        "sample_seconds": posterior.seconds,
        "processor_seconds": time.process_time() - worked,
    }


def summary(rows: list[dict[str, Any]], *, identified: bool) -> dict[str, Any]:
    """What records of one set and noise say.

    Args:
        rows: the records.
        identified: count parameters with that verdict alone.

    Returns:
        ``held``: by kind of interval, share that holds the truth, and its standard error over drives;
        ``score``: interval score, width and 2 / 0.05 times what is missed by [1], over that of the fit's,
        geometric mean over the parameters; ``by_parameter``: shares and counts of the posterior, and p that
        its ranks are uniform.

    References:
        [1] T. Gneiting, A. Raftery, "Strictly proper scoring rules, prediction, and estimation", Journal of
            the American Statistical Association 102 (2007), section 6.2.
    """
    names = list(rows[0]["parameters"])
    shown = [
        (drive, name, row["parameters"][name])
        for drive, row in enumerate(rows)
        for name in names
        if not identified or row["parameters"][name]["verdict"] == "identified"
    ]
    drives = np.array([drive for drive, _, _ in shown])
    by_name: dict[str, list[dict[str, Any]]] = {}
    for _, name, item in shown:
        by_name.setdefault(name, []).append(item)
    held, score = {}, {}
    for kind in KINDS:
        hits = np.array([_holds(item, kind) for _, _, item in shown], float)
        away = np.bincount(drives, hits - hits.mean())
        # No less than that of independent intervals, where nearly all hold.
        least = np.sqrt(BEYOND * (1 - BEYOND) / len(hits))
        held[kind] = [float(hits.mean()), float(max(least, np.sqrt(np.sum(away**2)) / len(hits)))]
        ratios = [_score(items, kind) / _score(items, "fit") for items in by_name.values()]
        score[kind] = float(np.exp(np.mean(np.log(ratios))))
    return {
        "drives": len(rows),
        "intervals": len(shown),
        "held": held,
        "score": score,
        "by_parameter": {
            name: {
                "held": float(np.mean([_holds(item, "posterior") for item in items])),
                "count": len(items),
                "rank_p": uniform_p([item["rank"] for item in items]),
            }
            for name, items in by_name.items()
        },
        "different": float(np.mean([item["different"] for _, _, item in shown])),
        "rhat_below": float(
            np.mean([max(item["rhat"] for item in row["parameters"].values()) < LARGEST_RHAT for row in rows])
        ),
        "divergent": sum(row["divergent"] for row in rows),
        "rollouts": float(np.median([row["rollouts"] for row in rows])),
        "fit_seconds": float(np.median([row["fit_seconds"] for row in rows])),
        "sample_seconds": float(np.median([row["sample_seconds"] for row in rows])),
    }


def uniform_p(ranks: list[float]) -> float:
    """p of a chi-square test that ranks are uniform; at least five are expected in each of its bins."""
    bins = max(2, min(MOST_BINS, len(ranks) // 5))
    places = np.minimum((bins * np.array(ranks)).astype(int), bins - 1)
    return float(chisquare(np.bincount(places, minlength=bins)).pvalue)


def show(title: str, found: Mapping[str, Any]) -> None:
    """Print a summary."""
    print(f"\n{title}: {found['drives']} drives, {found['intervals']} intervals")
    for kind in KINDS:
        share, error = found["held"][kind]
        print(f"  {kind:10s} {100 * share:5.1f} ± {100 * error:.1f} % hold; score {found['score'][kind]:.3f}")
    for name, row in found["by_parameter"].items():
        print(
            f"    {name:6s}{100 * row['held']:6.1f} % of {row['count']}, ranks uniform: p {row['rank_p']:.3f}"
        )
    print(
        f"  R-hat below {LARGEST_RHAT}: {100 * found['rhat_below']:.0f} %; {found['divergent']} divergent; "
        f"{found['rollouts']:.0f} rollouts, fit {found['fit_seconds']:.2f} s, "
        f"draws {found['sample_seconds']:.2f} s",
        flush=True,
    )


def _holds(item: Mapping[str, Any], kind: str) -> bool:
    low, high = item[kind]
    return bool(low < item["truth"] < high)


def _score(items: list[Mapping[str, Any]], kind: str) -> float:
    low, high = np.array([item[kind] for item in items]).T
    truth = np.array([item["truth"] for item in items])
    missed = np.maximum(low - truth, 0.0) + np.maximum(truth - high, 0.0)
    return float(np.mean(high - low + 2 / BEYOND * missed))
