"""Drives with what is believed of a car: a guess, what its log taught, caution, or the truth."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pct.dynamics.core import ModelSpec
from pct.dynamics.limits import GRAVITY
from pct.racing.beliefs import Belief, Following
from pct.racing.controllers import (
    BRAKING,
    DRIVING,
    FULL_SIZE,
    Controller,
    Mppi,
    PurePursuit,
    Range,
    ranges,
)
from pct.racing.laps import Laps, drive
from pct.racing.plants import CommonRoad
from pct.racing.profile import speed_profile
from pct.racing.tracks import Track
from pct.types import Float

# Shares of the believed grip, and of what the controller brakes and drives with, that the profile asks for.
MARGIN, IN_HAND = 0.8, 0.8
TOP, FIRST = 45.0, 20.0
CONTROLLERS = ("mppi", "pursuit")


@dataclasses.dataclass(frozen=True, eq=False)
class Attempt:
    """A drive and what was believed of the car.

    Attributes:
        name: who drives, such as ``guess``, ``learned``, ``cautious``, ``oracle``.
        believed: parameters that differ from the model's defaults, at the start.
        laps: what it came to.
        course: friction that was believed in at each row of the log.
    """

    name: str
    believed: Mapping[str, Any]
    laps: Laps
    course: Float[np.ndarray, " N"]


def wanted_speed(track: Track, grip: float | Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """The profile that the drivers here follow, of a grip everywhere or at each point."""
    limits = IN_HAND * GRAVITY * np.asarray(grip)
    return speed_profile(track, grip, accel=DRIVING * limits, brake=BRAKING * limits, top=TOP, margin=MARGIN)


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
    belief: Belief | None = None,
    profile: Callable[[float], Float[np.ndarray, " N"]] | None = None,
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
        belief: what the friction follows after the start; it stays when left out.
        profile: speed along the track of a friction; `wanted_speed` when left out.
    """
    params = {**spec.default_params, **believed}
    profile = profile or (lambda grip: wanted_speed(track, grip))
    speed = profile(float(params["mu"]))
    tuning = (
        FULL_SIZE if belief is None else dataclasses.replace(FULL_SIZE, ranges=braking_as(params), haste=1.0)
    )
    driver: Controller = (
        Mppi(spec, params, track, speed, seed, tuning)
        if controller == "mppi"
        else PurePursuit(params, track, speed)
    )
    following = None if belief is None else Following(driver, belief, params, profile)
    start = min(0.9 * float(speed[0]), FIRST)
    driven = drive(plant, following or driver, track, laps=laps, speed=start, seed=seed, event=event)
    rows = len(driven.log["x"])
    course = np.full(rows, float(params["mu"])) if following is None else np.array(following.course)
    return Attempt(name, dict(believed), driven, course)


def braking_as(first: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], tuple[Range, Range]]:
    """What is asked for of a car whose friction may be believed to fall.

    Who believes in less is too fast, and has to try all that the brakes may give: how much of that the road
    takes is for the rollouts to say.
    """

    def asked(params: Mapping[str, Any]) -> tuple[Range, Range]:
        steering, (low, high) = ranges(params)
        return steering, (min(low, ranges(first)[1][0]), high)

    return asked
