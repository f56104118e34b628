"""The filter: where a window starts, from the rows before it, by an extended Kalman filter.

One noisy row is a poor start for a rollout, and hidden states have none at all. The filter rolls the model
over the rows before a window and moves its state towards what the log says, by as much as the state is
uncertain there. The rate of each state that is read has an error that fades (`pct.measurement.drift`): the
filter finds it, and the rollout goes on with it. The pose and the steering angle are taken from the log.

Uncertainties count in units of each channel's typical error, so three numbers describe them for all: process
noise, size of the drifts, and the time in which they fade. The update has Joseph's form [2], which stays
positive definite with any gain, and what is read is read one after another.

References:
    [1] R. Kalman, "A new approach to linear filtering and prediction problems", J. Basic Eng. 82 (1960).
    [2] R. Bucy, P. Joseph, "Filtering for Stochastic Processes with Applications to Guidance", 1968.
    [3] P. Maybeck, "Stochastic Models, Estimation and Control", vol. 2, 1982, section 9.5: extended filter.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pct.dynamics import channels
from pct.dynamics.core import Channel, ModelSpec, Parameter
from pct.types import Array, Float

READING, PROCESS, DRIFT, SCALE = "noise_reading", "noise_process", "noise_drift", "noise_scale"
NOISE = (READING, PROCESS, DRIFT, SCALE)
ADVICE = "A fit estimates it along with the parameters: nothing to drive for."
# States that an actuator holds: the log has them as they are.
ACTUATORS = (channels.DELTA.name,)
# Process noise of a reading that lags: what it follows has the noise.
LAGGED = 1e-3
# Standard deviations beyond which an error is one of what is read alone.
EXPECTED = 1.0
# Variance of a state that no log shows, at the first row, in units of its scale.
UNKNOWN = 100.0


class Noise(NamedTuple):
    """What the filter takes for granted, in units of each channel's typical error.

    Attributes:
        process: of what is read and of what lagging sensors read, 1/sqrt(s).
        drift: standard deviation of the errors of rates, 1/s.
        fade: time in which these fade, s.
        scale: typical error of each state that is read, in its unit, (M,).
        reading: noise of what is read; 0 starts windows as they are logged.
        least: typical errors of what a fit compares where windows begin as they are logged, in their units,
            (C,); None where that is not known.
    """

    process: float
    drift: float
    fade: float
    scale: Float[np.ndarray, " M"]
    reading: float = 1.0
    least: Float[np.ndarray, " C"] | None = None


def estimated_states(spec: ModelSpec, named: Collection[str]) -> tuple[Channel, ...]:
    """States of the table that the filter estimates: all but the pose and the places of actuators.

    Args:
        spec: the model without its measurement.
        named: states whose sensor or rate has an error of its own; these are estimated in any case.
    """
    logged = {*spec.pose, *ACTUATORS} - {*named}
    return tuple(channel for channel in spec.states if channel.name not in logged)


def drifting_states(spec: ModelSpec) -> tuple[Channel, ...]:
    """The same of a model with the filter: the states whose rate has an error."""
    return tuple(channel for channel in spec.states if channel.name in spec.measurement.drift)


def read_states(spec: ModelSpec) -> tuple[Channel, ...]:
    """Those of them that the log shows; the others are what the model makes of these."""
    return tuple(channel for channel in drifting_states(spec) if channel.name not in spec.unlogged)


def filter_parameters(read: Sequence[Channel]) -> tuple[Parameter, ...]:
    """Rows of the filter's noise, which no optimiser moves."""
    scales = np.array([channel.scale for channel in read])

    def row(
        name: str, unit: str, high: Any, default: Any, doc: str, shape: tuple[int, ...] = ()
    ) -> Parameter:
        symbol = rf"\mathrm{{{name.replace('_', chr(92) + '_')}}}"
        return Parameter(name, symbol, unit, 0.0, high, default, doc, shape=shape, scope="fixed", role=ADVICE)

    return (
        row(READING, "1", 100.0, 1.0, "noise of readings over their typical error; 0: starts as logged"),
        row(PROCESS, "1/s^0.5", 1000.0, 1.0, "process noise over the typical error"),
        row(DRIFT, "1/s", 1000.0, 1.0, "errors of rates over the typical error"),
        row(SCALE, "1", 1e6 * scales, scales, "typical error of each state that is read", scales.shape),
    )


