"""Which car a log is of, for `pct.run`: its model, size, what is held and measured, each with its reason."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pct.api.cars import Car, model
from pct.api.drives import Drives
from pct.api.fitting import observed
from pct.api.sizing import Trial, choose_size, sized
from pct.api.trials import (
    EFFECTS,
    SOME,
    Grounds,
    answer,
    difference,
    is_command,
    is_taken,
    may_be_no_angle,
    possible_effects,
    with_accelerometer,
    with_effects,
    with_options,
    with_relaxation,
)
from pct.choices.car import measure
from pct.choices.plan import Plan
from pct.choices.questions import Ask
from pct.choices.steps import Steps
from pct.errors import DataError
from pct.measurement.accelerometer import AXES
from pct.recordings.derive import is_measured
from pct.recordings.feeding import feeding, shared_channels
from pct.recordings.unlogged import goes_straight

# The models that a log may feed, the richest first.
MODELS = ("singletrack-pacejka", "singletrack", "kinematic-singletrack", "unicycle")
# What driving does not tell of each, so that it is held: forces show over mass only.
HELD = {"singletrack-pacejka": ("C_b",), "singletrack": ("m",)}
# Seconds of a time step at least, of a horizon and of the history before it.
STEP, SECONDS = 0.04, 1.0
# Slower than this, in m/s, not even a model car drives.
STANDS = 0.3
NO_STEERING = (
    "steering: no column that varies is delta, so that tyres and inertia are not learned: log it, and steer"
)
# What a log that goes straight ahead tells of each; there all else is held.
ALONG = {
    "singletrack-pacejka": ("C_m1", "C_m2", "C_r0", "C_r2", "C_b"),
    "unicycle": ("alpha_accel", "beta_accel"),
}


def choose_car(
    plan: Plan,
    train: Drives,
    held_out: Drives | None,
    doubts: Sequence[str],
    steps: Steps,
    ask: Ask | None,
) -> tuple[Car, dict[str, Any], list[str]]:
    """The car, the settings of its fit, and what is not sure about the car.

    Args:
        plan: choices that are made already, and those that this makes.
        train, held_out: drives to fit to, and those to judge alternatives on; None where there are too few.
        doubts: of the map, in sentences.
        steps: told what is tried.
        ask: asks the user where the wheelbase is not sure; None asks nothing.

    Raises:
        DataError: the log feeds no model, or the car stands.
    """
    settings = _window_settings(plan, train)
    held = shared_channels(drive.channels for drive in train)
    feeds = _fed_models(train, held, asked="car.model" in plan.given)
    grounds = Grounds(plan, train, held_out, settings, steps)

    def tried(car: Car, name: str) -> float:
        return grounds.tried(observed(car), compare=_compared(name, train))

    # Of models with a wheelbase the richest tells vehicles apart.
    straight = goes_straight(held)
    rich = None if straight else next((name for name in feeds if name in HELD), None)
    trial = None
    if rich is not None:
        short = {**settings, "compare": _compared(rich, train), "samples": SOME, "iterations": 15}
        trial = Trial(
            lambda vehicle: _with_held(model(rich, vehicle=vehicle), _held(rich)),
            None if held_out is None else lambda car: tried(car, rich),
            short,
            not is_command(train, doubts),
            not may_be_no_angle(doubts),
            is_taken(doubts),
        )
    # A model without axles has no use for a wheelbase.
    has_axles = any("lf" in model(name).base.default_params for name in feeds)
    vehicle, length, unsure = choose_size(plan, train, trial, steps, ask if has_axles else None)

    if not has_axles:
        unsure = [] if straight or "delta" in held else [NO_STEERING]

    def car_of(name: str) -> Car:
        return sized(model(name, vehicle=vehicle), length)

    def which_model() -> tuple[str, str]:
        rivals = feeds[:2]
        if held_out is None or len(rivals) == 1:
            return rivals[0], "the richest that the channels feed"
        found = {}
        for name in rivals:
            steps.trying(name)
            found[name] = tried(_with_held(car_of(name), _held(name)), name)
        best = min(found, key=found.__getitem__)
        other = next(name for name in rivals if name != best)
        share = difference(found[best], found[other])
        return best, f"its errors on the part held out are {share} than those of {other}"

    name = plan.choose("car.model", which_model)

    def which_fixed() -> tuple[list[str], str]:
        if straight and name in ALONG:
            others = [key for key in model(name).learned if key not in ALONG[name]]
            return others, "nothing tells of turning: the car is taken to go straight ahead"
        if _held(name):
            return _held(name), "driving does not tell them: weigh and measure"
        return [], "all can be learned"

    fixed = plan.choose("car.fixed", which_fixed)
    car = observed(_with_held(car_of(name), fixed))
    compare = plan.choose(
        "fit.compare",
        answer(_compared(name, train), "of what the model tells, what the logs show without a derivative"),
    )
    # A plan whose model was edited may name channels of the one before.
    settings["compare"] = [channel for channel in compare if channel in car.spec.state_names]
    if not straight:
        car = with_accelerometer(car, grounds)
        settings["compare"] += [name for name in car.spec.state_names if name in AXES]
    elif not any(f"measurement.{effect}" in plan.given for effect in EFFECTS):
        return car, settings, unsure
    effects = possible_effects(train, doubts)
    car = with_effects(car, grounds, effects)
    size = measure([trajectory for _, trajectory in train.recordings])
    car = with_options(car, grounds, car_of, size)
    return with_relaxation(car, grounds, size), settings, unsure


def _window_settings(plan: Plan, train: Drives) -> dict[str, Any]:
    """Time step, horizon and history of the fit."""
    step = max(trajectory.dt for _, trajectory in train.recordings)
    dt = plan.choose(
        "fit.dt", lambda: (step * math.ceil(STEP / step - 1e-9), f"a multiple of the {step:g} s of the logs")
    )
    count = max(2, round(SECONDS / dt))
    settings: dict[str, Any] = {"dt": dt}
    for name in ("horizon", "history"):
        settings[name] = plan.choose(f"fit.{name}", lambda: (count, f"{count * dt:g} s"))
    return settings


def _fed_models(train: Drives, held: Sequence[str], *, asked: bool) -> list[str]:
    """Models that the channels feed, the richest first.

    Raises:
        DataError: there is none, or the car stands, unless a model was asked for.
    """
    found = [feeding(model(name).spec, held) for name in MODELS]
    feeds = [item.model for item in found if item.feeds]
    if not feeds and not asked:
        heading = (
            "" if {"psi", "course"} & {*held} or "x" not in held else "no heading beside the positions: "
        )
        raise DataError(
            f"{train[0].name}: expected the channels of a model, found {heading}{', '.join(held)}. "
            f"{'. '.join(map(str, found))}"
        )
    fastest = measure([trajectory for _, trajectory in train.recordings]).speed
    if fastest < STANDS and not asked:
        raise DataError(
            f"{train[0].name}: expected a drive, found a car that stands or crawls, {fastest:.2g} m/s at "
            "most: drive faster, or look up the unit of the speed or the positions"
        )
    return feeds


def _compared(name: str, drives: Drives) -> list[str]:
    """States that all drives measure: not derived by smoothing, nor predicted by a derived control."""
    spec = model(name).spec
    controls = {control.name for control in spec.controls}
    return [
        state
        for state in spec.state_names
        if not any(
            not is_measured(state, drive.channels)
            or (spec.rates.get(state) in controls and spec.rates[state] not in drive.channels)
            for drive in drives
        )
    ]


def _held(name: str) -> list[str]:
    return list(HELD.get(name.partition("+")[0], ()))


def _with_held(car: Car, fixed: Sequence[str]) -> Car:
    values = dict(item.partition("=")[::2] for item in fixed)
    return (
        car.hold_all({name: float(value) if value else None for name, value in values.items()})
        if fixed
        else car
    )
