"""Rows of a table in another order than their time: newest first, mixed by threads, or written twice.

A clock that is set back is none of these: there, what lies behind it is a recording of its own.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from pct.logs.readers.base import RawLog
from pct.logs.spool import Spool
from pct.types import Column

# Rows of an order that is looked at.
FEWEST = 10
# The time goes back in this share of the rows of a table that stands newest first, and in so many of one that
# is mixed: a clock is set back now and then.
NEWEST_FIRST, MIXED, OFTEN = 0.95, 0.01, 5
# Rows are mixed over so many, as threads and buffers do.
APART = 200
# Rows that are written twice are as few as this share, or each is.
TWICE = 0.005


def in_time_order(raw: RawLog, time: str) -> RawLog:
    """The log with its rows in the order of a column, each once; the same log where they are already.

    Args:
        raw: of one clock; what is told of its order is added to its notes.
        time: the column.
    """
    if raw.clocks or raw.restarts or isinstance(raw.columns, Spool) or time not in raw.columns:
        return raw
    column = raw.columns[time]
    if len(column) != len(raw.rows) or len(column) < FEWEST or not np.isfinite(column).all():
        return raw
    notes = []
    falls = int(np.count_nonzero(np.diff(column) < 0))
    back = falls / (len(column) - 1)
    order = np.arange(len(column))
    if back > NEWEST_FIRST:
        order = order[::-1]
        notes.append(f"rows stand newest first by '{time}': they are read from the last one on")
    elif back > MIXED and falls >= OFTEN:
        by_time = np.argsort(column, kind="stable")
        apart = int(np.abs(by_time - order).max())
        # Where a clock falls back by its range, rows are far apart.
        if apart <= APART:
            order = by_time
            notes.append(f"rows are not in the order of '{time}', by up to {apart}: they are sorted")
    raw = _rows(raw, order)
    once = _once(raw, raw.columns[time])
    if len(once) < len(order):
        notes.append(f"{len(order) - len(once)} of {len(order)} rows stand twice: each is read once")
        raw = _rows(raw, once)
    return dataclasses.replace(raw, notes=[*raw.notes, *notes]) if notes else raw


def _once(raw: RawLog, time: Column) -> np.ndarray:
    """Rows that do not repeat the one before them in every column."""
    rows = np.arange(len(time))
    again = np.flatnonzero(np.diff(time) == 0)
    if len(again) <= TWICE * len(rows):
        return rows
    same = np.ones(len(again), bool)
    for column in raw.columns.values():
        if len(column) == len(rows):
            before, after = column[again], column[again + 1]
            same &= (before == after) | (np.isnan(before) & np.isnan(after))
    return np.delete(rows, again[same] + 1)


def _rows(raw: RawLog, kept: np.ndarray) -> RawLog:
    count = len(raw.rows)
    if np.array_equal(kept, np.arange(count)):
        return raw
    columns = {name: c[kept] if len(c) == count else c for name, c in raw.columns.items()}
    return dataclasses.replace(raw, columns=columns, rows=raw.rows[kept])
