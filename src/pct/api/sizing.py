"""Which car `run` takes it to be, and its wheelbase: from the motion, and from what predicts best."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from pct.api.cars import Car, model
from pct.api.drives import Drives
from pct.api.fitting import fit, observed
from pct.choices.car import (
    Size,
    measure,
    nearest_vehicle,
    to_scale,
    tolerance,
    vehicles_near,
    wheelbase_of,
)
from pct.choices.plan import Plan
from pct.choices.questions import Ask, ask_wheelbase
from pct.choices.steps import KINDS, Steps
from pct.errors import DataError, DivergedError
from pct.measurement.steering import MOST_BENT

# A relative standard error of a wheelbase or a ratio that leaves no doubt.
CLEAR = 0.04
# Of vehicles between which the motion does not decide, one predicts so much better.
DECIDES = 0.1
HOW = "steering, speed and yaw rate at low acceleration"


class Trial(NamedTuple):
    """Short fits that tell cars apart.

    Attributes:
        car: of a vehicle, that is fitted.
        error: what a short fit leaves on the part that is held out, see `pct.choices.judging`; None where
            nothing is.
        settings: of short fits.
        angle: whether the steering is an angle that was measured at the wheels.
        named: whether the map is sure that it is an angle at the wheels at all.
        taken: whether its unit rests on a usual ratio or lock: then no wheelbase tells a known vehicle.
    """

    car: Callable[[str], Car]
    error: Callable[[Car], float] | None
    settings: Mapping[str, Any]
    angle: bool
    named: bool = True
    taken: bool = False


def choose_size(
    plan: Plan,
    train: Drives,
    trial: Trial | None,
    steps: Steps,
    ask: Ask | None = None,
) -> tuple[str, float | None, list[str]]:
    """The vehicle, the wheelbase in m where it is known, and what is not sure about them.

    Args:
        plan: takes the choices.
        train: the drives.
        trial: None where the drives feed no model with a wheelbase.
        steps: takes each trial.
        ask: asks for a wheelbase that is not sure; None where nobody is there.
    """
    size = measure([trajectory for _, trajectory in train.recordings])
    spec = model("kinematic-singletrack").base
    near = vehicles_near(size, spec)
    clear = size.wheelbase is not None and size.error < CLEAR * size.wheelbase

    def which_vehicle() -> tuple[str, str]:
        name, reason = nearest_vehicle(size, spec)
        if clear or len(near) < 2 or trial is None or trial.error is None or not trial.angle:
            return name, reason
        found = {}
        steps.expect(len(near) + KINDS["trial"][1])
        for other in near:
            steps.trying(other)
            found[other] = trial.error(trial.car(other))
        first, second = sorted(found, key=found.__getitem__)[:2]
        share = math.expm1(found[second] - found[first])
        if not share > DECIDES:
            return name, f"{reason}; {' and '.join(near)} predict alike"
        return first, f"wheelbase about {size.told}; with {second}, errors are {share:.0%} larger"

    def wheelbase() -> tuple[float, str]:
        found, own = float(size.wheelbase or 0.0), wheelbase_of(vehicle, spec)
        if vehicle in near and abs(math.log(found / own)) <= tolerance(size):
            return own, f"that of the vehicle; {HOW} tell {size.told}"
        # Only an angle that is one at the wheels tells more.
        if trial is None or not trial.angle:
            return found, HOW
        steps.trying("the wheelbase")
        ratio = _ratio(sized(trial.car(vehicle), found), train, trial.settings)
        return found / ratio, f"{HOW}, and then such that the steering angle needs no ratio"

    vehicle = plan.choose("car.vehicle", which_vehicle)
    given = {"car.vehicle", "car.wheelbase"} & {*plan.given}
    own = wheelbase_of(vehicle, spec)
    alone = near == [vehicle] and abs(math.log((size.wheelbase or own) / own)) <= tolerance(size)
    named = trial is None or trial.named
    alone = alone and not (trial is not None and trial.taken)
    unsure = [] if given or (clear and named) or alone else [_doubt(size, vehicle, near, named=named)]
    if unsure and ask is not None:
        answer = ask_wheelbase(ask, unsure[0].partition(": measure it")[0])
        if answer is not None:
            plan.given, unsure = {**plan.given, "car.wheelbase": answer}, []
    length: float | None = None
    if size.wheelbase is not None or "car.wheelbase" in plan.given:
        length = plan.choose("car.wheelbase", wheelbase)
    return vehicle, length, unsure


def sized(car: Car, length: float | None) -> Car:
    """The car brought to a wheelbase in m, where that is known."""
    if length is None or "lf" not in car.base.default_params:
        return car
    return dataclasses.replace(car, base=to_scale(car.base, length))


def _ratio(car: Car, train: Drives, settings: Mapping[str, Any]) -> float:
    """The ratio of the steering angle at the wheels to the logged one that a short fit finds."""
    try:
        found = fit(observed(car.measured(steering=True)), train, **settings)
    except (DivergedError, DataError):
        return 1.0
    if float(found.deviations["steering_ratio"]) > CLEAR:
        return 1.0  # it trades off with the stiffness of the tyres
    angle = np.concatenate([trajectory.channels["delta"] for _, trajectory in train.recordings])
    bent = float(found.params["steering_curve"]) * float(np.mean(angle**2))
    return float(found.params["steering_ratio"]) * (1 + max(bent, MOST_BENT))


def _doubt(size: Size, vehicle: str, near: list[str], *, named: bool) -> str:
    """What is not sure about a car whose wheelbase the drives do not tell well, or only where the steering is
    an angle at the wheels, which nothing says."""
    told = "do not tell it"
    if size.wheelbase is not None:
        others = [name for name in near if name != vehicle]
        told = f"tell {size.told} only" + (f", which {' and '.join(others)} may be as well" if others else "")
        told += "" if named else ", and that only if the steering is an angle at the wheels"
    return (
        f"wheelbase: the drives {told}, so that {vehicle} is a guess, and masses, inertias and stiffnesses "
        "with it: measure it and pass `wheelbase`"
    )
