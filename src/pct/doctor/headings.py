"""Checks of a heading against the path: its unit, which way it counts, its zero, and whether it is one."""

from __future__ import annotations

import dataclasses
from functools import partial
from operator import methodcaller
from typing import NamedTuple

import numpy as np

from pct.doctor.comparison import change, is_long_enough, mean_rate, middle
from pct.doctor.finding import Finding, Panel, confidence, evidence
from pct.doctor.raw_recording import Piece, Recording
from pct.doctor.statistics import DECISIVE, MAD, Column, effective_rows, improvement

# A heading this far off the path, in rad, on a straight.
OFF_PATH = 0.15
# A heading as it stands in the log, among the columns of a piece.
RAW = "feature.heading"
# What it is compared with.
PATH = ("x", "y", "vx", "v", "beta")
# A heading that follows the path so well, in rad^2, is in the unit that the map says.
FOLLOWS = 0.002
# Rows that turn to one side, of a drive without a straight, and a slip angle in rad that it may have.
ONE_SIDED = 0.95
SLIPPING = 0.5
# Radians, degrees, and angles that were converted once too often.
DEG = np.pi / 180
UNITS = {1.0: "rad", DEG: "deg", DEG**2: "deg/57.29578", 1 / DEG: "57.29578 rad"}
# Correlations of two rates that are one, and of two that are not.
AGREES, STRAYS = 0.8, 0.5


class Turned(NamedTuple):
    """A heading under one hypothesis: how well it follows the path, and by which constant it is off."""

    scale: float
    residual: float
    offset: float


def headings(recording: Recording) -> list[Finding]:
    """A heading in another unit, clockwise, or from another zero: compared with the direction of the path."""
    name = next((name for name in ("psi", "yaw", "course") if recording.has(name)), None)
    if name is None:
        return []
    if not recording.has("x", "y"):
        return _heading_by_range(recording, name)
    course, raw, weights = _courses(recording, name)
    if len(course) < 30:
        return []
    candidates = [_turned(course, raw, weights, side) for side in (1.0, -1.0)]
    if min(candidate.residual for candidate in candidates) > FOLLOWS:
        scales = {factor / _declared(recording, name) for factor in UNITS} - {1.0}
        candidates += [
            _turned(course, raw, weights, side * scale) for scale in scales for side in (1.0, -1.0)
        ]
    plain = candidates[0]
    # On a straight nothing turns: a heading of zeros would do as well, and a unit that shrinks noise better.
    straight = _turned(course, raw, weights, 0.0)
    best = min(candidates, key=lambda t: t.residual)
    rows = effective_rows(np.sin(course - best.scale * raw - best.offset))
    if improvement(plain.residual, best.residual, rows) < DECISIVE or best.residual > 0.5 * min(
        plain.residual, straight.residual
    ):
        best = plain
    # Reversing, a spin or a lost heading scatter; one constant must hold for most of the way.
    if best.residual > 0.3:
        return _broken_heading(recording, name)
    twice = _mended_by_map(recording, name) if best is plain else []
    # A circle has no straight: there the slip angle itself is constant.
    turns = np.diff(raw)
    circle = max(np.mean(turns > 0), np.mean(turns < 0)) > ONE_SIDED
    off = abs(best.offset) > (SLIPPING if circle else OFF_PATH)
    if abs(best.offset) > np.pi - OFF_PATH and _reverses(recording):
        # Heading and velocity both say that it goes backwards.
        off = False
    index = np.arange(len(course), dtype=float)
    curves = {"as logged": raw - course, "mended": best.scale * raw + best.offset - course}
    panel = Panel(
        "row that moves",
        "heading less direction of the path [rad]",
        {label: (index, _wrap(angle)) for label, angle in curves.items()},
        points=True,
    )
    return [*twice, *_heading_faults(recording, name, plain, best, off=off, panel=panel)]


def _declared(recording: Recording, name: str) -> float:
    """How many rad the map's unit of a heading is."""
    unit = recording.sources.get(name, ("", ""))[1]
    return next(
        (factor for factor, known in UNITS.items() if known == unit), DEG if unit[:3] == "deg" else 1.0
    )


