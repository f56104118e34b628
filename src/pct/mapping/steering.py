"""The steering of a log: the angle of the front wheels, or what is in proportion to it.

The tangent of a wheel angle goes with the curvature of the path, and their ratio is the wheelbase. A steering
wheel, a share of full lock or a servo's pulses go with it as well: only a wheelbase that a vehicle of this
speed has, and a name or unit of an angle, make it one of the road wheels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pct.logs.units import RARE_UNITS, size_of
from pct.mapping.evidence import Likeness
from pct.mapping.log_motion import Log
from pct.mapping.names import is_angle, is_command, is_steering_wheel, words
from pct.mapping.proposal import Line
from pct.mapping.relate import DEGREES, as_magnitude, beside, called_so, lost_sign, told_unit, unless
from pct.recordings.witnesses import is_vehicle
from pct.types import Column, Float

# The largest angle of front wheels in rad, and one that few of them reach.
LOCK, USUAL_LOCK = 1.3, 0.75
# What is taken for the largest angle of a command that is none, in rad.
LARGEST = 0.4
# So few units are degrees of road wheels or radians of a steering wheel.
FEW_DEGREES = 10.0
# The same of a steering wheel.
WHEEL_LOCK = 16.0
# A column whose values on the straight are further than this many of its spreads from zero has another zero.
OFF_ZERO = 0.8
# The usual ratio of a car's steering wheel, and wheelbases of cars in m.
USUAL_RATIO, CARS = 15, (2.0, 3.5)
# Turning that is straight on, as a share of the usual one.
STRAIGHT = 0.1


class Bend(NamedTuple):
    """A steering column in one unit beside the curvature of the path: the unit, its size in rad, the
    comparison."""

    unit: str
    factor: float
    like: Likeness | None
    high: float

    @property
    def base(self) -> float:
        """The wheelbase in m that it makes."""
        return abs(self.like.ratio) if self.like is not None else 0.0


def find_steering(log: Log) -> list[Line]:
    """The steering: its tangent goes with the curvature of the path."""
    named = log.named("delta")
    speed = np.where(np.abs(log.speed) > 1e-6, log.speed, np.nan)
    curvature = np.where(log.moving, log.turning / speed, np.nan)
    best: tuple[float, Line] | None = None
    for name in named or log.nameless():
        high = float(np.nanquantile(np.abs(log.sound(name)), 0.99))
        if not named and (high > LOCK or log.is_known(name)):
            continue
        ranked = _line(log, name, curvature, called=bool(named))
        # Of two that are called steering the measured one; of two without a name the input.
        if ranked is not None and (best is None or ranked[0] > best[0] + 0.02):
            best = ranked
    if best is None:
        return []
    log.used.add(best[1].column)
    return [best[1]]


def _line(
    log: Log, name: str, curvature: Float[np.ndarray, " W"], *, called: bool
) -> tuple[float, Line] | None:
    """The steering by one column, and how well it goes; None where nothing says that it is one."""
    column, offset = _about_zero(log, log.sound(name), curvature)
    stated = log.units.get(name, "")
    speed = float(np.quantile(np.abs(log.speed[log.moving]), 0.95)) if log.moving.any() else 0.0
    lost = not offset and lost_sign(log, column, curvature, log.moving)
    if lost:
        column, curvature = np.abs(column), np.abs(curvature)
    bend = _bend(log, name, column, curvature, speed)
    like, unit = bend.like, bend.unit
    # Where the file says nothing, radians need no word.
    same = unit == ("deg" if stated in DEGREES else stated)
    keys = {} if same else unless("unit", unit, stated or "rad")
    if like is None or (not called and not abs(like.correlation) > 0.9):
        reason = "matches by name; too little motion to compare it with"
        return (-1.0, Line("delta", name, "low", reason, keys)) if called else None
    sound = is_vehicle(bend.base, speed) and bend.high <= LOCK and not offset
    sure = _surety(log, name, bend, called=called, sound=sound)
    goes = "correlates" if abs(like.correlation) > 0.5 else "does not correlate"
    reason = (
        f"{called_so(called)}; {goes} with the curvature of the path (correlation "
        f"{abs(like.correlation):.2f}), which makes a wheelbase of {bend.base:.3g} m"
    )
    if abs(like.correlation) > 0.5:
        doubt, ratio = _doubt(name, bend, speed, unit, sound=sound)
        reason, keys = reason + doubt, keys | ratio
    reason, sure = beside(log, name, unit, reason, sure)
    if like.ratio < 0 and not lost:
        keys["sign"] = -1
    if offset:
        keys["offset"] = offset
        reason += f"; straight on it is {-offset:g}"
    if is_command(name):
        keys["origin"] = "command"
    if like.lag < -1.5 * log.windows.step:
        reason += (
            f"; the path follows {-like.lag:.2g} s later: a command that acts later has a negative delay"
        )
    rank = abs(like.correlation) - 0.3 * (not sound) + (-0.05 if called else 0.05) * is_command(name)
    line = Line("delta", name, sure, reason, keys)
    return rank, as_magnitude(line) if lost else line


def _bend(log: Log, name: str, column: Column, curvature: Float[np.ndarray, " W"], speed: float) -> Bend:
    """The column in the unit that makes a vehicle of it: the stated one or the one of its range first."""
    high, stated = float(np.nanquantile(np.abs(column), 0.99)), log.units.get(name, "")
    wheel = is_steering_wheel(name)
    lock = WHEEL_LOCK if wheel else LOCK
    degrees = stated in DEGREES or (stated != "rad" and high > lock)
    told = told_unit(log, name, "rad")
    units = ["deg", "rad"] if degrees else ["rad", "deg"]
    units = [told] if told in RARE_UNITS["rad"] else units
    bends = [
        Bend(unit, factor, _bent(log, factor * column, curvature), factor * high)
        for unit, factor in ((unit, size_of(unit)) for unit in units)
        # Beyond the lock the other unit is none.
        if unit == units[0] or factor * high <= WHEEL_LOCK
    ]
    road = [bend for bend in bends if bend.high <= LOCK and is_vehicle(bend.base, speed)]
    turned = [bend for bend in bends if CARS[0] < bend.base / USUAL_RATIO < CARS[1]]
    return [*(turned + road if wheel else road + turned), *bends][0]


def _bent(log: Log, delta: Column, curvature: Float[np.ndarray, " W"]) -> Likeness | None:
    """How the tangent of a steering angle goes with the curvature of the path."""
    # Beyond the lock it is no angle of road wheels, but in proportion to it.
    high = float(np.nanquantile(np.abs(delta), 0.99))
    tangent = np.tan(np.clip(delta, -LOCK, LOCK)) if high <= LOCK else delta
    return log.windows.compare(log.windows.means(tangent), curvature, log.moving)


def _about_zero(log: Log, column: Column, curvature: Float[np.ndarray, " W"]) -> tuple[Column, float]:
    """The column less what it is on the straight, and that as an offset; 0 where it counts from zero."""
    known = np.isfinite(curvature)
    if known.sum() < 1:
        return column, 0.0
    usual = float(np.quantile(np.abs(curvature[known]), 0.9))
    straight = known & (np.abs(curvature) < STRAIGHT * usual)
    means = log.windows.means(column)
    straight &= np.isfinite(means)
    if straight.sum() < 1:
        return column, 0.0
    middle = float(np.median(means[straight]))
    finite = column[np.isfinite(column)]
    spread = float(np.quantile(np.abs(finite - middle), 0.9))
    both = min(np.mean(finite > middle), np.mean(finite < middle)) > 0.1
    if spread == 0 or not both or abs(middle) < OFF_ZERO * spread:
        return column, 0.0
    return column - middle, -float(f"{middle:.4g}")


def _surety(log: Log, name: str, bend: Bend, *, called: bool, sound: bool) -> str:
    """How sure it is that the column is the angle of the road wheels in this unit."""
    assert bend.like is not None
    alike = abs(bend.like.correlation)
    if not sound or is_steering_wheel(name):
        return "low"
    if not called:
        return "medium" if alike > 0.85 else "low"
    if alike <= 0.85:
        return "medium" if bend.like.spread < 0.5 else "low"
    angle = is_angle(name) or log.units.get(name, "") in {"rad", *DEGREES}
    told = log.units.get(name, "") in DEGREES or words(name).endswith("_deg")
    if bend.unit == "deg" and not told and bend.high < bend.factor * FEW_DEGREES:
        # As well the radians of a steering wheel, of a larger vehicle.
        return "medium"
    if bend.high > USUAL_LOCK:
        return "medium" if angle else "low"
    return "high" if angle else "medium"


def _doubt(
    name: str, bend: Bend, speed: float, unit: str, *, sound: bool
) -> tuple[str, dict[str, str | int | float]]:
    """What else the column may be and what to write then; the unit with a steering wheel's usual ratio."""
    divide = (
        f"divide by its ratio, {bend.base:.3g} over the vehicle's wheelbase in m: "
        f'unit = "{unit}/{USUAL_RATIO}" for {USUAL_RATIO}'
    )
    usual = bend.base / USUAL_RATIO
    by_usual: dict[str, str | int | float] = {}
    if CARS[0] < usual < CARS[1]:
        by_usual = {"unit": f"{unit}/{USUAL_RATIO}"}
    taken = f"; {USUAL_RATIO} is taken until you write yours, which makes {usual:.3g} m" if by_usual else ""
    if is_steering_wheel(name):
        return f"; named a steering wheel: {divide}{taken}", by_usual
    if not sound:
        drives = (
            f"that is no vehicle at {speed:.3g} m/s" if bend.high <= LOCK else "no road wheel turns so far"
        )
        other = f": {drives}; a steering wheel, a share of full lock or a servo's pulses? Then {divide}"
        if bend.high <= LOCK or (by_usual and is_angle(name)):
            return f"{other}{taken}" if is_angle(name) else other, by_usual if is_angle(name) else {}
        # No log is read whose wheels turn so far.
        taken = f"rad/{float(f'{bend.high / bend.factor / LARGEST:.3g}'):g}"
        return f"{other}; {LARGEST:g} rad is taken for its largest until you do", {"unit": taken}
    if is_angle(name):
        return "", {}
    return '; not named an angle: for a share of full lock, 0.4 rad at 1, write unit = "0.4 rad"', {}
