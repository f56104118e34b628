"""Whether windows of a model start where an observer puts them; the filter, or gains of earlier versions.

Runs of earlier versions hold a matrix of learned gains, which moves the state after each row of the history
by a constant times the error of what the log says. They still open and predict; nothing learns gains anew.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from pct.dynamics.core import Channel, ModelSpec, Parameter
from pct.measurement.base import Hidden, constant

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
