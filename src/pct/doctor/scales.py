"""Speeds and yaw rates that are a multiple of what the pose shows, or unlike it."""

from __future__ import annotations

import dataclasses
from operator import methodcaller

import numpy as np

from pct.doctor.comparison import (
    COHERENT,
    COMPARED,
    VELOCITIES,
    comparisons,
    pair_step,
    pairs_of,
    span_rows,
)
from pct.doctor.finding import Finding, confidence, evidence
from pct.doctor.raw_recording import Recording
from pct.doctor.statistics import (
    MAD,
    TRIM,
    Agreement,
    Pair,
    agreement,
    effective_rows,
    inner,
    noise_of,
)
from pct.doctor.units_and_signs import ROWS, both_sides
from pct.dynamics.channels import known_channels
from pct.recordings.relations import Relation
from pct.recordings.time_steps import rows_of

# Readings of one speed or rate agree within this factor by calibration.
SCALE = 1.06
SCALE_DEVIATIONS = 3.5
# Speed and yaw rate are off by one factor where they differ by less than this share of it.
ONE_CLOCK = 0.4
# Over this time in s both sides are averaged to compare their scale.
LEVEL_SECONDS = 1.0
# The unexplained over the explained variance is this many times what noise makes of it, and the correlation
# lower by this many of its standard deviations, where two readings are unlike.
UNEXPLAINED = 4.0
CORRELATION_DEVIATIONS = 3.0


def clock(recording: Recording) -> list[Finding]:
    """Speed and yaw rate that exceed what the pose says by one factor: the clock counts too
    fast.

    Runs before `mismatch`, which would report each of them.
    """
    scales = _scales(recording)
    speed = next((scales[name] for name in ("vx", "v") if name in scales), None)
    turn = scales.get("psi_dot")
    if speed is None or turn is None or not _off(speed):
        return []
    # One that is off the speed's way need not be as sure of it.
    if abs(np.log(abs(turn.gain))) < SCALE_DEVIATIONS * turn.gain_error:
        return []
    together = abs(np.log(abs(speed.gain / turn.gain)))
    error = float(np.hypot(speed.gain_error, turn.gain_error))
    if (speed.gain > 1) != (turn.gain > 1) or together > max(
        ONE_CLOCK * abs(np.log(speed.gain)), 2.0 * error
    ):
        return []
    factor = float(np.sqrt(speed.gain * turn.gain))
    # The same drive with the time that the velocities tell.
    start = recording.time[0]
    name = "vx" if "vx" in scales else "v"
    relation, pairs = next(
        (row, pairs) for row in COMPARED if row.name == name and (pairs := pairs_of(recording, row)[0])
    )
    return [
        Finding(
            check="clock",
            severity="error",
            message=(
                f"speed and yaw rate are {speed.gain:.3f} and {turn.gain:.3f} times what the pose "
                "shows: the time "
                f"column runs {abs(factor - 1):.1%} {'slow' if factor < 1 else 'fast'} of the sensors"
            ),
            channels=("time",),
            confidence=confidence(abs(np.log(factor)), np.log(SCALE)),
            fix=f"log the stamps of the sensors; or divide the time by {factor:.3f} ([time] unit)",
            mend=lambda r: _retimed(r, start, factor),
            panels=both_sides(recording, relation, pairs, "m/s"),
            **evidence(recording, np.array([0, len(recording) - 1])),
        )
    ]


def _retimed(recording: Recording, start: float, factor: float) -> Recording:
    return dataclasses.replace(recording, time=start + (recording.time - start) / factor)


def _scales(recording: Recording) -> dict[str, Agreement]:
    scales = {}
    for relation, agreed, pairs in comparisons(recording, VELOCITIES):
        level = _level(recording, agreed, pairs)
        if agreed.rows >= ROWS and level.correlation > 0.5:
            scales[relation.name] = level
    return scales


