"""Proposes a map: the time first, then the pose, then each channel that can be compared with it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pct.errors import DataError
from pct.logs.readers.base import RawLog
from pct.mapping.actuators import find_drives, find_steering, find_wheels
from pct.mapping.log_motion import Log
from pct.mapping.motion import find_accelerations, find_side_speed, find_speed, find_yaw_rate
from pct.mapping.names import means
from pct.mapping.pose import find_pose, with_course, with_length
from pct.mapping.proposal import Line, Proposal
from pct.mapping.relate import called_so, is_wild, unless, written
from pct.recordings.checks import without_absurd
from pct.recordings.time_steps import RECORDERS, TIME_UNITS

# Units of clocks, the likeliest first.
CLOCKS = ("s", "ms", "us", "ns")
# No column has larger values in its own unit, not even a clock in ns.
LARGEST = 1e30


def propose(path: Path, raw: RawLog) -> Proposal:
    """Propose a map for a log.

    Args:
        path: the file, for messages.
        raw: all its columns of numbers.

    Raises:
        DataError: no column can be the time, or none the positions.
    """
    sound = {name: without_absurd(column, limit=LARGEST) for name, column in raw.columns.items()}
    raw = dataclasses.replace(raw, columns=sound)
    time = _time(path, raw)
    log = Log(raw, time)
    pose = find_pose(path, log)
    lines = {line.channel: line for line in pose}
    log.place(lines)
    lines = with_length(log, lines)
    for find in (find_speed, find_side_speed):
        lines |= {line.channel: line for line in find(log)}
    lines = with_course(log, lines)
    for find in (find_yaw_rate, find_steering):
        lines |= {line.channel: line for line in find(log)}
    for confirm in (find_accelerations, find_drives):
        lines |= {line.channel: line for line in confirm(log, lines)}
    lines |= {line.channel: line for line in find_wheels(log)}
    head = {"frame": "Unity"} if log.unity else {}
    if not log.windows.steady or _spiky(log, lines):
        head["faults"] = "cut"
    notes = ["reference_ahead: write it where positions are not those of the centre of gravity"]
    missing = [
        name for name in ("psi", "delta") if name not in lines and not (name == "psi" and "course" in lines)
    ]
    notes += [f"{name}: no column found; a model needs it" for name in missing]
    return Proposal(time, tuple(lines.values()), head, (*notes, *log.notes))


def _time(path: Path, raw: RawLog) -> Line:
    clocks = dict.fromkeys(raw.clocks.values())
    if clocks:
        # The clock of the fullest description of the pose.
        posed = [
            clock for clock in clocks for name in raw.clocks if raw.clocks[name] == clock and means(name, "x")
        ]
        busiest = max(posed or list(clocks), key=lambda clock: (posed.count(clock), len(raw.columns[clock])))
        unit = raw.units.get(busiest, "s")
        return Line(
            "time",
            busiest,
            "high" if posed else "medium",
            "the clock of the positions",
            unless("unit", unit, "s"),
        )
    candidates = []
    for name, column in raw.columns.items():
        steps = np.diff(column)
        going = steps[steps > 0]
        if len(column) < 10 or len(going) < 0.95 * len(steps) or not np.isfinite(column).all():
            continue
        usual, called = float(np.median(going)), means(name, "time")
        even = float(np.median(np.abs(going - usual)) / usual)
        if called or even < 0.2:
            candidates.append((called, -even, name, usual))
    if not candidates:
        raise DataError(
            f"{path}: expected a column of the time, which goes on from row to row, found none among "
            f"{len(raw.columns)}: write the map by hand (docs/data.md)"
        )
    called, even, name, usual = max(candidates, key=lambda row: row[:2])
    stated = raw.units.get(name, "")
    fitting = [unit for unit in CLOCKS if RECORDERS[0] <= usual * TIME_UNITS[unit] <= RECORDERS[1]]
    unit = stated if stated in fitting else (fitting or ["s"])[0]
    sure = "high" if called and unit in fitting else "medium" if called or unit in fitting else "low"
    reason = f"{called_so(called)}; increases in steps of about {usual * TIME_UNITS[unit]:.4g} s"
    return Line("time", name, sure, reason, written(raw.units, name, unit, "s"))


def _spiky(log: Log, lines: Mapping[str, Line]) -> bool:
    """Whether a column has spikes or missing values."""
    columns = [line.column for line in lines.values()]
    missing = [
        name for name in columns if name not in log.uncovered and not np.isfinite(log.columns[name]).all()
    ]
    return bool(missing) or any(is_wild(log, name) for name in columns)
