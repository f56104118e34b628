"""What a third channel says where two contradict each other, and signs that the motion gives back.

A heading and a sideways speed that do not fit the path leave open which of them is wrong: the heading may be
the direction of travel, or the sideways speed no speed of this vehicle. The yaw rate decides; without one,
whether the sideways speed is that of a vehicle at all.
"""

from __future__ import annotations

import numpy as np

from pct.recordings.relations import Values

# The yaw rate decides where it leaves this many times as much unexplained with the one as with the other.
DECIDES = 2.0
# The share of a sideways speed that turning explains, of any vehicle whose tyres roll.
ROLLS = 0.3
# Positions and heading are compared over so many s to either side.
ABOUT = 0.2
# Rows that are needed to say anything.
LEAST = 50


def is_heading_by_gyro(turn: Values, beta_rate: Values, gyro: Values) -> bool | None:
    """Whether a logged angle is the heading by the yaw rate, and not the direction of travel.

    Args:
        turn: its rate over each span in rad/s.
        beta_rate: rate of the slip angle.
        gyro: mean of the yaw rate.

    Returns:
        None where the yaw rate cannot tell.
    """
    known = np.isfinite(turn) & np.isfinite(beta_rate) & np.isfinite(gyro)
    if known.sum() < LEAST:
        return None
    heading, course = (1 - _correlation(gyro[known], rate[known]) ** 2 for rate in (turn, turn - beta_rate))
    if min(heading, course) > 0.5:
        return None
    return True if course > DECIDES * heading else False if heading > DECIDES * course else None


def rolls(vy: Values, speed: Values, turn: Values) -> bool:
    """Whether a sideways speed is that of a vehicle: a multiple of the yaw rate r, less tyre slip with v²·r.

    References:
        M. Mitschke, H. Wallentowitz, Dynamik der Kraftfahrzeuge (2014), single-track model, steady state.
    """
    known = np.isfinite(vy) & np.isfinite(speed) & np.isfinite(turn)
    if known.sum() < LEAST:
        return True
    vy, speed, turn = (_clipped(column[known]) for column in (vy, speed, turn))
    columns = np.stack([turn, speed**2 * turn, np.ones_like(turn)], axis=1)
    solution, *_ = np.linalg.lstsq(columns, vy, rcond=None)
    return bool(np.var(vy - columns @ solution) < (1 - ROLLS) * np.var(vy))


def _clipped(column: Values) -> Values:
    """A column without what lies beyond its outermost hundredths."""
    low, high = np.quantile(column, [0.01, 0.99])
    return np.clip(column, low, high)


def _correlation(a: Values, b: Values) -> float:
    a, b = _clipped(a), _clipped(b)
    return float(np.corrcoef(a, b)[0, 1]) if min(a.std(), b.std()) > 0 else 0.0