def _mended_by_map(recording: Recording, name: str) -> list[Finding]:
    """A heading that was converted once too often, which the map takes back."""
    unit = UNITS[_declared(recording, name)]
    if unit in ("rad", "deg"):
        return []
    return [
        Finding(
            check="unit",
            severity="info",
            message=(
                f"{recording.called(name)} was converted once too often, from rad to deg or back: the map "
                "takes it back, and it follows the path"
            ),
            channels=(name,),
            confidence=1.0,
            fix="convert it once where it is logged",
            **evidence(recording, np.array([0, len(recording) - 1])),
        )
    ]


def _broken_heading(recording: Recording, name: str) -> list[Finding]:
    """A heading that points nowhere, beside a yaw rate that is the rate of the direction of the path."""
    rows = []
    for piece in recording.pieces:
        if not {"x", "y", "psi_dot", name} <= set(piece.columns) or not is_long_enough(piece):
            continue
        x_dot, y_dot = change(piece.columns["x"], piece.dt), change(piece.columns["y"], piece.dt)
        if len(x_dot) < 60:
            continue
        course = np.unwrap(np.arctan2(y_dot, x_dot))
        speed = middle(np.hypot(x_dot, y_dot), piece.dt)
        rows.append(
            (
                middle(mean_rate(piece.columns["psi_dot"], piece.dt), piece.dt),
                change(course, piece.dt),
                middle(change(piece.columns[name], piece.dt), piece.dt),
                speed,
            )
        )
    if not rows or sum(len(row[0]) for row in rows) < 60:
        return []
    gyro, path, heading, speed = map(np.concatenate, zip(*rows, strict=True))
    moving = speed > 0.3 * np.quantile(speed, 0.95)
    if moving.sum() < 60 or np.std(gyro[moving]) < 1e-9:
        return []
    with_path, with_heading = (
        float(np.corrcoef(gyro[moving], np.clip(c, *np.quantile(c, [0.01, 0.99])))[0, 1])
        if np.std(c)
        else 0.0
        for c in (path[moving], heading[moving])
    )
    if abs(with_path) < AGREES or abs(with_heading) > STRAYS:
        return []
    index = np.arange(int(moving.sum()), dtype=float) * recording.dt
    return [
        Finding(
            check="heading_mismatch",
            severity="error",
            message=(
                f"{recording.called(name)} points nowhere: the yaw rate goes with the direction of the path "
                f"(correlation {with_path:.2f}) and not with the rate of the heading ({with_heading:.2f})"
            ),
            channels=(name,),
            confidence=confidence(abs(with_path), AGREES),
            fix="leave the channel out, or log the heading anew: path and yaw rate agree without it",
            mend=methodcaller("without", name),
            panels=(
                Panel(
                    "moving time [s]",
                    "rad/s",
                    {"yaw rate": (index, gyro[moving]), "rate of the path": (index, path[moving])},
                ),
            ),
            **evidence(recording, np.array([0, len(recording) - 1])),
        )
    ]


def _heading_faults(
    recording: Recording, name: str, plain: Turned, best: Turned, *, off: bool, panel: Panel
) -> list[Finding]:
    """Findings on a heading that follows the path better with another scale or zero than as logged."""
    before, after = float(np.sqrt(plain.residual)), float(np.sqrt(best.residual))
    called, sure = recording.called(name), confidence(before / max(after, 1e-3), 1.4)
    finding = partial(
        Finding,
        severity="error",
        channels=(name,),
        panels=(panel,),
        **evidence(recording, np.array([0, len(recording) - 1])),
    )
    findings = []
    if abs(best.scale) != 1.0:
        declared = _declared(recording, name)
        factor = min(UNITS, key=lambda known: abs(np.log(known / (declared * abs(best.scale)))))
        unit = UNITS[factor]
        twice = "" if unit in ("rad", "deg") else ", an angle that was converted once too often"
        findings.append(
            finding(
                check="unit",
                message=(
                    f"{called} is in {unit}{twice}: taken so it follows the path within {after:.2g} rad, as "
                    f"{UNITS[declared]} within {before:.2g}"
                ),
                confidence=sure,
                fix=f'[channels.{name}] unit = "{unit}"',
                lines={f"channels.{name}.unit": unit},
                mend=lambda r: r.scaled({name: abs(best.scale)}),
            )
        )
    if best.scale < 0:
        findings.append(
            finding(
                check="sign",
                message=(
                    f"{called} counts clockwise: reversed it follows the path within {after:.2g} rad, as it "
                    f"is within {before:.2g}"
                ),
                confidence=sure,
                fix=f"[channels.{name}] sign = -1; or 'y' has the wrong sign",
                lines={f"channels.{name}.sign": -1},
                mend=lambda r: r.scaled({name: -1.0}),
            )
        )
    if off:
        findings.append(
            finding(
                check="heading_zero",
                message=(
                    f"{called} is {-best.offset:+.3f} rad off the direction of the path where the vehicle "
                    "goes straight: it has another zero, or the vehicle reverses"
                ),
                confidence=confidence(abs(best.offset), OFF_PATH),
                fix=(
                    f"[channels.{name}] offset (a heading from north, clockwise: sign = -1, offset = -90 deg)"
                ),
                mend=lambda r: r.shifted(name, best.offset),
            )
        )
    return findings


