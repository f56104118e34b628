"""A proposed map and its text."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping

from pct.logs.units import size_of


@dataclasses.dataclass(frozen=True)
class Line:
    """One channel of a proposed map.

    Attributes:
        channel: the channel.
        column: raw column.
        sure: ``high``, ``medium`` or ``low``.
        reason: why.
        keys: further keys of the channel: unit, sign, offset, delay, origin.
        table: what the map has instead of ``column`` and ``keys``: a time of several columns, or of none.
    """

    channel: str
    column: str
    sure: str
    reason: str
    keys: Mapping[str, str | int | float] = dataclasses.field(default_factory=dict)
    table: Mapping[str, float | list[str]] | None = None


@dataclasses.dataclass(frozen=True)
class Proposal:
    """A proposed map.

    Attributes:
        time: the column of the time, its only key the unit.
        lines: of the channels.
        head: keys before the first table.
        notes: what the log does not tell.
    """

    time: Line
    lines: tuple[Line, ...]
    head: Mapping[str, str]
    notes: tuple[str, ...]

    def to_toml(self) -> str:
        """The map as ``signals.toml``, each table with how sure it is and why."""
        blocks = [f"{key} = {json.dumps(value)}" for key, value in self.head.items()]
        # A name may hold a line break.
        blocks += [f"# {' '.join(note.split())}" for note in self.notes]
        text = "\n".join(blocks)
        for line in (self.time, *self.lines):
            table = "time" if line is self.time else f"channels.{line.channel}"
            keys: Mapping[str, object] = line.table or {"column": line.column, **line.keys}
            rows = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in keys.items()]
            text += "\n\n" + "\n".join([f"# {line.sure}: {line.reason}", f"[{table}]", *rows])
        return text.lstrip("\n") + "\n"


def factor(line: Line) -> float:
    """How many SI units one raw unit is, of the units that are proposed.

    Examples:
        >>> units = ("deg", "m/s/4", "rad/15", "2 deg", "km/h")
        >>> [round(factor(Line("v", "", "low", "", {"unit": unit})), 4) for unit in units]
        [0.0175, 0.25, 0.0667, 0.0349, 0.2778]
    """
    return size_of(str(line.keys.get("unit", "")))