def filters(spec: ModelSpec) -> bool:
    """Whether windows of a model start where the filter puts them."""
    return bool(spec.measurement is not None and spec.measurement.observer and READING in spec.default_params)


def drift_fades(spec: ModelSpec) -> list[str]:
    """Names of the times in which errors of rates fade."""
    names = () if spec.measurement is None else spec.measurement.drift
    return [f"fade_{name}_drift" for name in names]


def noise_values(spec: ModelSpec, noise: Noise) -> dict[str, Any]:
    """Values of the parameters that hold the filter's noise, by name."""
    values = {READING: noise.reading, PROCESS: noise.process, DRIFT: noise.drift, SCALE: noise.scale}
    return {**values, **dict.fromkeys(drift_fades(spec), noise.fade)}


def noise_names(spec: ModelSpec) -> set[str]:
    """Names of the parameters that are the filter's; none without it."""
    return {*NOISE, *drift_fades(spec)} if filters(spec) else set()


class Layout(NamedTuple):
    """Which states are estimated from which, by position among all states, hidden ones last.

    Attributes:
        estimated: states that the filter moves, (N,).
        read: those of them that the log shows, (M,).
        logged: states that are taken from the log.
    """

    estimated: tuple[int, ...]
    read: tuple[int, ...]
    logged: tuple[int, ...]


def layout(spec: ModelSpec) -> Layout:
    """The layout of a model: an observer of an earlier version estimates all but the pose."""
    read = read_states(spec) if filters(spec) else [c for c in spec.states if c.name not in spec.pose]
    unread = unread_states(spec) if filters(spec) else ()
    places, found = (tuple(spec.state_indices[channel.name] for channel in part) for part in (read, unread))
    hidden = range(len(spec.states), len(spec.states) + len(spec.hidden))
    logged = tuple(i for i in range(len(spec.states)) if i not in (*places, *found))
    return Layout((*places, *found, *hidden), places, logged)


def unread_states(spec: ModelSpec) -> tuple[Channel, ...]:
    """States that a model with the filter estimates although no log shows them."""
    return tuple(channel for channel in drifting_states(spec) if channel.name in spec.unlogged)


class Uncertainty(NamedTuple):
    """The filter's numbers by estimated state, in units of ``scale``.

    Attributes:
        scale: of the state, (N,).
        first: variance at the first row, (N,).
        process: variance that a step adds, (N,).
        reading: variance of what is read.
        plain: gains that start windows as they are logged, (N, M).
    """

    scale: Array
    first: Array
    process: Array
    reading: Array
    plain: np.ndarray


def uncertainty(spec: ModelSpec, values: Mapping[str, Any], dt: float, dtype: Any, xp: Any) -> Uncertainty:
    """What the noise of a model says of each estimated state.

    Args:
        spec: a model with the filter.
        values: of its noise and of its times of fading, by name.
        dt: time step in s.
        dtype: precision of what is computed.
        xp: array namespace.
    """
    names = [channel.name for channel in drifting_states(spec)]
    read, unread = ([channel.name for channel in part] for part in (read_states(spec), unread_states(spec)))
    kinds = [(state.channel, state.kind) for effect in spec.measurement.effects for state in effect.hidden()]
    lagging = {name for name, kind in kinds if kind == "true"}
    rows = {c.name: c for c in (*spec.states, *spec.controls)}
    scale, first, process = [], [], []
    step = values[PROCESS] ** 2 * dt

    def fading(name: str, kind: str) -> Array:
        return 1 - xp.exp(-2 * dt / values[f"fade_{name}_{kind}"])

    for name in (*read, *unread):
        scale.append(values[SCALE][names.index(name)])
        first.append(1.0 if name in read else UNKNOWN)
        process.append(step * (LAGGED if name in lagging else 1.0))
    for name, kind in kinds:
        known = name in names
        scale.append(values[SCALE][names.index(name)] if known else rows[name].scale)
        if kind == "drift" and name in unread:
            # Nothing could tell it from the state itself.
            first.append(0.0 * values[DRIFT])
            process.append(0.0 * values[DRIFT])
        elif kind == "drift":
            first.append(values[DRIFT] ** 2)
            process.append(values[DRIFT] ** 2 * fading(name, kind))
        elif kind == "bias":
            first.append(1.0)
            process.append(fading(name, kind))
        else:
            first.append(1.0)
            process.append(step * (1.0 if kind == "true" else LAGGED))
    follows = [
        *(name if name in read else "" for name in (*read, *unread)),
        *(name if kind == "true" or kind.startswith("stage") else "" for name, kind in kinds),
    ]
    plain = np.array([[name == other for other in read] for name in follows], float)
    plain = plain.reshape(len(follows), len(read))
    scale, first, process = (xp.stack([xp.asarray(v, dtype) for v in x]) for x in (scale, first, process))
    reading = xp.asarray(values[READING], dtype) ** 2
    return Uncertainty(scale, first, process, reading, plain.astype(dtype))


