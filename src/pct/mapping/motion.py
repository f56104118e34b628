"""Speeds, yaw rate and accelerations of a log: the columns that go with the motion of the pose."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from pct.logs.units import USUAL_UNITS
from pct.mapping.log_motion import Log
from pct.mapping.names import is_wheel, partners
from pct.mapping.proposal import Line
from pct.mapping.relate import NEAR, compared, in_si, is_wild, rank_of, said_of, without_delay
from pct.types import Float

# Accelerometers show part of the weight as well, as the body rolls and pitches.
NEAR_ACCELERATION = 1.5
# A correlation that shows an acceleration.
CONFIRMED = 0.8
# One that shows that a velocity is another.
UNLIKE = 0.5
# The spread of the ratio of two speeds that are one.
STEADY = 0.3
# More wheels than any vehicle has.
MOST_WHEELS = 12


def find_speed(log: Log) -> list[Line]:
    """The speed: the column that goes with the speed of the positions."""
    candidates = []
    for channel in ("vx", "v"):
        for name in log.named(channel):
            candidates.append((channel, name, True))
    candidates += [] if candidates else [("vx", name, False) for name in log.nameless()]
    best = None
    for channel, name, called in candidates:
        line = compared(log, channel, name, log.speed, called=called)
        if line is not None and (best is None or rank_of(log, line, log.pose) > rank_of(log, best, log.pose)):
            best = line
    if best is not None and best.sure == "low" and (_along_map(log, best.column) or _is_unlike(log, best)):
        best = None
    best = best or _wheel_speed(log)
    if best is None:
        return []
    log.used.add(best.column)
    known = USUAL_UNITS["m/s"].keys() | {"m/s"}
    if best.channel == "v" and best.keys.get("unit", "m/s") not in known:
        # A motor turns with the wheels, which roll along the vehicle.
        best = dataclasses.replace(best, channel="vx")
    return [best]


def _wheel_speed(log: Log) -> Line | None:
    """The speed of one wheel, where the log has no other."""
    best = None
    # The rear wheels are not steered.
    names = sorted(filter(is_wheel, log.columns), key=lambda name: name.lower().rstrip("lr")[-1:] == "f")
    for name in names if len(names) <= MOST_WHEELS else ():
        line = compared(log, "vx", name, log.speed, called=True)
        if line is not None and line.sure != "low" and best is None:
            reason = f"the speed of one wheel, which differs from the vehicle's in curves; {line.reason}"
            best = dataclasses.replace(line, sure="medium", reason=reason.replace("matches by name; ", ""))
    return best


def _along_map(log: Log, name: str) -> bool:
    """Whether a velocity is one along the axes of the map; it is noted."""
    mean = log.windows.means(log.sound(name))
    for part in (np.cos(log.course), np.sin(log.course)):
        like = log.windows.compare(mean, np.where(log.moving, np.abs(log.speed) * part, np.nan), log.moving)
        if like is not None and like.agrees:
            log.notes.append(f"{name}: a velocity along the map's axes, not the vehicle's: left out")
            return True
    return False


def without_odd_side_speed(log: Log, lines: dict[str, Line]) -> dict[str, Line]:
    """The lines without a sideways speed that is none, beside positions and a heading that are sure."""
    if (
        "vy" not in lines
        or "psi" not in lines
        or lines["vy"].sure != "low"
        or not _is_unlike(log, lines["vy"])
    ):
        return lines
    return {name: line for name, line in lines.items() if name != "vy"}


def _is_unlike(log: Log, line: Line) -> bool:
    """Whether a velocity does not go at all with that of positions and heading that are sure; it is noted."""
    motion = {"speed": log.speed, "sideways speed": log.speed * np.sin(log.slip)}
    if not log.is_sure:
        return False
    mean, alike = log.windows.means(log.sound(line.column)), {}
    for what, reference in motion.items():
        like = log.windows.compare(mean, np.where(log.moving, reference, np.nan), log.moving)
        # A steady speed goes with nothing, but keeps its ratio.
        same = like is not None and like.spread < STEADY
        alike[what] = 1.0 if same else 0.0 if like is None else abs(like.correlation)
    own, other = list(motion) if line.channel != "vy" else list(motion)[::-1]
    if alike[own] >= UNLIKE:
        return False
    swapped = f", but the {other}: are two names exchanged?" if alike[other] > CONFIRMED else ":"
    log.notes.append(
        f"{line.column}: matches by name, but is not the {own} of the positions{swapped} left out and derived"
    )
    return True


def find_side_speed(log: Log) -> list[Line]:
    """The velocity across the vehicle: the column that goes with the slip angle of the positions."""
    if log.heading is None:
        return []
    reference = log.speed * np.sin(log.slip)
    best = None
    named = log.named("vy")
    for name in named or log.nameless():
        # A velocity whose forward part has spikes is no better sideways.
        partner = next((other for other in log.named("vx") if partners(other, name)), name)
        if is_wild(log, name) or is_wild(log, partner):
            if named:
                log.notes.append(f"{name}: left out for its spikes; vy is derived from the pose")
            continue
        line = compared(log, "vy", name, reference, called=bool(named))
        if line is None or (
            best is not None and rank_of(log, line, log.pose) <= rank_of(log, best, log.pose)
        ):
            continue
        if line.sure == "low" and _along_map(log, name):
            continue
        best = line
    if best is None:
        return []
    log.used.add(best.column)
    return [best]


def find_yaw_rate(log: Log) -> list[Line]:
    """The yaw rate: the column that goes with the rate of the heading."""
    named = log.named("psi_dot")
    best = None
    for name in named or log.nameless():
        line = compared(log, "psi_dot", name, log.turning, called=bool(named), used=log.windows.whole)
        if line is not None and log.heading is None:
            # The slip angle turns the path sooner than the vehicle: that is no lag of the sensor.
            line = without_delay(line)
        others = () if log.heading is None else (log.heading,)
        if line is not None and (best is None or rank_of(log, line, others) > rank_of(log, best, others)):
            best = line
    if best is None:
        return []
    log.used.add(best.column)
    return [best]


def find_own(log: Log, lines: Mapping[str, Line]) -> list[Line]:
    """Channels by the names that PCT gives them: slip angle, rate of the speed, steering rate.

    A model can do without them, so that only what the motion confirms is proposed.
    """
    w = log.windows
    references = {"accel": speed_rate(log, lines)}
    if log.heading is not None and "vy" not in lines:
        references["beta"] = log.slip
    if "delta" in lines and lines["delta"].sure in ("high", "medium"):
        references["delta_dot"] = w.rate(in_si(log, lines["delta"]))
    accepted: list[Line] = []
    for channel, reference in references.items():
        for name in log.named(channel):
            line = _confirmed(log, channel, name, reference, NEAR)
            if line is not None and channel not in {line.channel for line in accepted}:
                log.used.add(name)
                accepted.append(line)
    return accepted


def _confirmed(
    log: Log, channel: str, name: str, reference: Float[np.ndarray, " W"], near: float
) -> Line | None:
    """A channel's line where the motion confirms it; else a note."""
    w = log.windows
    like = w.compare(w.means(log.sound(name)), np.where(log.moving, reference, np.nan), log.moving)
    line = compared(log, channel, name, reference, called=True, near=near)
    if line is None or like is None or abs(like.correlation) < CONFIRMED:
        log.notes.append(f"{name}: matches by name, but not {said_of(channel)}: left out")
        return None
    # Which part of a lag is the sideways velocity's is hard to tell.
    return without_delay(line)


