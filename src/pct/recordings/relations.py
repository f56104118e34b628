"""The laws of motion between channels, one row a law: how a channel follows from others.

`RELATIONS` is read by `pct.recordings.derive`, which adds channels that a log lacks; by
`pct.recordings.checks` and `pct.doctor`, which compare a logged channel with what others say of it; and by
`pct.mapping`, which finds a channel's column by the same comparison. Each reads columns in its own way: at
every row, over a short span, over windows. `Reading` is that way. Over a span, the mean of a rate is exactly
the change of its integral divided by the span, whatever the vehicle does: only noise is left between them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from pct.dynamics.channels import is_heading, known_channels
from pct.types import Column, Float

# Values of spans or windows, in their order.
Values: TypeAlias = Float[np.ndarray, " _"]

# Below this speed, in m/s, the direction of travel is noise.
STANDSTILL = 0.1
# Wheelbases that a log may imply, in m: from a 1:43 car with room for error, to a truck.
WHEELBASES = (0.02, 10.0)


class Reading(NamedTuple):
    """How columns are read.

    Attributes:
        mean: of a column over each span.
        rate: change of a column over each span per s.
        span: length in s, zero where every row is read by itself.
        unwrap: takes the jumps of full turns out of a heading.
    """

    mean: Callable[[Column], Values]
    rate: Callable[[Column], Values]
    span: float = 0.0
    unwrap: Callable[[Column], Column] = np.unwrap


def _mean(read: Reading, column: Column, *_: Column) -> Values:
    return read.mean(column)


@dataclasses.dataclass(frozen=True, eq=False)
class Relation:
    """One channel and how it follows from others.

    Attributes:
        name: the channel.
        needs: the channels that it follows from.
        follows: ``follows(read, *needs, **also)``, the channel as the others say it.
        means: what they say, for messages; empty where nothing is compared.
        also: channels that make it more exact where there are any.
        derives: whether a missing channel is derived by it.
        left: ``left(read, channel, *needs)``, what is compared with ``follows``.
        signed: whether the others tell the sign.
        logged: the others must be logged: derived ones would be the channel itself.
        unless: logged channels that another row makes more of.
        suspects: others whose unit may be wrong instead.
        quantity: what the channel says of the suspects.
        ratio: what the ratio of the channel to the others is, where it should not be one.
        refused: a recording with a ratio of the channel to the others beyond these is refused; None: never.
        least: the others say nothing below it.
        explained: a unit explains a wrong ratio where it brings it to within.
    """

    name: str
    needs: tuple[str, ...]
    follows: Callable[..., Any]
    means: str = ""
    also: tuple[str, ...] = ()
    derives: bool = True
    left: Callable[..., Values] = _mean
    signed: bool = True
    logged: bool = False
    unless: tuple[str, ...] = ()
    suspects: tuple[str, ...] = ()
    quantity: str = ""
    ratio: str = ""
    refused: tuple[float, float] | None = None
    least: float = 1e-6
    explained: tuple[float, float] = (0.7, 1.4)

    def sides(
        self, read: Reading, channels: Mapping[str, Column], find: Callable[[str], Column | None]
    ) -> tuple[Values, Values] | None:
        """The channel and what others say of it; None where one is missing.

        Args:
            read: how columns are read.
            channels: logged columns by name.
            find: a channel, logged or derived.
        """
        if self.name not in channels or any(name in channels for name in self.unless):
            return None
        get = channels.get if self.logged else find
        needs = [get(name) for name in self.needs]
        if any(column is None for column in needs):
            return None
        also = {name: column for name in self.also if (column := get(name)) is not None}
        column = self.left(read, channels[self.name], *needs)
        return column if self.signed else np.abs(column), self.follows(read, *needs, **also)


def speed(vx: Column, vy: Column) -> Column:
    """Speed in m/s, negative in reverse; see `travel_direction`.

    Examples:
        >>> print(speed(np.array([3.0, -3.0]), np.array([0.0, 0.0])))
        [ 3. -3.]
    """
    return travel_direction(vx, vy) * np.hypot(vx, vy)


def slip_angle(vx: Column, vy: Column) -> Column:
    """Angle from the heading to the direction of travel in rad, fading to zero at standstill.

    In reverse it is counted from the tail, so that vx = v cos(beta) and vy = v sin(beta) with the signed
    `speed`. Below `STANDSTILL` the direction of travel is noise.

    Examples:
        >>> print(slip_angle(np.array([10.0, 10.0, 0.0]), np.array([0.0, 1.0, 0.01])).round(3))
        [0.  0.1 0. ]
        >>> print(slip_angle(np.array([-10.0, -10.0]), np.array([0.0, -1.0])).round(3))
        [0.  0.1]
    """
    direction = travel_direction(vx, vy)
    fade = 1.0 / (1.0 + (STANDSTILL / np.maximum(np.hypot(vx, vy), 1e-6)) ** 4)
    # Adding zero turns -0 into 0, whose angle is not half a turn.
    return fade * np.arctan2(direction * vy + 0.0, direction * vx + 0.0)


def travel_direction(vx: Column, vy: Column) -> Column:
    """1 forward, -1 in reverse, of shape (N,).

    A vehicle reverses by passing through standstill. One that spins comes to face against its travel
    at speed: its direction stays, and its slip angle goes beyond a quarter turn.

    Examples:
        >>> travel_direction(np.array([1.0, 0.3, -0.3]), np.array([0.0, 0.0, 0.0]))
        array([ 1.,  1., -1.])
        >>> travel_direction(np.array([1.0, 0.3, -0.3]), np.array([3.0, 3.2, 3.1]))
        array([1., 1., 1.])
    """
    sign = np.where(vx < 0, -1.0, 1.0)
    turned = sign[1:] != sign[:-1]
    sideways = np.minimum(np.abs(vy[1:]), np.abs(vy[:-1])) > np.abs(np.diff(vx))
    spins = np.concatenate([[0], np.cumsum(turned & sideways)])
    # A standstill ends a spin.
    still = np.hypot(vx, vy) < STANDSTILL
    spins = spins - np.maximum.accumulate(np.where(still, spins, 0))
    return sign * np.where(spins % 2, -1.0, 1.0)


def pose_velocity(read: Reading, x: Column, y: Column, psi: Column) -> tuple[Values, Values]:
    """Velocity of the logged point along and across the vehicle, from its pose, in m/s."""
    stretch = arc_over_chord(read, read.rate(psi)) if read.span else 1.0
    x_dot, y_dot = stretch * read.rate(x), stretch * read.rate(y)
    # The heading's noise counts times the speed: take the mean of as many rows as the positions span.
    heading = read.mean(psi)
    cos, sin = np.cos(heading), np.sin(heading)
    return x_dot * cos + y_dot * sin, y_dot * cos - x_dot * sin


def path_speed(read: Reading, x: Column, y: Column, psi: Column | None = None) -> Values:
    """Speed of the positions in m/s; along the arc of each span where the heading tells it."""
    chord = np.hypot(read.rate(x), read.rate(y))
    return chord if psi is None else chord * arc_over_chord(read, read.rate(psi))


def arc_over_chord(read: Reading, turning: Values) -> Values:
    """How much longer the way over a span is than the straight line between its ends."""
    return 1.0 / np.sinc(np.clip(0.5 * read.span * turning, -1.0, 1.0) / np.pi)


def _forward(read: Reading, v: Column, vy: Column | None = None, psi_dot: Column | None = None) -> Values:
    rate = read.rate(v)
    return rate if vy is None or psi_dot is None else rate - read.mean(vy * psi_dot)


def _sideways(read: Reading, v: Column, psi_dot: Column, vy: Column | None = None) -> Values:
    rate = read.mean(v * psi_dot)
    return rate if vy is None else rate + read.rate(vy)


def _rate(read: Reading, column: Column) -> Values:
    return read.rate(column)


def _rate_of_angle(read: Reading, angle: Column) -> Values:
    return read.rate(read.unwrap(angle))


PATH, ALONG = "the speed of the positions", "the speed of the positions along the heading"
ACROSS = "the sideways speed of the positions"
SPEED_RATE, SIDEWAYS = "the rate of the speed", "the centripetal acceleration v·psi_dot"
# Slower than this, in m/s, positions show no direction.
WALK = 0.2
# Two figures for one quantity may differ by this factor before a recording is refused.
TOLERANCE = (1 / 3.0, 3.0)
POSE = ("x", "y", "psi")

HEADINGS = ("psi", "yaw", "course")
TURNING, STEERING = "the rate of the heading", "the rate of 'delta'"
# Kinds of rows: those that only compare, and those that refuse a recording whose unit they show to be wrong.
_comparison = partial(Relation, derives=False)
_of_rate = partial(Relation, refused=TOLERANCE)
_of_speed = partial(_of_rate, suspects=("x", "y"), quantity="the speed", least=WALK)

# Of the rows of one channel, the first whose channels can be had derives it.
RELATIONS = (
    Relation("yaw", ("psi",), lambda read, psi: psi),
    Relation("psi", ("yaw",), lambda read, yaw: yaw),
    Relation("psi", ("course", "beta"), lambda read, course, beta: read.unwrap(course) - beta),
    Relation("vx", ("v", "beta"), lambda read, v, beta: v * np.cos(beta)),
    Relation("vy", ("v", "beta"), lambda read, v, beta: v * np.sin(beta)),
    Relation("v", ("vx", "vy"), lambda read, vx, vy: speed(vx, vy)),
    Relation("beta", ("vx", "vy"), lambda read, vx, vy: slip_angle(vx, vy)),
    Relation("drive", ("throttle", "brake"), lambda read, throttle, brake: throttle - brake),
    _of_speed("v", ("x", "y"), path_speed, PATH, also=("psi",), derives=False, signed=False),
    _of_speed("vx", ("x", "y"), path_speed, PATH, unless=HEADINGS, derives=False, signed=False),
    _of_speed("vx", POSE, lambda read, *pose: pose_velocity(read, *pose)[0], ALONG),
    Relation("vy", POSE, lambda read, *pose: pose_velocity(read, *pose)[1], ACROSS),
    _of_rate("psi_dot", ("psi",), _rate_of_angle, TURNING, suspects=("psi",), quantity="the yaw rate"),
    _of_rate("delta_dot", ("delta",), _rate, STEERING, suspects=("delta",), quantity="the steering rate"),
    _of_rate("accel", ("v",), _rate, SPEED_RATE),
    _comparison("accel", ("vx",), _rate, "the rate of 'vx'"),
    _comparison("ax", ("vx",), _forward, SPEED_RATE, also=("vy", "psi_dot"), logged=True),
    _comparison("ax", ("v",), _forward, SPEED_RATE, also=("vy", "psi_dot"), logged=True, unless=("vx",)),
    _comparison("ay", ("v", "psi_dot"), _sideways, SIDEWAYS, also=("vy",)),
    # Speed times steering angle over yaw rate is the wheelbase.
    _comparison(
        *("delta", ("psi_dot", "v"), lambda read, psi_dot, v: read.mean(psi_dot), "the yaw rate"),
        left=lambda read, delta, psi_dot, v: read.mean(delta * v),
        ratio="a wheelbase in m",
        refused=WHEELBASES,
        explained=WHEELBASES,
    ),
)


def derivations_of(name: str) -> list[Relation]:
    """Rows that derive a channel, the best first; a rate follows from the channel whose rate it is."""
    rows = [row for row in RELATIONS if row.name == name and row.derives]
    channel = known_channels().get(name)
    if channel is not None and channel.rate_of and all(row.needs != (channel.rate_of,) for row in rows):
        rows.append(
            Relation(name, (channel.rate_of,), _rate_of_angle if is_heading(channel.rate_of) else _rate)
        )
    return rows
