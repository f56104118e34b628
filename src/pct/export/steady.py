"""Steady turns of a single-track car at constant speed, from the side forces of its axles.

In a steady turn each axle carries its share of the car's mass, so the lateral acceleration gives both forces,
these both slip angles, and these the steering angle. Each speed is followed from straight ahead up to where
more lateral acceleration takes no more steering: beyond, the turn is not stable.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

# Points of each force's curve up to its peak, of the accelerations, and the largest slip angle in rad.
CURVE, POINTS, MOST = 20001, 4001, 1.5
# The peak itself has no one slip angle.
BELOW = 1.0 - 1e-9


def steady_turns(
    front: Callable[[np.ndarray], np.ndarray],
    rear: Callable[[np.ndarray], np.ndarray],
    speeds: np.ndarray,
    steers: np.ndarray,
    lf: float,
    lr: float,
) -> np.ndarray:
    """Lateral acceleration in m/s^2 of the steady turn at each steering angle and speed.

    Args:
        front, rear: side force of an axle over what of the car's mass it carries, in m/s^2, at slip angles in
            rad; odd, and rising from zero up to its peak.
        speeds: in m/s, (V,), positive.
        steers: in rad, (A,), from zero upwards.
        lf, lr: from the centre of gravity to the axles in m.

    Returns:
        Shape (A, V); not a number from the steering angle on at which a speed has no such turn.
    """
    slips = np.linspace(0.0, MOST, CURVE)
    curves = []
    for force in (front, rear):
        values = force(slips)
        end = int(np.argmax(values)) + 1
        curves.append((values[:end], slips[:end]))
    lateral = np.linspace(0.0, BELOW * min(values[-1] for values, _ in curves), POINTS)
    alpha_front, alpha_rear = (np.interp(lateral, *curve) for curve in curves)
    table = np.full((len(steers), len(speeds)), np.nan)
    for column, v in enumerate(speeds):
        r = lateral / v
        vy = lr * r - v * np.tan(alpha_rear)
        delta = alpha_front + np.arctan((vy + lf * r) / v)
        falls = np.flatnonzero(np.diff(delta) <= 0.0)
        end = len(delta) if not len(falls) else int(falls[0]) + 1
        table[:, column] = np.interp(steers, delta[:end], lateral[:end], right=np.nan)
    return table
