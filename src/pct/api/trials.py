"""What `run` adds to a car on trial: options, effects and readings that predict the held-out part better."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from pct.api.cars import Car
from pct.api.drives import Drives
from pct.api.fitting import fit
from pct.choices.car import Size
from pct.choices.judging import unlikelihood
from pct.choices.plan import Plan
from pct.choices.steps import Steps
from pct.errors import DataError, DivergedError, UsageError
from pct.recordings.feeding import shared_channels
from pct.recordings.unlogged import has

# Windows of a fit that only serves a choice, and by how much its errors must be smaller.
SOME, BETTER = 300, 0.02
# Lateral acceleration in m/s² up to which no option of a model is tried: most tell how tyres slide.
SLIDING = 3.0
# By how much an option must make errors smaller: it may say more of one drive than of the car.
MUCH_BETTER = 0.05
# Effects of sensors and actuators that are tried, one after the other.
EFFECTS: Mapping[str, Any] = {"misaligned": True, "steering": True, "actuator_lag": ["delta"]}


class Grounds(NamedTuple):
    """What the choices of a car rest on.

    Attributes:
        plan: takes each choice with its reason.
        train: drives that are fitted.
        held_out: drives that judge; None where there are none.
        settings: of short fits.
        steps: says what is tried.
    """

    plan: Plan
    train: Drives
    held_out: Drives | None
    settings: Mapping[str, Any]
    steps: Steps

    def tried(self, car: Car, **settings: Any) -> float:
        """What a short fit leaves on the part that is held out; infinite where it cannot be fitted."""
        assert self.held_out is not None
        try:
            found = fit(car, self.train, samples=SOME, iterations=15, **{**self.settings, **settings})
            return unlikelihood(found.model, self.held_out.recordings)
        except (DivergedError, DataError):
            return math.inf


def with_options(car: Car, grounds: Grounds, car_of: Callable[[str], Car], size: Size) -> Car:
    """The car with the options of its model that make it predict better; each is kept that does."""
    name, *named = car.base.name.split("+")
    if not car.base.options or named:
        return car

    def with_option(*options: str) -> Car:
        return dataclasses.replace(car, base=car_of("+".join((name, *options))).base)

    def which() -> tuple[list[str], str]:
        if grounds.held_out is None:
            return [], "nothing is held out to try them on"
        if size.lateral < SLIDING:
            return [], f"bends of up to {size.lateral:.1f} m/s² do not make tyres slide"
        kept: list[str] = []
        found = first = grounds.tried(car)
        grounds.steps.expect(len(car.base.options))
        for option in car.base.options:
            grounds.steps.trying(option)
            more = grounds.tried(with_option(*kept, option))
            if more < found - MUCH_BETTER:
                kept, found = [*kept, option], more
        if not kept:
            return [], "none makes errors on the part held out smaller"
        return kept, f"with them, errors on the part held out are {difference(found, first)}"

    return with_option(*grounds.plan.choose("car.options", which))


def with_relaxation(car: Car, grounds: Grounds, size: Size) -> Car:
    """The car with tyres whose forces follow their slip angles over a length, where that predicts better."""
    key = "measurement.relaxation"
    try:
        more = car.measured(relaxation=True)
    except UsageError:
        if key in grounds.plan.given:
            raise
        return car  # the model has no such tyres

    def which() -> tuple[bool, str]:
        if grounds.held_out is None:
            return False, "nothing is held out to try it on"
        if size.lateral < SLIDING:
            return False, f"bends of up to {size.lateral:.1f} m/s² hardly make tyres slip"
        grounds.steps.trying("relaxation")
        first, found = (grounds.tried(one) for one in (car, more))
        return found < first - MUCH_BETTER, (
            f"with it, errors on the part held out are {difference(found, first)}"
        )

    return more if grounds.plan.choose(key, which) else car


def with_accelerometer(car: Car, grounds: Grounds) -> Car:
    """The car with the lateral acceleration compared, where no position is logged to compare in its place."""
    key = "measurement.accelerometer"

    def with_readings(names: Sequence[str]) -> Car:
        if not names:
            return car
        return car.measured(accelerometer=names, accelerometer_place=True, accelerometer_tilt=names)

    if key in grounds.plan.given:
        return with_readings(grounds.plan.choose(key, answer([], "")))
    logged = shared_channels(drive.channels for drive in grounds.train)
    if "ay" not in logged or "psi_dot" not in car.spec.state_names or has("x", logged):
        return car
    if grounds.held_out is None:
        grounds.plan.choose(key, answer([], "nothing is held out to try it on"))
        return car
    grounds.steps.trying("accelerometer")
    more = with_readings(["ay"])
    found = grounds.tried(more, compare=[*grounds.settings["compare"], "ay"])
    best = grounds.tried(car)
    reason = f"with its place and tilt, errors on the part held out are {difference(found, best)}"
    # It says of side forces what nothing else does, so that it need not predict better.
    keeps = found < best + BETTER
    grounds.plan.choose(key, answer(["ay"] if keeps else [], reason))
    return more if keeps else car


def is_command(drives: Drives, doubts: Sequence[str]) -> bool:
    """Whether the steering was asked for, or is something else than the angle of the wheels."""
    origins = {drive.trajectory.origins.get("delta") for drive in drives}
    return "command" in origins or may_be_no_angle(doubts)


def may_be_no_angle(doubts: Sequence[str]) -> bool:
    """Whether the map is not sure that the steering is an angle at the wheels, in the unit that it takes."""
    return any(words in _of_steering(doubts) for words in ("not named an angle", "steering wheel"))


def is_taken(doubts: Sequence[str]) -> bool:
    """Whether the map has taken a usual ratio or lock, since nothing tells the angle at the wheels."""
    return " is taken " in _of_steering(doubts)


def _of_steering(doubts: Sequence[str]) -> str:
    return next((line for line in doubts if line.startswith("channels.delta ")), "")


def possible_effects(drives: Drives, doubts: Sequence[str]) -> dict[str, Any]:
    """The effects that may be: an angle that was measured at the wheels has passed its actuator."""
    if is_command(drives, doubts):
        return dict(EFFECTS)
    return {name: value for name, value in EFFECTS.items() if name != "actuator_lag"}


def with_effects(car: Car, grounds: Grounds, effects: Mapping[str, Any]) -> Car:
    """The car with the effects of sensors and actuators that make it predict better."""
    best: float | None = None
    for effect, value in EFFECTS.items():
        key = f"measurement.{effect}"
        nothing: Any = [] if isinstance(value, list) else False
        if effect not in effects and key not in grounds.plan.given:
            grounds.plan.choose(key, answer(nothing, "the steering angle is measured, behind its actuator"))
            continue
        try:
            more = car.measured(**{effect: grounds.plan.given.get(key, value)})
        except UsageError:
            if key in grounds.plan.given:
                raise
            continue  # the model has no such channel
        if key in grounds.plan.given:
            grounds.plan.choose(key, answer(nothing, ""))
            car = more
        elif grounds.held_out is None:
            grounds.plan.choose(key, answer(nothing, "nothing is held out to try it on"))
        else:
            best = grounds.tried(car) if best is None else best
            grounds.steps.trying(effect)
            found = grounds.tried(more)
            reason = f"with it, errors on the part held out are {difference(found, best)}"
            if found < best - BETTER:
                car, best, kept = more, found, value
            else:
                kept = nothing
            grounds.plan.choose(key, answer(kept, reason))
    return car


def difference(one: float, other: float) -> str:
    """How much smaller or larger errors are, by what `tried` says of two cars."""
    share = math.expm1(one - other)
    return (
        "not known"
        if not math.isfinite(share)
        else f"{abs(share):.0%} {'smaller' if share < 0 else 'larger'}"
    )


def answer(value: Any, reason: str) -> Callable[[], tuple[Any, str]]:
    """What a plan calls for a choice that needs no work."""
    return lambda: (value, reason)
