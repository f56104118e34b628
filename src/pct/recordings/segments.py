"""Parts of a drive: where it moves, its laps, and which of them are held out."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from pct.recordings.derive import derive
from pct.recordings.relations import STANDSTILL
from pct.recordings.time_steps import rows_of
from pct.recordings.trajectory import Trajectory
from pct.types import Bool

TRAIN, VAL, TEST = "train", "val", "test"

# Time in s over which a vehicle shows whether it moves; noise of positions is no motion.
SPAN = 1.0
# What is kept in s of a standstill, before and after a drive.
MARGIN = 1.0
# A lap line is this share of the extent of the track wide to either side.
LINE = 0.05
# The line is crossed within this angle of the first crossing, in rad.
LINE_ANGLE = math.pi / 3
# Laps are at most this many times longer and shorter than the usual one.
LAP_SPREAD = 1.5


class Segment(NamedTuple):
    """Rows ``start`` to ``stop`` (exclusive) and the part of the dataset that they belong to."""

    part: str
    start: int
    stop: int


def moving_stretches(trajectory: Trajectory, longest: float) -> list[tuple[int, int]]:
    """Rows of a drive without its standstills.

    Args:
        trajectory: the drive; without positions and speed it is one stretch.
        longest: standstills of more seconds than that are left out, but for `MARGIN` at their ends.

    Returns:
        First row and row after the last of each stretch.
    """
    rows = len(trajectory)
    still = _still(trajectory)
    if still is None or not math.isfinite(longest):
        return [(0, rows)]
    edges = np.flatnonzero(np.diff(np.concatenate([[False], still, [False]]).astype(np.int8)))
    margin = rows_of(min(MARGIN, longest / 2), trajectory.dt, most=rows, least=0)
    stretches, start = [], 0
    for first, after in edges.reshape(-1, 2):
        if (after - first) * trajectory.dt <= longest:
            continue
        # Before the first drive and after the last there is nothing to keep a margin to.
        if first > 0:
            stretches.append((start, int(min(first + margin, rows))))
        start = int(max(after - margin, 0)) if after < rows else rows
    if start < rows:
        stretches.append((start, rows))
    return stretches


def _still(trajectory: Trajectory) -> Bool[np.ndarray, " N"] | None:
    columns, dt = trajectory.channels, trajectory.dt
    span = rows_of(SPAN, dt, most=len(trajectory))
    if len(trajectory) <= span:
        return None
    if "x" in columns and "y" in columns:
        covered = np.hypot(*(columns[name][span:] - columns[name][:-span] for name in ("x", "y")))
        slow = covered < STANDSTILL * span * dt
    else:
        v = derive("v", columns, dt)
        if v is None:
            return None
        total = np.concatenate([[0.0], np.cumsum(np.abs(v))])
        slow = total[span:-1] - total[: -span - 1] < STANDSTILL * span
    # A row stands still where all of the time around it does.
    still = np.zeros(len(trajectory), bool)
    half = span // 2
    still[half : half + len(slow)] = slow
    still[:half], still[half + len(slow) :] = slow[0], slow[-1]
    return still


def find_laps(trajectory: Trajectory) -> list[int]:
    """Rows at which a drive crosses the line where it first was at speed.

    The line stands across the direction of travel there. Crossings count that go the same way and, after the
    first, come at intervals that are alike.

    Returns:
        Rows, in order: lap k goes from the k-th to the next. Empty where the drive does not come back.
    """
    columns = trajectory.channels
    if "x" not in columns or "y" not in columns:
        return []
    x, y = columns["x"], columns["y"]
    span = rows_of(SPAN, trajectory.dt, most=len(x))
    if len(x) <= 2 * span:
        return []
    dx, dy = x[span:] - x[:-span], y[span:] - y[:-span]
    covered = np.hypot(dx, dy)
    start = int(np.argmax(covered >= np.quantile(covered, 0.5)))
    ahead = np.array([dx[start], dy[start]]) / max(covered[start], 1e-12)
    x0, y0 = x[start + span // 2], y[start + span // 2]
    along = (x - x0) * ahead[0] + (y - y0) * ahead[1]
    across = (y - y0) * ahead[0] - (x - x0) * ahead[1]
    width = LINE * math.hypot(np.ptp(x), np.ptp(y))
    crossed = np.flatnonzero((along[:-1] < 0) & (along[1:] >= 0) & (np.abs(across[1:]) < width))
    crossed = np.minimum(crossed, len(dx) - 1)
    same_way = dx[crossed] * ahead[0] + dy[crossed] * ahead[1] > math.cos(LINE_ANGLE) * covered[crossed]
    crossed = crossed[same_way & (covered[crossed] > STANDSTILL * SPAN)] + 1
    if len(crossed) < 2:
        return []
    lengths = np.diff(crossed)
    usual = np.median(lengths)
    alike = (lengths < LAP_SPREAD * usual) & (lengths > usual / LAP_SPREAD)
    return [int(row) for row in crossed] if alike.mean() > 0.5 else []


def split_blocks(rows: int, *, val: float, test: float, gap: int) -> list[Segment]:
    """The last rows of a drive held out, with a gap before each part.

    Args:
        rows: of the drive.
        val, test: shares of them.
        gap: rows between two parts that are in none.

    Examples:
        >>> split_blocks(100, val=0.2, test=0.0, gap=5)
        [Segment(part='train', start=0, stop=75), Segment(part='val', start=80, stop=100)]
    """
    ends = [(TRAIN, 1 - val - test), (VAL, val), (TEST, test)]
    segments, start = [], 0.0
    for part, share in ends:
        stop = start + share * rows
        # The training part gives the rows of the gap, and the validation part those before the test.
        last = round(stop) - (gap if round(stop) < rows else 0)
        if share > 0 and last > round(start):
            segments.append(Segment(part, round(start), last))
        start = stop
    return segments


def split_laps(crossings: list[int], rows: int, *, val: float, test: float, gap: int) -> list[Segment]:
    """Whole laps held out, evenly spread; what lies before the first line and after the last is trained on.

    Args:
        crossings: rows at which laps begin, and the last one ends.
        rows: of the drive.
        val, test: shares of the laps; at least one lap is held out for a share above zero.
        gap: rows of the training parts beside a held-out lap that are in none.
    """
    count = len(crossings) - 1
    parts = [TRAIN] * count
    for part, share in ((VAL, val), (TEST, test)):
        free = [lap for lap in range(count) if parts[lap] == TRAIN]
        held = min(max(1, round(count * share)), len(free) - 1) if share else 0
        for k in range(held):
            parts[free[int((k + 0.5) * len(free) / held)]] = part
    edges = [0, *crossings[1:-1], rows]
    segments: list[Segment] = []
    for part, start, stop in zip(parts, edges[:-1], edges[1:], strict=True):
        if segments and segments[-1].part == part:
            segments[-1] = segments[-1]._replace(stop=stop)
        else:
            segments.append(Segment(part, start, stop))
    return [_without_gap(segments, number, gap) for number in range(len(segments))]


def _without_gap(segments: list[Segment], number: int, gap: int) -> Segment:
    part, start, stop = segments[number]
    before = segments[number - 1].part if number else part
    after = segments[number + 1].part if number + 1 < len(segments) else part
    # Of two held-out neighbours the earlier one gives the rows.
    if part == TRAIN:
        return Segment(part, start + gap * (before != part), stop - gap * (after != part))
    return Segment(part, start, stop - gap * (after not in (part, TRAIN)))


def distance(trajectory: Trajectory) -> float:
    """Length of the path in m; 0 where neither positions nor speed are known."""
    columns, dt = trajectory.channels, trajectory.dt
    if "x" in columns and "y" in columns:
        # From second to second: the noise of the positions must not add up.
        step = rows_of(SPAN, dt, most=len(trajectory))
        return float(np.sum(np.hypot(np.diff(columns["x"][::step]), np.diff(columns["y"][::step]))))
    v = derive("v", columns, dt)
    return 0.0 if v is None else float(np.sum(np.abs(v)) * dt)