def _level(recording: Recording, agreed: Agreement, pairs: list[Pair]) -> Agreement:
    """The gain over longer means of both sides, which leave a scale as it is and the noise behind."""
    dt = pair_step(recording) * recording.dt
    rows = rows_of(LEVEL_SECONDS, dt, most=max(len(recording) // 3, 1))
    window = np.ones(rows) / rows
    means = [
        (np.convolve(a, window, mode="valid"), np.convolve(b, window, mode="valid"))
        for a, b in pairs
        if len(a) > 3 * rows
    ]
    level = agreement(means, dt) if means else None
    return agreed if level is None else _through_zero(level, means)


def _through_zero(agreed: Agreement, pairs: list[Pair]) -> Agreement:
    """The gain of a drive at nearly one value, where only the levels of the two sides can be compared.

    Zero is zero for a speed and a yaw rate, so that the line needs no offset.
    """
    a, b = (np.concatenate(side) for side in zip(*pairs, strict=True))
    if abs(float(b.mean())) < float(b.std()):
        return agreed
    slope = inner(a, b) / inner(b, b)
    residual = a - slope * b
    keep = np.abs(residual) < TRIM * MAD * float(np.median(np.abs(residual))) + 1e-12
    a, b = a[keep], b[keep]
    low, high = inner(a, b) / inner(b, b), inner(a, a) / inner(a, b)
    residual = a - low * b
    size = abs(low) * float(np.sqrt(np.mean(b * b))) * np.sqrt(max(4.0, effective_rows(residual)))
    return agreed._replace(
        gain=float(np.sign(low) * np.sqrt(abs(low * high))),
        low=low,
        high=high,
        correlation=float(inner(a, b) / np.sqrt(inner(a, a) * inner(b, b))),
        gain_error=float(np.std(residual)) / size,
    )


def _off(agreed: Agreement) -> bool:
    """Whether a gain is off by more than calibration, whichever side is noisy."""
    low, high = sorted((agreed.low, agreed.high))
    margin = 1.0 + SCALE_DEVIATIONS * agreed.gain_error
    return bool(high * margin < 1 / SCALE or low / margin > SCALE)


def _signal_shares(recording: Recording, relation: Relation, pairs: list[Pair]) -> tuple[float, float]:
    """The part of the variance of a channel and of its reference that is not noise."""
    a, b = (np.concatenate(side) for side in zip(*pairs, strict=True))
    h = span_rows(recording.dt)

    def noise(name: str) -> float:
        columns = (piece.get(name) for piece in recording.pieces)
        return float(np.median([noise_of(column) for column in columns if column is not None]))

    # Of a mean over a span, and of the difference of its ends.
    own = noise(relation.name) / np.sqrt(2 * h + 1)
    other = max(map(noise, relation.suspects)) * np.sqrt(2.0) / (2 * h * recording.dt)
    return (
        max(0.0, 1 - float(own) ** 2 / max(float(np.var(a)), 1e-300)),
        max(0.0, 1 - float(other) ** 2 / max(float(np.var(b)), 1e-300)),
    )


def mismatch(recording: Recording) -> list[Finding]:
    """Speed against positions and yaw rate against heading: another scale, or no likeness at all."""
    findings = []
    for relation, agreed, pairs in comparisons(recording, VELOCITIES):
        name = relation.name
        check = "yaw_mismatch" if name == "psi_dot" else "speed_mismatch"
        unit = known_channels()[name].unit
        shares = _signal_shares(recording, relation, pairs)
        level = _level(recording, agreed, pairs)
        if agreed.rows >= ROWS and level.correlation > 0.5 and _off(level):
            what = f"{level.gain:.3f} times {relation.means}"
            doubtful: tuple[str, ...] = (name,)
            sure = confidence(abs(np.log(level.gain)), np.log(SCALE))
        elif (likeness := _unlike(agreed, shares)) is not None:
            what = (
                f"unlike {relation.means}: correlation {_likeness(agreed):.2f}, "
                f"where their noise leads to expect {likeness:.2f}"
            )
            # The two do not show which of them is wrong.
            doubtful = (name, "psi") if name == "psi_dot" else (name,)
            sure = confidence(_unexplained(_likeness(agreed)), UNEXPLAINED * _unexplained(likeness))
        else:
            continue
        findings.append(
            Finding(
                check=check,
                severity="warning",
                message=f"{recording.called(name)} is {what}",
                channels=(name,),
                confidence=sure,
                fix=(
                    "calibrate the wheel radius or the clock, or leave the channel out: it is derived "
                    "from the pose"
                    if check == "speed_mismatch"
                    else "calibrate the gyro, or leave the channel out: it is derived from the heading"
                ),
                mend=methodcaller("without", *doubtful),
                panels=both_sides(recording, relation, pairs, unit),
                **evidence(recording, np.array([0, len(recording) - 1])),
            )
        )
    return findings


def _unlike(agreed: Agreement, shares: tuple[float, float]) -> float | None:
    """The correlation that the noise of both sides allows, where far less was found."""
    expected = min(float(np.sqrt(shares[0] * shares[1])), 1 - 1e-9)
    correlation = _likeness(agreed)
    # Fisher's transformation: correlations apart in deviations of one that is found in so many rows.
    gap = (np.arctanh(expected) - np.arctanh(min(correlation, expected))) * np.sqrt(max(agreed.rows - 3, 1))
    if correlation > COHERENT or gap < CORRELATION_DEVIATIONS:
        return None
    return expected if _unexplained(correlation) > UNEXPLAINED * _unexplained(expected) else None


def _likeness(agreed: Agreement) -> float:
    """The likeness as logged or without a lag: half a wave late, a regular drive is as much its opposite."""
    return max(agreed.correlation, agreed.correlation_now, 0.0)


def _unexplained(correlation: float) -> float:
    """Variance that a correlation leaves unexplained, over the one that it explains."""
    return (1 - correlation**2) / max(correlation, 1e-3) ** 2
