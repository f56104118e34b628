"""What a third channel says where two contradict each other, and signs that the motion gives back.

A heading and a sideways speed that do not fit the path leave open which of them is wrong: the heading may be
the direction of travel, or the sideways speed no speed of this vehicle. The yaw rate decides; without one,
whether the sideways speed is that of a vehicle at all.
"""

from __future__ import annotations

import numpy as np

from pct.recordings.relations import WHEELBASES, Values
from pct.recordings.time_steps import rows_of
from pct.types import Column

# The yaw rate decides where it leaves this many times as much unexplained with the one as with the other.
DECIDES = 2.0
# The share of a sideways speed that turning explains, of any vehicle whose tyres roll.
ROLLS = 0.3
# Positions and heading are compared over so many s to either side.
ABOUT = 0.2
# So many s before or behind a change of the motion's sign, a magnitude passes zero.
LATER = 0.3
# What drives how fast, in m/s, up to which wheelbase in m: toys, model cars and robots, cars, lorries.
FASTEST = ((0.1, 8.0), (0.9, 15.0), (4.5, 120.0), (WHEELBASES[1], 40.0))
# Values of one sign: what noise may show of the other, of the largest; and the least share of the way that
# bends, or goes, the other way.
NOISE, OTHER_WAY = 0.05, 0.05
# A magnitude goes so well with that of its reference, and explains so much more of its variance than the
# column explains of the reference; or it goes so well, and leaves so many times less unexplained.
GOES, MORE = 0.6, 0.25
FOLLOWS, LESS = 0.8, 4.0
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


def motion_signs(x: Column, y: Column, psi: Column, step: float) -> tuple[Column, Column]:
    """Which way a vehicle goes and turns, 1 or -1 in each row, (N,) each.

    Args:
        x, y: positions in m, (N,) each.
        psi: heading in rad, with jumps or without, (N,).
        step: of the time in s.

    Returns:
        1 forwards along the heading and -1 in reverse; 1 to the left and -1 to the right.
    """
    half = rows_of(ABOUT, step, most=max(len(x) // 2, 1))
    rows = np.arange(len(x))
    before, after = np.maximum(rows - half, 0), np.minimum(rows + half, len(x) - 1)
    ahead = (x[after] - x[before]) * np.cos(psi) + (y[after] - y[before]) * np.sin(psi)
    turned = np.sin(psi[after] - psi[before])
    return np.where(ahead < 0, -1.0, 1.0), np.where(turned < 0, -1.0, 1.0)


def signed_by_motion(name: str, column: Column, way: Column, turn: Column, step: float) -> Column:
    """A channel that holds magnitudes with the sign of the motion, (N,).

    The vehicle follows its steering a little later, so that the sign changes where the magnitude passes zero.

    Args:
        name: the channel; in reverse, steering turns the other way.
        column: its values, of any sign, (N,).
        way, turn: from `motion_signs`.
        step: of the time in s.

    Examples:
        >>> late = np.array([1.0, 1.0, 1.0, 1.0, -1.0, -1.0])
        >>> size = np.array([0.3, 0.1, 0.0, 0.2, 0.3, 0.4])
        >>> print(signed_by_motion("delta", size, np.ones(6), late, 0.1))
        [ 0.3  0.1  0.  -0.2 -0.3 -0.4]
    """
    sign = {"v": way, "vx": way, "psi_dot": turn}.get(name, way * turn)
    size = np.abs(column)
    known = np.where(np.isfinite(size), size, np.inf)
    signed, most = sign * size, rows_of(LATER, step, most=len(size))
    changes = np.flatnonzero(np.diff(sign)) + 1
    begins, ends = np.append(0, changes), np.append(changes, len(sign))
    for begin, change, end in zip(begins, changes, ends[1:], strict=False):
        # Neither as far as the middle of the piece before, nor of the one behind.
        low, high = max(change - most, (begin + change) // 2), min(change + most, (change + end) // 2)
        at = low + int(np.argmin(known[low : high + 1]))
        signed[low : at + 1], signed[at + 1 : high] = (
            sign[change - 1] * size[low : at + 1],
            sign[change] * size[at + 1 : high],
        )
    return signed


def is_vehicle(wheelbase: float, speed: float) -> bool:
    """Whether something with that wheelbase in m drives that fast, in m/s.

    Examples:
        >>> is_vehicle(2.6, 30.0), is_vehicle(0.33, 8.0), is_vehicle(0.7, 19.0), is_vehicle(40.0, 10.0)
        (True, True, False, False)
    """
    most = next((fastest for length, fastest in FASTEST if wheelbase <= length), 0.0)
    return wheelbase >= WHEELBASES[0] and speed <= most


def is_magnitude(values: Values, reference: Values) -> bool:
    """Whether a column holds the magnitude of what the motion shows with both signs.

    Args:
        values: of the column, of one sign.
        reference: what the motion says.
    """
    known = np.isfinite(values) & np.isfinite(reference)
    if known.sum() < LEAST:
        return False
    values, reference = _clipped(values[known]), _clipped(reference[known])
    most = float(np.quantile(np.abs(reference), 0.9))
    one_sided = min(-float(values.min()), float(values.max())) < NOISE * float(np.abs(values).max())
    ways = min(np.mean(reference > 0.2 * most), np.mean(reference < -0.2 * most))
    if not one_sided or ways < OTHER_WAY:
        return False
    size, plain = _correlation(np.abs(values), np.abs(reference)), _correlation(values, reference)
    explains = size > GOES and size**2 - plain**2 > MORE
    return explains or (size > FOLLOWS and 1 - plain**2 > LESS * (1 - size**2))


def _clipped(column: Values) -> Values:
    """A column without what lies beyond its outermost hundredths."""
    low, high = np.quantile(column, [0.01, 0.99])
    return np.clip(column, low, high)


def _correlation(a: Values, b: Values) -> float:
    a, b = _clipped(a), _clipped(b)
    return float(np.corrcoef(a, b)[0, 1]) if min(a.std(), b.std()) > 0 else 0.0
