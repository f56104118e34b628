"""Settings of a simulation: keyword arguments of `pct.simulation.drive.simulate`, flags of `pct simulate`."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from pct.errors import UsageError
from pct.within import Within, shown

RECORDINGS = Within(1, 100_000)
DURATION = Within(0, 1e6, "s", open_low=True)
FRICTION = Within(0.05, 1.5)
SURFACES = Within(1, 1000)
SPEED = Within(0, 150, "m/s", open_low=True)
GRIP = Within(0, 1, open_low=True)
LAUNCHES = Within(0, 1)
NOISE = Within(0, 1000)
SEED = Within(0, 2**63 - 1)
MOST_ROWS = 10_000_000
"""Rows of all recordings together, some gigabytes while they are made."""


@dataclasses.dataclass(frozen=True)
class SimulationSettings:
    """How recordings are driven."""

    recordings: Annotated[int, RECORDINGS] = 12
    """Number of recordings."""
    duration: Annotated[float, DURATION] = 60.0
    """Length of each recording [s]."""
    dt: Annotated[float, Within(0, 1, "s", open_low=True)] = 0.05
    """Logging step [s]."""
    mu: tuple[Annotated[float, FRICTION], ...] = (0.4, 1.0)
    """Friction of the surfaces [1]: one value; LOW HIGH for a range, shared out evenly; or three and more
    values, one a surface."""
    surfaces: Annotated[int, SURFACES] = 1
    """Recordings take turns in driving over 1, 2, ... up to this many surfaces."""
    speed: tuple[Annotated[float, SPEED], ...] = (2.5, 7.0)
    """Lowest and highest speed aimed at [m/s]."""
    grip: Annotated[float, GRIP] = 0.8
    """Largest share of the surface's friction that the driver asks for [1]."""
    launches: Annotated[float, LAUNCHES] = 0.0
    """Share of the recordings that start at standstill [1]."""
    noise: Annotated[float, NOISE] = 1.0
    """Multiplier of the sensor noise [1]; 0 records the exact state."""
    seed: Annotated[int, SEED] = 0
    """Seed of everything random: the same command writes the same bytes."""

    @property
    def steps(self) -> int:
        """Rows of each recording."""
        return round(self.duration / self.dt)

    def validate(self) -> None:
        """Raise UsageError for values that do not fit each other."""
        if self.duration < 2 * self.dt:
            raise UsageError(
                f"`duration`: expected at least two time steps of {self.dt:g} s, got {shown(self.duration)}"
            )
        if self.duration / self.dt * self.recordings > MOST_ROWS:
            raise UsageError(
                f"`duration`: expected at most {MOST_ROWS} rows in all, got {self.recordings} recordings of "
                f"{self.steps}: pass less, or a longer `dt`"
            )
        if not self.mu or (len(self.mu) == 2 and self.mu[0] > self.mu[1]):
            raise UsageError(f"`mu`: expected the low end of the range first, got {list(self.mu)}")
        if len(self.speed) != 2 or self.speed[0] > self.speed[1]:
            raise UsageError(f"`speed`: expected LOW HIGH in m/s, got {list(self.speed)}")
