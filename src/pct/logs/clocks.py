"""Columns of several clocks onto the rows of one: topics of a bag, two rates, tables with holes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path

import numpy as np

from pct.errors import LogTimeError
from pct.logs.readers.base import AnyColumn, RawLog
from pct.logs.signals import SignalMap, TimePart
from pct.logs.spool import Spool
from pct.types import Bool, Int

# A column that lacks a value in more than this share of the rows has a clock of its own.
SPARSE = 0.2
# Of so few samples nothing is read.
FEWEST = 10


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
        raise LogTimeError(
            path, f"expected clocks that overlap, found {ranges}: does one count from another start?"
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
            raise LogTimeError(
                path,
                f"expected time ('{clock}') to go on, found {ticks[max(row - 1, 0)]:.9g} and then "
                f'{ticks[row]:.9g} in its row {row}.\nWrite faults = "cut" in the map to leave it out',
            )
        ticks = ticks[onwards]
        far = gap * max(_usual(ticks), _usual(time))
        for name in names:
            reading = dataclasses.replace(
                readings[name], faulty=readings[name].faulty[: len(onwards)][onwards]
            )
            before = np.searchsorted(ticks, time, side="right") - 1
            column = _at(time, ticks, before, group[name][onwards], reading, far)
            alone = np.isnan(column) & ~np.isnan(time)
            if not cut and not reading.faulty.any() and alone.any():
                raise LogTimeError(
                    path,
                    f"expected '{name}' to go on in steps of about {_usual(ticks):g}, found a gap at "
                    f"'{master}' = {time[alone][0]:.9g}. Write faults = \"cut\" in the map to split it there",
                )
            columns[name] = column
    return dataclasses.replace(
        raw,
        columns={
            name: column if len(column) == len(time) else column[covered] for name, column in columns.items()
        },
        rows=rows[covered],
    )


def with_time(path: Path, raw: RawLog, signals: SignalMap) -> RawLog:
    """The log with the column that its map calls the time: the sum of several, or counted from the rows.

    Raises:
        DataError: the parts of the time differ in length.
    """
    if signals.step:
        time = signals.step * np.arange(len(raw.rows))
    elif signals.parts:
        columns = _one_length(
            path, {part.column: raw.columns[part.column] for part in signals.parts}, signals.parts[0].column
        )
        time = sum_of_parts(columns, signals.parts)
    else:
        return raw
    if isinstance(raw.columns, Spool):
        raw.columns[signals.time] = time
        return raw
    return dataclasses.replace(raw, columns={**raw.columns, signals.time: time})


def sum_of_parts(columns: Mapping[str, AnyColumn], parts: Sequence[TimePart]) -> AnyColumn:
    """The time in s, to a quarter of a microsecond since 1970.

    Examples:
        >>> parts = [TimePart("s"), TimePart("ns", "ns", 1e-9)]
        >>> print(sum_of_parts({"s": np.array([7.0, 8.0]), "ns": np.array([5e8, 0.0])}, parts))
        [7.5 8. ]
    """
    first, *others = (part.factor * columns[part.column] for part in parts)
    for other in others:
        first = first + other
    return first


def with_rows_filled(
    raw: RawLog,
    master: str,
    readings: Mapping[str, Reading],
    samples: Mapping[str, Int[np.ndarray, " _"]],
    *,
    gap: float,
) -> RawLog:
    """The log with columns that have a value of their own in some rows only, read between these, on their own
    steps.

    Rows before the first and behind the last sample of such a column are left out. Where none of the columns
    has a value in most rows, those rows are kept in which the fullest has one.

    Args:
        raw: columns on the rows of the master clock; those of other clocks stay as they are.
        master: the clock.
        readings: of the columns that are wanted.
        samples: rows with a sample of those that repeat it until the next one.
        gap: a longer step than this many usual ones of the column itself is a gap, which stays empty.
    """
    own = {name for name, reading in readings.items() if reading.clock == master}
    count = len(raw.columns[master])
    held = {
        name: np.flatnonzero(np.isfinite(raw.columns[name]))
        for name in own
        if len(raw.columns[name]) == count
    }
    sparse = {name: rows for name, rows in held.items() if is_sparse(len(rows), count)}
    sparse |= {name: rows for name, rows in samples.items() if name in held and len(rows) >= FEWEST}
    if not sparse:
        return raw
    time = raw.columns[master]
    columns: MutableMapping[str, AnyColumn] = (
        raw.columns if isinstance(raw.columns, Spool) else dict(raw.columns)
    )
    for name, rows in sparse.items():
        steps = np.diff(time[rows])
        far = gap * float(np.quantile(steps[steps > 0], 0.9)) if (steps > 0).any() else 0.0
        reading = dataclasses.replace(readings[name], faulty=readings[name].faulty[rows])
        before = np.searchsorted(rows, np.arange(count), side="right") - 1
        columns[name] = _at(time, time[rows], before, columns[name][rows], reading, far)
    first = max(int(rows[0]) for rows in sparse.values())
    stop = min(int(rows[-1]) for rows in sparse.values()) + 1
    if isinstance(columns, Spool):
        return dataclasses.replace(raw, columns=columns.cut(first, stop), rows=raw.rows[first:stop])
    fullest = max(held.values(), key=len)
    kept = fullest if len(sparse) == len(held) else np.arange(count)
    kept = kept[(kept >= first) & (kept < stop)]
    return _rows_of(raw, columns, kept)


def is_sparse(samples: int, rows: int) -> bool:
    """Whether a column with so many samples in so many rows has a clock of its own."""
    return FEWEST <= samples < (1 - SPARSE) * rows


def groups_of(raw: RawLog, group: str) -> dict[str, RawLog]:
    """The rows of each value of a column: each is a log of its own, by the value as it is written.

    Examples:
        >>> columns = {"id": np.array([1.0, 7.0, 1.0]), "v": np.array([3.0, 4.0, 5.0])}
        >>> raw = RawLog(columns, np.arange(3), "row")
        >>> {name: part.columns["v"].tolist() for name, part in groups_of(raw, "id").items()}
        {'1': [3.0, 5.0], '7': [4.0]}
    """
    column = raw.columns[group]
    return {
        f"{value:g}": _rows_of(raw, raw.columns, np.flatnonzero(column == value))
        for value in np.unique(column[np.isfinite(column)])
    }


def _rows_of(raw: RawLog, columns: Mapping[str, AnyColumn], kept: Int[np.ndarray, " _"]) -> RawLog:
    """The log with some rows of all columns of full length."""
    count = len(raw.rows)
    return dataclasses.replace(
        raw,
        columns={name: column[kept] if len(column) == count else column for name, column in columns.items()},
        rows=raw.rows[kept],
    )


def _one_length(path: Path, columns: Mapping[str, AnyColumn], clock: str) -> dict[str, AnyColumn]:
    """AnyColumns cut to the shortest, which may be one sample shorter, as inputs that act between samples."""
    lengths = {name: len(column) for name, column in columns.items()}
    longest, shortest = max(lengths.values()), min(lengths.values())
    if shortest < longest - 1:
        name = next(
            name for name, length in lengths.items() if abs(length - lengths[clock]) > 1 or length == shortest
        )
        raise LogTimeError(
            path,
            f"expected columns of one length, found {lengths[name]} samples in '{name}' and "
            f"{longest} in another: is it a signal of another rate? "
            "Then name the column of its time: [channels.NAME] time",
        )
    return {name: column[:shortest] for name, column in columns.items()}


def _span(time: AnyColumn) -> tuple[float, float]:
    finite = time[np.isfinite(time)]
    return (float(finite.min()), float(finite.max())) if len(finite) else (np.inf, -np.inf)


def _usual(time: AnyColumn) -> float:
    steps = np.diff(time)
    return float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.0


def _at(
    rows: AnyColumn,
    time: AnyColumn,
    before: Int[np.ndarray, " _"],
    values: AnyColumn,
    reading: Reading,
    far: float,
) -> AnyColumn:
    """A column at other times, all within its own; NaN where its samples are more than ``far`` apart.

    Args:
        rows: the other times.
        time, values: the samples.
        before: the sample before each row.
        reading: how it is read between them.
        far: see above.
    """
    before = np.clip(before, 0, len(time) - 1)
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
    resampled = np.where((between & (step > far)) | (step < 0), np.nan, resampled)
    resampled = np.where(between & reading.faulty[after], values[after], resampled)
    return np.where(reading.faulty[before], values[before], resampled)
