"""Levels of noise and of change by the marginal likelihood of drives.

The filter's likelihood of a drive, with everything that it does not know averaged over, is highest at the
levels that fit: sensors that are noisier than usual, equations that are less right, parameters that change
more often. A search along one logarithm after the other finds it, with a prior that holds what a drive says
nothing of.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from pct.tracking.drives import Rows, make_filter
from pct.tracking.problem import Levels, Problem

# Standard deviation of the logarithm of a level about the usual one, and of how often changes come.
PRIOR, PRIOR_OF_JUMPS = 2.0, 0.7
# First and least step along a logarithm, and the range of each.
STEP, LEAST, RANGE = 1.0, 0.25, 6.0
# The range of how often changes come: a model that is wrong is not to look like a road that changes.
RANGE_OF_JUMPS = 1.5
# Most changes over the usual number.
MOST_JUMPS = float(np.exp(RANGE_OF_JUMPS))
# Equations are never nearer to right than this share of the usual level.
LEAST_PROCESS = 0.1
# Rows that are read at most.
ROWS = 1500


def estimate_levels(
    problem: Problem,
    drives: Sequence[Rows],
    begin: Levels,
    progress: Callable[[float], None] = lambda cost: None,
) -> Levels:
    """The levels of the greatest likelihood of drives.

    Args:
        problem: the model.
        drives: rows; of long ones the beginning counts.
        begin: usual levels, the centre of the prior; parameters whose jumps and wander are zero do not change
            along the drives, and all that the equations do not explain is noise.
        progress: called with the logarithm of the likelihood after each round.
    """
    most = max(200, ROWS // max(1, len(drives)))
    parts = [Rows(*(column[:most] for column in drive)) for drive in drives]
    # Without the uncertainty of what is held, which would take most of the time and changes little.
    problem = dataclasses.replace(problem, held=(), covariance=np.zeros((0, 0)))
    native = make_filter(problem, begin)
    names = [
        *(("reading", name) for name in begin.reading if name not in problem.spec.unlogged),
        *(("process", name) for name in begin.process),
        *([("jumps", "")] if begin.jumps > 0 else []),
    ]
    names += [("wander", name) for name in begin.wander if begin.wander[name] > 0]

    def of(logs: np.ndarray) -> Levels:
        values = dataclasses.asdict(begin)
        for (kind, name), log in zip(names, logs, strict=True):
            if name:
                values[kind] = {**values[kind], name: values[kind][name] * float(np.exp(log))}
            else:
                values[kind] *= float(np.exp(log))
        return Levels(**values)

    def score(logs: np.ndarray) -> float:
        levels, total = of(logs), -0.5 * float(np.sum((logs / priors) ** 2))
        for part in parts:
            native.set(problem, levels)
            total += float(native.track(*part, hypotheses=False).likelihood.sum())
        return total if np.isfinite(total) else -np.inf

    priors = np.array([PRIOR_OF_JUMPS if kind == "jumps" else PRIOR for kind, _ in names])
    ranges = {"process": (np.log(LEAST_PROCESS), RANGE), "jumps": (-RANGE_OF_JUMPS, RANGE_OF_JUMPS)}
    ends = np.array([ranges.get(kind, (-RANGE, RANGE)) for kind, _ in names])
    logs = np.zeros(len(names))
    best, step = score(logs), STEP
    while step >= LEAST:
        moved = False
        for i in range(len(logs)):
            for sign in (-1.0, 1.0):
                while True:
                    tried = logs.copy()
                    tried[i] = np.clip(tried[i] + sign * step, *ends[i])
                    value = score(tried) if tried[i] != logs[i] else -np.inf
                    if value <= best + 0.1:
                        break
                    logs, best, moved = tried, value, True
        progress(best)
        step = step if moved and step < STEP else step / 2
    return of(logs)
