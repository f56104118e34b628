"""Channels that a log does not hold, derived from those that it does.

`model_columns` gives a model's states and controls in its order. It works from the table
`pct.recordings.relations.RELATIONS`: of the rows of a channel, the first whose inputs can be had is taken. A
logged channel is never replaced.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Mapping
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np

from pct.dynamics.channels import is_held
from pct.dynamics.core import Channel
from pct.errors import DataError
from pct.recordings.relations import Reading, derivations_of
from pct.recordings.time_steps import rows_of
from pct.recordings.trajectory import Trajectory
from pct.types import Array, Column, Float

if TYPE_CHECKING:
    from pct.dynamics.core import ModelSpec

# Span of a smoothed derivative, in s, and the least number of rows.
DERIVATIVE_SPAN = 0.2
DERIVATIVE_ROWS = 5
# From so many rows on a window is long.
LONG_WINDOW = 500


def model_columns(trajectory: Trajectory, spec: ModelSpec) -> tuple[Float[Array, "N S"], Float[Array, "N C"]]:
    """States and controls of a recording in a model's channel order, headings unwrapped.

    Controls that the log lacks are forward differences: the control of row k, held over the step, leads
    from the sampled state of row k to that of row k + 1. The noise of one step is undone by the next,
    whereas the error of a smoothed or central difference would add up along a rollout that starts at any row.
    The last row repeats the one before.

    Args:
        trajectory: the recording, already at the rollout's time step.
        spec: the model.

    Returns:
        States (N, S) and controls (N, C), float64, in the units of the model's tables.

    Raises:
        DataError: a channel is neither logged nor derivable, or logged in another unit.
    """
    states = with_channels(trajectory, spec.states)
    controls = with_channels(trajectory, spec.controls, held=True)
    return (
        np.stack([states.channels[channel.name] for channel in spec.states], axis=-1).astype(np.float64),
        np.stack([controls.channels[channel.name] for channel in spec.controls], axis=-1).astype(np.float64),
    )


def with_channels(trajectory: Trajectory, channels: tuple[Channel, ...], *, held: bool = False) -> Trajectory:
    """The recording with these channels added where they are missing, their origin ``derived``.

    Args:
        trajectory: the recording.
        channels: rows of a model's table.
        held: whether the channels are inputs that a rollout holds over a step.

    Raises:
        DataError: a channel is neither logged nor derivable, or logged in another unit.
    """
    added: dict[str, Column] = {}
    # A pose can be done without where all else is there, so that it is told last.
    for channel in sorted(channels, key=lambda channel: not np.isfinite(channel.limit)):
        unit = trajectory.units.get(channel.name)
        if unit not in (None, channel.unit):
            raise DataError(
                f"{trajectory.name}: expected channel '{channel.name}' in {channel.unit}, found {unit}"
                f"{_from(trajectory)}: convert it where the log is mapped"
            )
        column = derive(channel.name, trajectory.channels, trajectory.dt, held=held)
        if column is None:
            raise DataError(_missing(channel, trajectory))
        added[channel.name] = np.unwrap(column) if channel.heading else column
    new = [channel for channel in channels if channel.name not in trajectory.channels]
    return dataclasses.replace(
        trajectory,
        channels={**trajectory.channels, **added},
        units={**trajectory.units, **{channel.name: channel.unit for channel in new}},
        origins={**trajectory.origins, **{channel.name: "derived" for channel in new}},
    )


def derive(
    name: str,
    logged: Mapping[str, Column],
    dt: float,
    *,
    held: bool = False,
    tried: frozenset[str] = frozenset(),
) -> Column | None:
    """A channel of a log: logged, or derived, or None where neither can be.

    Args:
        name: the channel.
        logged: values by channel name, SI, each of shape (N,).
        dt: time step in s.
        held: take a rate as forward difference, see `model_columns`.
        tried: channels that are being derived already, which guards against circles.
    """
    if name in logged:
        return logged[name]
    for row in derivations_of(name):
        if tried & set(row.needs):
            continue
        inputs = [derive(need, logged, dt, tried=tried | {name}) for need in row.needs]
        if all(column is not None for column in inputs):
            difference = forward_difference if held or is_held(name) else smooth_derivative
            return row.follows(Reading(lambda column: column, partial(difference, dt=dt)), *inputs)
    return None


def follows_from(name: str, logged: Container[str]) -> tuple[str, ...] | None:
    """The channels that `derive` takes to derive a channel that is not logged; None where it cannot."""

    def can(name: str, tried: frozenset[str]) -> bool:
        if name in logged:
            return True
        return any(
            all(can(need, tried | {name}) for need in row.needs)
            for row in derivations_of(name)
            if not tried & set(row.needs)
        )

    rows = (row for row in derivations_of(name) if all(can(need, frozenset({name})) for need in row.needs))
    return next((row.needs for row in rows), None)


def is_measured(name: str, logged: Container[str]) -> bool:
    """Whether a channel is logged, or follows from those that are without a derivative.

    What comes of a smoothed derivative is no measurement: its errors go with those of the rows around it.

    Examples:
        >>> pose = ("x", "y", "psi", "v")
        >>> is_measured("psi_dot", pose), is_measured("v", pose), is_measured("beta", ("vx", "vy", "psi"))
        (False, True, True)
    """
    if name in logged:
        return True
    needs = follows_from(name, logged)
    row = next((row for row in derivations_of(name) if row.needs == needs), None)
    if row is None:
        return False
    rates = 0

    def rate(column: Column) -> Column:
        nonlocal rates
        rates += 1
        return column

    row.follows(Reading(lambda column: column, rate), *(np.ones(DERIVATIVE_ROWS) for _ in row.needs))
    return not rates and all(is_measured(need, logged) for need in row.needs)


def forward_difference(column: Column, dt: float) -> Column:
    """Rate that leads from each row to the next, per s; the last row repeats the one before.

    Examples:
        >>> print(forward_difference(np.array([0.0, 1.0, 3.0]), 0.5))
        [2. 4. 4.]
    """
    if len(column) < 2:
        return np.zeros_like(column)
    rate = np.diff(column) / dt
    return np.append(rate, rate[-1])


def smooth_derivative(column: Column, dt: float) -> Column:
    """Derivative of the local least-squares parabola, per s.

    Args:
        column: samples, shape (N,).
        dt: time step in s.

    References:
        A. Savitzky, M. Golay, "Smoothing and differentiation of data by simplified least squares
        procedures", Anal. Chem. 36 (1964).
    """
    rows = max(DERIVATIVE_ROWS, rows_of(DERIVATIVE_SPAN, dt, most=len(column)) // 2 * 2 + 1)
    if len(column) < DERIVATIVE_ROWS:
        return np.gradient(column, dt) if len(column) > 1 else np.zeros_like(column)
    return local_parabola(column, min(rows, (len(column) - 1) // 2 * 2 + 1), derivative=1) / dt


def local_parabola(column: Column, rows: int, *, derivative: int) -> Column:
    """Value or slope per row of the least-squares parabola over the rows around each.

    Args:
        column: samples, at least ``rows``.
        rows: of a window, odd; at the ends the outermost window goes on.
        derivative: 0 for the value, 1 for the slope.

    Examples:
        >>> print(local_parabola(np.arange(1.0, 7.0) ** 2, 5, derivative=1).round(9))
        [ 2.  4.  6.  8. 10. 12.]
    """
    half = rows // 2
    at, fit = _window(rows)
    values = np.empty(len(column))
    values[half : len(column) - half] = _correlated(column, fit[derivative])
    powers = np.stack([0 * at, 0 * at + 1, 2 * at] if derivative else [0 * at + 1, at, at * at], axis=-1)
    values[:half] = (powers @ (fit @ column[:rows]))[:half]
    values[len(column) - half :] = (powers @ (fit @ column[-rows:]))[half + 1 :]
    return values


def _correlated(column: Column, weights: Float[np.ndarray, " W"]) -> Float[np.ndarray, " _"]:
    """Correlation where the weights lie within the column; by blocks in the time of a transform if long."""
    if len(weights) < LONG_WINDOW:
        return np.correlate(column, weights, "valid")
    from scipy.signal import oaconvolve

    middle = column.mean()
    return oaconvolve(column - middle, weights[::-1], "valid") + middle * weights.sum()


@lru_cache(maxsize=16)
def _window(rows: int) -> tuple[Float[np.ndarray, " W"], Float[np.ndarray, "3 W"]]:
    """The rows of a window from its middle, and what gives value, slope and half the curvature there."""
    at = np.arange(-(rows // 2), rows // 2 + 1.0)
    return at, np.linalg.pinv(np.stack([np.ones(rows), at, at * at], axis=-1))


def _missing(channel: Channel, trajectory: Trajectory) -> str:
    ways = " or ".join("+".join(row.needs) for row in derivations_of(channel.name))
    return (
        f"{trajectory.name}: expected channel '{channel.name}' in {channel.unit}"
        f"{f', or {ways} to derive it from' if ways else ''}; the log has: "
        f"{', '.join(trajectory.channels)}{_from(trajectory)}. "
        f'Map it in signals.toml, e.g. [channels.{channel.name}] column = "...", unit = "{channel.unit}"'
    )


def _from(trajectory: Trajectory) -> str:
    return f" ({trajectory.source})" if trajectory.source else ""
