"""The columns of a log that a proposed map leaves out, and why."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import numpy as np

from pct.logs.readers.base import AnyColumn, RawLog
from pct.logs.readers.computed import inputs_of
from pct.mapping.log_motion import Log
from pct.mapping.names import NAMES, is_altitude, means
from pct.mapping.proposal import Line

# Columns that one note names; a log of a car has hundreds.
MOST = 40


def left_out(raw: RawLog, log: Log, lines: Sequence[Line]) -> list[str]:
    """Notes on the columns that are in no line and in no note yet, a reason each."""
    taken = {*inputs_of(line.column for line in lines), *(line.column for line in lines)}
    taken |= {*raw.clocks.values(), *(note.split(": ")[0] for note in log.notes)}
    channels = {line.channel for line in lines}
    reasons: dict[str, list[str]] = {}
    for name in raw.columns:
        if name not in taken:
            reasons.setdefault(_reason(name, raw.columns[name], name in log.columns, channels), []).append(
                name
            )
    return [f"left out, {reason}: {_listed(names)}" for reason, names in reasons.items()]


def _reason(name: str, column: AnyColumn, on_rows: bool, channels: AbstractSet[str]) -> str:
    """Why a column is left out."""
    finite = column[np.isfinite(column)]
    if not len(finite):
        return "no values"
    if finite.min() == finite.max():
        return "one value only"
    if is_altitude(name):
        return "an altitude (models are planar)"
    if not on_rows:
        return "not on the rows of the time"
    called = [channel for channel in NAMES if means(name, channel)]
    if not called:
        return "not a name of a channel"
    alike = ({"psi", "course"}, {"v", "vx"})
    if set(called) & channels or any(pair & set(called) and pair & channels for pair in alike):
        return "another column is the channel"
    return "too few values or too little motion to confirm the name"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return ", ".join(names[:MOST]) + more
