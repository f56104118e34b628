"""Comparisons of channels over a short span, by the rows of `pct.recordings.relations.RELATIONS`.

A rate is compared with the change of what it is the rate of, over the same span: the mean of the rate over
the span is exactly the change divided by its length, whatever the vehicle does, so that only the noise of
the sensors is left between the two sides.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from functools import partial

import numpy as np

from pct.doctor.raw_recording import Piece, Recording
from pct.doctor.statistics import FINEST_LAG, Agreement, Column, Pair, agreement
from pct.recordings import relations
from pct.recordings.relations import RELATIONS, Reading, Relation
from pct.recordings.time_steps import rows_of

# Channels that are compared with the pose.
VELOCITIES = ("v", "vx", "psi_dot")
# Correlation of readings that noise does not explain when missing.
COHERENT = 0.8
# Rates are compared over this time in s: long against noise, short against a turn.
SPAN = 0.3
# In no more rows than these to either side, more than any log of that rate has pieces for.
LONGEST_SPAN = 1_000_000

# Steering is compared with the yaw rate, which tells a wheelbase but no unit; see `pct.doctor.steering`.
STEERING = next(row for row in RELATIONS if row.name == "delta")
COMPARED = tuple(row for row in RELATIONS if row.means)


def span_rows(dt: float) -> int:
    """Rows to either side of a span."""
    return rows_of(0.5 * SPAN, dt, most=LONGEST_SPAN)


def is_long_enough(piece: Piece) -> bool:
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


def over_span(dt: float) -> Reading:
    """Columns over a span about each row; headings of a piece are unwrapped already."""
    span = 2 * span_rows(dt) * dt
    return Reading(partial(mean_rate, dt=dt), partial(change, dt=dt), span, lambda heading: heading)


def pose_velocity(piece: Piece) -> tuple[Column, Column] | None:
    """Velocity of the logged point in the vehicle's frame, from its pose, (N - 2h,) each."""
    x, y, psi = (piece.get(name) for name in ("x", "y", "psi"))
    if x is None or y is None or psi is None:
        return None
    return relations.pose_velocity(over_span(piece.dt), x, y, psi)


def sides_of(piece: Piece, relation: Relation) -> Pair | None:
    """A channel of a piece and what others say of it over each span, (N - 2h,) each."""
    return relation.sides(over_span(piece.dt), piece.columns, piece.get)


# Channels that are compared with velocities or angles.
RATES = ("delta_dot", "accel", "ax", "ay")


def pair_step(recording: Recording) -> int:
    """Every how many rows a relation is looked at: means over a span hold nothing faster."""
    return max(1, math.floor(FINEST_LAG / recording.dt + 1e-6))


def pairs_of(recording: Recording, relation: Relation) -> tuple[list[Pair], float]:
    """Both sides of a relation in each piece that has them, and the time step in s between their rows."""
    step = pair_step(recording)
    long = (piece for piece in recording.pieces if len(piece) > 4 * span_rows(piece.dt) + 10)
    pairs = [(pair[0][::step], pair[1][::step]) for piece in long if (pair := sides_of(piece, relation))]
    return pairs, step * recording.dt


def comparisons(
    recording: Recording, names: Collection[str]
) -> Iterator[tuple[Relation, Agreement, list[Pair]]]:
    """The relations of some channels that a log shows, and how their sides agree."""
    for relation in COMPARED:
        if relation.name in names and (compared := compare(recording, relation)):
            yield relation, *compared


def compare(recording: Recording, relation: Relation) -> tuple[Agreement, list[Pair]] | None:
    """How a channel agrees with what it is compared with; None where the log does not tell."""
    known = recording.remembered
    if relation not in known:
        known[relation] = _compare(recording, relation)
    found: tuple[Agreement, list[Pair]] | None = known[relation]
    return found


def _compare(recording: Recording, relation: Relation) -> tuple[Agreement, list[Pair]] | None:
    if not recording.measured(relation.name):
        return None
    pairs, dt = pairs_of(recording, relation)
    agreed = agreement(pairs, dt) if pairs else None
    return None if agreed is None else (agreed, pairs)
