"""A map of raw columns of a log to channels: column, unit, sign, delay, origin; `signals.toml` holds one.

The format is described in ``docs/data.md``; `pct.logs.map_files` reads it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pct.dynamics.channels import known_channels
from pct.logs.conversion import is_unit, to_si
from pct.logs.units import as_usual, per_si
from pct.types import Column

MAP = "signals.toml"
ORIGINS = ("measured", "derived", "command")
FAULTS = ("refuse", "cut")
# Frames with the lateral axis to the right, and angles and rates positive to the right.
FRAMES = {"ISO 8855": 1, "SAE": -1, "Unity": -1}
# What a log without a time column counts instead, see `SignalMap.step`.
ROW_NUMBER = "(row number)"
# The sign of a column of magnitudes, and the channels that may be one.
MOTION, SIGNED = "motion", ("v", "vx", "psi_dot", "delta", "ay")
# Prefixes of columns that are no channel of a model: inputs of a network, and what a simulation knows.
FREE_PREFIXES = ("feature.", "truth.")


@dataclasses.dataclass(frozen=True, eq=False)
class Signal:
    """How one raw column becomes one channel: SI = sign · (raw + offset) in ``unit``, ``delay`` earlier.

    Attributes:
        column: raw column.
        unit: of the raw column; when left out what the file says of it, else SI.
        sign: 1, or -1 where the log counts the other way.
        offset: added to the raw value first, in the raw column's unit.
        delay: by how many seconds the column lags behind the other ones; negative for a command that acts
            later than it is logged.
        angle: whether the value jumps by a full turn; headings do anyway.
        held: whether it repeats each value until the next one of a slower sensor; then it is read in the rows
            where it changes, and goes straight between them.
        origin: ``measured``, ``derived`` or ``command``.
        time: raw column of its own time; that of the log, or what the file says, when left out.
        si: unit of the channel.
        factor: how many of it one raw unit is.
        by_motion: whether the column holds magnitudes, whose sign the motion gives (``sign = "motion"``).
    """

    column: str
    unit: str = ""
    sign: int = 1
    offset: float = 0.0
    delay: float = 0.0
    angle: bool = False
    held: bool = False
    origin: str = "measured"
    time: str = ""
    si: str = "1"
    factor: float = 1.0
    by_motion: bool = False

    def convert(self, column: Column) -> Column:
        """Raw samples in SI units, jumps of a full turn and all; the same array where they are already."""
        moved = column + self.offset if self.offset else column
        return moved if self.plain else self.sign * self.factor * moved

    @property
    def plain(self) -> bool:
        """Whether raw samples are in SI units already."""
        return not self.offset and self.sign * self.factor == 1


class TimePart(NamedTuple):
    """One of the raw columns that add up to the time: whole seconds, nanoseconds, date, time of day.

    Attributes:
        column: raw column.
        unit: its unit; when left out what the file says of it, else s.
        factor: how many seconds one of its unit is.
    """

    column: str
    unit: str = ""
    factor: float = 1.0


class Source(NamedTuple):
    """The log that a map was proposed from, and the units that it states, by column."""

    path: Path
    units: Mapping[str, str]


@dataclasses.dataclass(frozen=True, eq=False)
class SignalMap:
    """The content of a ``signals.toml``, its preset merged in.

    Attributes:
        path: the file, for messages.
        channels: the signal of each channel.
        time: raw column of the time, or what the one is called that is made of others or of the row number.
        time_unit: its unit; when left out what the file says of it, else s.
        time_factor: how many seconds one of its unit is.
        parts: the raw columns that add up to the time, where it is spread over several.
        step: seconds from row to row of a log without a time column; 0 where it has one.
        gap: a longer time step than this many usual ones is a fault.
        group: raw column that tells several vehicles apart, whose rows stand in one table.
        vehicle: what drove.
        reference_ahead: distance of the logged point ahead of the centre of gravity in m.
        frame: axes that the log counts in; the signs of its channels have it in them already.
        faults: ``refuse`` or ``cut``.
        files: pattern of the files' names.
        format: options of the format's reader.
        source: what it was proposed from; None where a person has it in a file.
    """

    path: Path
    channels: Mapping[str, Signal]
    time: str
    time_unit: str = ""
    time_factor: float = 1.0
    parts: tuple[TimePart, ...] = ()
    step: float = 0.0
    gap: float = 1.5
    group: str = ""
    vehicle: str = ""
    reference_ahead: float = 0.0
    frame: str = "ISO 8855"
    faults: str = "refuse"
    files: str = "*"
    format: Mapping[str, str] = dataclasses.field(default_factory=dict)
    source: Source | None = None

    @property
    def columns(self) -> list[str]:
        """All raw columns that are read, each once."""
        names = [self.group, *self.time_columns]
        names += [name for signal in self.channels.values() for name in (signal.column, signal.time)]
        return [name for name in dict.fromkeys(names) if name]

    @property
    def time_columns(self) -> list[str]:
        """The raw columns that the time comes from; none of a log without one."""
        if self.step:
            return []
        return [part.column for part in self.parts] or [self.time]


def with_units(path: Path, signals: SignalMap, units: Mapping[str, str]) -> SignalMap:
    """The map with the units that a file gives for its columns, where the map gives none.

    What stands behind a name need not be a unit; but where it is one of another quantity, something is wrong.

    Raises:
        DataError: it is a unit that does not convert to the channel's.
    """
    channels = dict(signals.channels)
    for name, signal in channels.items():
        unit, known = units.get(signal.column, ""), known_channels().get(name)
        unit = as_usual(unit) if known and per_si(known.unit, unit) else unit
        if unit and not signal.unit and known and is_unit(unit):
            where = f"column '{signal.column}', channels.{name}"
            si, factor = to_si(path, where, unit, known.unit)
            channels[name] = dataclasses.replace(signal, unit=unit, si=si, factor=factor)
    parts = tuple(
        part if part.unit else part._replace(factor=_stated_factor(path, part.column, units))
        for part in signals.parts
    )
    factor = signals.time_factor if signals.time_unit else _stated_factor(path, signals.time, units)
    return dataclasses.replace(signals, channels=channels, parts=parts, time_factor=factor)


def _stated_factor(path: Path, column: str, units: Mapping[str, str]) -> float:
    """How many seconds one of the unit is that the file gives for a column; 1 where it gives none."""
    unit = units.get(column, "")
    return to_si(path, f"column '{column}', time", unit, "s")[1] if unit and is_unit(unit) else 1.0
