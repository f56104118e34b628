"""Delay of a vehicle's response to its commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pct.doctor.comparison import STEERING, change, mean_rate, over_span, span_rows
from pct.doctor.statistics import FINEST_LAG, Pair, agreement
from pct.recordings.derive import derive
from pct.recordings.time_steps import rows_of
from pct.recordings.trajectory import Trajectory

# A command and its answer must agree this well, and the delay be known to this many s.
CORRELATION = 0.6
ERROR = 0.05
# Rows that are enough for an estimate, and the least.
ROWS = 200_000
LEAST_SPANS = 20
# Commands whose response is the rate of the speed; that of the steering angle is the yaw rate.
DRIVING = ("accel", "drive", "throttle", "brake")


class Delay(NamedTuple):
    """Delay of the answer in s, its standard error, and the correlation of the two at that delay."""

    seconds: float
    error: float
    correlation: float


def response_delays(trajectories: Sequence[Trajectory]) -> dict[str, Delay]:
    """Delay of the vehicle's response by commanded channel.

    For a command the delay is that of the actuator and the vehicle together: the tyres need time as well.

    Args:
        trajectories: recordings of one log.

    Returns:
        Delays of the steering and of commands, where the recordings show one.
    """
    delays = {}
    for name in (STEERING.name, *DRIVING):
        # A steering angle is often a command, whatever the map says of it.
        known = ("command", "measured") if name == STEERING.name else ("command",)
        commanded = [t for t in trajectories if t.origins.get(name) in known]
        if not commanded:
            continue
        dt = commanded[0].dt
        step = rows_of(FINEST_LAG, dt, most=ROWS)
        pairs: list[Pair] = []
        for trajectory in commanded:
            pair = _pair(name, trajectory) if sum(len(a) for a, _ in pairs) * step < ROWS else None
            if pair is not None:
                pairs.append((pair[0][::step], pair[1][::step]))
        agreed = agreement(pairs, step * dt) if pairs else None
        if agreed is not None and abs(agreed.correlation) > CORRELATION and agreed.lag_error < ERROR:
            delays[name] = Delay(-agreed.lag, agreed.lag_error, agreed.correlation)
    return delays


def _pair(name: str, trajectory: Trajectory) -> Pair | None:
    """A command and the answer to it, equally smoothed; a steering angle as the yaw rate it asks for."""
    dt = trajectory.dt
    needed = (name, "x", "y", "psi", "psi_dot", "v", "vx", "vy")
    columns = {key: trajectory.channels[key][:ROWS] for key in needed if key in trajectory.channels}
    v = derive("v", columns, dt)
    if v is None or len(v) < LEAST_SPANS * span_rows(dt):
        return None
    if name in DRIVING:
        return mean_rate(columns[name], dt), change(v, dt)
    return STEERING.sides(over_span(dt), columns, lambda need: derive(need, columns, dt))
