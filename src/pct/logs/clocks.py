"""AnyColumns of several clocks onto the rows of one: topics of a bag, signals of two rates."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pct.errors import DataError
from pct.logs.readers.base import AnyColumn, RawLog
from pct.types import Bool


@dataclasses.dataclass(frozen=True, eq=False)
class Reading:
    """How a raw column is read between its samples.

    Attributes:
        clock: raw column of its time.
        held: whether it keeps its value until the next sample; else it goes in a straight line.
        turn: a full turn in its unit where it is an angle that jumps, else 0.
        faulty: which samples no vehicle can show, shape (N,).
    """

    clock: str
    held: bool
    turn: float
    faulty: Bool[np.ndarray, " _"]


def on_one_clock(
    path: Path, raw: RawLog, master: str, readings: Mapping[str, Reading], *, gap: float, cut: bool
) -> RawLog:
    """All columns on the rows of the master clock, those rows left out that not all clocks cover.

    A row beside a faulty sample takes its value, so that it is found. A row in a gap of another clock is NaN.

    Args:
        path: the file, for messages.
        raw: columns, each with as many rows as its clock, or one less.
        master: the clock whose rows are kept.
        readings: of the columns that are wanted.
        gap: a longer step than this many usual ones, of the slower of the two clocks, is a gap.
        cut: whether gaps and time that goes back are left for cutting; else they are refused.

    Raises:
        DataError: a column is not as long as its clock, clocks do not overlap, or one has a gap.
    """
    others = {reading.clock for reading in readings.values()} - {master}
    own = [master, *(name for name, reading in readings.items() if reading.clock == master)]
    columns = _one_length(path, {name: raw.columns[name] for name in own}, master)
    rows = raw.rows[: len(columns[master])]
    if not others:
        return dataclasses.replace(raw, columns=columns, rows=rows)
    time = columns[master]
    spans = {clock: _span(raw.columns[clock]) for clock in (master, *sorted(others))}
    first, last = max(span[0] for span in spans.values()), min(span[1] for span in spans.values())
    covered = ~((time < first) | (time > last))
    if not first <= last or not covered.any():
        ranges = ", ".join(f"'{clock}' from {span[0]:.9g} to {span[1]:.9g}" for clock, span in spans.items())
        raise DataError(
            f"{path}: expected clocks that overlap, found {ranges}: does one count from another start?"
        )
    time = time[covered]
    for clock in sorted(others):
        names = [name for name, reading in readings.items() if reading.clock == clock]
        group = _one_length(path, {name: raw.columns[name] for name in (clock, *names)}, clock)
        ticks = group[clock]
        onwards = ticks > np.concatenate(
            [[-np.inf], np.maximum.accumulate(np.nan_to_num(ticks, nan=-np.inf))[:-1]]
        )
        if not cut and not onwards.all():
            row = int(np.flatnonzero(~onwards)[0])
            raise DataError(
                f"{path}: expected time ('{clock}') to go on, found {ticks[max(row - 1, 0)]:.9g} and then "
                f'{ticks[row]:.9g} in its row {row}.\nWrite faults = "cut" in the map to leave it out'
            )
        ticks = ticks[onwards]
        far = gap * max(_usual(ticks), _usual(time))
        for name in names:
            reading = dataclasses.replace(
                readings[name], faulty=readings[name].faulty[: len(onwards)][onwards]
            )
            column = _at(time, ticks, group[name][onwards], reading, far)
            alone = np.isnan(column) & ~np.isnan(time)
            if not cut and not reading.faulty.any() and alone.any():
                raise DataError(
                    f"{path}: expected '{name}' to go on in steps of about {_usual(ticks):g}, found a gap at "
                    f"'{master}' = {time[alone][0]:.9g}. Write faults = \"cut\" in the map to split it there"
                )
            columns[name] = column
    return dataclasses.replace(
        raw,
        columns={
            name: column if len(column) == len(time) else column[covered] for name, column in columns.items()
        },
        rows=rows[covered],
    )


def _one_length(path: Path, columns: Mapping[str, AnyColumn], clock: str) -> dict[str, AnyColumn]:
    """AnyColumns cut to the shortest, which may be one sample shorter, as inputs that act between samples."""
    lengths = {name: len(column) for name, column in columns.items()}
    longest, shortest = max(lengths.values()), min(lengths.values())
    if shortest < longest - 1:
        name = next(
            name for name, length in lengths.items() if abs(length - lengths[clock]) > 1 or length == shortest
        )
        raise DataError(
            f"{path}: expected columns of one length, found {lengths[name]} samples in '{name}' and "
            f"{longest} in another: is it a signal of another rate? "
            "Then name the column of its time: [channels.NAME] time"
        )
    return {name: column[:shortest] for name, column in columns.items()}


def _span(time: AnyColumn) -> tuple[float, float]:
    finite = time[np.isfinite(time)]
    return (float(finite.min()), float(finite.max())) if len(finite) else (np.inf, -np.inf)


def _usual(time: AnyColumn) -> float:
    steps = np.diff(time)
    return float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.0


def _at(rows: AnyColumn, time: AnyColumn, values: AnyColumn, reading: Reading, far: float) -> AnyColumn:
    """A column at other times, all within its own; NaN where its samples are more than ``far`` apart."""
    before = np.clip(np.searchsorted(time, rows, side="right") - 1, 0, len(time) - 1)
    if reading.held:
        return values[before]
    if reading.turn:
        values = values.copy()
        sound = ~reading.faulty
        values[sound] = np.unwrap(values[sound], period=reading.turn)
    after = np.minimum(before + 1, len(time) - 1)
    step = time[after] - time[before]
    share = np.where(step > 0, (rows - time[before]) / np.where(step > 0, step, 1.0), 0.0)
    between = share > 0
    resampled = np.where(between, values[before] + share * (values[after] - values[before]), values[before])
    resampled = np.where(between & (step > far), np.nan, resampled)
    resampled = np.where(between & reading.faulty[after], values[after], resampled)
    return np.where(reading.faulty[before], values[before], resampled)
