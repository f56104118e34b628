"""The speed that a car can have at each place of a track, by the grip that one believes in."""

from __future__ import annotations

import math

import numpy as np

from pct.dynamics.limits import GRAVITY
from pct.racing.tracks import Track
from pct.types import Float


def speed_profile(
    track: Track,
    grip: float | Float[np.ndarray, " N"],
    *,
    accel: float | Float[np.ndarray, " N"],
    brake: float | Float[np.ndarray, " N"],
    top: float,
    margin: float = 0.9,
) -> Float[np.ndarray, " N"]:
    """Speed at each point of the centre line in m/s.

    What the bends allow, then what can be reached by driving and left by braking, with the forces along and
    across the car within one circle of grip (T. Lipp and S. Boyd, "Minimum-time speed optimisation over a
    fixed path", International Journal of Control 87, 2014, solve the same problem by convex optimisation).

    Args:
        track: the track.
        grip: largest force over weight, everywhere or at each point.
        accel, brake: largest accelerations that drive and brakes give, in m/s^2, likewise.
        top: top speed in m/s.
        margin: share of the grip that is used.

    Examples:
        >>> from pct.racing.tracks import load_track
        >>> track = load_track("kidney")
        >>> most = {"accel": 5.0, "brake": 9.0, "top": 40.0}
        >>> slow, fast = (speed_profile(track, grip, **most).mean() for grip in (0.4, 0.8))
        >>> bool(1.3 < fast / slow < 1.42)
        True
    """
    shape = track.s.shape
    most = np.broadcast_to(margin * GRAVITY * np.asarray(grip), shape)
    bends = np.abs(track.curvature)
    speed = np.minimum(np.sqrt(most / np.maximum(bends, 1e-9)), top).tolist()
    count, start = len(speed), int(np.argmin(speed))
    used, grips = (bends / most).tolist(), most.tolist()
    # Twice round from the slowest point: it is reached and left at its own speed.
    for direction, limit in ((1, accel), (-1, brake)):
        limits = np.broadcast_to(limit, shape).tolist()
        for place in range(count):
            here, there = (start + direction * place) % count, (start + direction * (place + 1)) % count
            across = min(speed[here] ** 2 * used[here], 1.0)
            along = min(limits[here], grips[here] * math.sqrt(1.0 - across**2))
            speed[there] = min(speed[there], math.sqrt(speed[here] ** 2 + 2.0 * along * track.step))
    return np.array(speed)
