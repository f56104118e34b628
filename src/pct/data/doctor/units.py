"""Checks of units, signs and frames: a factor or a turn of the axes that makes two readings agree.

A slope of a channel on what it is compared with is too small where the other side is noisy, and its inverse
too large where the channel is; the truth lies between the two whatever the noise. A unit is wrong only
where both of them are far from one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from pct.data.checks import USUAL_UNITS, WHEELBASES
from pct.data.derive import known_channels
from pct.data.doctor.finding import Finding, Panel, confidence, evidence
from pct.data.doctor.recording import Piece, Recording
from pct.data.doctor.relations import (
    RELATIONS,
    Relation,
    change,
    compare,
    mean_rate,
    middle,
    pair_step,
    pose_velocity,
    span_rows,
)
from pct.data.doctor.statistics import MAD, Agreement, Column, Pair, effective_rows, improvement, noise_of

# Two readings of one quantity differ by no more than this by calibration, tyres or slip.
CALIBRATION = 1.6
# A usual unit explains a factor this near to its own.
NEAR = 0.08
NEAR_ACCELERATION = 0.3
# Another constant factor is one where it is beyond what a slow sensor takes from a signal.
ODD_FACTOR = 3.0
# Independent rows, and correlation, that a verdict needs.
ROWS = 8.0
CORRELATION = 0.5
# Twice the log-likelihood that a better hypothesis must gain: beyond 1e-6 by chance, for one parameter.
DECISIVE = 24.0
# A road wheel turns no further, in rad; of a log in degrees the usual angles are beyond it.
STEEPEST = 1.1
# A heading this far off the path, in rad, on a straight.
OFF_PATH = 0.15

# Units beside those that a map may name often.
MORE_UNITS = {"m/s": {"knot": 3600 / 1852}, "rad/s": {"rev/s": 1 / (2 * np.pi)}}


class Turned(NamedTuple):
    """A heading under one hypothesis: how well it follows the path, and by which constant it is off."""

    scale: float
    residual: float
    offset: float


def headings(recording: Recording) -> list[Finding]:
    """A heading in degrees, clockwise, or from another zero: compared with the direction of the path."""
    name = next((name for name in ("psi", "yaw", "course") if recording.has(name)), None)
    if name is None:
        return []
    if not recording.has("x", "y"):
        return _heading_by_range(recording, name)
    course, raw, weights = _courses(recording, name)
    if len(course) < 30:
        return []
    deg = np.pi / 180
    tried = [_turned(course, raw, weights, scale) for scale in (1.0, -1.0, deg, -deg)]
    plain = tried[0]
    # On a straight nothing turns: a heading of zeros would do as well, and a unit that shrinks noise better.
    straight = _turned(course, raw, weights, 0.0)
    best = min(tried, key=lambda t: t.residual)
    rows = effective_rows(np.sin(course - best.scale * raw - best.offset))
    if improvement(plain.residual, best.residual, rows) < DECISIVE or best.residual > 0.5 * min(
        plain.residual, straight.residual
    ):
        best = plain
    # Reversing, a spin or a lost heading scatter; one constant must hold for most of the way.
    if best.residual > 0.3:
        return []
    off = abs(best.offset) > OFF_PATH
    if abs(best.offset) > np.pi - OFF_PATH and _reverses(recording):
        # Heading and velocity both say that it goes backwards.
        off = False
    if best.scale == 1.0 and not off:
        return []
    found = []
    evident = evidence(recording, np.array([0, len(recording) - 1]))
    panels = (
        Panel(
            "row that moves",
            "heading less direction of the path [rad]",
            {
                "as logged": (np.arange(len(course), dtype=float), _wrap(raw - course)),
                "mended": (
                    np.arange(len(course), dtype=float),
                    _wrap(best.scale * raw + best.offset - course),
                ),
            },
            points=True,
        ),
    )
    before, after = float(np.sqrt(plain.residual)), float(np.sqrt(best.residual))
    if abs(best.scale) != 1.0:
        found.append(
            Finding(
                check="unit",
                severity="error",
                message=(
                    f"{recording.called(name)} is in degrees: taken so it follows the path within "
                    f"{after:.2g} rad, "
                    f"as radians within {before:.2g}"
                ),
                channels=(name,),
                confidence=confidence(before / max(after, 1e-3), 1.4),
                fix=f'[channels.{name}] unit = "deg"',
                lines={f"channels.{name}.unit": "deg"},
                mend=lambda r: r.scaled({name: abs(best.scale)}),
                panels=panels,
                **evident,
            )
        )
    if best.scale < 0:
        found.append(
            Finding(
                check="sign",
                severity="error",
                message=(
                    f"{recording.called(name)} counts clockwise: reversed it follows the path within "
                    f"{after:.2g} rad, "
                    f"as it is within {before:.2g}"
                ),
                channels=(name,),
                confidence=confidence(before / max(after, 1e-3), 1.4),
                fix=f"[channels.{name}] sign = -1; or 'y' has the wrong sign",
                lines={f"channels.{name}.sign": -1},
                mend=lambda r: r.scaled({name: -1.0}),
                panels=panels,
                **evident,
            )
        )
    if off:
        found.append(
            Finding(
                check="heading_zero",
                severity="error",
                message=(
                    f"{recording.called(name)} is {-best.offset:+.3f} rad off the direction of the path "
                    "where the "
                    "vehicle goes straight: it has another zero, or the vehicle reverses"
                ),
                channels=(name,),
                confidence=confidence(abs(best.offset), OFF_PATH),
                fix=(
                    f"[channels.{name}] offset (a heading from north, clockwise: sign = -1, offset = -90 deg)"
                ),
                mend=lambda r: r.shifted(name, best.offset),
                panels=panels,
                **evident,
            )
        )
    return found


def _courses(recording: Recording, name: str) -> tuple[Column, Column, Column]:
    """Direction of the path, the heading as logged, and weights, of the rows that move."""
    courses, raws, weights = [], [], []
    for piece in recording.pieces:
        if not {"x", "y", name} <= set(piece.columns) or len(piece) < 40:
            continue
        x_dot, y_dot = change(piece.columns["x"], piece.dt), change(piece.columns["y"], piece.dt)
        ahead = _ahead(piece)
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
    return float(np.mean(np.concatenate([_ahead(piece) for piece in recording.pieces]) < 0)) > 0.5


def _ahead(piece: Piece) -> Column:
    """Speed along the vehicle as logged, ones where it is not."""
    columns = piece.columns
    if "vx" in columns:
        return columns["vx"]
    if "v" in columns:
        return columns["v"] * np.cos(columns["beta"]) if "beta" in columns else columns["v"]
    return np.ones(len(piece))


def _turned(course: Column, raw: Column, weights: Column, scale: float) -> Turned:
    apart = _wrap(course - scale * raw)
    offset = float(np.angle(np.mean(np.exp(1j * apart))))
    # The median of what is left: a slip angle is small most of the time.
    offset += float(np.median(_wrap(apart - offset)))
    left = _wrap(apart - offset)
    return Turned(scale, float((MAD * np.median(np.abs(left))) ** 2) + 1e-6, offset)


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


def steering_unit(recording: Recording) -> list[Finding]:
    """A steering angle beyond what a road wheel turns, or one that makes an impossible wheelbase."""
    if not recording.has("delta"):
        return []
    column = recording.channels["delta"]
    usual = float(np.nanquantile(np.abs(column), 0.9))
    length = wheelbase(recording)
    steep = usual > STEEPEST
    odd = length is not None and not WHEELBASES[0] <= abs(length) <= WHEELBASES[1]
    if not (steep or odd):
        return []
    implied = (
        "" if length is None else f"; with yaw rate and speed it makes a wheelbase of {abs(length):.3g} m"
    )
    return [
        Finding(
            check="unit",
            severity="error",
            message=(
                f"{recording.called('delta')} is beyond {usual:.3g} rad in a tenth of the rows{implied}: "
                "degrees, or the angle of the steering wheel"
            ),
            channels=("delta",),
            confidence=confidence(usual / STEEPEST if steep else abs(length or 0.0) / WHEELBASES[1], 1.0),
            fix='[channels.delta] unit = "deg"',
            lines={"channels.delta.unit": "deg"},
            mend=lambda r: r.scaled({"delta": np.pi / 180}),
            **evidence(recording, np.flatnonzero(np.abs(column) >= usual)),
        )
    ]


def _curvature_sides(piece: Piece) -> Pair | None:
    delta, psi_dot, v = (piece.get(name) for name in ("delta", "psi_dot", "v"))
    if delta is None or psi_dot is None or v is None:
        return None
    return mean_rate(delta * v, piece.dt), mean_rate(psi_dot, piece.dt)


def heading_is_course(recording: Recording) -> list[Finding]:
    """A heading that is the direction of travel: it follows the path where the vehicle slips sideways.

    Velocities of another point than that of the pose would show the same, but by a multiple of the yaw rate,
    which is left free.
    """
    if not recording.has("x", "y", "psi") or not (recording.has("vx", "vy") or recording.has("v", "beta")):
        return []
    vy, across, along, turn = [], [], [], []
    for piece in recording.pieces:
        pose, sideways, psi = pose_velocity(piece), piece.get("vy"), piece.get("psi")
        if pose is None or sideways is None or psi is None or len(piece) < 60:
            continue
        along.append(pose[0])
        across.append(pose[1])
        vy.append(mean_rate(sideways, piece.dt))
        turn.append(change(psi, piece.dt))
    if not vy:
        return []
    measured, shown, ahead, rate = map(np.concatenate, (vy, across, along, turn))
    moving = ahead > 0.3 * np.quantile(ahead, 0.95)
    if moving.sum() < 60:
        return []
    measured, shown, ahead, rate = (column[moving] for column in (measured, shown, ahead, rate))
    as_heading = _left(measured, shown, rate)
    as_course = _left(shown, np.zeros_like(shown), rate, free=False)
    count = effective_rows(shown)
    noise = np.median([noise_of(c) for p in recording.pieces if (c := p.get("vy")) is not None])
    # What the slip angle shows must be more than its noise.
    least = 9.0 * float(noise) ** 2 / (2 * span_rows(recording.dt) + 1)
    if (
        as_heading < least
        or as_course > 0.5 * as_heading
        or improvement(as_heading, as_course, count) < DECISIVE
    ):
        return []
    index = np.arange(len(shown), dtype=float) * recording.dt
    return [
        Finding(
            check="heading_is_course",
            severity="error",
            message=(
                f"{recording.called('psi')} is the direction of travel and no heading: it follows the path "
                f"within {np.sqrt(as_course) / np.median(ahead):.2g} rad while the slip angle is "
                f"{MAD * np.median(np.abs(measured / ahead)):.2g} rad"
            ),
            channels=("psi",),
            confidence=confidence(as_heading / as_course, 2.0),
            fix="map the column to 'course', not to 'psi': the heading is derived from it and the slip angle",
            mend=_renamed_to_course,
            panels=(
                Panel(
                    "moving time [s]",
                    "lateral velocity [m/s]",
                    {"logged": (index, measured), "of the path beside the heading": (index, shown)},
                ),
            ),
            **evidence(recording, np.array([0, len(recording) - 1])),
        )
    ]


def _renamed_to_course(recording: Recording) -> Recording:
    column = recording.channels["psi"]
    renamed = recording.without("psi")
    channels = {**renamed.channels, "course": column}
    origins = {**recording.origins, "course": recording.origins.get("psi", "measured")}
    return dataclasses.replace(renamed, channels=channels, origins=origins)


# Speed times steering angle over yaw rate is the wheelbase.
STEERING = Relation("delta", "the yaw rate", (), _curvature_sides)


def wheelbase(recording: Recording) -> float | None:
    """The wheelbase that delta·v over the yaw rate implies, in m, or None where they do not agree."""
    compared = compare(recording, STEERING)
    found = compared and compared[0]
    if found is None or found.rows < ROWS or abs(found.correlation) < CORRELATION:
        return None
    return found.gain


def steering_delay(recording: Recording) -> list[Finding]:
    """How long the vehicle takes to answer its steering: longer where the angle is a command."""
    compared = compare(recording, STEERING)
    if compared is None:
        return []
    found, pairs = compared
    late = -found.lag
    if found.rows < ROWS or found.correlation < 0.8 or late < 0.05 + 3 * found.lag_error:
        return []
    return [
        Finding(
            check="steering_delay",
            severity="info",
            message=(
                f"the yaw rate follows {recording.called('delta')} {late:.3f} ± {found.lag_error:.3f} s "
                f"later (correlation {found.correlation:.3f}): tyres and inertia take part of it, a "
                "servo the rest where the angle is a command"
            ),
            channels=("delta",),
            confidence=confidence(late / max(found.lag_error, 1e-6), 3.0),
            fix=f'if it is a command: [channels.delta] origin = "command", delay = {-late:.2f} or less',
            panels=both_sides(recording, STEERING, pairs, "rad·m/s", found.lag),
            **evidence(recording, np.array([0, len(recording) - 1])),
        )
    ]


def units_and_signs(recording: Recording) -> list[Finding]:
    """Channels that follow what they are compared with by a constant factor or with the wrong sign."""
    found: list[Finding] = []
    told: set[str] = set()
    for relation in RELATIONS:
        if relation.name in told:
            continue
        compared = compare(recording, relation)
        if compared is None:
            continue
        agreed, pairs = compared
        if agreed.rows < ROWS or abs(agreed.correlation) < CORRELATION:
            continue
        low, high = sorted((abs(agreed.low), abs(agreed.high)))
        signed = agreed.gain < 0 and relation.name != "v"
        if signed and improvement(1.0, 1.0 - agreed.correlation**2, agreed.rows) < DECISIVE:
            continue
        if signed and agreed.lag != 0.0 and agreed.correlation_now > -CORRELATION:
            # Half a period late looks like a wrong sign; only a plain one is.
            continue
        wrong_unit = high < 1 / CALIBRATION or low > CALIBRATION
        if wrong_unit:
            unit = _unit_fault(recording, relation, agreed, pairs)
            if unit is None:
                continue
            found.append(unit)
            told.update(unit.channels)
            assert unit.mend is not None
            recording = unit.mend(recording)
        if signed:
            sign = _sign_fault(recording, relation, agreed, pairs)
            found.append(sign)
            told.add(relation.name)
            assert sign.mend is not None
            recording = sign.mend(recording)
    return found


def _unit_fault(
    recording: Recording, relation: Relation, agreed: Agreement, pairs: list[Pair]
) -> Finding | None:
    gain = abs(agreed.gain)
    si = known_channels()[relation.name].unit if relation.name in known_channels() else "m/s^2"
    blamed: tuple[str, ...] = (relation.name,)
    unit, factor = "", gain
    options: list[tuple[tuple[str, ...], str, float]] = [((relation.name,), si, gain)]
    if relation.needs == ("x", "y"):
        options.append((("x", "y"), "m", 1 / gain))
    elif relation.needs == ("psi",):
        options.append((("psi",), "rad", 1 / gain))
    for names, of, ratio in options:
        declared = recording.sources.get(names[0], ("", ""))[1]
        known = {of: 1.0, **USUAL_UNITS.get(of, {}), **MORE_UNITS.get(of, {})}
        raw = ratio * known.get(declared, 1.0)
        # An accelerometer shows part of the weight as well, as the body rolls and pitches.
        close = NEAR_ACCELERATION if of == "m/s^2" else NEAR
        near = [u for u, f in known.items() if abs(np.log(raw / f)) < close and u != (declared or of)]
        if near:
            blamed, factor = names, ratio
            unit = min(near, key=lambda u: abs(np.log(raw / known[u])))
            factor = known[unit] / known.get(declared, 1.0)
            break
    if not unit and abs(np.log(gain)) < np.log(ODD_FACTOR):
        return None
    si = "m" if blamed[0] == "x" else "rad" if blamed[0] == "psi" else si
    if unit:
        what, fix = f"it is in {unit}", unit
    else:
        what, fix = "no usual unit: revolutions of a motor or wheel, or a raw count", f"{si}/{factor:.4g}"
    means = {"x": "the speed", "psi": "the yaw rate"}.get(blamed[0], relation.means)
    return Finding(
        check="unit",
        severity="error",
        message=(
            f"{' and '.join(map(recording.called, blamed))} {'are' if len(blamed) > 1 else 'is'} "
            f"{factor:.4g} times what {means} says (correlation {abs(agreed.correlation):.3f}): {what}"
        ),
        channels=blamed,
        confidence=confidence(abs(np.log(gain)), np.log(CALIBRATION)),
        fix="; ".join(f'[channels.{name}] unit = "{fix}"' for name in blamed),
        lines={f"channels.{name}.unit": fix for name in blamed},
        mend=lambda r: r.scaled(dict.fromkeys(blamed, 1 / factor)),
        panels=both_sides(recording, relation, pairs, si),
        **evidence(recording, np.array([0, len(recording) - 1])),
    )


def _sign_fault(recording: Recording, relation: Relation, agreed: Agreement, pairs: list[Pair]) -> Finding:
    name = relation.name
    return Finding(
        check="sign",
        severity="error",
        message=(
            f"{recording.called(name)} has the wrong sign: its correlation with {relation.means} is "
            f"{agreed.correlation:.3f}"
        ),
        channels=(name,),
        confidence=confidence(abs(agreed.correlation), CORRELATION),
        fix=f"[channels.{name}] sign = -1",
        lines={f"channels.{name}.sign": -1},
        mend=lambda r: r.scaled({name: -1.0}),
        panels=both_sides(
            recording, relation, pairs, known_channels()[name].unit if name in known_channels() else ""
        ),
        **evidence(recording, np.array([0, len(recording) - 1])),
    )


def steering_sign(recording: Recording) -> list[Finding]:
    """Steering to the left that turns the vehicle right."""
    compared = compare(recording, STEERING)
    if compared is None:
        return []
    found, pairs = compared
    if found.rows < ROWS or found.correlation > -0.6 or found.correlation_now > -CORRELATION:
        return []
    if improvement(1.0, 1.0 - found.correlation**2, found.rows) < DECISIVE:
        return []
    return [_sign_fault(recording, STEERING, found, pairs)]


def velocity_frame(recording: Recording) -> list[Finding]:
    """Velocities along the map's axes, or with the lateral axis to the right, or backwards.

    Velocities of another point than that of the pose differ by a multiple of the yaw rate, which is left
    free, so
    that a lever arm is not taken for a wrong sign.
    """
    if not recording.has("vx", "vy") or not recording.measured("vy"):
        return []
    rows = [row for piece in recording.pieces if (row := _frame_rows(piece)) is not None]
    if not rows:
        return []
    vx, vy, along, across, turn, x_dot, y_dot = (np.concatenate(column) for column in zip(*rows, strict=True))
    if np.std(along) + np.std(across) < 1e-9 or np.std(across) < 1e-9:
        return []
    plain = _left(vx, along, turn, free=False) + _left(vy, across, turn)
    backwards = _left(vx, -along, turn, free=False) + _left(vy, -across, turn)
    world = _left(vx, x_dot, turn, free=False) + _left(vy, y_dot, turn)
    count = max(4.0, effective_rows(vx - along))
    if world < 0.25 * min(plain, backwards) and improvement(min(plain, backwards), world, count) > DECISIVE:
        return [
            _frame_fault(
                recording,
                ("vx", "vy"),
                "along the axes of the map and not of the vehicle",
                "turn them by the heading before they are mapped, or leave both out: they are derived "
                "from the pose",
                lambda r: r.without("vx", "vy"),
                (vy, across, y_dot),
                plain / max(world, 1e-12),
            )
        ]
    if backwards < 0.25 * plain and improvement(plain, backwards, count) > DECISIVE:
        return [
            _frame_fault(
                recording,
                ("vx", "vy"),
                "backwards: both axes point the other way",
                "[channels.vx] sign = -1; [channels.vy] sign = -1",
                lambda r: r.scaled({"vx": -1.0, "vy": -1.0}),
                (vy, across, -across),
                plain / max(backwards, 1e-12),
                {"channels.vx.sign": -1, "channels.vy.sign": -1},
            )
        ]
    # The lateral axis alone. One without a lever arm explains more simply than one with.
    same, flipped = _left(vy, across, turn), _left(vy, -across, turn)
    exact, exact_flipped = _left(vy, across, turn, free=False), _left(vy, -across, turn, free=False)
    count = effective_rows(vy + across)
    best = min(same, flipped)
    simple = improvement(exact_flipped, best, count) < DECISIVE < improvement(exact, exact_flipped, count)
    if (simple and exact_flipped < 0.5 * exact) or (
        exact_flipped < 0.5 * exact and flipped < 0.5 * same and improvement(same, flipped, count) > DECISIVE
    ):
        return [
            _frame_fault(
                recording,
                ("vy",),
                "positive to the right: reversed it agrees with the pose",
                "[channels.vy] sign = -1",
                lambda r: r.scaled({"vy": -1.0}),
                (vy, across, -across),
                exact / max(exact_flipped, 1e-12),
                {"channels.vy.sign": -1},
            )
        ]
    return []


def _frame_rows(piece: Piece) -> tuple[Column, ...] | None:
    pose = pose_velocity(piece)
    if pose is None or not {"vx", "vy"} <= set(piece.columns) or len(piece) < 60:
        return None
    psi = piece.get("psi")
    assert psi is not None
    columns = piece.columns
    return (
        mean_rate(columns["vx"], piece.dt),
        mean_rate(columns["vy"], piece.dt),
        *pose,
        change(psi, piece.dt),
        change(columns["x"], piece.dt),
        change(columns["y"], piece.dt),
    )


def _left(value: Column, reference: Column, turn: Column, *, free: bool = True) -> float:
    """Robust variance that is left of a reading beside its reference, with a lever arm if free."""
    apart = value - reference
    if free:
        strong = (
            np.abs(apart - np.median(apart)) < 10 * MAD * np.median(np.abs(apart - np.median(apart))) + 1e-12
        )
        apart = apart - (apart[strong] @ turn[strong]) / max(turn[strong] @ turn[strong], 1e-12) * turn
    return float((MAD * np.median(np.abs(apart))) ** 2) + 1e-12


def _frame_fault(
    recording: Recording,
    channels: tuple[str, ...],
    what: str,
    fix: str,
    mend: Callable[[Recording], Recording],
    curves: tuple[Column, Column, Column],
    ratio: float,
    lines: Mapping[str, int] | None = None,
) -> Finding:
    value, before, after = curves
    index = np.arange(len(value), dtype=float) * recording.dt
    return Finding(
        check="velocity_frame",
        severity="error",
        message=(
            f"{' and '.join(map(recording.called, channels))}: velocities {what} "
            f"(variance beside the pose {ratio:.3g} times smaller)"
        ),
        channels=channels,
        confidence=confidence(ratio, 2.0),
        fix=fix,
        lines=lines or {},
        mend=mend,
        panels=(
            Panel(
                "moving time [s]",
                "vy [m/s]",
                {"logged": (index, value), "from the pose": (index, before), "mended": (index, after)},
            ),
        ),
        **evidence(recording, np.array([0, len(recording) - 1])),
    )


def both_sides(
    recording: Recording, relation: Relation, pairs: list[Pair], unit: str, lag: float = 0.0
) -> tuple[Panel, ...]:
    """Channel and reference against time, and against each other."""
    a, b = pairs[int(np.argmax([len(a) for a, _ in pairs]))]
    near = _busiest(b, round(15.0 / recording.dt / pair_step(recording)))
    seconds = np.arange(len(a))[near] * recording.dt * pair_step(recording)
    label = f"{relation.name} [{unit}]" if unit else relation.name
    curves = {"logged": (seconds, a[near]), relation.means: (seconds, b[near])}
    if lag:
        curves[f"logged, {lag:.3g} s sooner"] = (seconds - lag, a[near])
    return (
        Panel("time of the piece [s]", label, curves),
        Panel(f"{relation.means} [SI]", label, {"rows": (b, a)}, points=True),
    )


def _busiest(values: Column, rows: int) -> slice:
    """The stretch of so many rows in which a signal moves most."""
    if len(values) <= rows:
        return slice(0, len(values))
    total = np.concatenate([[0.0], np.cumsum((values - values.mean()) ** 2)])
    start = int(np.argmax(total[rows:] - total[:-rows]))
    return slice(start, start + rows)


def _wrap(angle: Column) -> Column:
    return (angle + np.pi) % (2 * np.pi) - np.pi
