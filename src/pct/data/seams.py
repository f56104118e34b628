"""Seams: where recordings were glued together, or a localisation slipped."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pct.data.outliers import MAD, running_median
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
    lengths = np.hypot(np.diff(x[good]), np.diff(y[good]))
    seconds = np.diff(time[good])
    usual = float(np.median(seconds[seconds > 0])) if (seconds > 0).any() else 1.0
    excess = lengths - running_median(lengths, WINDOW)
    limit = max(
        STEPS * float(np.quantile(lengths, 0.98)),
        DEVIATIONS * MAD * float(np.median(np.abs(excess))),
        1e-9,
    )
    limits = limit * np.maximum(seconds / usual, 1.0)
    rows = good[np.flatnonzero((excess > limits) & (seconds > 0)) + 1]
    return Seams(rows, good, lengths, limits)
