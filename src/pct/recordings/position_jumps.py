"""Seams: where recordings were glued together, or a localisation slipped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from pct.logs.blocks import blocks
from pct.recordings.outliers import MAD, local_median, sample_rows
from pct.recordings.time_steps import rows_of
from pct.types import Column, Float, Int

# A step of the positions this many times beyond the usual long ones, and beyond its scatter.
STEPS = 3.0
DEVIATIONS = 12.0
# A vehicle that stood for so many s does not go this fast, in m/s² times the time that it took, over so many
# rows: a recording from elsewhere begins there.
STOOD, LEAP, OVER = 1.0, 100.0, 5
# What a vehicle that stands moves by its noise, in m.
STILL = 0.3
# Rows of the window whose median is the usual step there, and rows that a judgement needs.
WINDOW = 9
LEAST_ROWS = 60


class Seams(NamedTuple):
    """Places where the positions jump further than a vehicle moves, and stay there.

    Attributes:
        rows: the first row behind each seam.
        good: rows that have a position, (K,).
        lengths: distance between their neighbours in m, (K - 1,).
        limits: beyond these above its surroundings a step is a seam, (K - 1,).
    """

    rows: Int[np.ndarray, " _"]
    good: Int[np.ndarray, " K"]
    lengths: Float[np.ndarray, " L"]
    limits: Float[np.ndarray, " L"]


def find_seams(time: Column, x: Column, y: Column) -> Seams | None:
    """Find seams in a path; None where there are too few rows to tell.

    Args:
        time: stamps in s; where rows are missing the vehicle has more time to get there.
        x, y: positions in m, not finite where missing.
    """
    good = np.flatnonzero(np.isfinite(x) & np.isfinite(y) & np.isfinite(time))
    if len(good) < LEAST_ROWS:
        return None
    if len(good) < len(x):
        time, x, y = time[good], x[good], y[good]
    count = len(good) - 1
    lengths, limits = np.empty(count), np.empty(count)
    for start, stop in blocks(count):
        lengths[start:stop] = np.hypot(*(np.diff(column[start : stop + 1]) for column in (x, y)))
    sample = sample_rows(count)
    seconds = time[sample + 1] - time[sample]
    usual = float(np.median(seconds[seconds > 0])) if (seconds > 0).any() else 1.0
    limit = max(
        STEPS * float(np.quantile(lengths[sample], 0.98)),
        DEVIATIONS * MAD * float(np.median(np.abs(lengths[sample] - local_median(lengths, sample, WINDOW)))),
        1e-9,
    )
    for start, stop in blocks(count):
        limits[start:stop] = limit * np.maximum(np.diff(time[start : stop + 1]) / usual, 1.0)
    long = np.flatnonzero(lengths > limits)
    excess = lengths[long] - local_median(lengths, long, WINDOW)
    rows = long[(excess > limits[long]) & (time[long + 1] > time[long])] + 1
    return Seams(good[rows], good, lengths, limits)


def stays(channels: Mapping[str, Column]) -> bool:
    """Whether the positions of a recording show nothing but noise, and its speed none either."""
    speeds = [channels[name] for name in ("v", "vx") if name in channels]
    if not {"x", "y"} <= set(channels) or any(np.nanmedian(np.abs(speed)) > STILL for speed in speeds):
        return False
    spans = [float(np.nanmax(c) - np.nanmin(c)) for c in (channels["x"], channels["y"]) if len(c)]
    return bool(spans) and max(spans) < STILL


def find_leaps(time: Column, x: Column, y: Column) -> Int[np.ndarray, " _"]:
    """First rows behind places where a vehicle that stands goes at speed at once, or the other way round.

    Args:
        time: stamps in s.
        x, y: positions in m, not finite where missing.

    Examples:
        >>> t = 0.02 * np.arange(200)
        >>> leap = np.where(t < 2, 0.0, 20.0 * (t - 2))
        >>> print(find_leaps(t, leap, 0 * t), find_leaps(t, np.where(t < 2, 0.0, 2.0 * (t - 2) ** 2), 0 * t))
        [100] []
    """
    good = np.flatnonzero(np.isfinite(x) & np.isfinite(y) & np.isfinite(time))
    steps = np.diff(time[good])
    if len(good) < LEAST_ROWS or not (steps > 0).any():
        return np.zeros(0, int)
    step = float(np.median(steps[steps > 0]))
    stood = max(rows_of(STOOD, step, most=len(good)), OVER)
    time, x, y = time[good], x[good], y[good]
    leaps: list[int] = []
    for start, stop in blocks(len(good)):
        rows = np.arange(max(start, stood), min(stop, len(good) - stood))
        before, after = (
            np.hypot(x[last] - x[first], y[last] - y[first])
            for first, last in ((rows - OVER, rows), (rows, rows + OVER))
        )
        long_before, long_after = (
            np.hypot(x[rows + shift] - x[rows], y[rows + shift] - y[rows]) for shift in (-stood, stood)
        )
        stands = np.minimum(long_before, long_after) < STILL
        # In a gap of the time a vehicle may set off.
        whole = time[rows + OVER] - time[rows - OVER] < 3 * OVER * step
        change = np.where(stands & whole, np.abs(after - before), 0.0)
        found = np.flatnonzero(change > LEAP * (OVER * step) ** 2 + STILL)
        groups = np.split(found, np.flatnonzero(np.diff(found) > OVER) + 1) if len(found) else []
        leaps += [int(rows[group[np.argmax(change[group])]]) for group in groups]
    # Behind the last row that stands, before the first that goes.
    return good[np.asarray(leaps, int)]
