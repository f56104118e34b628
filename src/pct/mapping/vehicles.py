"""Rows of several vehicles in one table: the column that tells them apart."""

from __future__ import annotations

import re

import numpy as np

from pct.logs.readers.base import AnyColumn, RawLog
from pct.mapping.names import means, words

# Names of columns of vehicles.
CALLED = re.compile(
    r"(^|_)(id|car|vehicle|veh|agent|actor|ego|object|obj|track|robot)(_?(id|no|nr|num|number|index))?$"
)
MOST_VEHICLES, FEWEST_ROWS = 64, 10
# Rows of two vehicles take turns; a lap or a gear stays for long.
TURNS = 0.05
# Of the rows of one vehicle, the time goes on in all but these.
FAULTY = 0.05


def find_group(raw: RawLog) -> str:
    """The column whose values are vehicles; empty where there is none.

    Its name says so and its values take turns; or the time goes on for each of its values alone, but not from
    row to row.
    """
    times = [column for name, column in raw.columns.items() if means(name, "time")]
    stuck = [column for column in times if not _goes_on(column)]
    for name, column in raw.columns.items():
        if means(name, "time") or not _is_label(column):
            continue
        turns = np.mean(np.diff(column) != 0)
        called = bool(CALLED.search(words(name))) and turns > TURNS
        # A gear does not tell stamps apart that stand twice.
        parted = any(_parts(time, column) for time in stuck if len(time) == len(column))
        if parted or (called and all(_parts(time, column) for time in times if len(time) == len(column))):
            return name
    return ""


def _is_label(column: AnyColumn) -> bool:
    if len(column) < 2 * FEWEST_ROWS or not np.isfinite(column).all() or (column != np.round(column)).any():
        return False
    # A look at the first rows spares the sorting of most columns.
    if len(np.unique(column[:1000])) > MOST_VEHICLES:
        return False
    values, counts = np.unique(column, return_counts=True)
    return 2 <= len(values) <= MOST_VEHICLES and bool(counts.min() >= FEWEST_ROWS)


def _parts(time: AnyColumn, column: AnyColumn) -> bool:
    """Whether the time goes on for each value alone."""
    return all(_goes_on(time[column == value]) for value in np.unique(column))


def _goes_on(time: AnyColumn) -> bool:
    whole = time[np.isfinite(time)]
    return len(whole) > 1 and bool(np.mean(np.diff(whole) > 0) >= 1 - FAULTY)
