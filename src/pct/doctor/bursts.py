"""Short stretches in which positions and speed part: the pose slipped, or the speed jumped.

Over a short span the positions move by what the speed adds up to, along the heading. Slip angles, scales and
lags make a difference that changes as slowly as the drive does; a localisation that corrects itself, or a
wheel that locks, makes one for a moment. Which of the two it was the speed tells: it cannot change faster
than tyres allow.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np

from pct.doctor.comparison import is_long_enough, pair_step, pose_velocity, span_rows
from pct.doctor.finding import Finding, Panel, confidence, evidence
from pct.doctor.raw_recording import Piece, Recording
from pct.doctor.single_channel import blank, median, runs
from pct.doctor.statistics import MAD, Column
from pct.recordings.time_steps import rows_of
from pct.types import Bool, Int

# What lasts longer in s than this is no burst, and the seconds about it that say what is usual.
BURST, AROUND = 1.0, 4.0
# A burst is this many times the median of the difference (times `MAD`), so many times what 95 % of the rows
# keep to, and this share of the usual speed.
DEVIATIONS, STEPS, LEAST = 5.0, 3.0, 0.15
# More bursts than this share of the rows are the drive.
SHARE = 0.2
# No car on tyres changes its speed faster, in m/s^2: race cars brake with 6 g.
TYRES = 60.0
# Over this time in s.
SPEED_SPAN = 0.1


class _Burst(NamedTuple):
    """Rows of a recording in which positions and speed part, and how far in m."""

    rows: Int[np.ndarray, " _"]
    metres: float
    sure: float


def pose_slips(recording: Recording) -> list[Finding]:
    """Places where the positions move over several rows in a way that speed and heading do not show."""
    if not recording.has("x", "y") or not any(map(recording.measured, ("v", "vx"))):
        return []
    bursts = [burst for piece in recording.pieces for burst in _bursts(recording, piece)]
    wrong = np.zeros(len(recording), bool)
    for burst in bursts:
        wrong[burst.rows] = True
    if not bursts or wrong.mean() > SHARE:
        return []
    rows = np.flatnonzero(wrong)
    furthest = max(burst.metres for burst in bursts)
    first = np.array([burst.rows[-1] for burst in bursts])
    return [
        Finding(
            check="pose_slip",
            severity="warning",
            message=(
                f"the positions slip {len(bursts)} time{'s' * (len(bursts) != 1)}, by up to {furthest:.3g} m "
                f"within {BURST:g} s beyond what speed and heading say: the localisation corrected itself"
            ),
            channels=("x", "y"),
            confidence=min(burst.sure for burst in bursts),
            fix="cut these rows; a window across them shows a motion that never was",
            mend=lambda r: r.broken(first[first < len(r)]),
            panels=(_path(recording, rows),),
            **evidence(recording, rows),
        )
    ]


def _bursts(recording: Recording, piece: Piece) -> list[_Burst]:
    """The bursts of a piece that no jump of the speed explains."""
    speed = piece.get("vx") if "vx" in piece.columns else piece.get("v")
    moved = pose_velocity(piece) if is_long_enough(piece) else None
    if speed is None or moved is None:
        return []
    dt, half = piece.dt, span_rows(piece.dt)
    total = np.concatenate([[0.0], np.cumsum(0.5 * (speed[1:] + speed[:-1]))])
    mean = (total[2 * half :] - total[: -2 * half]) / (2 * half)
    sideways = piece.get("vy") if "vy" in piece.columns else None
    across = 0.0 if sideways is None else sideways[half:-half]
    # The median costs as much as its window is long: every so many rows are enough.
    every = pair_step(recording)
    wide = 2 * (rows_of(AROUND, dt * every, most=max(len(mean) // every // 3, 1)) // 2) + 1
    parts = [column[::every] for column in (moved[0] - mean, moved[1] - across)]
    apart = np.hypot(*(part - median(part, wide) for part in parts))
    usual = max(
        DEVIATIONS * MAD * float(np.median(apart)),
        STEPS * float(np.quantile(apart, 0.95)),
        LEAST * float(np.quantile(np.abs(speed), 0.9)),
    )
    first, length = runs(apart > usual)
    most = rows_of(BURST + 2 * half * dt, dt * every, most=len(apart))
    change = _speed_change(speed, dt)
    offset = int(np.searchsorted(recording.time, piece.start))
    found = []
    for start, rows in zip(first, length, strict=True):
        inside = np.arange(start * every, min((start + rows) * every + 2 * half, len(piece)))
        if rows > most or start == 0 or start + rows == len(apart):
            continue
        if np.abs(change[inside]).max() > 0.5 * TYRES:
            continue
        metres = float(apart[start : start + rows].max()) * 2 * half * dt
        at = offset + inside
        sure = confidence(float(apart[start : start + rows].max()), usual)
        found.append(_Burst(at[at < len(recording)], metres, sure))
    return found


def _speed_change(speed: Column, dt: float) -> Column:
    """Change of a speed per s over a short time about each row, (N,)."""
    half = rows_of(0.5 * SPEED_SPAN, dt, most=max(len(speed) // 3, 1))
    padded = np.pad(speed, half, mode="edge")
    return (padded[2 * half :] - padded[: -2 * half]) / (2 * half * dt)


def accelerations(recording: Recording) -> list[Finding]:
    """A speed that changes faster than tyres allow, for some rows."""
    findings = []
    for name in ("v", "vx"):
        if not recording.measured(name):
            continue
        wrong = np.zeros(len(recording), bool)
        largest = 0.0
        for piece in recording.pieces:
            if name not in piece.columns:
                continue
            change = np.abs(_speed_change(piece.columns[name], piece.dt))
            offset = int(np.searchsorted(recording.time, piece.start))
            rows = offset + np.flatnonzero(change > TYRES)
            wrong[rows[rows < len(recording)]] = True
            largest = max(largest, float(change.max()))
        if not wrong.any() or wrong.mean() > SHARE:
            continue
        findings.append(_implausible(recording, name, wrong, largest))
    return findings


def _implausible(recording: Recording, name: str, wrong: Bool[np.ndarray, " _"], largest: float) -> Finding:
    rows = np.flatnonzero(wrong)
    column = recording.channels[name]
    count = len(runs(wrong)[0])
    return Finding(
        check="acceleration",
        severity="warning",
        message=(
            f"{recording.called(name)} changes by up to {largest:.3g} m/s^2 over {SPEED_SPAN:g} s, "
            f"{count} time{'s' * (count != 1)}: tyres give no more than {TYRES:g}"
        ),
        channels=(name,),
        confidence=confidence(largest, TYRES),
        fix="cut these rows: the sensor failed, or a wheel spun or locked",
        mend=partial(blank, name=name, wrong=wrong),
        panels=(
            Panel(
                "time [s]",
                f"{name} [m/s]",
                {name: (recording.time, column), "fault": (recording.time[rows], column[rows])},
                points=True,
            ),
        ),
        **evidence(recording, rows),
    )


def _path(recording: Recording, rows: np.ndarray) -> Panel:
    x, y = recording.channels["x"], recording.channels["y"]
    return Panel("x [m]", "y [m]", {"path": (x, y), "slips": (x[rows], y[rows])}, points=True)
