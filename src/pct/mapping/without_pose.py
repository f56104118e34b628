"""The motion of a log that holds no positions: its speed and yaw rate, from names and from what they say of
each other.

The rate of the speed goes with the longitudinal acceleration, and speed times yaw rate with the lateral one:
the ratio of the two tells the units of both, since no two pairs of usual units have the same.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pct.errors import NoMotionError
from pct.logs.units import per_si
from pct.mapping.log_motion import Log
from pct.mapping.names import is_wheel, means, turning_unit
from pct.mapping.proposal import Line
from pct.mapping.relate import is_wild, told_unit, written
from pct.types import Column

# Ratios of usual units lie further apart than this squared.
NEAR = 1.25
# A correlation that tells of units.
TELLS = 0.7
# Beyond these a number is none in SI: speeds of a car in m/s, its yaw rates in rad/s.
FASTEST, QUICKEST = 100.0, 6.0
# Share of the highest usual speed from which on a vehicle moves.
MOVING = 0.1
TRIED = ("m/s", "km/h", "mph")
# Speeds too near to these for an accelerometer, which shows part of the weight as well.
RARE = ("knot", "ft/s")


class _Felt(NamedTuple):
    """The unit of a speed that an accelerometer explains, why, and a rare one that is nearer still."""

    unit: str
    why: str
    rare: str


def find_motion(path: Path, log: Log) -> list[Line]:
    """Speed, yaw rate and sideways velocity of a log without positions; keeps what they say of the motion.

    Raises:
        DataError: no column has the name of a speed.
    """
    speed = _speed(log)
    if speed is None:
        raise NoMotionError(
            path,
            "expected columns of positions or of a speed, found none by name, and none with a "
            "heading that points where positions go: write the map by hand (docs/data.md)",
        )
    log.used = {speed.column}
    forward = log.sound(speed.column) / _factor("m/s", speed)
    _place(log, forward)
    lines = [speed]
    if (turning := _yaw_rate(log, forward)) is not None:
        lines.append(turning)
        log.used.add(turning.column)
        log.turning = log.windows.means(log.sound(turning.column) / _factor("rad/s", turning))
    else:
        log.notes.append(
            "psi_dot: no column found; without it and without steering a log goes straight ahead"
        )
    for name in log.named("vy")[:1]:
        unit = told_unit(log, name, "m/s") or "m/s"
        reason = "matches by name; without positions nothing tells unit and sign"
        lines.append(Line("vy", name, "medium", reason, written(log.units, name, unit, "m/s")))
        log.used.add(name)
    log.notes.append(
        "x, y, psi: no columns found; models are fitted to speed and yaw rate, and no position is compared"
    )
    return lines


def has_speed(log: Log) -> bool:
    """Whether a column has the name of a speed."""
    return _speed(log) is not None


def is_pose(log: Log, lines: Mapping[str, Line]) -> bool:
    """Whether positions that no name tells go as fast as a column that is named a speed, if there is one, and
    turn as one that is named a yaw rate.
    """
    if any(means(line.column, line.channel) for line in lines.values() if line.channel in ("x", "y")):
        return True
    speeds = [name for channel in ("vx", "v") for name in log.named(channel)]
    rates = log.named("psi_dot") if log.heading is not None else []
    return _goes_with(log, speeds, log.speed) and _goes_with(log, rates, log.turning)


def _goes_with(log: Log, names: Sequence[str], motion: Column) -> bool:
    """Whether one of the columns, if there is any, goes with a motion of the windows, (W,)."""
    w = log.windows
    likes = [w.compare(w.means(log.sound(name)), motion, log.moving) for name in names]
    return not names or any(like is not None and abs(like.correlation) > TELLS for like in likes)


def _speed(log: Log) -> Line | None:
    """The column that is named a speed, else that of a wheel, with its unit."""
    named = [*(("vx", name) for name in log.named("vx")), *(("v", name) for name in log.named("v"))]
    named = [pair for pair in named if not is_wild(log, pair[1])] or named
    reason = "matches by name"
    if not named:
        wheels = [name for name in log.columns if is_wheel(name) and not turning_unit(name)]
        # The rear wheels are not steered.
        wheels = sorted(wheels, key=lambda name: name.lower().rstrip("lr")[-1:] == "f")
        named = [("vx", name) for name in wheels]
        reason = "the speed of one wheel, which differs from the vehicle's in curves"
    if not named:
        return None
    channel, name = named[0]
    stated = told_unit(log, name, "m/s")
    unit, sure, why = stated or "m/s", "medium", "nothing tells its unit"
    tried = [stated] if stated else TRIED
    felt = _told_by_acceleration(log, name, tried) or _told_by_turning(log, name, tried)
    high = float(np.nanquantile(np.abs(log.sound(name)), 0.99))
    if felt is not None:
        unit, sure, why = felt.unit, "high", felt.why
        if not stated and felt.rare:
            sure, why = "medium", f"{why}; it may be {felt.rare}, which is nearer still: then write that unit"
    elif stated:
        sure, why = "high", "its unit is stated"
    elif high > FASTEST:
        unit, why = "km/h", f"up to {high:.3g}, which is no speed in m/s"
    sure = sure if reason == "matches by name" else "medium"
    return Line(channel, name, sure, f"{reason}; {why}", written(log.units, name, unit, "m/s"))


def _told_by_acceleration(log: Log, name: str, units: Sequence[str]) -> _Felt | None:
    """The unit of a speed that the longitudinal acceleration explains."""
    w = log.windows
    rate = w.rate(log.sound(name))
    moving = w.whole & np.isfinite(rate)
    found = []
    for other in log.named("ax"):
        like = w.compare(w.means(log.sound(other)), rate, moving)
        if like is None or abs(like.correlation) < TELLS or not like.ratio:
            continue
        why = f"its rate goes with {other} (correlation {abs(like.correlation):.2f})"
        found += [(size / abs(like.ratio), why) for size in _accelerations(log, other)]
    return _nearest(found, units)


def _told_by_turning(log: Log, name: str, units: Sequence[str]) -> _Felt | None:
    """The unit of a speed that times a yaw rate explains the lateral acceleration."""
    w = log.windows
    found = []
    for rate, other in itertools.product(log.named("psi_dot"), log.named("ay")):
        turning = w.means(log.sound(name)) * w.means(log.sound(rate))
        like = w.compare(w.means(log.sound(other)), turning, w.whole & np.isfinite(turning))
        if like is None or abs(like.correlation) < TELLS or not like.ratio:
            continue
        why = f"times {rate} it goes with {other} (correlation {abs(like.correlation):.2f})"
        stated = told_unit(log, rate, "rad/s")
        for turn in (stated,) if stated else ("rad/s", "deg/s"):
            per = _per_si("rad/s", turn) * abs(like.ratio)
            found += [(size / per, why) for size in _accelerations(log, other)]
    return _nearest(found, units)


def _accelerations(log: Log, name: str) -> list[float]:
    """How many of the units that an acceleration may be in are one m/s²."""
    stated = told_unit(log, name, "m/s^2")
    return [_per_si("m/s^2", unit) for unit in ((stated,) if stated else ("m/s^2", "g"))]


def _nearest(found: Sequence[tuple[float, str]], units: Sequence[str]) -> _Felt | None:
    """The unit of which so many are one m/s, of several witnesses the nearest; None where none is near."""
    away = {
        (size, why, unit): abs(math.log(size / _per_si("m/s", unit))) for size, why in found for unit in units
    }
    if not away or min(away.values()) > math.log(NEAR):
        return None
    size, why, unit = min(away, key=away.__getitem__)
    rare = [other for other in RARE if abs(math.log(size / _per_si("m/s", other))) < away[size, why, unit]]
    return _Felt(unit, why, rare[0] if rare else "")


def _place(log: Log, forward: Column) -> None:
    """Keep what the speed says of the motion; nothing tells the direction."""
    w = log.windows
    log.speed = w.means(forward)
    known = np.abs(log.speed[np.isfinite(log.speed)])
    high = float(np.quantile(known, 0.95)) if known.size else 0.0
    log.moving = w.whole & (np.abs(np.nan_to_num(log.speed)) > max(MOVING * high, 1e-6))
    log.course = np.zeros_like(log.speed)
    log.slip = np.zeros_like(log.speed)
    log.turning = np.full_like(log.speed, np.nan)
    log.pose = ()


def _yaw_rate(log: Log, forward: Column) -> Line | None:
    """The column that is named a yaw rate, with the unit that the lateral acceleration explains."""
    w, best = log.windows, None
    for name in log.named("psi_dot"):
        stated = told_unit(log, name, "rad/s")
        column = log.sound(name)
        high = float(np.nanquantile(np.abs(column), 0.99))
        unit, sure, why = stated or "rad/s", "high" if stated else "medium", "nothing tells its unit"
        if stated:
            why = "its unit is stated"
        elif high > QUICKEST:
            unit, why = "deg/s", f"up to {high:.3g}, which is no yaw rate in rad/s"
        for other in log.named("ay"):
            like = w.compare(w.means(log.sound(other)), log.speed * w.means(column), log.moving)
            if like is None or abs(like.correlation) < TELLS:
                continue
            for tried in [stated] if stated else ("rad/s", "deg/s"):
                for of in (
                    (told_unit(log, other, "m/s^2"),) if told_unit(log, other, "m/s^2") else ("m/s^2", "g")
                ):
                    expected = _per_si("m/s^2", of) / _per_si("rad/s", tried)
                    if like.ratio and 1 / NEAR < abs(like.ratio) / expected < NEAR:
                        unit, sure = tried, "high"
                        goes = f"{other} (correlation {abs(like.correlation):.2f})"
                        why = f"speed times it goes with {goes}"
        line = Line("psi_dot", name, sure, f"matches by name; {why}", written(log.units, name, unit, "rad/s"))
        rank = -1.0 * is_wild(log, name), sure == "high"
        if best is None or rank > best[0]:
            best = rank, line
    return None if best is None else best[1]


def _factor(si: str, line: Line) -> float:
    return _per_si(si, str(line.keys.get("unit", si)))


def _per_si(si: str, unit: str) -> float:
    """How many of a unit are one SI unit."""
    return per_si(si, unit) or 1.0
