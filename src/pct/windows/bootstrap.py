"""Intervals by block bootstrap: blocks of driving are drawn, since neighbouring windows overlap.

References:
    E. Carlstein, "The Use of Subseries Values for Estimating the Variance of a General Statistic from a
    Stationary Sequence", Ann. Statist. 14 (1986): blocks that do not overlap.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import NamedTuple

import numpy as np

from pct.types import Bool, Float, Int, Rows

REPLICATES = 1000
# Ranks that the median of a replicate is chosen from: much finer than its spread.
RANKS = 512
# Errors that differ by a smaller share are the same.
ROUNDING = 5e-4
SAME = "the same error"

Values = Float[np.ndarray, " B"]


class Interval(NamedTuple):
    """A figure and its 95 % interval, NaN where there is none; infinite where a rollout diverged."""

    value: float
    low: float
    high: float


def difference(ratio: Interval) -> str:
    """How much lower or higher an error is than another one, of the ratio of both, with its interval.

    Examples:
        >>> difference(Interval(0.64, 0.55, 0.75)), difference(Interval(1.12, 1.05, 1.3))
        ('36 % lower error [25 to 45 %]', '12 % higher error [5 to 30 %]')
        >>> difference(Interval(0.97, 0.9, 1.04)), difference(Interval(3.5, 1.5, 4.0))
        ('3 % lower error [10 % lower to 4 % higher]', '3.5 times the error [50 % higher to 4 times]')
        >>> difference(Interval(1.0, 1.0, 1.0)), difference(Interval(math.inf, math.nan, math.nan))
        ('the same error', 'an error that is not finite')
    """
    value, low, high = ratio
    if math.isinf(value):
        return "an error that is not finite"
    if all(math.isnan(part) or abs(part - 1) < ROUNDING for part in ratio) and not math.isnan(value):
        return SAME
    text = f"{_times(value)} the error" if value >= 2 else f"{_times(value)} error"
    if math.isnan(low):
        return text
    if high <= 1:
        return f"{text} [{_percent(1 - high)} to {_percent(1 - low)} %]"
    if low >= 1 and high < 2:
        return f"{text} [{_percent(low - 1)} to {_percent(high - 1)} %]"
    return f"{text} [{_times(low)} to {_times(high)}]"


def _times(ratio: float) -> str:
    """A ratio in words."""
    if ratio >= 2:
        return f"{ratio:.2g} times"
    return f"{_percent(abs(1 - ratio))} % {'lower' if ratio < 1 else 'higher'}"


def _percent(part: float) -> str:
    """In percent, two digits; what is next to nothing or all is not rounded to that."""
    percent = 100 * part
    if 0 < percent < 1:
        return f"{percent:.1g}"
    return f"{percent:.1f}" if 99 <= percent < 100 else f"{percent:.0f}"


@dataclasses.dataclass(frozen=True, eq=False)
class Blocks:
    """Blocks of consecutive windows of one recording, and how often each replicate draws them.

    Attributes:
        block: number of each window's block, never decreasing, (B,).
        rows: length of a block in rows; the last of a recording is longer, one of a short recording shorter.
        counts: how often a replicate draws a block, (R, K).
    """

    block: Int[np.ndarray, " B"]
    rows: int
    counts: Int[np.ndarray, "R K"]

    def __len__(self) -> int:
        return int(self.counts.shape[1])

    @functools.cached_property
    def _drawn(self) -> Float[np.ndarray, "R K"]:
        """The counts in floating point: NumPy has no fast product of whole numbers."""
        return self.counts.astype(float)

    def mean(self, values: Values) -> Interval:
        """Mean over the windows."""
        return self._interval(values.mean(), self._means(values))

    def root_mean(self, squares: Values, inside: Bool[np.ndarray, " B"] | None = None) -> Interval:
        """Root of the mean over the windows, or over those inside a part of them."""
        value = squares.mean() if inside is None else squares[inside].mean()
        return self._interval(np.sqrt(value), np.sqrt(self._means(squares, inside)))

    def root_mean_ratio(self, squares: Values, others: Values) -> Interval:
        """Root of the ratio of two means over the windows, both from the same draws."""
        with np.errstate(divide="ignore", invalid="ignore"):
            value = np.sqrt(squares.mean() / others.mean())
            return self._interval(value, np.sqrt(self._means(squares) / self._means(others)))

    def median(self, values: Values) -> Interval:
        """Median over the windows."""
        order = np.argsort(values)
        ranks = np.unique(np.linspace(0, values.size - 1, RANKS).round().astype(int))
        # Windows of each block from each rank to the next, (K, ranks).
        between = np.stack(
            [np.bincount(self.block[part], minlength=len(self)) for part in np.split(order, ranks[1:])],
            axis=1,
        ).astype(float)
        drawn = np.cumsum(self._drawn @ between, axis=1)
        middle = np.argmax(drawn >= 0.5 * drawn[:, -1:], axis=1)
        return self._interval(np.median(values), values[order[ranks[middle]]])

    def _means(self, values: Values, inside: Bool[np.ndarray, " B"] | None = None) -> Float[np.ndarray, " R"]:
        """The mean over the windows in each replicate; NaN where it has none of them."""
        counted = np.ones(values.size) if inside is None else inside.astype(float)
        firsts = np.flatnonzero(np.diff(self.block, prepend=-1))
        with np.errstate(divide="ignore", invalid="ignore"):
            sums = np.add.reduceat(np.where(counted > 0, values, 0.0), firsts)
            return (self._drawn @ sums) / (self._drawn @ np.add.reduceat(counted, firsts))

    def _interval(self, value: float, replicates: Float[np.ndarray, " R"]) -> Interval:
        """With the percentiles of the replicates as interval; none from a single block."""
        drawn = replicates[~np.isnan(replicates)]
        if len(self) == 1 or not np.isfinite(value) or not drawn.size:
            return Interval(float(value), np.nan, np.nan)
        # Order statistics, since an infinite one cannot be interpolated.
        ends = np.round(np.array([0.025, 0.975]) * (drawn.size - 1)).astype(int)
        low, high = np.sort(drawn)[ends]
        return Interval(float(value), float(low), float(high))


def make_blocks(starts: Rows, recording: Rows, *, rows: int, seed: int = 0) -> Blocks:
    """Cut each recording into blocks of windows and draw replicates.

    Args:
        starts: first row of each window, increasing, (B,).
        recording: number of each window's recording, (B,).
        rows: least rows of a block; what is left at the end of a recording joins the block before.
        seed: of the draws.
    """
    block = np.zeros(starts.size, int)
    count = 0
    for number in np.unique(recording):
        inside = np.flatnonzero(recording == number)
        along = starts[inside] - starts[inside[0]]
        whole = max((int(along[-1]) + 1) // rows, 1)
        block[inside] = count + np.minimum(along // rows, whole - 1)
        count += whole
    # A stride longer than a block leaves numbers without a window.
    _, block = np.unique(block, return_inverse=True)
    count = int(block.max()) + 1
    counts = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), REPLICATES)
    return Blocks(block, rows, counts)
