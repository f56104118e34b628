"""Seams: where recordings were glued together, or a localisation slipped."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pct.logs.blocks import blocks
from pct.recordings.outliers import MAD, local_median, sample_rows
from pct.types import Column, Float, Int

# A step of the positions this many times beyond the usual long ones, and beyond its scatter.
STEPS = 3.0
DEVIATIONS = 12.0
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
