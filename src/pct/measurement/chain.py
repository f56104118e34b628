"""A model as its log shows it: the chain of effects between the log and the vehicle's equations.

`with_measurement` turns a model into one whose states are what the log shows; all that is not logged is a
hidden state behind them. Everything that works on a model works on it: rollouts, bounds, fits, plots. What
an effect does stands in its own file; here effects are put together, from the log inwards by their layers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pct.dynamics.channels import ACCELERATIONS
from pct.dynamics.core import Channel, LaneRates, ModelSpec, unknown_name, within_limits
from pct.errors import UsageError
from pct.measurement.base import Effect, Hidden, Layer
from pct.measurement.filter import NOISE, estimated_states, filter_parameters
from pct.measurement.observer import GAINS, gains_parameter
from pct.measurement.options import Measurement
from pct.types import Array, Float


def with_measurement(spec: ModelSpec, measurement: Measurement, *, gains: bool = False) -> ModelSpec:
    """The model as its log shows it.

    Args:
        spec: any registered model, also one with other bounds or held parameters.
        measurement: what to put between model and log. With an observer, the rate of each state that it reads
            has an error that fades.
        gains: whether the observer is that of earlier versions.

    Returns:
        A model with the same states, hidden states behind them, and the parameters of the measurement,
        which are learned as one constant for all windows.

    Raises:
        UsageError: a channel that the model does not have, that the option cannot be applied to, or that
            is named twice.
    """
    filters = measurement.observer and not gains
    states = spec.states
    for effect in _inwards(measurement.effects):
        if "accelerations" in effect.acts_on:
            _check(effect, [row.name for row in ACCELERATIONS], spec)
        states = effect.logged_states(states)
    vehicle, spec = spec, _showing(spec, states)
    if filters:
        named = {name for option in ("lag", "bias", "drift") for name in getattr(measurement, option)}
        read = estimated_states(spec, named)
        # A model of a pose alone has nothing left to estimate.
        filters = bool(read)
        drift = tuple(channel.name for channel in read)
        measurement = dataclasses.replace(measurement, drift=drift, observer=filters)
    effects = measurement.effects
    if not effects and not measurement.observer:
        return vehicle
    moving = tuple(c for c in spec.states if c.name not in spec.pose)
    controls = spec.controls
    for effect in reversed(_inwards(effects)):
        known = {"states": moving, "controls": controls, "accelerations": ACCELERATIONS}
        _check(effect, [c.name for kind in effect.acts_on for c in known[kind]], spec)
        controls = effect.logged_controls(controls)
    rows = {c.name: c for c in (*spec.states, *controls)}
    hidden = [(state, _channel(state, rows)) for effect in effects for state in effect.hidden()]
    added = [row for effect in effects for row in effect.parameters(spec)]
    if filters:
        # The filter's noise is estimated apart, and with it how long errors of rates last.
        fades = [f"fade_{name}_drift" for name in measurement.drift]
        added = [dataclasses.replace(r, scope="fixed") if r.name in fades else r for r in added]
        added += filter_parameters(read)
    elif measurement.observer:
        added.append(gains_parameter(moving, hidden))
    names = tuple(row.name for row in added if row.scope != "fixed")
    return dataclasses.replace(
        spec,
        controls=controls,
        parameters=(*spec.parameters, *added),
        derivative=BehindEffects(
            dataclasses.replace(vehicle.lane_rates, derivative=vehicle.derivative), tuple(_inwards(effects))
        ),
        param_keys=(*spec.param_keys, *names),
        global_keys=(*spec.global_keys, *names),
        hidden=tuple(channel for _, channel in hidden),
        measurement=measurement,
    )


@dataclasses.dataclass(frozen=True)
class BehindEffects:
    """Rates of what is logged and of the hidden states behind it: a vehicle's, behind effects.

    Attributes:
        vehicle: the vehicle's own rates.
        chain: the effects, from the log to the vehicle.
    """

    vehicle: LaneRates
    chain: tuple[Effect, ...]

    def __call__(self, x: Any, u: Any, p: Any, xp: Any) -> Any:
        """Rates, of arguments as in `pct.dynamics.core.define_model`."""
        vehicle = self.vehicle
        values = [{**x._asdict(), **u._asdict()}]
        for effect in self.chain:
            values.append({**values[-1], **effect.inward(values[-1], p, xp)})
        params = {name: getattr(p, name) for name in vehicle.parameters}
        for effect, outside in zip(self.chain, values[:-1], strict=True):
            params |= effect.tuned(outside, p, xp)
        own = vehicle(
            tuple(values[-1][name] for name in vehicle.states),
            tuple(values[-1][name] for name in vehicle.controls),
            params,
            xp,
        )
        # Readings beside the vehicle's states have no rate of its own.
        rates = {**dict.fromkeys(x._fields, 0.0), **dict(zip(vehicle.states, own, strict=True))}
        for effect, outside in zip(reversed(self.chain), reversed(values[:-1]), strict=True):
            rates |= effect.outward(rates, outside, p, xp)
        return x._replace(**rates)

    def within_limits(self, limits: Any, limited: tuple[str, ...]) -> BehindEffects:
        """The same with limits on the vehicle's own controls."""
        own = within_limits(self.vehicle.derivative, limits, limited)
        return dataclasses.replace(self, vehicle=dataclasses.replace(self.vehicle, derivative=own))


