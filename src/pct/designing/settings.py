"""Settings of a design: keyword arguments of `pct.design`, flags of `pct design`."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from pct.within import Within

LENGTH = Within(0, 1e5, "m", open_low=True)
ACCELERATION = Within(0, 200, "m/s^2", open_low=True)
SPEED = Within(0, 150, "m/s", open_low=True)
ANGLE = Within(0, 1.5, "rad", open_low=True)
WORK = Within(0, 1e9, open_low=True)


@dataclasses.dataclass(frozen=True)
class DesignSettings:
    """What the drive may do, what is not known of the car, and how long the search takes."""

    duration: Annotated[float, Within(1, 600, "s")] = 20.0
    """Length of the drive [s]."""
    dt: Annotated[float, Within(0.005, 0.2, "s")] = 0.02
    """Step of the drive and of the log that it will leave [s]."""
    area: tuple[Annotated[float, LENGTH], Annotated[float, LENGTH]] = (20.0, 20.0)
    """Length and width of a free rectangle, along x and y [m]."""
    margin: Annotated[float, Within(0, 1e4, "m")] | None = None
    """Distance that the car's centre keeps from the edge [m]. Default: a wheelbase."""
    speed: Annotated[float, SPEED] | None = None
    """Highest speed [m/s]. Default: that of a circle as wide as half the area, at half of gravity; on a
    road the
    model's top speed."""
    slip: Annotated[float, ANGLE] = 0.5
    """Largest slip angle of the rear axle [rad]. What a tyre does at its peak and beyond shows only where
    it may
    slip as far: soft tyres at 0.4, stiff ones at 0.1."""
    acceleration: Annotated[float, ACCELERATION] | None = None
    """Largest acceleration in the plane [m/s^2]. Default: none; 0.8 of the friction for a model whose tyres
    are linear."""
    steering: Annotated[float, ANGLE] | None = None
    """Largest steering angle [rad]. Default: the model's stop."""
    steering_rate: Annotated[float, Within(0, 100, "rad/s", open_low=True)] | None = None
    """Fastest steering [rad/s]. Default: the model's."""
    energy: Annotated[float, WORK] | None = None
    """Most work of the motor over the whole drive, by mass [J/kg]: the battery's patience. Default: none."""
    sliding: Annotated[float, WORK] | None = None
    """Longest way that the rear axle may slide sideways over the whole drive [m]: the tyres' patience.
    Default: none."""
    spread: Annotated[float, Within(0, 3)] = 0.3
    """How unsure the parameters are where no fit says so: standard deviation (logit space between their
    bounds) [1]; 0.3 is 43 to 57 % of the range."""
    prior: Annotated[float, Within(1e-6, 1e6)] = 1.0
    """Prior standard deviation of the fit that will read the drive (logit space) [1]."""
    draws: Annotated[int, Within(1, 100)] = 6
    """Cars that the search drives, the guess and draws about it [cars]."""
    candidates: Annotated[int, Within(4, 200)] = 16
    """Drives that are tried in each generation of the search [drives]."""
    generations: Annotated[int, Within(1, 10_000)] = 400
    """Generations of the search [1]."""
    window: Annotated[float, Within(0.05, 60, "s")] = 1.0
    """Length of the windows of the fit that will read the drive [s]; their starts are unknown."""
    seed: Annotated[int, Within(0, 2**32 - 1)] = 0
    """Seed of the draws and of the search."""
