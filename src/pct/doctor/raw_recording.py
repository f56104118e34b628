"""A log before any repair, and its uniform pieces, which the checks compare.

A `Recording` keeps the rows of one file with the units and signs of its map; nothing is cut, filled or
resampled. A fault that a check finds is mended in a new recording (`scaled`, `without`, ...), so that the
next check does not trip over it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from pct.doctor.statistics import Column
from pct.dynamics.channels import is_heading
from pct.logs.blocks import unwrap_if_needed
from pct.logs.signals import FREE_PREFIXES
from pct.recordings.derive import derive
from pct.recordings.gaps import usual_step
from pct.recordings.time_steps import LEAST, rows_of
from pct.types import Bool, Int

# A longer step than this many usual ones ends a piece.
GAP = 3.0
# Shorter pieces, in rows, are not compared.
ROWS = 30
# Stamps this near to a uniform grid, in steps, lie on it.
ON_GRID = 1e-6
# A heading in radians that jumps by full turns stays within these.
WRAPPED = 2 * np.pi + 0.1


class Piece(NamedTuple):
    """Uninterrupted rows on a uniform grid.

    Attributes:
        dt: time step in s.
        start: time of the first row in s.
        columns: values by channel name, SI, headings unwrapped, no value missing, (N,) each.
    """

    dt: float
    start: float
    columns: Mapping[str, Column]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def get(self, name: str) -> Column | None:
        """A channel, logged or derived from logged ones."""
        return derive(name, self.columns, self.dt)


def unwrapped(heading: Column) -> Column:
    """A heading without its jumps of a full turn, also where it may be in degrees; no value missing, (N,)."""
    if np.abs(heading).max(initial=0.0) <= WRAPPED:
        return unwrap_if_needed(heading)
    # It is unwrapped already, or no radians: then a fast turn must not be taken for a jump.
    return np.unwrap(heading, period=360.0)


@dataclasses.dataclass(frozen=True, eq=False)
class Recording:
    """Rows of one file.

    Attributes:
        name: of the recording; the file's stem.
        where: the file, for messages.
        time: time stamps in s as logged, (N,).
        channels: values by channel name, SI by the map, NaN where missing, (N,) each.
        origins: ``measured``, ``command`` or ``derived`` by channel name.
        sources: raw column and its declared unit by channel name.
        rows: where each row stands in the file, (N,).
        place: what ``rows`` counts: ``line`` or ``row``.
        delays: by how many seconds a channel lags by the map.
        breaks: indices before which a new piece starts, though the time goes on.
        raw: whether it comes through a map, so that a line of it can mend something.
        gap: a longer step than this many usual ones is a gap, by the map.
        signed_by_motion: channels that hold magnitudes by the map.
        held: channels that the map, or the import, has read where they change.
        cuts: whether the map cuts or bridges faults.
    """

    name: str
    where: str
    time: Column
    channels: Mapping[str, Column]
    origins: Mapping[str, str]
    sources: Mapping[str, tuple[str, str]]
    rows: Int[np.ndarray, " _"]
    place: str = "row"
    delays: Mapping[str, float] = dataclasses.field(default_factory=dict)
    breaks: tuple[int, ...] = ()
    raw: bool = False
    gap: float = 1.5
    signed_by_motion: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    cuts: bool = False

    def __len__(self) -> int:
        return len(self.time)

    @cached_property
    def dt(self) -> float:
        """Usual time step in s: the mean of those near the median one; a nanosecond where it is less."""
        steps = np.diff(self.time)
        steps = steps[np.isfinite(steps) & (steps > 0)]
        if not len(steps):
            return 1.0
        return max(usual_step(steps, self.gap), LEAST)

    @property
    def begin(self) -> float:
        """The earliest stamp in s; zero where there is none."""
        stamps = self.time[np.isfinite(self.time)]
        return float(stamps.min()) if len(stamps) else 0.0

    @cached_property
    def remembered(self) -> dict[Hashable, Any]:
        """What checks have worked out about it and will ask for again."""
        return {}

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """The recording between its gaps, resets and breaks, each part on a uniform grid."""
        stamped = np.flatnonzero(np.isfinite(self.time))
        steps = np.diff(self.time[stamped])
        cuts = np.flatnonzero(~((steps > 0) & (steps <= GAP * self.dt))) + 1
        cuts = np.union1d(cuts, np.searchsorted(stamped, np.array(self.breaks, int)))
        pieces = (self._piece(rows) for rows in np.split(stamped, cuts.astype(int)) if len(rows) >= ROWS)
        return tuple(piece for piece in pieces if piece is not None)

    def _piece(self, rows: Int[np.ndarray, " _"]) -> Piece | None:
        # Nothing is copied where all rows of a stretch have a stamp.
        whole = rows[-1] - rows[0] == len(rows) - 1
        inside = slice(rows[0], rows[-1] + 1) if whole else rows
        time = self.time[inside]
        grid = time[0] + self.dt * np.arange(int((time[-1] - time[0]) / self.dt + 0.02) + 1)
        on_grid = len(grid) == len(time) and np.abs(grid - time).max() < ON_GRID * self.dt
        columns = {}
        for name, values in self.channels.items():
            column = values[inside]
            good = np.isfinite(column)
            if good.mean() < 0.5:
                continue
            known = column if good.all() else column[good]
            known = unwrapped(known) if is_heading(name) else known
            delay = self.delays.get(name, 0.0)
            if len(known) == len(grid) and on_grid and not delay:
                columns[name] = known
            else:
                columns[name] = np.interp(grid + delay, time[good], known)
        return Piece(self.dt, float(time[0]), columns) if columns and len(grid) >= ROWS else None

    def rows_of(self, seconds: float, *, least: int = 1) -> int:
        """How many of its rows a time in s takes, no more than there are."""
        return rows_of(seconds, self.dt, most=max(len(self), 1), least=least)

    def has(self, *names: str) -> bool:
        """Whether all these channels are logged."""
        return all(name in self.channels for name in names)

    def measured(self, name: str) -> bool:
        """Whether a channel says what happened, not what was asked for."""
        return name in self.channels and self.origins.get(name) != "command"

    def sensor_channels(self) -> list[str]:
        """Channels of the vehicle's own sensors: measured, and neither features nor known truth."""
        return [n for n in self.channels if self.measured(n) and not n.startswith(FREE_PREFIXES)]

    def called(self, name: str) -> str:
        """A channel as messages call it, with its raw column."""
        column = self.sources.get(name, (name, ""))[0]
        return f"'{name}'" if column in (name, "") else f"'{name}' (column '{column}')"

    # The recording without a fault.

    def scaled(self, factors: Mapping[str, float]) -> Recording:
        """Channels multiplied by a factor each."""
        changed = {name: self.channels[name] * factor for name, factor in factors.items()}
        return dataclasses.replace(self, channels={**self.channels, **changed})

    def shifted(self, name: str, offset: float) -> Recording:
        """A constant added to a channel."""
        return dataclasses.replace(self, channels={**self.channels, name: self.channels[name] + offset})

    def with_channel(self, name: str, column: Column) -> Recording:
        """Another column for a channel."""
        return dataclasses.replace(self, channels={**self.channels, name: column})

    def without(self, *names: str) -> Recording:
        """Channels left out."""
        others = {name: column for name, column in self.channels.items() if name not in names}
        return dataclasses.replace(self, channels=others)

    def blanked(self, wrong: Mapping[str, Bool[np.ndarray, " _"]]) -> Recording:
        """Single values taken as missing."""
        changed = {name: np.where(rows, np.nan, self.channels[name]) for name, rows in wrong.items()}
        return dataclasses.replace(self, channels={**self.channels, **changed})

    def selected(self, rows: Bool[np.ndarray, " _"]) -> Recording:
        """Some rows only."""
        index = np.cumsum(rows) - rows
        return dataclasses.replace(
            self,
            time=self.time[rows],
            channels={name: column[rows] for name, column in self.channels.items()},
            rows=self.rows[rows],
            breaks=tuple(int(index[k]) for k in self.breaks),
        )

    def restamped(self, wrong: Bool[np.ndarray, " _"]) -> Recording:
        """Stamps of some rows taken anew from those of their neighbours."""
        index = np.arange(len(self))
        time = np.interp(index, index[~wrong], self.time[~wrong])
        return dataclasses.replace(self, time=time)

    def sparse(self, name: str) -> Recording:
        """Only the rows in which a channel changes; between them it is taken to go straight."""
        column = self.channels[name]
        same = np.concatenate([[False], column[1:] == column[:-1]])
        return self.blanked({name: same})

    def sharpened(self, names: tuple[str, ...], constant: float) -> Recording:
        """Channels before a first-order low-pass of a time constant in s: value plus that times its rate."""
        restored = {
            name: self.channels[name] + constant * np.gradient(self.channels[name], self.dt) for name in names
        }
        return dataclasses.replace(self, channels={**self.channels, **restored})

    def broken(self, before: Int[np.ndarray, " _"]) -> Recording:
        """New pieces from these rows on."""
        return dataclasses.replace(self, breaks=tuple(sorted({*self.breaks, *map(int, before)})))

    def sooner(self, lags: Mapping[str, float]) -> Recording:
        """Channels moved back by their lag in s."""
        delays = {name: self.delays.get(name, 0.0) + lag for name, lag in lags.items()}
        return dataclasses.replace(self, delays={**self.delays, **delays})
