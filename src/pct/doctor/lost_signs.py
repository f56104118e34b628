"""Channels that hold a magnitude where the motion has two signs: |steering|, a speed in reverse."""

from __future__ import annotations

import numpy as np

from pct.doctor.comparison import change, is_long_enough, mean_rate, pose_velocity
from pct.doctor.finding import Finding, Panel, confidence, evidence
from pct.doctor.raw_recording import Piece, Recording
from pct.doctor.statistics import Column
from pct.logs.signals import MOTION, SIGNED
from pct.recordings.witnesses import is_magnitude, motion_signs, signed_by_motion

# What the motion says of each channel, in words.
SAYS = {
    "v": "the positions go backwards along the heading",
    "vx": "the positions go backwards along the heading",
    "psi_dot": "the heading turns both ways",
    "delta": "the path bends both ways",
    "ay": "the path bends both ways",
}


def unsigned(recording: Recording) -> list[Finding]:
    """A channel of one sign whose magnitude goes with the motion, which has two."""
    if not recording.has("x", "y", "psi"):
        return []
    findings: list[Finding] = []
    for name in SIGNED:
        if not recording.measured(name) and recording.origins.get(name) != "command":
            continue
        rows = [row for piece in recording.pieces if (row := _sides(piece, name)) is not None]
        if not rows:
            continue
        values, reference = map(np.concatenate, zip(*rows, strict=True))
        values = np.abs(values) if name in recording.signed_by_motion else values
        if not is_magnitude(values, reference):
            continue
        wrong = np.flatnonzero(_signed(recording, name) < 0)
        findings.append(_finding(recording, name, values, reference, wrong))
    return findings


def _finding(
    recording: Recording, name: str, values: Column, reference: Column, wrong: np.ndarray
) -> Finding:
    size, plain = (
        float(np.corrcoef(a, b)[0, 1]) for a, b in ((np.abs(values), np.abs(reference)), (values, reference))
    )
    seconds = np.arange(len(values), dtype=float) * recording.dt
    told = recording.signed_by_motion
    return Finding(
        check="unsigned",
        severity="info" if name in told else "error",
        message=(
            f"{recording.called(name)} holds magnitudes: it has one sign while {SAYS[name]}; its magnitude "
            f"goes with that of the motion (correlation {size:.2f}), it itself does not ({plain:.2f})"
            + ("; the map gives it the sign of the motion" if name in told else "")
        ),
        channels=(name,),
        confidence=confidence(size - plain, 0.1),
        fix="" if name in told else f'[channels.{name}] sign = "{MOTION}"; better log the sign, or the gear',
        lines={} if name in told else {f"channels.{name}.sign": MOTION},
        mend=lambda r: r.with_channel(name, _signed(r, name)),
        panels=(
            Panel(
                "time of the pieces [s]",
                name,
                {"logged": (seconds, values), "of the motion": (seconds, reference)},
            ),
        ),
        **evidence(recording, wrong),
    )


def _sides(piece: Piece, name: str) -> tuple[Column, Column] | None:
    """A channel over each span, and what the pose says that it goes with."""
    psi, pose = piece.get("psi"), pose_velocity(piece)
    if name not in piece.columns or psi is None or pose is None or not is_long_enough(piece):
        return None
    turn, ahead = change(psi, piece.dt), pose[0]
    if name in ("v", "vx"):
        return mean_rate(piece.columns[name], piece.dt), ahead
    if name == "psi_dot":
        return mean_rate(piece.columns[name], piece.dt), turn
    moving = np.abs(ahead) > 0.3 * np.quantile(np.abs(ahead), 0.95)
    values = mean_rate(piece.columns[name], piece.dt)
    expected = ahead * turn if name == "ay" else turn / np.where(moving, ahead, np.nan)
    return values[moving], expected[moving]


def _signed(recording: Recording, name: str) -> Column:
    """A channel with the sign of the motion, (N,)."""
    x, y, psi = (recording.channels[key] for key in ("x", "y", "psi"))
    way, turn = motion_signs(x, y, psi, recording.dt)
    return signed_by_motion(name, recording.channels[name], way, turn, recording.dt)
