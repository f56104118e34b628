"""Which changes of friction could any detector see? Beside `track.py`, which calls it.

By Neyman and Pearson no test is more powerful than the ratio of likelihoods. Here it is that of two filters
that know all of the car, friction before the change and the row that it may come at: one is told friction
after it, too, for the other one friction stays. They need as much to pass the same probability as the
tracker, from the same odds of a change in so many seconds.
"""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
from scipy.special import logsumexp

import pct
from pct.api.tracking import make_problem
from pct.tracking.changes import ALARM
from pct.tracking.drives import Rows, make_filter, read_drives
from pct.tracking.problem import RECENT, Levels, Problem

NAME = "mu"
# Friction after a change that is tried, about the true one; beyond it nothing is likely.
AROUND = np.linspace(-0.05, 0.05, 41)


class Told:
    """A filter of a drive that is told friction."""

    def __init__(self, problem: Problem, levels: Levels, rows: Rows, friction: float) -> None:
        """It stands before the first row."""
        ends = friction * (1.0 - 1e-9), friction * (1.0 + 1e-9)
        known = dataclasses.replace(problem, ranges={NAME: ends})
        self._rows = rows
        self._scale = np.log if problem.is_logarithmic(NAME) else np.asarray
        self._filter = make_filter(known, dataclasses.replace(levels, jumps=0.0, wander={}))
        # Friction follows the filtered states of the only hypothesis, and nothing moves it.
        self._place = int(self._filter._library.pct_settings_size()) // 8 + len(problem.names)

    def take(self, row: int, friction: float) -> float:
        """Logarithm of the likelihood of a row, up to which friction was as told."""
        self._filter._memory.view(float)[self._place] = self._scale(friction)
        return float(
            self._filter.update(self._rows.t[row], self._rows.states[row], self._rows.controls[row])[-1]
        )

    def ahead(self, rows: range, friction: float) -> np.ndarray:
        """Sums of that over the next rows; the filter stays where it is."""
        begin = self._filter._memory.copy()
        sums = np.cumsum([self.take(row, friction) for row in rows])
        self._filter._memory[:] = begin
        return sums


def changes_told(
    car: pct.Car, drives: pct.Drives, levels: Levels, late: float
) -> list[tuple[float, float, float]]:
    """Size of each change, and the logarithm of the largest ratio within ``late`` s over what is needed, with
    friction after it told and without."""
    problem, rows = read_drives(make_problem(car, NAME), drives.recordings, None)
    chance = 1.0 - np.exp(-levels.jumps * RECENT)
    needed = np.log(ALARM / (1.0 - ALARM)) + np.log((1.0 - chance) / chance)
    friction = problem.row(NAME)
    each = np.log((AROUND[1] - AROUND[0]) / (float(friction.high) - float(friction.low)))
    result = []
    for drive, own in zip(drives, rows, strict=True):
        truth = drive.trajectory.channels[f"truth.{NAME}"]
        changes = [*np.flatnonzero(np.diff(truth)) + 1, len(truth)]
        told = Told(problem, levels, own, float(truth[0]))
        row = 0
        for change, following in itertools.pairwise(changes):
            while row < change:
                told.take(row, truth[row])
                row += 1
            after = range(change, min(following, change + round(late / drive.dt)))
            stays = told.ahead(after, truth[change - 1])
            ratios = [told.ahead(after, truth[change] + away) - stays for away in (0.0, *AROUND)]
            over = ratios[0].max() - needed, (logsumexp(ratios[1:], axis=0) + each).max() - needed
            result.append((abs(float(truth[change] - truth[change - 1])), *map(float, over)))
    return result
