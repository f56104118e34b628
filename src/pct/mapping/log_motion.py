"""The log that a map is made for."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pct.logs.clocks import is_sparse
from pct.logs.readers.base import RawLog
from pct.logs.readers.computed import GRID, formula_of, inputs_of
from pct.logs.units import as_usual, per_si
from pct.mapping.evidence import Windows, without_spikes
from pct.mapping.names import (
    NAMES,
    OTHERS,
    from_unity,
    is_altitude,
    is_asked,
    is_rotation_part,
    means,
    words,
)
from pct.mapping.proposal import Line, factor
from pct.recordings.held import between_samples, held_columns
from pct.recordings.relations import arc_over_chord
from pct.types import Bool, Column, Float

# Columns that are tried for a channel where no name helps.
MOST_NAMELESS = 24
# Positions that go this far from the heading, in rad, go backwards.
BACKWARDS = 2.5


class Log:
    """Columns on the rows of the time, and what is known of the motion so far.

    Attributes:
        columns: by name, shape (N,); the clocks are not among them.
        units: that the file states, by column.
        windows: over the time.
        held: columns that repeat each value of a slower sensor; here they go straight between these.
        uncovered: columns of other clocks, or with values in some rows only; NaN where these do not reach.
        used: columns that have become a channel.
        is_sure: whether positions and heading are known for certain.
        unity: whether the axes are those of Unity: y is up, z ahead and x to the right.
        notes: on columns that are left out.
        course: direction of travel over each window in rad, and ``moving``: where there is one.
        speed: of the positions over each window in m/s, negative where they go backwards along the heading.
        heading: in rad, shape (N,), where one was found; ``turning``: its rate over each window in rad/s.
        slip: angle from the heading to the direction of travel over each window in rad, in reverse from the
            tail.
    """

    def __init__(self, raw: RawLog, time: Line, scale: float) -> None:
        self.units = {name: as_usual(unit) for name, unit in raw.units.items()}
        seconds = raw.columns[time.column] * scale
        clock = raw.clocks.get(time.column, time.column)
        self.columns: dict[str, Column] = {}
        self.uncovered: set[str] = set()
        for name, column in raw.columns.items():
            ticks = raw.columns[raw.clocks.get(name, clock)]
            own = raw.clocks.get(name, clock) == clock
            if name == time.column or name in raw.clocks.values():
                continue
            if own and len(column) >= len(seconds) - 1:
                self.columns[name] = column[: len(seconds)]
            elif not own and len(ticks) == len(column):
                self.columns[name] = np.interp(seconds, ticks * scale, column, left=np.nan, right=np.nan)
                # Rows that a clock does not cover are no fault.
                self.uncovered.add(name)
        rows = min(len(seconds), *(len(column) for column in self.columns.values())) if self.columns else 0
        self.time = seconds[:rows]
        self.columns = {name: column[:rows] for name, column in self.columns.items()}
        sparse: dict[str, Bool[np.ndarray, " N"]] = {}
        for name, column in self.columns.items():
            held = np.isfinite(column) & np.isfinite(self.time)
            if name not in self.uncovered and is_sparse(int(np.count_nonzero(held)), rows):
                self.columns[name] = np.interp(self.time, self.time[held], column[held], np.nan, np.nan)
                self.uncovered.add(name)
                sparse[name] = held
        if sparse and not set(self.columns) - set(sparse):
            # Each row holds one sensor or another: those of the positions, else of the fullest.
            placed = [name for name in sparse if means(name, "x")] or list(sparse)
            kept = max((sparse[name] for name in placed), key=np.count_nonzero)
            self.time = self.time[kept]
            self.columns = {name: column[kept] for name, column in self.columns.items()}
        measured = [name for name in self.columns if name not in self.uncovered and not is_asked(name)]
        self.held = held_columns(self.columns, measured)
        straight = {name: between_samples(self.columns[name], at) for name, at in self.held.items()}
        self.columns |= straight
        self.windows = Windows(self.time)
        self.used: set[str] = set()
        self.unity = self.is_sure = False
        self.notes: list[str] = []
        self.heading: Column | None = None
        self.pose: tuple[Column, ...] = ()
        self._sound: dict[str, Column] = {}

    def sound(self, name: str) -> Column:
        """A column without its spikes and short holes, to compare with others."""
        if name not in self._sound:
            self._sound[name] = without_spikes(self.columns[name], self.windows.step)
        return self._sound[name]

    def named(self, channel: str) -> list[str]:
        """Columns with a name for a channel, in the axes of the log."""
        turned = self.unity and channel not in ("x", "y", "psi")
        return [
            name
            for name in self.columns
            if means(from_unity(name) if turned else self._called(name), channel) and self.varies(name, 2)
        ]

    def _called(self, name: str) -> str:
        """A name; that of an angle whose header says that it is a rate, with that."""
        unit = self.units.get(name, "")
        rate = per_si("rad/s", unit) is not None and means(name, "psi")
        return "yaw_rate" if rate else name

    def places(self, axis: str) -> list[str]:
        """Columns with a name for a position, those of a grid from their first fix."""
        local = {
            formula.inputs[0]: name
            for name in self.columns
            if (formula := formula_of(name)) and formula.kind in GRID
        }
        return list(dict.fromkeys(local.get(name, name) for name in self.named(axis)))

    def nameless(self) -> list[str]:
        """Columns whose names say nothing, where no name says anything; no positions are made of them."""
        positions = inputs_of(name for name in self.columns if formula_of(name))
        free = [
            name
            for name in self.columns
            if name not in self.used
            and name not in positions
            and self.varies(name)
            and not is_rotation_part(name)
            and not is_altitude(name)
            and not OTHERS.search(words(name))
            and not any(means(name, channel) for channel in NAMES)
        ]
        return free[:MOST_NAMELESS] if len(free) <= 4 * MOST_NAMELESS else []

    def is_known(self, name: str) -> bool:
        """Whether a column is that of another channel once more."""
        column = np.nan_to_num(self.columns[name])
        others = [np.nan_to_num(self.columns[other]) for other in self.used]
        return any(abs(np.corrcoef(column, other)[0, 1]) > 0.995 for other in others)

    def varies(self, name: str, values: int = 5) -> bool:
        """Whether a column has numbers in most rows, and so many different ones."""
        finite = self.columns[name][np.isfinite(self.columns[name])]
        return len(finite) > 0.5 * len(self.columns[name]) and len(np.unique(finite)) >= values

    def head_along(self, heading: Column) -> None:
        """Keep a heading in rad, (N,), and the rate at which it turns."""
        self.heading = heading
        self.turning = self.windows.rate(heading)

    def place(self, lines: Mapping[str, Line]) -> None:
        """Keep what the pose says of the motion."""
        x, y = (self.sound(lines[name].column) * factor(lines[name]) for name in ("x", "y"))
        w = self.windows
        self.used = {line.column for line in lines.values()}
        self.pose = (x, y)
        self.course, self.moving = w.direction(x, y)
        if "psi" in lines:
            line = lines["psi"]
            finite = self.sound(line.column) + float(line.keys.get("offset", 0.0))
            heading = np.unwrap(np.nan_to_num(finite * factor(line) * int(line.keys.get("sign", 1))))
            self.head_along(heading)
            middle = w.means(heading)
        else:
            middle = self.course
            half = max(1, w.rows // 2)
            turned = np.angle(np.exp(1j * (self.course[half:] - self.course[:-half]))) / (half * w.step)
            self.turning = np.concatenate([turned, np.full(half, np.nan)])
        self.slip = np.angle(np.exp(1j * (self.course - middle)))
        known = "psi" in lines and lines["psi"].sure != "low"
        self.is_sure = all(name in lines and lines[name].sure == "high" for name in ("x", "y", "psi"))
        backwards = known & (np.abs(self.slip) > BACKWARDS)
        self.slip = np.where(backwards, np.angle(-np.exp(1j * self.slip)), self.slip)
        stretch = arc_over_chord(w.reading, np.nan_to_num(self.turning))
        self.speed = np.where(backwards, -1, 1) * stretch * np.hypot(w.rate(x), w.rate(y))

    def speed_rate(self) -> Float[np.ndarray, " W"]:
        """Rate of the speed of the positions over each window in m/s^2."""
        half = max(1, self.windows.rows // 2)
        rate = np.full_like(self.speed, np.nan)
        rate[half:-half] = (self.speed[2 * half :] - self.speed[: -2 * half]) / (2 * half * self.windows.step)
        return rate