def vehicle_motion(spec: ModelSpec, p: Any, logged: Mapping[str, Array], xp: Any) -> dict[str, Array]:
    """The vehicle's own motion and commands behind what the log shows; lags, drifts and biases stay.

    Args:
        spec: a model, with or without a measurement.
        p: the measurement's parameters, by attribute.
        logged: states and controls by name, of any common shape, in SI units; those that a recording has.
        xp: array namespace.

    Returns:
        ``logged`` with the vehicle's values in place of the log's.
    """
    motion = dict(logged)
    for effect in _inwards(effects_of(spec)):
        if not effect.hidden() and motion.keys() >= set(effect.reads()):
            motion |= effect.inward(motion, p, xp)
    return motion


def hidden_start(spec: ModelSpec, x: Sequence[Array], u: Sequence[Array]) -> tuple[Array, ...]:
    """Hidden states where nothing else is known: what is logged is true and acts, errors are zero."""
    logged = dict(zip((*spec.state_names, *spec.control_names), (*x, *u), strict=True))
    return tuple(
        logged[state.channel] * state.start for effect in effects_of(spec) for state in effect.hidden()
    )


def acting_controls(
    spec: ModelSpec, params: Mapping[str, Any], controls: Sequence[Float[Array, "T B"]], dt: float
) -> tuple[Float[Array, "T B"], ...]:
    """Whole columns of controls as they act, for those that are logged.

    Args:
        spec: a model, with or without a measurement.
        params: parameters by name, those of effects on columns among them.
        controls: one column a control, rows ``dt`` apart.
        dt: time step in s.
    """
    columns = dict(zip(spec.control_names, controls, strict=True))
    for effect in _inwards(effects_of(spec)):
        columns |= effect.on_columns(columns, params, dt)
    return tuple(columns.values())


def outside_equations(spec: ModelSpec) -> frozenset[str]:
    """Names of the parameters that the equations do not read: of effects on columns, and the observer's."""
    on_columns = (effect for effect in effects_of(spec) if effect.layer is Layer.CLOCK)
    return frozenset({GAINS, *NOISE, *(row.name for effect in on_columns for row in effect.parameters(spec))})


def effects_of(spec: ModelSpec) -> tuple[Effect, ...]:
    """The effects of a model's measurement, in the order of its tables."""
    return () if spec.measurement is None else spec.measurement.effects


def _showing(spec: ModelSpec, states: tuple[Channel, ...]) -> ModelSpec:
    """The model with further states, which its own equations do not have, and what the loss knows of them."""
    if states == spec.states:
        return spec
    more = [row.scale for row in states[len(spec.states) :]]
    loss: Any = {
        kind: {
            **getattr(spec, kind),
            "scales": np.append(getattr(spec, kind)["scales"], more),
            "angle_mask": np.array([row.angle for row in states]),
        }
        for kind in ("train_loss_kwargs", "eval_loss_kwargs")
    }
    return dataclasses.replace(spec, states=states, **loss)


def _inwards(effects: Sequence[Effect]) -> list[Effect]:
    """Effects from the log to the vehicle."""
    return sorted(effects, key=lambda effect: effect.layer)


def _channel(state: Hidden, rows: Mapping[str, Channel]) -> Channel:
    """The row of a hidden state: that of its channel, but no sensor shows it and nothing holds it."""
    row = rows[state.channel]
    return dataclasses.replace(
        row,
        name=state.name,
        symbol=rf"{row.symbol}^{{{state.kind}}}",
        unit=row.unit + state.per,
        limit=np.inf,
        noise=0.0,
        held=False,
        rate_of="",
    )


def _check(effect: Effect, known: Sequence[str], spec: ModelSpec) -> None:
    """Refuse an effect that cannot be applied as asked."""
    for name in effect.channels:
        if name not in known and effect.needs:
            raise UsageError(f"`{effect.option}`: model '{spec.name}' has no channel '{name}'")
        if name not in known:
            unknown = unknown_name("channel", name, known, of=f"model '{spec.name}'")
            raise UsageError(f"`{effect.option}`: {unknown}")
    if len(set(effect.channels)) < len(effect.channels) and not effect.repeats:
        raise UsageError(f"`{effect.option}`: expected each channel once, got {', '.join(effect.channels)}")
