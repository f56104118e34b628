"""Clocks that hold hours, minutes and seconds in their digits, as NMEA 0183 has them: 093015.40."""

from __future__ import annotations

import dataclasses

import numpy as np

from pct.logs.readers.base import AnyColumn, RawLog
from pct.logs.readers.computed import Formula, with_computed
from pct.logs.readers.packed import CLOCKS, digits, seconds_of_day
from pct.mapping.stamp_parts import FEWEST

# Rows that may hold something else, and that need not go on.
FAULTY = 0.05
# Where minutes begin, seconds go on by no more than this many usual steps.
NEAR = 3.0
# By how much more than the clock goes on its number does at least: from 59 to 100, in s.
LEAP = 39.0


def with_time_of_day(raw: RawLog) -> RawLog:
    """The log with seconds, by the formula of each, in place of the clocks whose digits are a time of day."""
    found = {name: clock for name in raw.columns if (clock := clock_of(raw.columns[name]))}
    if raw.clocks or not found:
        return raw
    raw = with_computed(raw, [str(Formula(clock, (name,))) for name, clock in found.items()])
    columns = {name: column for name, column in raw.columns.items() if name not in found}
    return dataclasses.replace(raw, columns=columns)


def clock_of(column: AnyColumn) -> str:
    """How the digits of a time of day stand in a column; empty where it holds none, or a minute never ends.

    Examples:
        >>> rows = np.arange(40.0)
        >>> clock_of(np.where(rows < 20, 115_940 + rows, 119_980 + rows)), clock_of(100 + rows)
        ('hhmmss', '')
    """
    known = column[np.isfinite(column)]
    if len(known) < max(FEWEST, (1 - FAULTY) * len(column)) or (known < 0).any():
        return ""
    # Spares nearly all columns what follows.
    steps = np.diff(known)
    if np.mean(steps >= 0) < 1 - FAULTY or not (steps > 0).any():
        return ""
    return next((clock for clock in CLOCKS if _holds(known, clock)), "")


def _holds(known: AnyColumn, clock: str) -> bool:
    """Whether digits are those of times of day that go on evenly where minutes begin."""
    if CLOCKS[clock] < 1 and (known % 1 != 0).any():
        return False
    hours, minutes, seconds = digits(known, clock)
    if np.mean((hours < 24) & (minutes < 60) & (seconds < 60)) < 1 - FAULTY / 10:
        return False
    steps = np.diff(seconds_of_day(known, clock))
    usual = float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.0
    if usual <= 0 or np.mean(steps >= 0) < 1 - FAULTY:
        return False
    begins = np.abs(np.diff(known) * CLOCKS[clock] - steps) > LEAP
    return bool(begins.any()) and bool(np.mean(np.abs(steps[begins]) <= NEAR * usual) > 0.5)
