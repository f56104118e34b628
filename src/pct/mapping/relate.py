"""A column beside the motion, as a line of a map: unit, sign, delay and confidence."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from pct.dynamics.channels import known_channels
from pct.logs.units import RARE_UNITS, USUAL_UNITS, as_usual, per_si
from pct.mapping.evidence import Likeness, is_difference
from pct.mapping.log_motion import Log
from pct.mapping.names import unit_in
from pct.mapping.proposal import Line, factor
from pct.recordings.relations import RELATIONS
from pct.recordings.witnesses import is_magnitude
from pct.types import Bool, Column, Float

# A ratio within this factor of a unit's is taken for the unit.
NEAR = 1.2
# A speed of positions is as sure as this.
EXACT = 1.03
# Channels whose sign the motion gives back.
SIGNED = ("v", "vx", "psi_dot", "ay")
# A correlation that tells a unit.
TELLS = 0.8
DEGREES = {"deg", "°", "degree", "degrees"}
# A value this many times what 99 of 100 rows show is a spike.
SPIKE = 8.0


def compared(
    log: Log,
    channel: str,
    name: str,
    reference: Float[np.ndarray, " W"],
    *,
    called: bool,
    used: Bool[np.ndarray, " W"] | None = None,
    near: float = NEAR,
) -> Line | None:
    """A channel's line by its column beside a reference in SI; None where neither it nor the name fits.

    Args:
        log: the log.
        channel, name: the channel, and the column that may be it.
        reference: what the motion says of the channel, by `pct.recordings.relations.RELATIONS`.
        called: whether the column has a name for the channel.
        used: windows to compare; those that move when left out.
        near: a ratio within this factor of a unit's is taken for the unit.
    """
    used = log.moving if used is None else used
    means_what, si = said_of(channel), known_channels()[channel].unit
    if channel in SIGNED and lost_sign(log, log.sound(name), reference, used):
        line = compared(log, channel, name, np.abs(reference), called=called, used=used, near=near)
        return None if line is None else as_magnitude(line)
    like = log.windows.compare(log.windows.means(log.sound(name)), np.where(used, reference, np.nan), used)
    stated = log.units.get(name, "")
    if like is None or abs(like.correlation) < 0.5:
        if not called:
            return None
        reason = (
            f"matches by name; little correlation with {means_what}"
            if like
            else "matches by name; nothing to compare it with"
        )
        return Line(channel, name, "low" if like else "medium", reason, stated_unit(log, name, si))
    if not called and not (abs(like.correlation) > 0.9 and 1 / NEAR < like.ratio < NEAR):
        return None
    told = told_unit(log, name, si)
    unit, known = unit_of(abs(like.ratio), si, like, near, told)
    rare = "" if told or not like.agrees else rare_speed(abs(like.ratio), si)
    usual, unit = unit, rare or unit
    if unit not in (si, stated) and abs(like.correlation) < TELLS:
        # Too little alike for a ratio that is a unit's by chance.
        unit, known = stated if stated in USUAL_UNITS[si] else si, False
    keys = written(log.units, name, unit, si)
    if like.ratio < 0:
        keys["sign"] = -1
    if abs(like.lag) >= 0.75 * log.windows.step and abs(like.correlation) > 0.9:
        keys["delay"] = round(like.lag, 3)
    sure = "high" if called and known and like.agrees else "medium" if known or like.agrees else "low"
    sure = sure if called else "medium"
    sure = "medium" if rare and sure == "high" else sure
    nearer = f", nearer to {rare} than to {usual}" if rare else ""
    reason = (
        f"{called_so(called)}; {abs(like.ratio):.4g} times {means_what} in {si}{nearer} "
        f"(correlation {abs(like.correlation):.2f}"
        f"{f', {like.lag:.2g} s behind' if 'delay' in keys else ''})"
    )
    if known and stated in {si, *USUAL_UNITS[si]}:
        reason, sure = beside(log, name, unit, reason, sure)
    return Line(channel, name, sure, reason, keys)


def lost_sign(
    log: Log, column: Column, reference: Float[np.ndarray, " W"], used: Bool[np.ndarray, " W"]
) -> bool:
    """Whether a column holds the magnitude of a reference with two signs."""
    return is_magnitude(log.windows.means(column)[used], reference[used])


def as_magnitude(line: Line) -> Line:
    """The line of a magnitude, whose sign the map takes from the motion."""
    keys = {key: value for key, value in line.keys.items() if key != "sign"}
    reason = f"{line.reason}; it holds magnitudes only: its sign is that of the motion"
    sure = "medium" if line.sure == "high" else line.sure
    return dataclasses.replace(line, sure=sure, reason=reason, keys={**keys, "sign": "motion"})


def said_of(channel: str) -> str:
    """What a channel is compared with, in words."""
    said = (row.means for row in RELATIONS if row.name == channel and row.means)
    return next(said, "the angle from the heading to the path")


def told_unit(log: Log, name: str, si: str) -> str:
    """The unit that the file or the end of the name states for a column; empty where neither does."""
    for text in (log.units.get(name, ""), unit_in(name)):
        if per_si(si, text) is not None:
            return as_usual(text)
    return ""


def unit_of(ratio: float, si: str, like: Likeness, near: float = NEAR, told: str = "") -> tuple[str, bool]:
    """The unit that explains a ratio, and whether it is a usual one, or the one that the log tells."""
    if told in RARE_UNITS.get(si, {}) and 1 / near < ratio / RARE_UNITS[si][told] < near:
        return told, True
    for unit, usual in {si: 1.0, **USUAL_UNITS[si]}.items():
        if 1 / near < ratio / usual < near:
            return unit, True
    if 1 / 3 < ratio < 3 or not like.agrees:
        return si, False
    return f"{si}/{float(f'{ratio:.3g}'):g}", False


def rare_speed(ratio: float, si: str) -> str:
    """A speed in knots or ft/s, which lie so near to mph and km/h that only an exact ratio tells them; else
    empty.

    Examples:
        >>> rare_speed(1.95, "m/s"), rare_speed(3.27, "m/s"), rare_speed(3.55, "m/s"), rare_speed(1.95, "rad")
        ('knot', 'ft/s', '', '')
    """
    rare = {unit: RARE_UNITS[si][unit] for unit in ("knot", "ft/s")} if si == "m/s" else {}
    return next((unit for unit, size in rare.items() if 1 / EXACT < ratio / size < EXACT), "")


def beside(log: Log, name: str, unit: str, reason: str, sure: str) -> tuple[str, str]:
    """Reason and surety of a unit beside what the file states."""
    stated = log.units.get(name, "")
    if not stated or stated == unit or {stated, unit} <= DEGREES:
        return reason, sure
    return f"{reason}; the file says {stated}", "medium" if sure == "high" else sure


def in_si(log: Log, line: Line) -> Column:
    """The column of a line in SI, sooner by its delay."""
    column = log.sound(line.column) * factor(line) * sign_of(line)
    late = round(float(line.keys.get("delay", 0.0)) / log.windows.step)
    return np.roll(column, -late)


def sign_of(line: Line) -> int:
    """1 or -1; 1 where the sign is that of the motion."""
    sign = line.keys.get("sign", 1)
    return 1 if sign == "motion" else int(sign)


def without_delay(line: Line) -> Line:
    """The line without the delay that a comparison found."""
    return dataclasses.replace(line, keys={key: value for key, value in line.keys.items() if key != "delay"})


def rank_of(log: Log, line: Line, others: Sequence[Column]) -> tuple[float, float]:
    """Which of two columns to take: the one that says something of its own, then the surer."""
    sure = {"high": 2.0, "medium": 1.0, "low": 0.0}[line.sure]
    own = -1.0 * is_wild(log, line.column) - 0.5 * _differenced(log, line.column)
    return own + (sure > 0), sure


def _differenced(log: Log, name: str) -> bool:
    """Whether a column is a plain difference of the pose."""
    column, step = log.columns[name], log.windows.step
    if log.heading is None:
        return False
    return is_difference(column, log.heading, step)


def is_wild(log: Log, name: str) -> bool:
    """Whether a column has spikes: values far beyond those of nearly all rows."""
    size = np.abs(log.columns[name][np.isfinite(log.columns[name])])
    return bool(size.max() > SPIKE * np.quantile(size, 0.99))


def stated_unit(log: Log, name: str, si: str) -> dict[str, str | int | float]:
    """The unit that the file states, where it is not SI."""
    stated = log.units.get(name, "")
    return {"unit": stated} if stated and stated != si and stated in USUAL_UNITS.get(si, {}) else {}


def written(units: Mapping[str, str], name: str, unit: str, si: str) -> dict[str, str | int | float]:
    """The unit of a column, but for one in SI of which the file says nothing else."""
    return {} if unit == si == (units.get(name) or si) else {"unit": unit}


def unless(key: str, value: str, usual: str) -> dict[str, str | int | float]:
    """A key of a map, where its value is not the usual one."""
    return {} if value == usual else {key: value}


def called_so(called: bool) -> str:
    """How a column was matched, in words."""
    return "matches by name" if called else "matches by its values, not by its name"
