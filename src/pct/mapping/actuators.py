"""Pedals and wheels of a log."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pct.logs.units import USUAL_UNITS
from pct.mapping.log_motion import Log
from pct.mapping.motion import speed_rate
from pct.mapping.names import axle_of, is_command, turning_unit
from pct.mapping.proposal import Line
from pct.mapping.relate import unless

# Pedals and drive commands, and whether the vehicle gets faster with them.
DRIVES = {"throttle": 1, "brake": -1, "drive": 1}
# A correlation with the rate of the speed that confirms them: hills, gears and drag have their part in it.
FELT, PLAIN = 0.3, 0.6
# Full pedals: as a share, in percent, and of a byte; a little more is noise.
FULL = {"1": 1.0, "percent": 100.0, "1/255": 255.0}
MARGIN = 1.05
# Names of PCT's own channels have its units.
OWN = {"omega_f": "rad/s", "omega_r": "rad/s"}
# Rad/s in each unit of turning.
TURNING = {"rad/s": 1.0, **{unit: 1 / factor for unit, factor in USUAL_UNITS["rad/s"].items()}}
# Radii of wheels in m, from a 1:43 car's to a truck's.
RADII = (0.008, 0.6)


def find_drives(log: Log, lines: Mapping[str, Line]) -> list[Line]:
    """Pedals and drive commands: full at one, and the speed follows.

    Most models need none of them, so that only what the motion confirms is proposed.
    """
    rate = np.where(log.moving, speed_rate(log, lines), np.nan)
    drives: dict[str, Line] = {}
    for channel, way in DRIVES.items():
        best = 0.0
        for name in log.named(channel):
            like = log.windows.compare(log.windows.means(log.sound(name)), rate, log.moving)
            felt = way * like.correlation if like is not None else 0.0
            unit = _share(log, name)
            if not unit:
                log.notes.append(
                    f"{name}: neither a share nor percent: left out; for one that is 80 when full write "
                    f'[channels.{channel}] unit = "1/80"'
                )
            elif felt < FELT:
                log.notes.append(f"{name}: matches by name, but the speed does not follow it: left out")
            elif felt > best:
                best = felt
                keys = {**unless("unit", unit, "1"), **({"origin": "command"} if is_command(name) else {})}
                slower = "slower" if way < 0 else "faster"
                reason = f"matches by name; the vehicle gets {slower} with it (correlation {felt:.2f})"
                drives[channel] = Line(channel, name, "high" if felt > PLAIN else "medium", reason, keys)
    if {"throttle", "brake"} <= set(drives):
        drives.pop("drive", None)
    log.used |= {line.column for line in drives.values()}
    return list(drives.values())


def _share(log: Log, name: str) -> str:
    """The unit in which a full pedal is one; empty where its values are none of a pedal."""
    column = log.sound(name)
    high = float(np.quantile(np.abs(column[np.isfinite(column)]), 0.999))
    stated = log.units.get(name, "")
    if stated in ("%", "percent"):
        return "percent" if high <= MARGIN * FULL["percent"] else ""
    if stated not in ("", "1"):
        return ""
    return next((unit for unit, full in FULL.items() if high <= MARGIN * full), "")


def find_wheels(log: Log) -> list[Line]:
    """Speeds of the axles' wheels, where they turn: others need the radius of a wheel."""
    ranked: dict[str, tuple[tuple[int, float], Line]] = {}
    for name in log.columns:
        axle, unit = axle_of(name), log.units.get(name) or turning_unit(name) or OWN.get(name, "")
        si = TURNING.get(unit)
        if not axle or si is None or not log.varies(name):
            continue
        like = log.windows.compare(
            log.windows.means(log.sound(name)) * si, np.where(log.moving, log.speed, np.nan), log.moving
        )
        if like is None or not like.agrees or not RADII[0] < 1 / abs(like.ratio) < RADII[1]:
            continue
        whole = axle.endswith("axle")
        channel = f"omega_{axle[0]}"
        radius = f"{1 / abs(like.ratio):.3g} m"
        reason = f"matches by name; correlates with the speed of the positions, on a radius of {radius}"
        reason += "" if whole else "; one wheel of the axle, which differs from both in curves"
        keys: dict[str, str | int | float] = {**unless("unit", unit, log.units.get(name) or "rad/s")}
        if like.ratio < 0:
            keys["sign"] = -1
        rank = int(whole), abs(like.correlation)
        if channel not in ranked or rank > ranked[channel][0]:
            ranked[channel] = rank, Line(channel, name, "high" if whole else "medium", reason, keys)
    return [line for _, line in ranked.values()]