def _courses(recording: Recording, name: str) -> tuple[Column, Column, Column]:
    """Direction of the path, the heading as logged, and weights, of the rows that move."""
    courses, raws, weights = [], [], []
    column = recording.channels[name]
    if np.nanmax(np.abs(np.diff(column)), initial=0.0) > np.pi:
        # Its jumps are full turns in its own unit, whichever that is.
        others = {key: recording.channels[key] for key in PATH if recording.has(key)}
        recording, name = dataclasses.replace(recording, channels={**others, RAW: column}), RAW
    for piece in recording.pieces:
        if not {"x", "y", name} <= set(piece.columns) or not is_long_enough(piece):
            continue
        x_dot, y_dot = change(piece.columns["x"], piece.dt), change(piece.columns["y"], piece.dt)
        ahead = ahead_of(piece)
        backwards = ahead < 0 if np.mean(ahead < 0) < 0.5 else np.zeros(len(ahead), bool)
        courses.append(np.arctan2(y_dot, x_dot) + np.pi * middle(backwards.astype(float), piece.dt))
        raws.append(middle(piece.columns[name], piece.dt))
        weights.append(np.hypot(x_dot, y_dot))
    if not courses:
        return np.zeros(0), np.zeros(0), np.zeros(0)
    course, raw, weight = map(np.concatenate, (courses, raws, weights))
    moving = weight > max(0.3 * np.quantile(weight, 0.95), 1e-6)
    return course[moving], raw[moving], np.ones(int(moving.sum()))


def _reverses(recording: Recording) -> bool:
    return float(np.mean(np.concatenate([ahead_of(piece) for piece in recording.pieces]) < 0)) > 0.5


def ahead_of(piece: Piece) -> Column:
    """Speed along the vehicle as logged, ones where it is not."""
    columns = piece.columns
    if "vx" in columns:
        return columns["vx"]
    if "v" in columns:
        return columns["v"] * np.cos(columns["beta"]) if "beta" in columns else columns["v"]
    return np.ones(len(piece))


def _turned(course: Column, raw: Column, weights: Column, scale: float) -> Turned:
    difference = _wrap(course - scale * raw)
    offset = float(np.angle(np.mean(np.exp(1j * difference))))
    # The median of what is left: a slip angle is small most of the time.
    offset += float(np.median(_wrap(difference - offset)))
    residual = _wrap(difference - offset)
    return Turned(scale, float((MAD * np.median(np.abs(residual))) ** 2) + 1e-6, offset)


def _heading_by_range(recording: Recording, name: str) -> list[Finding]:
    """Without positions: a heading whose full turns are of 360 is in degrees."""
    column = recording.channels[name]
    jumps = np.abs(np.diff(column[np.isfinite(column)]))
    turns = jumps[jumps > 180]
    if not len(turns) or abs(np.median(turns) - 360) > 20:
        return []
    return [
        Finding(
            check="unit",
            severity="error",
            message=(
                f"{recording.called(name)} jumps by {np.median(turns):.0f} at a full turn: it is in degrees"
            ),
            channels=(name,),
            confidence=0.95,
            fix=f'[channels.{name}] unit = "deg"',
            lines={f"channels.{name}.unit": "deg"},
            mend=lambda r: r.scaled({name: np.pi / 180}),
            **evidence(recording, np.array([0, len(column) - 1])),
        )
    ]


def _wrap(angle: Column) -> Column:
    return (angle + np.pi) % (2 * np.pi) - np.pi
