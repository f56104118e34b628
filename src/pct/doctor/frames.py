"""Checks of frames: whether a heading is a direction of travel, and along which axes velocities count."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from operator import methodcaller

import numpy as np

from pct.doctor.comparison import change, is_long_enough, mean_rate, pose_velocity, span_rows
from pct.doctor.finding import Finding, Panel, confidence, evidence
from pct.doctor.headings import ahead_of
from pct.doctor.raw_recording import Piece, Recording
from pct.doctor.statistics import (
    DECISIVE,
    MAD,
    Column,
    effective_rows,
    improvement,
    inner,
    noise_of,
)
from pct.recordings.witnesses import is_heading_by_gyro, rolls


def heading_is_course(recording: Recording) -> list[Finding]:
    """A heading that is the direction of travel, or a sideways speed that is none of this vehicle.

    The heading follows the path where the vehicle slips sideways by its sideways speed. The yaw rate says
    which of the two is wrong; without one, whether that speed goes with turning at all. Velocities of another
    point than that of the pose would show the same, but by a multiple of the yaw rate, which is left free.
    """
    if not recording.has("x", "y", "psi") or not (recording.has("vx", "vy") or recording.has("v", "beta")):
        return []
    rows = [row for piece in recording.pieces if (row := _slip_rows(piece)) is not None]
    if not rows:
        return []
    measured, shown, ahead, rate, beta_rate, gyro = map(np.concatenate, zip(*rows, strict=True))
    moving = ahead > 0.3 * np.quantile(ahead, 0.95)
    if moving.sum() < 60:
        return []
    measured, shown, ahead, rate, beta_rate, gyro = (
        column[moving] for column in (measured, shown, ahead, rate, beta_rate, gyro)
    )
    as_heading = _beside(measured, shown, rate)
    as_course = _beside(shown, np.zeros_like(shown), rate, free=False)
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
    panel = Panel(
        "moving time [s]",
        "lateral velocity [m/s]",
        {"logged": (index, measured), "of the path beside the heading": (index, shown)},
    )
    finding = partial(
        Finding,
        confidence=confidence(as_heading / as_course, 2.0),
        panels=(panel,),
        **evidence(recording, np.array([0, len(recording) - 1])),
    )
    by_gyro = is_heading_by_gyro(rate, beta_rate, gyro)
    if by_gyro or (by_gyro is None and not rolls(measured, ahead, rate)):
        names = ("vy",) if recording.has("vy") else ("beta",)
        why = "the yaw rate is the rate of the heading" if by_gyro else "it does not go with turning"
        return [
            finding(
                check="speed_mismatch",
                severity="warning",
                message=(
                    f"{recording.called(names[0])} is unlike the sideways speed of the positions "
                    f"({np.sqrt(as_heading):.2g} m/s apart), and {why}: the heading is right"
                ),
                channels=names,
                fix="leave the channel out: it is derived from the pose",
                mend=methodcaller("without", *names),
            )
        ]
    return [
        finding(
            check="heading_is_course",
            severity="error",
            message=(
                f"{recording.called('psi')} is the direction of travel and no heading: it follows the path "
                f"within {np.sqrt(as_course) / np.median(ahead):.2g} rad while the slip angle is "
                f"{MAD * np.median(np.abs(measured / ahead)):.2g} rad"
            ),
            channels=("psi",),
            fix="map the column to 'course', not to 'psi': the heading is derived from it and the slip angle",
            mend=_renamed_to_course,
        )
    ]


def _slip_rows(piece: Piece) -> tuple[Column, ...] | None:
    """Sideways speed as logged and of the pose, speed ahead, rates of heading and slip angle, yaw rate."""
    pose, sideways, psi = pose_velocity(piece), piece.get("vy"), piece.get("psi")
    if pose is None or sideways is None or psi is None or not is_long_enough(piece):
        return None
    measured, turn = mean_rate(sideways, piece.dt), change(psi, piece.dt)
    beta = np.arctan2(sideways, np.maximum(np.abs(ahead_of(piece)), 1e-3))
    gyro = piece.columns.get("psi_dot")
    yaw_rate = np.full_like(turn, np.nan) if gyro is None else mean_rate(gyro, piece.dt)
    return measured, pose[1], pose[0], turn, change(beta, piece.dt), yaw_rate


def _renamed_to_course(recording: Recording) -> Recording:
    column = recording.channels["psi"]
    renamed = recording.without("psi")
    channels = {**renamed.channels, "course": column}
    origins = {**recording.origins, "course": recording.origins.get("psi", "measured")}
    return dataclasses.replace(renamed, channels=channels, origins=origins)


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
    plain = _beside(vx, along, turn, free=False) + _beside(vy, across, turn)
    backwards = _beside(vx, -along, turn, free=False) + _beside(vy, -across, turn)
    world = _beside(vx, x_dot, turn, free=False) + _beside(vy, y_dot, turn)
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
    same, flipped = _beside(vy, across, turn), _beside(vy, -across, turn)
    exact, exact_flipped = (
        _beside(vy, across, turn, free=False),
        _beside(vy, -across, turn, free=False),
    )
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
    if pose is None or not {"vx", "vy"} <= set(piece.columns) or not is_long_enough(piece):
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


def _beside(value: Column, reference: Column, turn: Column, *, free: bool = True) -> float:
    """Robust variance that is left of a reading beside its reference, with a lever arm if free."""
    rest = value - reference
    if free:
        strong = np.abs(rest - np.median(rest)) < 10 * MAD * np.median(np.abs(rest - np.median(rest))) + 1e-12
        rest = rest - inner(rest[strong], turn[strong]) / max(inner(turn[strong], turn[strong]), 1e-12) * turn
    return float((MAD * np.median(np.abs(rest))) ** 2) + 1e-12


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
