"""Proposes a map: the time first, then the pose, then each channel that can be compared with it.

A log without a pose has its speed in place of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pct.logs.readers.base import RawLog
from pct.mapping.actuators import find_drives, find_wheels
from pct.mapping.composed import with_composed
from pct.mapping.left_out import left_out
from pct.mapping.lengths import with_length
from pct.mapping.log_motion import Log
from pct.mapping.motion import (
    find_accelerations,
    find_own,
    find_side_speed,
    find_speed,
    find_yaw_rate,
    without_odd_side_speed,
)
from pct.mapping.north import with_north
from pct.mapping.pose import find_pose, note_coarse, with_course
from pct.mapping.proposal import Line, Proposal
from pct.mapping.relate import is_wild
from pct.mapping.steering import find_steering
from pct.mapping.time_column import find_time, scale_of
from pct.mapping.without_pose import find_motion, has_speed, is_pose
from pct.recordings.checks import without_absurd

# No column has larger values in its own unit, not even a clock in ns.
LARGEST = 1e30


def propose(path: Path, raw: RawLog) -> Proposal:
    """Propose a map for a log.

    Args:
        path: the file, for messages.
        raw: all its columns of numbers.

    Raises:
        DataError: no column can be the time, or none positions or a speed.
    """
    sound = {name: without_absurd(column, limit=LARGEST) for name, column in raw.columns.items()}
    raw = with_composed(dataclasses.replace(raw, columns=sound))
    clock = find_time(path, raw)
    log = Log(clock.raw, clock.line, scale_of(clock.line))
    lines = {line.channel: line for line in find_pose(log)}
    if lines:
        log.place(lines)
    notes: list[str] = []
    if lines and "psi" not in lines and log.named("psi_dot") and has_speed(log):
        # Positions alone tell no slip angle, and models that are compared with them need a heading.
        log.notes += [f"{line.column}: left out, since no column is a heading" for line in lines.values()]
        lines = {}
    if lines and is_pose(log, lines):
        lines = with_length(log, lines)
        lines, notes = with_north(clock.raw, log, lines)
        note_coarse(log, lines)
        for find in (find_speed, find_side_speed):
            lines |= {line.channel: line for line in find(log)}
        lines = without_odd_side_speed(log, with_course(log, lines))
        lines |= {line.channel: line for line in find_yaw_rate(log)}
    else:
        lines = {line.channel: line for line in find_motion(path, log)}
    lines |= {line.channel: line for line in find_steering(log)}
    for confirm in (find_accelerations, find_drives, find_own):
        lines |= {line.channel: line for line in confirm(log, lines)}
    lines |= {line.channel: line for line in find_wheels(log)}
    lines = {name: _held(log, line) for name, line in lines.items()}
    head = {"frame": "Unity"} if log.unity else {}
    if clock.group:
        head["group"] = clock.group
    if not log.windows.steady or _spiky(log, lines) or raw.restarts or clock.ordered:
        head["faults"] = "cut"
    missing = [name for name in ("delta",) if name not in lines]
    if "x" in lines:
        notes.append("reference_ahead: write it where positions are not those of the centre of gravity")
        missing += [name for name in ("psi",) if not {name, "course"} & set(lines)]
    notes += [f"{name}: no column found; a model needs it" for name in missing]
    notes += [*log.notes, *left_out(clock.raw, log, (clock.line, *lines.values()))]
    return Proposal(clock.line, tuple(lines.values()), head, (*clock.notes, *clock.raw.notes, *notes))


def _held(log: Log, line: Line) -> Line:
    """The line of a column that repeats each value of a slower sensor, which is read where it changes."""
    rows = log.held.get(line.column)
    if rows is None or line.keys.get("origin") == "command":
        return line
    rate = 1 / (float(np.median(np.diff(rows))) * log.windows.step)
    reason = f"{line.reason}; values of {rate:.3g} Hz, each held until the next one"
    return dataclasses.replace(line, reason=reason, keys={**line.keys, "held": True})


def _spiky(log: Log, lines: Mapping[str, Line]) -> bool:
    """Whether a column has spikes or missing values."""
    columns = [line.column for line in lines.values()]
    missing = [
        name for name in columns if name not in log.uncovered and not np.isfinite(log.columns[name]).all()
    ]
    return bool(missing) or any(is_wild(log, name) for name in columns)
