"""What each column of a log holds, before any map: unit, rate, range, and what is missing or repeated."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pct.errors import DataError
from pct.logs.readers.base import AnyColumn, RawLog
from pct.mapping.proposal import Line
from pct.mapping.time_column import find_time, scale_of
from pct.recordings.checks import without_absurd

# No column has larger values in its own unit, not even a clock in ns.
LARGEST = 1e30


@dataclasses.dataclass(frozen=True, eq=False)
class ColumnView:
    """What one column of a log holds.

    Attributes:
        name: of the column.
        unit: that the file states; empty where it states none.
        values: as the file has them, shape (N,).
        seconds: time of each value from the first of the log on, shape (N,); None where nothing tells it.
        rate: values a second in Hz, of those rows that hold one; None where nothing tells the time.
        low, high: the range of the finite values; None where there is none.
        missing: share of the rows without a finite value.
        repeated: share of the finite values that equal the one before.
    """

    name: str
    unit: str
    values: AnyColumn
    seconds: AnyColumn | None
    rate: float | None
    low: float | None
    high: float | None
    missing: float
    repeated: float

    def levels(self, count: int) -> list[float | None]:
        """Means of so many stretches of equal length, from 0 (the lowest of them) to 1; None where a
        stretch holds no value. Values that are all the same are at 0.5."""
        edges = np.linspace(0, len(self.values), min(count, len(self.values)) + 1).astype(int)
        parts = [self.values[begin:end] for begin, end in itertools.pairwise(edges)]
        means = [float(np.mean(kept)) if len(kept := p[np.isfinite(p)]) else None for p in parts]
        found = [value for value in means if value is not None]
        low, span = (min(found), max(found) - min(found)) if found else (0.0, 0.0)
        return [None if v is None else (v - low) / span if span > 0 else 0.5 for v in means]

    def to_dict(self) -> dict[str, object]:
        """As a value of JSON, without the values themselves."""
        left = ("values", "seconds")
        fields = (field.name for field in dataclasses.fields(self))
        return {
            "rows": len(self.values),
            **{name: getattr(self, name) for name in fields if name not in left},
        }


@dataclasses.dataclass(frozen=True, eq=False)
class LogView:
    """The columns of one log.

    Attributes:
        path: the file.
        columns: those that hold numbers, in the order of the file.
        time: the line of the map that the time would get, with how sure it is; None where no column can be it
            or each column has the time that the file states.
        texts: the first cell of each column that holds texts, which no map can use.
        notes: what is lost or odd, a sentence each.
    """

    path: Path
    columns: Sequence[ColumnView]
    time: Line | None
    texts: Mapping[str, str]
    notes: Sequence[str]

    def to_dict(self) -> dict[str, object]:
        """As a value of JSON."""
        return {
            "log": str(self.path),
            "time": None if self.time is None else self.time.column,
            "columns": [column.to_dict() for column in self.columns],
            "texts": dict(self.texts),
            "notes": list(self.notes),
        }


def view(path: Path, raw: RawLog) -> LogView:
    """What each column of a log holds.

    Args:
        path: the file, for messages.
        raw: all its columns.
    """
    raw = dataclasses.replace(
        raw, columns={name: without_absurd(values, limit=LARGEST) for name, values in raw.columns.items()}
    )
    line, seconds, notes = None, None, list(raw.notes)
    if not raw.clocks:
        try:
            clock = find_time(path, raw)
        except DataError as error:
            notes.append(f"no rates: {str(error).removeprefix(f'{path}: ')}")
        else:
            line = clock.line
            source = raw if line.column in raw.columns else clock.raw
            seconds = source.columns[line.column] * scale_of(line)
            notes += clock.notes
    columns = []
    for name, values in raw.columns.items():
        own = raw.columns[raw.clocks[name]] if name in raw.clocks else seconds
        if name in raw.clocks.values():
            own = values
        columns.append(_column(name, raw.units.get(name, ""), values, own))
    return LogView(path, columns, line, raw.texts, notes)


def _column(name: str, unit: str, values: AnyColumn, seconds: AnyColumn | None) -> ColumnView:
    # Inputs that act between samples are one row shorter than their clock.
    if seconds is not None and not 0 <= len(seconds) - len(values) <= 1:
        seconds = None
    seconds = None if seconds is None else seconds[: len(values)]
    held = np.isfinite(values)
    finite = values[held]
    rate = None
    if seconds is not None:
        known = seconds[np.isfinite(seconds)]
        steps = np.diff(seconds[held])
        steps = steps[steps > 0]
        rate = 1 / float(np.median(steps)) if len(steps) else None
        seconds = seconds - known[0] if len(known) else None
    return ColumnView(
        name,
        unit,
        values,
        seconds,
        rate,
        float(finite.min()) if len(finite) else None,
        float(finite.max()) if len(finite) else None,
        1 - len(finite) / len(values) if len(values) else 0.0,
        float(np.mean(finite[1:] == finite[:-1])) if len(finite) > 1 else 0.0,
    )
