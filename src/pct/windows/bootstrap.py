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
Columns = Float[np.ndarray, "B C"]
Inside = Bool[np.ndarray, " B"]


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
        return self.means(values[:, None])[0]

    def means(self, values: Columns) -> list[Interval]:
        """Mean of each column over the windows."""
        return self._intervals(values.mean(axis=0), self._drawn_means(values))

    def root_mean(self, squares: Values, inside: Inside | None = None) -> Interval:
        """Root of the mean over the windows, or over those inside a part of them."""
        return self.root_means(squares[:, None], inside)[0]

    def root_means(self, squares: Columns, inside: Inside | None = None) -> list[Interval]:
        """Root of the mean of each column, from the same draws."""
        values = (squares if inside is None else squares[inside]).mean(axis=0)
        return self._intervals(np.sqrt(values), np.sqrt(self._drawn_means(squares, inside)))

    def root_mean_ratio(self, squares: Values, others: Values) -> Interval:
        """Root of the ratio of two means over the windows, both from the same draws."""
        return self.root_mean_ratios(squares[:, None], others[:, None])[0]

    def root_mean_ratios(self, squares: Columns, others: Columns) -> list[Interval]:
        """The same of each two columns."""
        with np.errstate(divide="ignore", invalid="ignore"):
            values = np.sqrt(squares.mean(axis=0) / others.mean(axis=0))
            ratios = np.sqrt(self._drawn_means(squares) / self._drawn_means(others))
        return self._intervals(values, ratios)

    def median(self, values: Values) -> Interval:
        """Median over the windows."""
        order = np.argsort(values)
        ranks = np.unique(np.linspace(0, values.size - 1, RANKS).round().astype(int))
        # Windows of each block below each rank, (ranks, K).
        between = [np.bincount(self.block[part], minlength=len(self)) for part in np.split(order, ranks[1:])]
        below = np.cumsum(between, axis=0, dtype=float)
        half = 0.5 * (self._drawn @ below[-1])
        # The first rank with half of a replicate's windows below it lies from `low` to `high`.
        low, high = np.zeros(len(half), int), np.full(len(half), len(ranks) - 1)
        while (low < high).any():
            middle = (low + high) // 2
            enough = np.einsum("rk,rk->r", self._drawn, below[middle]) >= half
            low, high = np.where(enough, low, middle + 1), np.where(enough, middle, high)
        return self._intervals(np.median(values)[None], values[order[ranks[low]]][:, None])[0]

    def _drawn_means(self, values: Columns, inside: Inside | None = None) -> Float[np.ndarray, "R C"]:
        """The mean of each column over the windows in each replicate; NaN where it has none of them."""
        firsts = np.flatnonzero(np.diff(self.block, prepend=-1))
        if inside is None:
            inside = np.ones(len(values), bool)
        else:
            values = np.where(inside[:, None], values, 0.0)
        counts = self._drawn @ np.add.reduceat(inside.astype(float), firsts)
        sums = np.ascontiguousarray(np.add.reduceat(values, firsts).T)
        with np.errstate(divide="ignore", invalid="ignore"):
            # Column by column: BLAS shares a product of two tables among threads that wait for each other.
            return np.stack([self._drawn @ column / counts for column in sums], axis=-1)

    def _intervals(
        self, values: Float[np.ndarray, " C"], replicates: Float[np.ndarray, "R C"]
    ) -> list[Interval]:
        """With the percentiles of the replicates as intervals; none from a single block."""
        # Those that are not known come last. Order statistics, since an infinite one cannot be interpolated.
        drawn = np.sort(replicates.T, axis=1)
        last = np.count_nonzero(~np.isnan(drawn), axis=1) - 1
        ends = np.round(np.multiply.outer([0.025, 0.975], last)).astype(int)
        lows, highs = drawn[np.arange(len(drawn)), ends]
        shown = (len(self) > 1) & np.isfinite(values) & (last >= 0)
        bounds = (np.where(shown, column, np.nan) for column in (lows, highs))
        return [Interval(*map(float, row)) for row in zip(values, *bounds, strict=True)]


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
