"""Change points: when a parameter changed, how sure that is, and when a car could have known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pct.types import Float

# What lies within so many seconds is one change; least probability of one that is listed.
APART, LEAST = 0.75, 0.5
# Probability of a recent change at which a car takes notice.
ALARM = 0.95
# A change is seen within so many seconds, or not.
WITHIN = 3.0


class Change(NamedTuple):
    """A change of a parameter.

    Attributes:
        parameter: its name.
        time, low, high: s, median and ends of its 95 % band.
        probability: that there is one.
        before, after: value of the parameter, in its unit.
        seen: s, when a car that drives could know; None where not within `WITHIN`.
    """

    parameter: str
    time: float
    low: float
    high: float
    probability: float
    before: float
    after: float
    seen: float | None


def find_changes(
    name: str,
    t: Float[np.ndarray, " N"],
    chances: Float[np.ndarray, " N"],
    middle: Float[np.ndarray, " N"],
    alarms: Float[np.ndarray, " A"],
) -> list[Change]:
    """Changes of a parameter in order of time.

    Args:
        name: of the parameter.
        t: time of each row, s.
        chances: probability of a change between a row and the next one.
        middle: smoothed values.
        alarms: times at which a car takes notice, s.
    """
    left, changes = chances.copy(), []
    while True:
        sums = np.concatenate([[0.0], np.cumsum(left)])
        first, last = np.searchsorted(t, t - APART / 2), np.searchsorted(t, t + APART / 2, "right")
        mass = sums[last] - sums[first]
        at = int(np.argmax(mass))
        if mass[at] < LEAST:
            break
        rows = np.flatnonzero(np.abs(t - t[at]) <= APART)
        share = np.cumsum(left[rows])
        when = [rows[np.searchsorted(share, level * share[-1])] for level in (0.025, 0.5, 0.975)]
        low, middle_time, high = t[when[0]], t[when[1]], t[min(when[2] + 1, len(t) - 1)]
        seen = alarms[(alarms >= low) & (alarms <= high + WITHIN)]
        before, after = middle[max(0, rows[0])], middle[min(rows[-1] + 1, len(t) - 1)]
        changes.append(
            Change(
                name,
                float(middle_time),
                float(low),
                float(high),
                float(min(1.0, share[-1])),
                float(before),
                float(after),
                float(seen[0]) if len(seen) else None,
            )
        )
        left[rows] = 0.0
    return sorted(changes, key=lambda change: change.time)


def find_alarms(t: Float[np.ndarray, " N"], recent: Float[np.ndarray, " N"]) -> np.ndarray:
    """Times at which the probability of a recent change passes `ALARM`."""
    over = recent > ALARM
    return t[np.flatnonzero(over[1:] & ~over[:-1]) + 1]
