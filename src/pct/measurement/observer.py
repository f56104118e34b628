"""The observer: where a window starts, from the rows before it.

One noisy row is a poor start for a rollout, and hidden states have none at all. The observer rolls the model
over the rows before a window and, after each step, moves its state by learned gains times the error of what
the log says. At the window's start the state has taken the history in.

References:
    L. Ljung, "System Identification: Theory for the User", 2nd ed., 1999, sections 4.3 and 7.4: models in
    innovations form, and their parameters by prediction errors.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pct.dynamics.core import Channel, ModelSpec, Parameter
from pct.measurement.base import Hidden, constant
from pct.types import Array

GAINS = "gains"
# Gains that correct a state by its own channel start here; all others at zero.
START_GAIN = 0.3
# Bound of the gains of states of the table, in scales of the state over scales of the channel.
REACH = 3.0


def observes(spec: ModelSpec) -> bool:
    """Whether windows of a model start where an observer puts them."""
    return spec.measurement is not None and spec.measurement.observer


def without_observer(spec: ModelSpec) -> ModelSpec:
    """The model with windows that start at the log's last row of the history."""
    if not observes(spec):
        return spec
    return dataclasses.replace(spec, measurement=dataclasses.replace(spec.measurement, observer=False))


def corrected(
    spec: ModelSpec, params: Mapping[str, Any], x: Sequence[Array], logged: Sequence[Array], gate: Array
) -> tuple[Array, ...]:
    """The state after a step, moved towards what the log says; the pose is taken from the log.

    Args:
        spec: a model with an observer.
        params: the gains, (K, M), among others.
        x: one array (B,) a state, hidden ones last.
        logged: what the log says of each state of the table, (B,) each.
        gate: 1 to correct, 0 to leave the state as it is.
    """
    moving = [i for i, name in enumerate(spec.state_names) if name not in spec.pose]
    error = {i: gate * (logged[i] - x[i]) for i in range(len(logged))}
    gains = params[GAINS]
    after = [x[i] + error[i] if i in error else x[i] for i in range(len(x))]
    for k, i in enumerate([*moving, *range(len(spec.states), len(x))]):
        after[i] = x[i] + sum(gains[k, j] * error[n] for j, n in enumerate(moving))
    return tuple(after)


def gains_parameter(moving: Sequence[Channel], hidden: Sequence[tuple[Hidden, Channel]]) -> Parameter:
    """The row of the gains, (K, M): corrections of moving and hidden states by errors of moving ones."""
    states = (*moving, *(channel for _, channel in hidden))
    reach = np.array([REACH] * len(moving) + [state.reach for state, _ in hidden])
    scales = np.array([channel.scale for channel in states])
    bound = (reach * scales)[:, None] / np.array([channel.scale for channel in moving])
    channels = [*(c.name for c in moving), *(state.channel if state.follows else "" for state, _ in hidden)]
    own = np.array([[name == channel.name for channel in moving] for name in channels])
    odd = np.array([[state.odd != channel.odd for channel in moving] for state in states])
    return constant(
        GAINS, "1", -bound, bound, START_GAIN * own, "correction of a state by an error",
        shape=own.shape, odd=odd,
    )  # fmt: skip
