"""A time column in another unit than the map says."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from pct.doctor.finding import Finding, confidence, evidence
from pct.doctor.raw_recording import Recording
from pct.doctor.single_channel import unwrapped_column
from pct.doctor.statistics import Column
from pct.recordings.time_steps import RECORDERS, TIME_UNITS, is_usual, likely_units, unit_line
from pct.types import Bool

# Readings and pose tell how long a row took within this factor.
NEAR = 1.5
# Rows over which they are compared, so that noise hides, and how many of these must say the same.
SPAN, LEAST_ROWS = 10, 50
# A smaller or larger ratio than this and its inverse is none of two units.
LEAST = 1e-15


class Told(NamedTuple):
    """How many of its seconds one second of a clock is, by the speed and by the yaw rate; NaN if unknown."""

    speed: float
    turn: float

    @property
    def factor(self) -> float:
        """What both say; what one says where the other is silent; NaN where they contradict each other."""
        known = [factor for factor in self if np.isfinite(factor)]
        if not known or max(known) > NEAR**2 * min(known):
            return float("nan")
        return float(np.sqrt(known[0] * known[-1]))


def time_unit(recording: Recording) -> list[Finding]:
    """A clock whose steps are none of a recorder, or far from those that speed and yaw rate tell.

    A step of 50 s is one of 50 ms in a column of milliseconds. Where the vehicle goes v·t and turns psi_dot·t
    in a row, speed and pose tell t itself.
    """
    steps = np.diff(recording.time)
    steps = steps[steps > 0]
    if not len(steps):
        return []
    step = float(np.median(steps))
    told = _told(recording)
    by_motion = next((u for u, size in TIME_UNITS.items() if 1 / NEAR < told.factor * size < NEAR), "")
    # A step that recorders have is believed, unless both contradict it.
    if by_motion == "s" or (is_usual(step) and not (by_motion and np.isfinite([*told]).all())):
        return []
    unit, seconds = _explanation(step, told.factor, by_motion)
    found = f"expected time in s, found steps of about {step:.4g} s"
    if np.isfinite(told.factor):
        found += f", where speed and pose tell {step / told.factor:.4g} s"
    if unit:
        fix = f'write [time] unit = "{unit}" in signals.toml: then steps are {step * seconds:.4g} s'
    elif np.isfinite(seconds):
        fix = f"multiply the time by {seconds:.4g}"
    else:
        fix = unit_line(step)
    return [
        Finding(
            check="time_unit",
            severity="error",
            message=found,
            channels=("time",),
            confidence=confidence(max(step / RECORDERS[1], RECORDERS[0] / step, 10.0), 1.0),
            fix=fix,
            lines={"time.unit": unit} if unit else {},
            mend=(lambda r: _in_seconds(r, seconds)) if np.isfinite(seconds) else None,
            **evidence(recording, np.array([0, len(recording) - 1])),
        )
    ]


def _explanation(step: float, told: float, by_motion: str) -> tuple[str, float]:
    """The unit of the time, empty where it is no usual one, and how many s it is; NaN where nothing tells."""
    likely = likely_units(step)
    if by_motion:
        return by_motion, TIME_UNITS[by_motion]
    # The speed may be in a wrong unit as well.
    if len(likely) == 1 and not abs(np.log10(told * TIME_UNITS[likely[0]])) > 1:
        return likely[0], TIME_UNITS[likely[0]]
    return "", 1 / told if is_usual(step / told) else np.nan


def _in_seconds(recording: Recording, seconds: float) -> Recording:
    return dataclasses.replace(recording, time=recording.time * seconds)


def _told(recording: Recording) -> Told:
    """What speed and yaw rate tell of the clock, against what the pose changes by over some rows."""
    length = _passed(recording.time)
    speed = next((name for name in ("v", "vx") if recording.measured(name)), "")
    by_speed = by_turn = float("nan")
    if speed and recording.measured("x") and recording.measured("y"):
        x, y = (recording.channels[name] for name in ("x", "y"))
        covered = np.hypot(_passed(x), _passed(y))
        by_speed = _ratio(np.abs(_mean(recording.channels[speed])) * length, covered)
    if recording.measured("psi_dot") and recording.measured("psi"):
        turned = np.abs(_passed(unwrapped_column(recording, "psi")))
        by_turn = _ratio(np.abs(_mean(recording.channels["psi_dot"])) * length, turned)
    return Told(by_speed, by_turn)


def _passed(column: Column) -> Column:
    return column[SPAN:] - column[:-SPAN]


def _mean(column: Column) -> Column:
    total = np.concatenate([[0.0], np.cumsum(0.5 * (column[1:] + column[:-1]))])
    return (total[SPAN:] - total[:-SPAN]) / SPAN


def _ratio(expected: Column, passed: Column) -> float:
    """Median of expected over what passed, where much does and time goes on; NaN where the rows disagree."""
    known: Bool[np.ndarray, " _"] = np.isfinite(expected) & np.isfinite(passed) & (expected > 0)
    if known.sum() < LEAST_ROWS:
        return float("nan")
    much = known & (passed > max(0.5 * float(np.quantile(passed[known], 0.9)), 1e-9))
    if much.sum() < LEAST_ROWS:
        return float("nan")
    low, ratio, high = np.quantile(expected[much] / passed[much], [0.25, 0.5, 0.75])
    return float(ratio) if high < NEAR**2 * low and LEAST < ratio < 1 / LEAST else float("nan")
