"""Positions and heading of a log: the columns of which one points where the others go."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import numpy as np

from pct.logs.readers.computed import INTEGERS, MOST_DEGREES, RADIUS, formula_of, inputs_of
from pct.logs.units import RARE_UNITS, size_of
from pct.mapping.evidence import WINDOWS
from pct.mapping.log_motion import Log
from pct.mapping.names import other_axis, partners
from pct.mapping.proposal import Line, factor
from pct.mapping.relate import beside, called_so, sign_of, stated_unit, told_unit, written
from pct.recordings.witnesses import is_heading_by_gyro, rolls
from pct.types import Bool, Column

# Steps of single precision in m that are as large as the noise of positions.
COARSE = 0.01
# A heading that is further off the path where the vehicle goes straight, in rad, has another zero.
ASKEW = 0.2
# Angles that were converted once too often, from rad to deg or back; how many rad one of their units is.
TWICE = {"deg/57.29578": (math.pi / 180) ** 2, "57.29578 rad": 180 / math.pi}


def find_pose(log: Log) -> list[Line]:
    """Positions and heading: the three columns of which the third points where the first two go; none where
    no columns are positions, by name or by this.

    Names tell whether the axes are those of Unity.
    """
    firsts, seconds = log.places("x"), log.places("y")
    pairs = [(x, y) for x in firsts for y in seconds if x != y]
    pairs = [pair for pair in pairs if len(raw := inputs_of(pair)) == 2 and partners(*raw)] or pairs
    ahead = [(z, x) for x in firsts if (z := _ahead(log, x))]
    log.unity = bool(ahead)
    pairs = ahead or pairs
    called = bool(pairs)
    if not pairs:
        names = log.nameless()
        pairs = [(x, y) for x in names for y in names if x != y]
    headings = log.named("psi")
    pointers = {
        (name, unit): np.exp(1j * scale * log.sound(name))
        for name in headings or log.nameless()
        for unit, scale in _units(log, name, called=bool(headings) and called).items()
    }
    best: tuple[float, tuple[str, str], str, str, int, float, float] | None = None
    for pair in pairs[:600]:
        course, moving = log.windows.direction(log.sound(pair[0]), log.sound(pair[1]))
        # On a straight line anything that stands still points the right way.
        straight = moving.any() and abs(np.exp(1j * course[moving]).mean()) > 0.95
        if not moving.any() or (straight and not called):
            continue
        for (name, unit), turned in pointers.items():
            if name in pair:
                continue
            for side in (1, -1) if called else (1,):
                how, offset = log.windows.pointing(
                    course,
                    moving,
                    turned if side == 1 else np.conj(turned),
                    reverses=called and bool(headings),
                )
                # Without a name the plain reading has to hold; columns that come first go first.
                if (not headings or not called) and (side == -1 or abs(offset) > 0.3):
                    continue
                rank = (
                    how
                    - 0.02 * (unit != "rad" and unit not in TWICE)
                    - 0.1 * (unit in TWICE)
                    - 0.02 * (side == -1)
                    - 0.05 * (abs(offset) > 0.3)
                )
                if best is None or rank > best[0] + 0.01:
                    best = (rank, pair, name, unit, side, offset, how)
    if best is None or best[0] < 0.7:
        if not called:
            return []
        pair = pairs[0]
        lines = [
            _position(log, name, column, "medium", "matches by name")
            for name, column in zip("xy", pair, strict=True)
        ]
        if headings:
            reason = "matches by name, but it does not point along the path"
            lines.append(Line("psi", headings[0], "low", reason, stated_unit(log, headings[0], "rad")))
        return lines
    _, pair, name, unit, side, offset, how = best
    quarter = round(offset / (math.pi / 2)) * 90
    # A sensor that is mounted askew; so much is no slip angle.
    askew = called and abs(offset - math.radians(quarter)) > ASKEW
    sure = "high" if how > 0.9 and called and not askew else "medium"
    where = f"{called_so(called)}; '{name}' points along the path (concentration {how:.2f})"
    lines = [_position(log, channel, column, sure, where) for channel, column in zip("xy", pair, strict=True)]
    keys = written(log.units, name, unit, "rad")
    if side == -1:
        keys["sign"] = -1
    if quarter or askew:
        degrees = round(math.degrees(offset), 2) if askew else float(quarter)
        turned_by = {"deg": degrees, "rad": round(math.radians(degrees), 6)}
        size = TWICE.get(unit) or size_of(unit)
        keys["offset"] = side * turned_by.get(unit, float(f"{math.radians(degrees) / size:.9g}"))
    reason = f"{called_so(bool(headings))}; points along the path (concentration {how:.2f}) in {unit}"
    if unit in TWICE:
        reason, sure = f"{reason}: it was converted once too often", "medium"
    reason += f", counted the other way round from {quarter} deg" if side == -1 else ""
    if askew:
        reason += f"; straight on it is {math.degrees(offset):+.1f} deg off, which is taken for its zero"
    reason, sure = beside(log, name, unit, reason, sure if headings else "medium")
    return [*lines, Line("psi", name, sure, reason, keys)]


def _units(log: Log, name: str, *, called: bool) -> dict[str, float]:
    """Units that a heading may be in, and how many rad one of them is."""
    column = log.columns[name]
    known = np.abs(column[np.isfinite(column)])
    high, turn = float(known.max(initial=0.0)), math.pi * 1.01
    units = {"rad": 1.0}
    # What fills half a turn in rad and no more is wrapped there.
    if not (0.9 * math.pi < high < turn and np.abs(np.diff(column)).max() > math.pi):
        units["deg"] = math.pi / 180
    if (told := told_unit(log, name, "rad")) in RARE_UNITS["rad"]:
        units = {told: 1 / RARE_UNITS["rad"][told], **units}
    # Integers of hundredths, as receivers and autopilots send them, turn in 36000.
    elif called and high > 720.0 and bool((column[np.isfinite(column)] % 1 == 0).all()):
        units |= {unit: size_of(unit) for unit in ("deg/100", "deg/10", "mrad")}
    return units | (TWICE if called else {})


def _position(log: Log, channel: str, column: str, sure: str, reason: str) -> Line:
    return Line(channel, column, sure, reason, stated_unit(log, column, "m"))


def _ahead(log: Log, x: str) -> str:
    """The position ahead in Unity, where y is up, beside the one to the right; empty in other axes."""
    up, ahead = other_axis(x, "x", "y"), other_axis(x, "x", "z")
    if ahead not in log.columns or not log.varies(ahead):
        return ""
    level = up not in log.columns or not log.varies(up, 2) or _flat(log, up, ahead)
    return ahead if level else ""


def note_coarse(log: Log, lines: Mapping[str, Line]) -> None:
    """Note positions in single precision far from their zero, as those of a UTM zone or degrees often are."""
    for channel, place in (("x", -1), ("y", 0)):
        name, metres = lines[channel].column, factor(lines[channel])
        formula = formula_of(name)
        if formula:
            name = formula.inputs[place]
        column = log.columns[name]
        finite = column[np.isfinite(column)]
        most = float(np.abs(finite).max(initial=0.0))
        if formula and len(formula.inputs) == 2:
            metres = RADIUS * math.radians(INTEGERS if most > MOST_DEGREES else 1.0)
        step = float(np.spacing(np.float32(most))) * metres
        if step > COARSE and np.all(finite.astype(np.float32) == finite):
            cure = "store it in double precision, or subtract an origin before"
            log.notes.append(
                f"{name}: in single precision so far from zero, in steps of {step:.2g} m: {cure}"
            )


def _flat(log: Log, name: str, other: str) -> bool:
    """Whether a column varies far less than another, as a height does."""
    spans = [float(np.ptp(c[np.isfinite(c)])) for c in (log.columns[name], log.columns[other])]
    return spans[0] < 0.1 * spans[1]


def with_course(log: Log, lines: dict[str, Line]) -> dict[str, Line]:
    """The lines with the heading as direction of travel, where the slip angle explains nothing of it."""
    if log.heading is None or not {"vx", "vy"} <= set(lines):
        return lines
    # Beside the positions of a direction of travel, a sideways speed shows neither unit nor sign.
    plain = lines["vy"]
    if plain.sure != "high":
        plain = dataclasses.replace(plain, keys=stated_unit(log, plain.column, "m/s"))
    speeds = []
    for line in (lines["vx"], plain):
        late = max(0, round(float(line.keys.get("delay", 0.0)) / log.windows.step))
        column = log.sound(line.column) * factor(line) * sign_of(line)
        speeds.append(np.append(column[late:], np.full(late, np.nan)))
    moves = np.abs(speeds[0]) > 0.3 * np.nanquantile(np.abs(speeds[0]), 0.9)
    beta = np.where(moves, np.arctan2(speeds[1], speeds[0]), np.nan)
    window = log.windows.means(beta)
    used = log.moving & (np.abs(window) < 0.5)
    if used.sum() < WINDOWS:
        return lines
    used &= np.abs(window) >= np.median(np.abs(window[used]))
    as_course, as_heading = (float(np.median(np.abs(log.slip[used] - part))) for part in (0.0, window[used]))
    if as_course > 0.5 * as_heading:
        return lines
    if _is_heading(log, beta, speeds[1], used):
        log.notes.append(
            f"{lines['vy'].column}: unlike the sideways speed of the positions, and the heading is right by "
            "the yaw rate: left out; vy is derived from the pose"
        )
        return {name: line for name, line in lines.items() if name != "vy"}
    log.head_along(log.heading - np.nan_to_num(beta))
    lines["psi"] = dataclasses.replace(
        lines["psi"],
        channel="course",
        reason=f"{lines['psi'].reason}; it is the direction of travel, {as_course:.3f} rad from that of the "
        f"positions (median) and {as_heading:.3f} rad once the slip angle is taken off",
    )
    if plain.sure != "high":
        reason = "matches by name; the direction of travel and the positions cannot tell"
        lines["vy"] = dataclasses.replace(plain, sure="medium", reason=reason)
    return {line.channel: line for line in lines.values()}


def _is_heading(log: Log, beta: Column, vy: Column, used: Bool[np.ndarray, " W"]) -> bool:
    """Whether the yaw rate says that the heading is one, else whether the sideways speed is no vehicle's."""
    w = log.windows
    beta_rate = w.rate(np.unwrap(np.nan_to_num(beta)))
    votes = [
        is_heading_by_gyro(log.turning[used], beta_rate[used], w.means(log.sound(name))[used])
        for name in log.named("psi_dot")
    ]
    decided = [vote for vote in votes if vote is not None]
    return decided[0] if decided else not rolls(w.means(vy)[used], log.speed[used], log.turning[used])
