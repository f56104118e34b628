"""Checks of the time column: jumps, repeats, resets, jitter."""

from __future__ import annotations

import numpy as np

from pct.doctor.finding import Finding, Panel, confidence, duration, evidence
from pct.doctor.raw_recording import Recording
from pct.doctor.statistics import spread

# Stamps that scatter by this share of a step move a fast signal by as much as a wrong delay would.
JITTER = 0.1


def time_resets(recording: Recording) -> list[Finding]:
    """Time that goes back: several recordings in one file, or a clock that was set."""
    steps = np.diff(recording.time)
    rows = np.flatnonzero(steps < 0) + 1
    if not len(rows):
        return []
    back = -float(steps[rows - 1].min())
    return [
        Finding(
            check="time_reset",
            severity="error",
            message=f"time goes back {len(rows)} times, by up to {duration(back)}",
            channels=("time",),
            confidence=1.0,
            fix='split the file there; faults = "cut" in signals.toml does',
            lines={"faults": "cut"},
            mend=lambda r: r.broken(rows),
            panels=_stamps(recording, rows),
            **evidence(recording, rows),
        )
    ]


def time_repeats(recording: Recording) -> list[Finding]:
    """Rows with the same stamp as the row before."""
    repeated = np.concatenate([[False], np.diff(recording.time) == 0])
    rows = np.flatnonzero(repeated)
    if not len(rows):
        return []
    return [
        Finding(
            check="time_repeat",
            severity="warning",
            message=(
                f"{len(rows)} rows ({len(rows) / len(recording):.1%}) have the time stamp of the row before"
            ),
            channels=("time",),
            confidence=1.0,
            fix=(
                'leave the second of each pair out; faults = "cut" in signals.toml splits the recording there'
            ),
            lines={"faults": "cut"},
            mend=lambda r: r.restamped(repeated),
            panels=_stamps(recording, rows),
            **evidence(recording, rows),
        )
    ]


def time_gaps(recording: Recording) -> list[Finding]:
    """Steps that leave out rows."""
    steps = np.diff(recording.time)
    limit = max(recording.gap, 1.5) * recording.dt
    # Stamps that scatter make long steps without a row missing.
    limit = max(limit, recording.dt + 8.0 * spread(steps[steps > 0]))
    rows = np.flatnonzero(steps > limit) + 1
    if not len(rows):
        return []
    longest = float(np.nanmax(steps))
    return [
        Finding(
            check="time_gap",
            severity="warning",
            message=(
                f"{len(rows)} steps are longer than {limit / recording.dt:.2g} usual ones of "
                f"{recording.dt:.4g} s, the longest {duration(longest)}"
            ),
            channels=("time",),
            confidence=confidence(longest, limit),
            fix='split the recording at the gaps: faults = "cut" in signals.toml',
            lines={"faults": "cut"},
            mend=lambda r: r.broken(rows),
            panels=_stamps(recording, rows),
            **evidence(recording, rows),
        )
    ]


def time_jitter(recording: Recording) -> list[Finding]:
    """Stamps that scatter about their grid."""
    steps = np.diff(recording.time)
    usual = steps[(steps > 0) & (steps < recording.gap * 1.5 * recording.dt)]
    if len(usual) < 30:
        return []
    scatter = float(np.std(usual)) / recording.dt
    if scatter < JITTER:
        return []
    rows = np.argsort(-np.abs(steps - recording.dt))[:100] + 1
    return [
        Finding(
            check="time_jitter",
            severity="warning",
            message=(f"time steps scatter by {scatter:.0%} (standard deviation) about {recording.dt:.4g} s"),
            channels=("time",),
            confidence=confidence(scatter, JITTER),
            fix="stamp where the value is measured, not where it is written; use the header's stamp",
            mend=None,
            panels=_stamps(recording, rows[:0]),
            **evidence(recording, np.sort(rows)),
        )
    ]


def _stamps(recording: Recording, rows: np.ndarray) -> tuple[Panel, ...]:
    index = np.arange(1, len(recording))
    curves = {"step": (index.astype(float), np.diff(recording.time))}
    if len(rows):
        curves["fault"] = (rows.astype(float), np.diff(recording.time)[rows - 1])
    return (Panel("row of the log", "time step [s]", curves, points=True),)
