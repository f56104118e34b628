"""A velocity that is not of the point whose positions are logged."""

from __future__ import annotations

import dataclasses

import numpy as np

from pct.doctor.comparison import (
    change,
    is_long_enough,
    mean_rate,
    pose_velocity,
)
from pct.doctor.finding import Finding, Panel, confidence, evidence
from pct.doctor.lags import LAG_SECONDS
from pct.doctor.raw_recording import Piece, Recording
from pct.doctor.statistics import (
    MAD,
    Column,
    effective_rows,
    inner,
    reduced,
)
from pct.doctor.steering import wheelbase

# The least lever arm that is reported, as a share of the wheelbase.
ARM_SHARE = 0.2
ARM_DEVIATIONS = 3.5
# Standard deviation in s of what is left of delays once lags are mended: anything between LAG_SECONDS to
# either side.
LEFT_LATE = LAG_SECONDS / 3**0.5


def reference_point(recording: Recording) -> list[Finding]:
    """Velocities of another point than that of the pose: their difference grows with the yaw rate.

    For a rigid body the lateral velocities of two points on its axis differ by distance times yaw rate. A
    heading that is late or turned gives a difference with speed times yaw rate or speed, a late velocity one
    with its rate; these are fitted beside it. At constant speed a delay passes for an arm, so delays count as
    known: zero, give or take `LEFT_LATE`.
    """
    rows = [row for piece in recording.pieces if (row := _arm_rows(piece, recording)) is not None]
    if not rows:
        return []
    vy, across, turn, speed, rate = (np.concatenate(column) for column in zip(*rows, strict=True))
    if np.std(turn) < 1e-9 or np.std(speed) + abs(np.mean(speed)) < 1e-9:
        return []
    difference = vy - across
    columns = [turn, speed * turn, speed, np.ones_like(turn), rate]
    keep = np.ones(len(difference), bool)
    for _ in range(3):
        known, shown = reduced(columns, difference, keep)
        solution, *_ = np.linalg.lstsq(known, shown, rcond=len(difference) * np.finfo(float).eps)
        residual = difference.copy()
        for column, factor in zip(columns, solution, strict=True):
            residual -= factor * column
        scale = MAD * float(np.median(np.abs(residual[keep] - np.median(residual[keep]))))
        keep = np.abs(residual) < 4.0 * scale + 1e-9
    repeats = keep.sum() / max(4.0, effective_rows(residual[keep]))
    noise = repeats * float(np.var(residual[keep])) + 1e-18
    # Least squares with the delays, second and last, as observations of zero.
    late = np.diag([0.0, LEFT_LATE**-2, 0.0, 0.0, LEFT_LATE**-2])
    known, shown = reduced(columns, difference, keep)
    covariance = np.linalg.pinv(known.T @ known / noise + late)
    arm = float((covariance @ (known.T @ shown))[0]) / noise
    error = float(np.sqrt(covariance[0, 0]))
    length = wheelbase(recording)
    least = max(ARM_SHARE * abs(length) if length is not None else 0.0, ARM_DEVIATIONS * error)
    # What several causes could share must not be given to this one alone: it must show by itself as well.
    alone = inner(turn[keep], difference[keep]) / inner(turn[keep], turn[keep])
    if abs(arm) < least or not 0.5 < alone / arm < 2.0:
        return []
    side = "ahead of" if arm > 0 else "behind"
    return [
        Finding(
            check="reference_point",
            severity="warning",
            message=(
                f"the lateral velocity belongs to a point {abs(arm):.3f} ± {error:.3f} m {side} that of "
                "the pose: "
                "it differs by that times the yaw rate"
            ),
            channels=("vy",) if recording.has("vy") else ("v", "beta"),
            confidence=confidence(abs(arm), least),
            fix=(
                "move one of them to the other's point before they are mapped; reference_ahead moves "
                "both together"
            ),
            mend=lambda r: _moved(r, arm),
            panels=(
                Panel(
                    "yaw rate [rad/s]",
                    "lateral velocity less that of the pose [m/s]",
                    {"rows": (turn, difference), "fit": (turn, arm * turn)},
                    points=True,
                ),
            ),
            **evidence(recording, np.array([0, len(recording) - 1])),
        )
    ]


def _moved(recording: Recording, arm: float) -> Recording:
    """The lateral velocity at the point of the pose, where it and the yaw rate are logged."""
    if not recording.has("vy", "psi_dot"):
        return recording.without("beta")
    vy = recording.channels["vy"] - arm * recording.channels["psi_dot"]
    return dataclasses.replace(recording, channels={**recording.channels, "vy": vy})


def _arm_rows(piece: Piece, recording: Recording) -> tuple[Column, ...] | None:
    pose = pose_velocity(piece)
    logged = recording.measured("vy") or (recording.measured("beta") and recording.measured("v"))
    if pose is None or not logged or not {"psi", "yaw"} & set(piece.columns):
        return None
    vy, psi = piece.get("vy"), piece.get("psi")
    if vy is None or psi is None or not is_long_enough(piece):
        return None
    turn = change(psi, piece.dt)
    return mean_rate(vy, piece.dt), pose[1], turn, pose[0], np.gradient(pose[1], piece.dt)