def find_accelerations(log: Log, lines: Mapping[str, Line]) -> list[Line]:
    """What an accelerometer shows: the rate of the speed, and speed times yaw rate.

    A model needs none of them, so that only what the motion confirms is proposed.
    """
    w = log.windows
    speed, across, rate = log.speed, np.zeros_like(log.speed), speed_rate(log, lines)
    if "vy" in lines and lines["vy"].sure != "low":
        across = w.rate(in_si(log, lines["vy"]))
        rate = rate - w.means(in_si(log, lines["vy"])) * log.turning
    accepted = []
    for channel, reference in (("ax", rate), ("ay", speed * log.turning + across)):
        best = None
        for name in log.named(channel):
            line = _confirmed(log, channel, name, reference, NEAR_ACCELERATION)
            if line is not None and (
                best is None or rank_of(log, line, log.pose) > rank_of(log, best, log.pose)
            ):
                best = line
        if best is not None:
            log.used.add(best.column)
            accepted.append(best)
    return accepted


def speed_rate(log: Log, lines: Mapping[str, Line]) -> Float[np.ndarray, " W"]:
    """Rate of the forward speed over each window in m/s^2: of the logged one, else of the positions'."""
    w = log.windows
    forward = lines.get("vx", lines.get("v"))
    if forward is not None and forward.sure != "low":
        return w.rate(in_si(log, forward))
    return log.speed_rate()
