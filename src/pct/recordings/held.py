"""Columns of a slower sensor that repeat each value until the next one, in the rows of a faster recorder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from pct.logs.readers.base import RawLog
from pct.logs.signals import SignalMap
from pct.types import Column, Int

# Changes that tell a beat.
FEWEST = 20
# Of these, so many come a beat after the one before, and the rest after several, give or take this part of it
# or a row. Those of few rows are exact: values in coarse steps change now after two rows, now after three.
AFTER_ONE, AFTER_ALL, SLACK = 0.6, 0.93, 0.25
FEW_ROWS, EXACT = 5.0, 0.85
# Values that stay for so many beats say nothing of it.
STILL = 8
# No sample is put nearer to the next change than this part of a beat.
SHORT = 0.3
# A column belongs to another's samples where it changes there alone, in this share of its changes.
WITH = 0.98


class Beat(NamedTuple):
    """How a held column goes on: ``rows`` from sample to sample in the mean, and ``longest`` at most."""

    rows: float
    longest: int


def beat_of(changes: Int[np.ndarray, " _"]) -> Beat | None:
    """The beat of a column that is held for two rows or more; None where its changes have none.

    Args:
        changes: rows in which it differs from the row before.

    Examples:
        >>> beat_of(np.arange(0, 400, 20)), beat_of(np.arange(400)), beat_of(np.arange(30) ** 2)
        (None, None, None)
        >>> beat_of(np.arange(0, 800, 20))
        Beat(rows=20.0, longest=25)
    """
    spacing = np.diff(changes)
    if len(spacing) < FEWEST:
        return None
    usual = float(np.median(spacing))
    spacing = spacing[spacing < STILL * usual]
    likely = spacing[np.abs(spacing - usual) <= max(1.0, SLACK * usual)]
    mean = float(likely.mean()) if len(likely) else 0.0
    if mean < 2 or len(spacing) < FEWEST:
        return None
    slack = _slack(mean)
    near = np.abs(spacing - mean) < slack
    beats = np.maximum(np.round(spacing / mean), 1)
    even = np.abs(spacing - beats * mean) < slack
    if near.mean() < (EXACT if mean < FEW_ROWS else AFTER_ONE) or even.mean() < AFTER_ALL:
        return None
    return Beat(mean, int(np.floor(mean + slack)))


def _slack(rows: float) -> float:
    """By less than so many rows a sample may come sooner or later than a beat of so many."""
    return 1.0 if rows < FEW_ROWS else max(1.5, SLACK * rows + 0.01)


def changes_of(*columns: Column) -> Int[np.ndarray, " _"]:
    """Rows in which one of some columns differs from the row before, and the first one with a value."""
    known = np.isfinite(columns[0])
    for column in columns[1:]:
        known = known & np.isfinite(column)
    rows = np.flatnonzero(known)
    new = np.zeros(len(rows), bool)
    new[:1] = True
    for column in columns:
        values = column[rows]
        new[1:] |= values[1:] != values[:-1]
    return rows[new]


def samples_of(*columns: Column) -> Int[np.ndarray, " _"]:
    """Rows in which a sensor was read whose columns are held: where one changes, and a beat after that.

    Args:
        columns: of one sensor, (N,) each.

    Without a beat, only the rows of changes.
    """
    changes = changes_of(*columns)
    beat = beat_of(changes)
    if beat is None or not len(changes):
        return changes
    last = int(np.flatnonzero(np.isfinite(columns[0]))[-1])
    # What stays for longer was read again, and was the same.
    spacing = np.diff(np.append(changes, last + 1))
    stays = np.flatnonzero(spacing > beat.longest)
    between = [
        np.round(changes[k] + beat.rows * np.arange(1, np.ceil(spacing[k] / beat.rows - SHORT))).astype(int)
        for k in stays
    ]
    rows = np.concatenate([changes, *between])
    return np.unique(rows[rows <= last])


def samples_by_map(
    signals: SignalMap, raw: RawLog, clocks: Mapping[str, str]
) -> dict[str, Int[np.ndarray, " _"]]:
    """Rows with a sample of the columns that a map calls held, those of x and y together.

    Args:
        signals: the map; a command acts as it stands.
        raw: the log.
        clocks: of each column; those of another clock than the log's have samples of their own.
    """
    held = {
        name: signal.column
        for name, signal in signals.channels.items()
        if signal.held and signal.origin != "command" and clocks[signal.column] == signals.time
    }
    places = [held[name] for name in ("x", "y") if name in held]
    return {
        column: samples_of(*(raw.columns[name] for name in (places if column in places else [column])))
        for column in held.values()
    }


def held_columns(columns: Mapping[str, Column], wanted: Iterable[str]) -> dict[str, Int[np.ndarray, " _"]]:
    """Rows with a sample of the columns that are held: by a beat of their own, or on the samples of one that
    has a beat.

    Args:
        columns: by name, (N,) each.
        wanted: those that are looked at.
    """
    changes = {name: changes_of(columns[name]) for name in wanted}
    beats = [name for name, rows in changes.items() if beat_of(rows)]
    found = {name: samples_of(columns[name]) for name in beats}
    for other, rows in changes.items():
        # A position that goes along one axis only now and then.
        if other not in found and len(rows) >= FEWEST:
            clock = next((name for name in beats if np.isin(rows, changes[name]).mean() >= WITH), None)
            found |= {other: found[clock]} if clock else {}
    return found


def between_samples(column: Column, rows: Int[np.ndarray, " _"]) -> Column:
    """A column that goes straight from sample to sample; a step by half its range is one of an angle."""
    values = column[rows]
    steps = np.abs(np.diff(values))
    wraps = steps > 0.5 * np.ptp(values)
    straight = np.interp(np.arange(len(column)), rows, values)
    if not wraps.any() or wraps.mean() > 0.1:
        return straight
    at = np.clip(np.searchsorted(rows, np.arange(len(column)), side="right") - 1, 0, len(wraps) - 1)
    return np.where(wraps[at], column, straight)
