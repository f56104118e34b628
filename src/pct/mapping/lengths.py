"""The unit of positions, where no header says it: by a speed, by an accelerometer, or not at all."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from pct.logs.units import RARE_UNITS, USUAL_UNITS, per_si
from pct.mapping.log_motion import Log
from pct.mapping.proposal import Line
from pct.mapping.relate import NEAR, told_unit

# Units of positions beside m, the first two also where nothing but a speed in one of these units tells them.
LENGTHS = ("mm", "cm", "ft", "km")
SPEEDS = {"m/s": 1.0, "km/h": USUAL_UNITS["m/s"]["km/h"]}
# Of one quantity in m or ft so much is a factor, and how near to it a ratio must be: speeds of positions are
# sure to some percent, accelerometers show part of the weight as well.
FEET, NEAR_SPEED, NEAR_ACCELERATION = USUAL_UNITS["m"]["ft"], 1.03, 1.12
# Speeds that beside positions in ft go as none does beside positions in m, and those that go as one does.
CLEAR, UNCLEAR = ("m/s", "mph"), ("km/h", "ft/s")
# Values of a speed that are rather km/h than m/s.
FAST = 30.0
PER_SI = {"m/s": 1.0, **USUAL_UNITS["m/s"], **RARE_UNITS["m/s"]}


def with_length(log: Log, lines: dict[str, Line]) -> dict[str, Line]:
    """The positions in mm, cm or ft, or another unit that the end of their names tells, where a speed or an
    accelerometer says so."""
    if "unit" in lines["x"].keys or log.units.get(lines["x"].column):
        return lines
    told, compared = told_unit(log, lines["x"].column, "m"), False
    felt = "" if told else _felt_in_feet(log)
    for name, ratio in _speeds(log):
        compared = True
        own = told_unit(log, name, "m/s")
        speeds = (per_si("m/s", own) or 1.0, *SPEEDS.values())
        for unit in (told,) if told in LENGTHS else LENGTHS[:2]:
            size = per_si("m", unit) or 1.0
            if any(1 / NEAR < ratio * size / usual < NEAR for usual in speeds):
                return _in_unit(log, lines, unit, f"'{name}' makes it {unit}")
        if told:
            continue
        for speed in (own,) if own else (*CLEAR, *UNCLEAR):
            alike = 1 / NEAR_SPEED < ratio * FEET / PER_SI[speed] < NEAR_SPEED
            if alike and (own or felt or speed in CLEAR):
                goes = f"'{name}' goes as a speed in {speed} beside positions in ft"
                return _in_unit(log, lines, "ft", f"{goes}, and {felt}" if felt else goes, sure="medium")
            # A speed in m/s that is 10 % off is far more frequent, but not so fast.
            if alike and speed == "km/h" and np.nanquantile(np.abs(log.sound(name)), 0.99) > FAST:
                log.notes.append(
                    f"{name}: 1.1 times the speed of the positions, as km/h beside ft are: if so, write "
                    'unit = "km/h" and unit = "ft"'
                )
    if felt and not compared:
        return _in_unit(log, lines, "ft", felt, sure="medium")
    if told in LENGTHS and not compared:
        return _in_unit(log, lines, told, f"its name says {told}")
    return lines


def _speeds(log: Log) -> Iterator[tuple[str, float]]:
    """Columns that are named a speed and go with that of the positions, and how many times as fast."""
    w = log.windows
    for name in (*log.named("vx"), *log.named("v")):
        like = w.compare(w.means(log.sound(name)), np.where(log.moving, log.speed, np.nan), log.moving)
        if like is not None and like.agrees:
            yield name, abs(like.ratio)


def _felt_in_feet(log: Log) -> str:
    """What an accelerometer says of positions in ft, in words; empty where it does not say so."""
    w, found = log.windows, []
    for channel, motion in (("ay", log.speed * log.turning), ("ax", log.speed_rate())):
        for name in log.named(channel):
            like = w.compare(w.means(log.sound(name)), np.where(log.moving, motion, np.nan), log.moving)
            if like is None or not like.agrees:
                continue
            told = told_unit(log, name, "m/s^2")
            for unit in (told,) if told else ("m/s^2", "g"):
                ratio = abs(like.ratio) / (per_si("m/s^2", unit) or 1.0)
                if 1 / NEAR_ACCELERATION < ratio * FEET < NEAR_ACCELERATION:
                    found.append(f"'{name}' in {unit} is {ratio:.3g} times what they say")
                elif 0.5 < ratio < 2:
                    return ""
    return found[0] if found else ""


def _in_unit(log: Log, lines: dict[str, Line], unit: str, why: str, sure: str = "") -> dict[str, Line]:
    """The positions in a unit."""
    for channel in ("x", "y"):
        line = lines[channel]
        lines[channel] = dataclasses.replace(
            line, sure=sure or line.sure, reason=f"{line.reason}; {why}", keys={"unit": unit}
        )
    log.place(lines)
    return lines