def predicted(
    covariance: Float[Array, "N N B"], move: Float[Array, "N N B"], uncertain: Uncertainty, xp: Any
) -> Float[Array, "N N B"]:
    """Covariance after a step along which states change by ``move``; in units of the scales."""
    numbers = range(len(covariance))
    half = sum(move[:, j, None] * covariance[j][None] for j in numbers)
    whole = sum(half[:, j, None] * move[:, j][None] for j in numbers)
    return whole + (uncertain.process[:, None] * xp.eye(len(covariance), dtype=whole.dtype))[:, :, None]


def update(
    covariance: Float[Array, "N N B"], errors: Float[Array, "M B"], uncertain: Uncertainty, xp: Any
) -> tuple[Float[Array, "N N B"], Float[Array, "N M B"]]:
    """Covariance and gains after all is read that a row shows; in units of the scales.

    An error beyond `EXPECTED` standard deviations is a jump of what is read itself, and tells little of the
    rest.

    Args:
        covariance: of the prediction.
        errors: what is read less its prediction.
        uncertain: of the model; states that are read come first.
        xp: array namespace.
    """
    count = uncertain.plain.shape[1]
    gains = xp.zeros((len(covariance), count, covariance.shape[-1]), covariance.dtype)
    numbers = np.arange(len(covariance))
    for j in range(count):
        left = errors[j] - sum(gains[j, i] * errors[i] for i in range(count))
        spread = covariance[j, j] + uncertain.reading
        jump = xp.maximum((left / EXPECTED) ** 2 - spread, 0.0)
        own = xp.asarray((numbers[:, None] == j) & (numbers == j), covariance.dtype)
        covariance = covariance + own[:, :, None] * jump
        gain = covariance[:, j] / (spread + jump)
        # (I - k h) P (I - k h)' + k R k', with h picking row j.
        kept = covariance - gain[:, None] * covariance[j][None]
        covariance = kept - kept[:, j][:, None] * gain[None] + uncertain.reading * gain[:, None] * gain[None]
        seen = xp.asarray(np.arange(count) == j, covariance.dtype)[None, :, None]
        gains = gains + gain[:, None] * (seen - gains[j][None])
    return covariance, gains


def corrected(
    spec: ModelSpec,
    places: Layout,
    x: Sequence[Array],
    logged: Sequence[Array],
    gains: Float[Array, "N M B"],
    gate: Array,
) -> tuple[Array, ...]:
    """The state after a step, moved towards what the log says.

    Args:
        spec: a model with an observer.
        places: which states are estimated from which.
        x: one array (B,) a state, hidden ones last.
        logged: what the log says of each state of the table, (B,) each.
        gains: corrections of each estimated state by the error of each that is read.
        gate: 1 to correct, 0 to leave the state as it is.
    """
    errors = [gate * error for error in errors_read(spec, places, x, logged)]
    after = list(x)
    for i in places.logged:
        after[i] = x[i] + gate * (logged[i] - x[i])
    for k, i in enumerate(places.estimated):
        after[i] = x[i] + sum(gains[k, j] * error for j, error in enumerate(errors))
    return tuple(after)


def errors_read(spec: ModelSpec, places: Layout, x: Sequence[Array], logged: Sequence[Array]) -> list[Array]:
    """What is read less its prediction, angles wrapped, (B,) each; arguments as in `corrected`."""
    import jax.numpy as jnp

    errors = []
    for i in places.read:
        error = logged[i] - x[i]
        errors.append(jnp.arctan2(jnp.sin(error), jnp.cos(error)) if spec.angle_mask[i] else error)
    return errors
