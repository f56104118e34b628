"""How columns of a drive relate: directions, ratios and lags over short windows.

A window is `SPAN` seconds long: noise hides in neither a change over it nor a mean. All figures are medians
or come from rows where much happens, so that glitches and standstill do not decide.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from pct.recordings.relations import Reading
from pct.recordings.time_steps import LEAST, rows_of
from pct.types import Bool, Column, Complex, Float

SPAN = 0.4
# Windows that are needed to say anything.
WINDOWS = 50
MOST_WINDOWS = 200
# Lags that are looked at, in s, and the finest step between them: means over a window hold nothing faster.
LONGEST_LAG = 0.6
FINEST_LAG = 0.01
# Pairs that are looked at for each lag.
MOST_PAIRS = 50_000
# A value further from the median of so many about it than so many times nearly all of them is a spike.
ABOUT = 7
SPIKE = 3.0
# What is missing is taken to go on for so long, in s.
HELD = 0.1
# Directions as much alike as this are one direction.
STEADY = 0.9
# A correlation this close to one leaves nothing for a lag to explain.
LITTLE = 2e-3


@dataclasses.dataclass(frozen=True)
class Likeness:
    """How a column goes with a reference.

    Attributes:
        ratio: median of column over reference where much happens.
        spread: of the middle half of the ratios, relative.
        correlation: at the lag where it is highest.
        lag: by how many s the column lags behind, to a fraction of a row; 0 where that explains little.
    """

    ratio: float
    spread: float
    correlation: float
    lag: float

    @property
    def agrees(self) -> bool:
        """Whether the one is a multiple of the other, but for noise."""
        return abs(self.correlation) > 0.9 and self.spread < 0.5


class Windows:
    """Windows of a log without faults of its clock.

    Args:
        time: in s, shape (N,).
    """

    def __init__(self, time: Column) -> None:
        steps = np.diff(time)
        going = steps[steps > 0]
        self.step = max(float(np.median(going)), LEAST) if len(going) else 1.0
        self.rows = rows_of(SPAN, self.step, most=len(time))
        sound = np.concatenate([[0], np.cumsum(~((steps > 0) & (steps < 1.5 * self.step)))])
        self.whole: Bool[np.ndarray, " W"] = sound[self.rows :] == sound[: -self.rows]
        self.steady = not sound[-1]

    def changes(self, column: Column) -> Float[np.ndarray, " W"]:
        """Change over each window."""
        return column[self.rows :] - column[: -self.rows]

    def rate(self, column: Column) -> Float[np.ndarray, " W"]:
        """Change over each window per s."""
        return self.changes(column) / (self.rows * self.step)

    @property
    def reading(self) -> Reading:
        """How the laws of motion read columns over windows."""
        return Reading(self.means, self.rate, self.rows * self.step)

    def means(self, column: Column) -> Float[np.ndarray, " W"]:
        """Mean over each window; one with a missing value is NaN."""
        middle = 0.5 * (column[1:] + column[:-1])
        finite = np.isfinite(middle)
        total = np.concatenate([[0.0], np.cumsum(np.where(finite, middle, 0.0))])
        count = np.concatenate([[0], np.cumsum(finite)])
        mean = (total[self.rows :] - total[: -self.rows]) / self.rows
        return np.where(count[self.rows :] - count[: -self.rows] == self.rows, mean, np.nan)

    def direction(self, x: Column, y: Column) -> tuple[Float[np.ndarray, " W"], Bool[np.ndarray, " W"]]:
        """Direction of travel in rad, and the windows in which the positions move."""
        dx, dy = self.changes(x), self.changes(y)
        covered = np.hypot(dx, dy)
        usable = self.whole & np.isfinite(covered)
        if usable.sum() < WINDOWS:
            return np.arctan2(dy, dx), np.zeros(len(usable), bool)
        fast = np.quantile(covered[usable], 0.9)
        return np.arctan2(dy, dx), usable & (covered > 0.3 * fast) & (covered < 3 * fast) & (fast > 0)

    def pointing(
        self,
        course: Float[np.ndarray, " W"],
        moving: Bool[np.ndarray, " W"],
        heading: Complex[np.ndarray, " N"],
        *,
        reverses: bool = False,
    ) -> tuple[float, float]:
        """How well a heading shows where the positions go, 0 to 1, and the angle between them in rad.

        Args:
            course, moving: of `direction`.
            heading: as unit numbers exp(i psi).
            reverses: whether the positions may go backwards for a part of the way.
        """
        # Some hundred windows tell, where many headings are tried.
        at = np.flatnonzero(moving)
        at = at[:: max(1, len(at) // MOST_WINDOWS)]
        between = np.exp(1j * course[at]) * np.conj(heading[at] + heading[at + self.rows])
        size = np.abs(between)
        between = between[size > 1e-6] / size[size > 1e-6]
        if len(between) < WINDOWS:
            return 0.0, 0.0
        how, angle = float(np.abs(between.mean())), float(np.angle(between.mean()))
        if reverses and how < STEADY:
            # Twice the angle is the same forwards and backwards; most of the way is forwards.
            axis = np.mean(between**2)
            if np.abs(axis) > STEADY:
                way = np.exp(0.5j * np.angle(axis))
                forwards = np.mean(np.real(between * np.conj(way)) > 0) >= 0.5
                return float(np.abs(axis)), float(np.angle(way if forwards else -way))
        return how, angle

    def compare(
        self,
        column: Float[np.ndarray, " W"],
        reference: Float[np.ndarray, " W"],
        used: Bool[np.ndarray, " W"],
    ) -> Likeness | None:
        """How a column goes with a reference, both over windows; None where too little happens."""
        usable = used & np.isfinite(column) & np.isfinite(reference)
        if usable.sum() < WINDOWS:
            return None
        best, at, still = 0.0, 0, 0.0
        # A fast log holds many windows that are nearly the same.
        every = max(1, math.floor(FINEST_LAG / self.step + 1e-6))
        column, reference, used, usable = (c[::every] for c in (column, reference, used, usable))
        if usable.sum() < WINDOWS:
            return None
        # What lies beyond the outermost hundredths is cut, so that glitches do not decide.
        clipped = [np.clip(c, *np.quantile(c[usable], [0.01, 0.99])) for c in (column, reference)]
        figures = []
        step = every * self.step
        reach = rows_of(LONGEST_LAG, step, most=len(column) // 4, least=0)
        thinned = max(1, len(column) // MOST_PAIRS)
        for lag in range(-reach, reach + 1):
            a, b, keep = _shifted(clipped[0], clipped[1], used, lag, thinned)
            figure = _correlation(a[keep], b[keep])
            figures.append(figure)
            if abs(figure) > abs(best):
                best, at = figure, lag
            still = figure if lag == 0 else still
        explains = 1 - abs(best) < 0.7 * (1 - abs(still)) - LITTLE and abs(at) < reach
        lag = at if explains else 0
        a, b, keep = _shifted(column, reference, used, lag)
        a, b = a[keep], b[keep]
        if len(b) < WINDOWS:
            return None
        strong = np.abs(b) > max(np.median(np.abs(b)) * 0.999, 1e-9)
        if strong.sum() < WINDOWS / 2:
            return None
        low, ratio, high = np.quantile(a[strong] / b[strong], [0.25, 0.5, 0.75])
        spread = (high - low) / abs(ratio) if ratio else np.inf
        fraction = _top(*(abs(f) for f in figures[lag + reach - 1 : lag + reach + 2])) if explains else 0.0
        return Likeness(float(ratio), float(spread), best if explains else still, (lag + fraction) * step)


def _shifted(
    column: Float[np.ndarray, " W"],
    reference: Float[np.ndarray, " W"],
    used: Bool[np.ndarray, " W"],
    lag: int,
    every: int = 1,
) -> tuple[Float[np.ndarray, " V"], Float[np.ndarray, " V"], Bool[np.ndarray, " V"]]:
    """The column as it is ``lag`` windows later beside the reference, ``every`` so many windows."""
    first, last = max(0, -lag), len(column) - max(0, lag)
    a, b = column[first + lag : last + lag : every], reference[first:last:every]
    return a, b, used[first:last:every] & np.isfinite(a) & np.isfinite(b)


def _correlation(a: Float[np.ndarray, " V"], b: Float[np.ndarray, " V"]) -> float:
    if len(a) < WINDOWS or not (a.std() > 1e-9 * np.abs(a).max() and b.std() > 1e-9 * np.abs(b).max()):
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def _top(before: float, at: float, after: float) -> float:
    """Where the parabola through three figures is highest, from the middle one."""
    bend = before - 2 * at + after
    return 0.5 * (before - after) / bend if bend < 0 else 0.0


def without_spikes(column: Column, step: float) -> Column:
    """A column with its spikes and short holes filled by what stands before them; long holes are NaN."""
    from scipy.ndimage import median_filter

    rows = np.arange(len(column))
    known = np.isfinite(column)
    if not known.any():
        return column
    full = column[np.maximum.accumulate(np.where(known, rows, np.argmax(known)))]
    usual = median_filter(full, ABOUT, mode="nearest")
    known &= np.abs(full - usual) <= SPIKE * np.quantile(np.abs(usual), 0.999)
    if known.all() or not known.any():
        return column
    last = np.maximum.accumulate(np.where(known, rows, -1))
    near = (last >= 0) & (rows - last <= rows_of(HELD, step, most=len(column)))
    return np.where(near, column[np.maximum(last, 0)], np.nan)


def is_difference(column: Column, other: Column, step: float) -> bool:
    """Whether a column is a plain difference of another: it says nothing that the other does not."""
    steps = np.diff(other) / step
    inner = column[1:-1]
    scale = np.median(np.abs(inner - np.median(inner)))
    ways = (steps[1:], steps[:-1], 0.5 * (steps[1:] + steps[:-1]))
    return bool(scale > 0 and min(np.median(np.abs(inner - way)) for way in ways) < 1e-3 * scale)
