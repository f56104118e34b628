"""What channels say of each other: each row of `RELATIONS` is a law of motion that two readings must obey.

A rate is compared with the change of what it is the rate of, over the same span: the mean of the rate over
the span is exactly the change divided by its length, whatever the vehicle does, so that only the noise of
the sensors is left between the two sides.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from pct.doctor.recording import Piece, Recording
from pct.doctor.statistics import FINEST_LAG, Agreement, Column, Pair, agreement

# Channels that are compared with the pose.
VELOCITIES = ("v", "vx", "psi_dot")
# Correlation of readings that noise does not explain when missing.
COHERENT = 0.8
# Rates are compared over this time in s: long against noise, short against a turn.
SPAN = 0.3

Sides = Callable[[Piece], Pair | None]


@dataclasses.dataclass(frozen=True, eq=False)
class Relation:
    """One channel and what others say of it.

    Attributes:
        name: the channel.
        means: what it is compared with, for messages.
        needs: channels that the other side is made of.
        sides: gives both sides of one piece, (M,) each, or None where a channel is missing.
    """

    name: str
    means: str
    needs: tuple[str, ...]
    sides: Sides


def span_rows(dt: float) -> int:
    """Rows to either side of a span."""
    return max(1, round(0.5 * SPAN / dt))


def tells(piece: Piece) -> bool:
    """Whether a piece holds enough rows for spans about them."""
    return len(piece) >= 60 and len(piece) > 4 * span_rows(piece.dt) + 10


def mean_rate(rate: Column, dt: float) -> Column:
    """Mean of a rate, or of any column, over a span about each row, by trapezoids, (N - 2h,)."""
    h = span_rows(dt)
    total = np.concatenate([[0.0], np.cumsum(0.5 * (rate[1:] + rate[:-1]))])
    return (total[2 * h :] - total[: -2 * h]) / (2 * h)


def change(column: Column, dt: float) -> Column:
    """Change over a span about each row per s, (N - 2h,)."""
    h = span_rows(dt)
    return (column[2 * h :] - column[: -2 * h]) / (2 * h * dt)


def middle(column: Column, dt: float) -> Column:
    """The rows that have a whole span about them, (N - 2h,)."""
    h = span_rows(dt)
    return column[h:-h]


def pose_velocity(piece: Piece) -> tuple[Column, Column] | None:
    """Velocity of the logged point in the vehicle's frame, from its pose, (N - 2h,) each."""
    x, y, psi = (piece.get(name) for name in ("x", "y", "psi"))
    if x is None or y is None or psi is None:
        return None
    stretch = _arc_over_chord(piece, psi)
    x_dot, y_dot = stretch * change(x, piece.dt), stretch * change(y, piece.dt)
    # Its noise counts times the speed: take the mean of as many rows as the positions span.
    heading = mean_rate(psi, piece.dt)
    along = x_dot * np.cos(heading) + y_dot * np.sin(heading)
    across = y_dot * np.cos(heading) - x_dot * np.sin(heading)
    return along, across


def _arc_over_chord(piece: Piece, psi: Column) -> Column:
    """How much longer the way over a span is than the straight line between its ends, (N - 2h,)."""
    half = change(psi, piece.dt) * span_rows(piece.dt) * piece.dt
    return 1.0 / np.sinc(np.clip(half, -1.0, 1.0) / np.pi)


def _rate_of(name: str) -> Callable[[Piece, Column], Pair | None]:
    def sides(piece: Piece, rate: Column) -> Pair | None:
        column = piece.get(name)
        return None if column is None else (mean_rate(rate, piece.dt), change(column, piece.dt))

    return sides


def _speed(piece: Piece, v: Column) -> Pair | None:
    x, y = (piece.columns.get(name) for name in ("x", "y"))
    if x is None or y is None:
        return None
    chord = np.hypot(change(x, piece.dt), change(y, piece.dt))
    psi = piece.get("psi")
    # Positions do not tell forwards from backwards.
    return np.abs(mean_rate(v, piece.dt)), chord if psi is None else chord * _arc_over_chord(piece, psi)


def _along(piece: Piece, vx: Column) -> Pair | None:
    if {"x", "y"} <= set(piece.columns) and not {"psi", "yaw", "course"} & set(piece.columns):
        return _speed(piece, vx)
    pose = pose_velocity(piece)
    return pose and (mean_rate(vx, piece.dt), pose[0])


def _forward(piece: Piece, accel: Column) -> Pair | None:
    v = piece.columns.get("vx", piece.columns.get("v"))
    if v is None:
        return None
    rate = change(v, piece.dt)
    vy, psi_dot = piece.columns.get("vy"), piece.columns.get("psi_dot")
    if vy is not None and psi_dot is not None:
        rate = rate - mean_rate(vy * psi_dot, piece.dt)
    return mean_rate(accel, piece.dt), rate


def _sideways(piece: Piece, ay: Column) -> Pair | None:
    v, psi_dot, vy = (piece.get(name) for name in ("v", "psi_dot", "vy"))
    if v is None or psi_dot is None:
        return None
    total = mean_rate(v * psi_dot, piece.dt)
    return mean_rate(ay, piece.dt), total if vy is None else total + change(vy, piece.dt)


def _relation(
    name: str, means: str, needs: tuple[str, ...], sides: Callable[[Piece, Column], Pair | None]
) -> Relation:
    def both(piece: Piece) -> Pair | None:
        column = piece.columns.get(name)
        return None if column is None else sides(piece, column)

    return Relation(name, means, needs, both)


RELATIONS = (
    _relation("v", "the speed of the positions", ("x", "y"), _speed),
    _relation("vx", "the speed of the positions along the heading", ("x", "y"), _along),
    _relation("psi_dot", "the rate of the heading", ("psi",), _rate_of("psi")),
    _relation("delta_dot", "the rate of 'delta'", ("delta",), _rate_of("delta")),
    _relation("accel", "the rate of the speed", ("v",), _rate_of("v")),
    _relation("accel", "the rate of 'vx'", ("vx",), _rate_of("vx")),
    _relation("ax", "the rate of the speed", ("v", "vx"), _forward),
    _relation("ay", "the centripetal acceleration v·psi_dot", ("v", "psi_dot"), _sideways),
)


# Channels that are compared with velocities or angles.
RATES = tuple(row.name for row in RELATIONS if row.name not in VELOCITIES)


def pair_step(recording: Recording) -> int:
    """Every how many rows a relation is looked at: means over a span hold nothing faster."""
    return max(1, math.floor(FINEST_LAG / recording.dt + 1e-6))


def pairs_of(recording: Recording, sides: Sides) -> tuple[list[Pair], float]:
    """Both sides of a relation in each piece that has them, and the time step in s between their rows."""
    step = pair_step(recording)
    long = (piece for piece in recording.pieces if len(piece) > 4 * span_rows(piece.dt) + 10)
    pairs = [(pair[0][::step], pair[1][::step]) for piece in long if (pair := sides(piece)) is not None]
    return pairs, step * recording.dt


# The checks ask the same of the same recording.
@lru_cache(maxsize=64)
def compare(recording: Recording, relation: Relation) -> tuple[Agreement, list[Pair]] | None:
    """How a channel agrees with what it is compared with; None where the log does not tell."""
    if not recording.measured(relation.name):
        return None
    pairs, dt = pairs_of(recording, relation.sides)
    found = agreement(pairs, dt) if pairs else None
    return None if found is None else (found, pairs)
