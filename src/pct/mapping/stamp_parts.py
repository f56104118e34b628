"""One stamp over several columns: seconds and nanoseconds, week and time of week, date and time of day.

One falls back by its full range exactly where another counts on: that one is its carry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from pct.logs.clocks import sum_of_parts
from pct.logs.readers.base import AnyColumn
from pct.logs.signals import TimePart
from pct.recordings.time_steps import TIME_UNITS, is_usual

# Ticks are those of Windows and .NET.
TICKS = "100 ns"
SECONDS = {**TIME_UNITS, TICKS: 1e-7, "week": 604800.0}
# Ranges at which one column falls back as another counts on: what the two are in.
CARRIES = (
    (1e3, "s", "ms"),
    (1e6, "s", "us"),
    (1e9, "s", "ns"),
    (1e7, "s", TICKS),
    (1.0, "s", "s"),
    (60.0, "min", "s"),
    (3600.0, "h", "s"),
    (86400.0, "day", "s"),
    (86400e3, "day", "ms"),
    (604800.0, "week", "s"),
    (604800e3, "week", "ms"),
)
# Rows of a column that is looked at.
FEWEST = 10
# Share of the carries that may be those of gaps.
GAPS = 0.1
# Hours, minutes and seconds carry twice, with the date three times.
MOST = 3


def find_parts(columns: Mapping[str, AnyColumn]) -> list[TimePart]:
    """The columns that add up to the time, the coarsest first; none where it is spread over no columns."""
    left: dict[str, AnyColumn] = dict(columns)
    parts: list[TimePart] = []
    for _ in range(MOST):
        pair = next(_carries(left, " + ".join(part.column for part in parts)), None)
        if pair is None:
            break
        first, second = pair
        parts = [first, *(parts or [second])]
        left = {name: column for name, column in left.items() if name not in (first.column, second.column)}
        left[" + ".join(part.column for part in parts)] = sum_of_parts(columns, parts)
    return parts


def _carries(columns: Mapping[str, AnyColumn], total: str) -> Iterator[tuple[TimePart, TimePart]]:
    """Pairs of a column that counts on exactly where the other, or what is added up so far, falls back."""
    lows = [total] if total else [name for name, column in columns.items() if _falls_back(column)]
    highs = [name for name, column in columns.items() if name != total and _counts_on(column)]
    for low in lows:
        fine = columns[low]
        steps = np.diff(fine)
        drops = steps < 0
        usual = float(np.median(steps[~drops]))
        for high in highs:
            counts = np.diff(columns[high])
            if high == low or len(counts) != len(steps) or not (counts[drops] > 0).all():
                continue
            count = float(np.median(counts[drops]))
            plain = drops & (counts == count)
            # A gap may be longer than the range.
            if np.count_nonzero((counts > 0) & ~plain) > max(1, GAPS * np.count_nonzero(plain)):
                continue
            ranges = usual - steps[plain]
            full = float(np.median(ranges))
            # Laps take now so long, now so long.
            if (np.abs(ranges - full) > max(0.01 * full, 3 * usual)).any():
                continue
            # Beyond the last value before it falls back, but for a step.
            if fine.min() < -usual or fine.max() > full + usual:
                continue
            units = _carried(count, full, usual, bool(total))
            if units is not None:
                yield TimePart(high, units[0], SECONDS[units[0]]), TimePart(low, units[1], SECONDS[units[1]])


def _carried(count: float, full: float, usual: float, added: bool) -> tuple[str, str] | None:
    """Units of two columns of which one counts ``count`` on where the other falls back by ``full``."""
    slack = max(0.02 * full, 2 * usual)
    if count == 1.0:
        for size, upper, lower in CARRIES:
            near = abs(full - size) < min(slack, 0.5 * size) and (lower == "s" or not added)
            # Ranges of near sizes: the step tells which.
            if near and is_usual(usual * SECONDS[lower]):
                return upper, lower
        return None
    # A date beside a time of day, both in s.
    return ("s", "s") if abs(full - count) < slack and is_usual(usual) else None


def _falls_back(column: AnyColumn) -> bool:
    """Whether a column goes on evenly and falls back now and then."""
    if len(column) < FEWEST or not np.isfinite(column).all():
        return False
    steps = np.diff(column)
    going = steps[steps > 0]
    if not len(steps) or not 0.5 * len(steps) <= len(going) < len(steps) or (steps == 0).any():
        return False
    usual = np.median(going)
    return bool(np.median(np.abs(going - usual)) < 0.3 * usual and (-steps[steps < 0] > 2 * usual).all())


def _counts_on(column: AnyColumn) -> bool:
    """Whether a column keeps its value, or counts on by a whole number."""
    if len(column) < FEWEST or not np.isfinite(column).all():
        return False
    steps = np.diff(column)
    return bool((steps >= 0).all() and 0 < np.count_nonzero(steps) <= 0.5 * len(steps)) and bool(
        (steps == np.round(steps)).all()
    )
