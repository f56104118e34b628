"""Spikes: samples that leave their neighbours and come back within two rows."""

from __future__ import annotations

import numpy as np

from pct.types import Bool, Column, Float, Int

# Median absolute deviation to standard deviation of a normal distribution.
MAD = 1.4826
# A spike leaves its neighbours by more than this many robust deviations and as many usual steps.
DEVIATIONS = 12.0
STEPS = 3.0
# Forces may come and go within a row or two.
ACCELERATIONS = ("accel", "ax", "ay")
# Rows of the window whose median says where the signal is, and rows that a judgement needs.
WINDOW = 7
LEAST_ROWS = 30
# Usual deviations and steps of a long signal are taken from so many of its rows.
SAMPLE = 50_000
# A spike hides its neighbour: it is looked for again without those found.
ROUNDS = 3


def find_spikes(name: str, column: Column) -> Bool[np.ndarray, " N"]:
    """Which samples are spikes.

    Args:
        name: the channel; accelerations may do what others may not.
        column: samples in their order, angles unwrapped; those that are not finite are passed over.

    References:
        F. R. Hampel, "The influence curve and its role in robust estimation", JASA 69 (1974): the median and
        the median absolute deviation of a window as the measure of an outlier.

    Examples:
        >>> wave = np.sin(0.1 * np.arange(100.0))
        >>> wave[40] = 9.0
        >>> print(np.flatnonzero(find_spikes("vx", wave)))
        [40]
    """
    wrong = np.zeros(len(column), bool)
    good = np.flatnonzero(np.isfinite(column))
    for _ in range(ROUNDS):
        out = _stands_out(column[good], name)
        if not out.any():
            break
        wrong[good[out]] = True
        good = good[~out]
    return wrong


def _stands_out(values: Column, name: str) -> Bool[np.ndarray, " N"]:
    """One round over finite values."""
    wrong = np.zeros(len(values), bool)
    if len(values) < LEAST_ROWS:
        return wrong
    sample = np.arange(0, len(values) - 1, max(1, len(values) // SAMPLE))
    usual = values[sample]
    limit = max(
        DEVIATIONS * MAD * float(np.median(np.abs(usual - _local_median(values, sample)))),
        # Spikes are in the steps as well: twice their share stays above this quantile.
        STEPS * float(np.quantile(np.abs(values[sample + 1] - usual), 0.98)),
        # A signal that hardly ever moves has no usual step.
        1e-3 * float(np.quantile(np.abs(usual - np.median(usual)), 0.99)),
        # Beyond what they reach otherwise, sudden forces are spikes as well.
        float(np.ptp(np.quantile(usual, [0.005, 0.995]))) if name in ACCELERATIONS else 0.0,
        1e-9,
    )
    # Who is that far from the median of its window is that far from four of its six neighbours, so from two
    # of those that are two and three rows away.
    far = np.zeros(len(values), np.int8)
    for distance in (2, 3):
        apart = np.abs(values[distance:] - values[:-distance]) > limit
        far[distance:] += apart
        far[:-distance] += apart
    far[:WINDOW] = far[-WINDOW:] = 2
    rows = np.flatnonzero(far >= 2)
    apart = np.abs(values[rows] - _local_median(values, rows))
    wrong[rows[apart > limit]] = True
    # It comes back: the nearest sound samples before and after it agree about where the signal is.
    suspects = np.flatnonzero(wrong)
    sound = np.flatnonzero(~wrong)
    after = np.searchsorted(sound, suspects)
    before, after = np.maximum(after - 1, 0), np.minimum(after, len(sound) - 1)
    returned = np.abs(values[sound[before]] - values[sound[after]]) < 0.5 * apart[apart > limit]
    wrong[suspects[~returned]] = False
    return wrong


def _local_median(values: Column, rows: Int[np.ndarray, " K"]) -> Float[np.ndarray, " K"]:
    """Median of the window around each of some rows; the ends repeat."""
    window = rows[:, None] + np.arange(-(WINDOW // 2), WINDOW // 2 + 1)
    return np.median(values[np.clip(window, 0, len(values) - 1)], axis=1)
