"""Spikes: samples that leave their neighbours and come back within two rows."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from pct.logs.blocks import blocks
from pct.types import Bool, Column, Float, Int, Rows

# Of some rows.
AnyRows: TypeAlias = Int[np.ndarray, " _"]
Distances: TypeAlias = Float[np.ndarray, " _"]

# Median absolute deviation to standard deviation of a normal distribution.
MAD = 1.4826
# A spike leaves its neighbours by more than this many robust deviations and as many usual steps.
DEVIATIONS = 12.0
STEPS = 3.0
# It begins and ends at once: steps there are this share of its height, less half a usual one. A manoeuvre
# that is short beside the step of the log rises over more rows.
STEEP = 0.9
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
    wrong, sound = np.zeros(len(column), bool), np.isfinite(column)
    for _ in range(ROUNDS):
        # Most columns are whole and without spikes: nothing is copied for them.
        out = _stands_out(column if sound.all() else column[sound], name)
        if not len(out):
            break
        out = np.flatnonzero(sound)[out]
        wrong[out], sound[out] = True, False
    return wrong


def _stands_out(values: Column, name: str) -> AnyRows:
    """One round over finite values; gives the rows of spikes."""
    none = np.zeros(0, int)
    if len(values) < LEAST_ROWS:
        return none
    sample = sample_rows(len(values) - 1)
    usual = values[sample]
    # Spikes are in the steps as well: twice their share stays above this quantile.
    limit = max(STEPS * _high(np.abs(values[sample + 1] - usual), 0.98), 1e-9)
    rows = _candidates(values, limit)
    if not len(rows):
        return none
    distance = np.abs(values[rows] - local_median(values, rows, WINDOW))
    if not (distance > limit).any():
        return none
    # The limit is not below any of these; to know that nothing is beyond one of them is enough.
    limit = max(
        limit,
        DEVIATIONS * MAD * float(np.median(np.abs(usual - local_median(values, sample, WINDOW)))),
        # A signal that hardly ever moves has no usual step.
        1e-3 * _high(np.abs(usual - np.median(usual)), 0.99),
        # Beyond what they reach otherwise, sudden forces are spikes as well.
        float(np.ptp(np.quantile(usual, [0.005, 0.995]))) if name in ACCELERATIONS else 0.0,
    )
    beyond = distance > limit
    suspects, distance = rows[beyond], distance[beyond]
    if not len(suspects):
        return none
    # It comes back: the nearest sound samples before and after it agree about where the signal is, and it is
    # far from both.
    sound = np.delete(np.arange(len(values)), suspects)
    after = np.searchsorted(sound, suspects)
    before, after = np.maximum(after - 1, 0), np.minimum(after, len(sound) - 1)
    before, after = values[sound[before]], values[sound[after]]
    jump = np.minimum(np.abs(values[suspects] - before), np.abs(values[suspects] - after))
    returns = (np.abs(before - after) < 0.5 * distance) & (jump > limit)
    return suspects[returns & _steep(values, suspects, distance, 0.5 * limit / STEPS)]


def _steep(values: Column, suspects: AnyRows, distance: Distances, slack: float) -> Bool[np.ndarray, " _"]:
    """Which suspects belong to a run that begins and ends at once.

    Args:
        values: the signal.
        suspects: its rows in question, in order.
        distance: how far each is from where the signal is.
        slack: by how much a step may be less.
    """
    run = np.cumsum(np.diff(suspects, prepend=suspects[0] - 2) > 1) - 1
    first, last = np.searchsorted(run, np.arange(run[-1] + 1)), np.searchsorted(run, run, side="right") - 1
    first, last = first[run], last
    highest = np.zeros(run[-1] + 1)
    np.maximum.at(highest, run, distance)
    # Two spikes side by side differ in height; of three rows the highest counts, as of a smooth one.
    short = last - first < 2
    into = np.where(short, distance[first], highest[run])
    out_of = np.where(short, distance[last], highest[run])
    rise = np.abs(values[suspects[first]] - values[np.maximum(suspects[first] - 1, 0)])
    fall = np.abs(values[suspects[last]] - values[np.minimum(suspects[last] + 1, len(values) - 1)])
    return (rise > STEEP * into - slack) & (fall > STEEP * out_of - slack)


def _candidates(values: Column, limit: float) -> AnyRows:
    """Rows that may be further than a limit from the median of their window.

    Who is that far is that far from four of its six neighbours, so from two of those that are two and three
    rows away.
    """
    count, half = len(values), WINDOW // 2
    candidates = [np.zeros(0, int)]
    for start, stop in blocks(count):
        block = values[max(start - half, 0) : stop + half]
        missing = max(half - start, 0), max(stop + half - count, 0)
        if any(missing):
            block = np.pad(block, missing, mode="edge")
        two, three = np.abs(block[2:] - block[:-2]), np.abs(block[3:] - block[:-3])
        if max(two.max(), three.max()) > limit:
            two, three, rows = two > limit, three > limit, stop - start
            sides = two[1 : rows + 1], two[3 : rows + 3], three[:rows], three[3 : rows + 3]
            candidates.append(start + np.flatnonzero(sum(side.astype(np.int8) for side in sides) >= 2))
    return np.concatenate(candidates)


def _high(values: Distances, share: float) -> float:
    """A quantile, as `np.quantile` gives it, in a fraction of the time for a short column."""
    at = share * (len(values) - 1)
    below = int(at)
    low, high = np.partition(values, [below, below + 1])[[below, below + 1]]
    return float(low + (at - below) * (high - low))


def sample_rows(count: int) -> Rows:
    """Rows of a column of so many, evenly spread, that show what is usual in it: all of a short one."""
    return np.arange(0, count, max(1, count // SAMPLE))


def local_median(values: Column, rows: AnyRows, window: int) -> Distances:
    """Median of the window, an odd number of rows, around each of some rows; the ends repeat."""
    half = window // 2
    return _median_of([values[np.clip(rows + at, 0, len(values) - 1)] for at in range(-half, half + 1)])


def _median_of(columns: list[Distances]) -> Distances:
    """Median across an odd number of columns, row by row.

    Exchanges of neighbours put a few long columns in order faster than each row is sorted by itself.
    """
    count = len(columns)
    for turn in range(count):
        for low in range(turn % 2, count - 1, 2):
            a, b = columns[low], columns[low + 1]
            columns[low], columns[low + 1] = np.minimum(a, b), np.maximum(a, b)
    return columns[count // 2]
