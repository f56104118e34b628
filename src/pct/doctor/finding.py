"""A finding of a check: severity, confidence, evidence and fix."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from pct.doctor.raw_recording import Recording

Severity = Literal["info", "warning", "error"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "error")
# Rows that a finding names; more would only fill the screen.
SHOWN_ROWS = 20


class Panel(NamedTuple):
    """One pair of axes of the figure that shows the evidence.

    Attributes:
        xlabel, ylabel: with units.
        curves: abscissa and ordinate by label, (K,) each.
        points: whether to draw points instead of lines.
    """

    xlabel: str
    ylabel: str
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]]
    points: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class Finding:
    """One fault of one recording.

    Attributes:
        check: name of the fault, e.g. ``spikes``.
        severity: ``info``: know it; ``warning``: it spoils a model; ``error``: the log is not what it says.
        message: one sentence with numbers.
        channels: which channels it is about.
        confidence: 0.5 at the threshold of the check, towards 1 beyond it, see `confidence`.
        rows: lines or rows of the file that show it, at most `SHOWN_ROWS`.
        seconds: first and last time of the evidence, in s.
        fix: what to do.
        lines: keys of ``signals.toml`` and their values, where these mend it safely.
        mend: gives the recording without the fault; the checks that follow look at that one. None where
            nothing can be mended, or nothing need be.
        panels: the figure.
        where: the file.
    """

    check: str
    severity: Severity
    message: str
    channels: tuple[str, ...]
    confidence: float
    rows: tuple[int, ...] = ()
    seconds: tuple[float, float] = (0.0, 0.0)
    fix: str = ""
    lines: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    mend: Callable[[Recording], Recording] | None = None
    panels: tuple[Panel, ...] = ()
    where: str = ""


def duration(seconds: float) -> str:
    """A time as a person reads it.

    Examples:
        >>> duration(0.0412), duration(75.25), duration(54000.0)
        ('0.0412 s', '1 min 15.2 s', '15 h 0 min')
    """
    if abs(seconds) < 59.95:
        return f"{seconds:.4g} s"
    minutes, rest = divmod(seconds, 60)
    return (
        f"{minutes:.0f} min {rest:.1f} s" if minutes < 60 else f"{minutes // 60:.0f} h {minutes % 60:.0f} min"
    )


def confidence(statistic: float, threshold: float) -> float:
    """How sure a finding is: 0.5 where the statistic just reaches its threshold, 1 far beyond it.

    Examples:
        >>> confidence(10.0, 10.0), confidence(50.0, 10.0)
        (0.5, 0.9)
    """
    return float(np.clip(1.0 - 0.5 * threshold / max(statistic, 1e-12), 0.0, 1.0))


def evidence(recording: Recording, rows: np.ndarray) -> dict[str, Any]:
    """Rows and times of the evidence, as `Finding` takes them; ``rows`` are indices."""
    shown = rows[:SHOWN_ROWS]
    time = recording.time[rows]
    return {
        "rows": tuple(int(row) for row in recording.rows[shown]),
        "seconds": (float(np.min(time)), float(np.max(time))) if len(rows) else (0.0, 0.0),
    }
