"""Drive with a guess, learn from the log, drive again; beside a cautious guess and one who knows the road."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from pct.dynamics.core import ModelSpec
from pct.dynamics.limits import GRAVITY
from pct.racing.controllers import BRAKING, DRIVING, Mppi, PurePursuit
from pct.racing.laps import Laps, drive
from pct.racing.plants import CommonRoad
from pct.racing.profile import speed_profile
from pct.racing.tracks import Track

# Shares of the believed grip, and of what the controller brakes and drives with, that the profile asks for.
MARGIN, IN_HAND = 0.8, 0.8
TOP, FIRST = 45.0, 20.0
CONTROLLERS = ("mppi", "pursuit")


@dataclasses.dataclass(frozen=True, eq=False)
class Attempt:
    """A drive and what was believed of the car.

    Attributes:
        name: who drives: ``guess``, ``learned``, ``cautious``, ``oracle``.
        believed: parameters that differ from the model's defaults.
        laps: what it came to.
    """

    name: str
    believed: Mapping[str, Any]
    laps: Laps


def attempt(
    name: str,
    spec: ModelSpec,
    believed: Mapping[str, Any],
    plant: CommonRoad,
    track: Track,
    *,
    laps: int = 1,
    controller: str = "mppi",
    seed: int = 0,
    event: Callable[[float], None] = lambda way: None,
) -> Attempt:
    """Drive with what is believed of the car.

    Args:
        name: of the attempt.
        spec: the model, `singletrack-drift` with a vehicle.
        believed: values in place of its defaults; ``mu`` gives the speed profile.
        plant: the car.
        track: the track.
        laps: how many.
        controller: ``mppi`` or ``pursuit``.
        seed: of noise and tried controls.
        event: see `pct.racing.laps.drive`.
    """
    params = {**spec.default_params, **believed}
    grip = float(params["mu"])
    speed = speed_profile(
        track,
        grip,
        accel=IN_HAND * DRIVING * grip * GRAVITY,
        brake=IN_HAND * BRAKING * grip * GRAVITY,
        top=TOP,
        margin=MARGIN,
    )
    driver = (
        Mppi(spec, params, track, speed, seed) if controller == "mppi" else PurePursuit(params, track, speed)
    )
    start = min(0.9 * float(speed[0]), FIRST)
    driven = drive(plant, driver, track, laps=laps, speed=start, seed=seed, event=event)
    return Attempt(name, dict(believed), driven)
