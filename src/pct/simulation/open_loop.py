"""Smooth random controls, for vehicles that `pct.simulation.driver` does not know how to steer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pct.dynamics.core import ModelSpec
from pct.rollout.integration import integrate_rk4
from pct.simulation.driver import SUBSTEP
from pct.types import Array, Float

# Sines of each signal, their periods in s, and the share of the typical size that they reach.
SINES, PERIODS, REACHED = 4, (2.0, 20.0), 0.8
# A command has the resolution of its bus: so many steps to its typical size.
RESOLUTION = 200


def draw_controls(
    rng: np.random.Generator, spec: ModelSpec, recordings: int, steps: int, dt: float
) -> Float[np.ndarray, "R N C"]:
    """Sums of sines within `Channel.typical`.

    A control that is the rate of a state moves that state within its typical size. One that is not odd, such
    as a thrust, is positive for most of the time.
    """
    time = dt * np.arange(steps)
    columns = []
    for channel in spec.controls:
        states = {row.name: row for row in spec.states}
        of = states.get(channel.rate_of)
        frequency = 2 * np.pi / rng.uniform(*PERIODS, (recordings, SINES, 1))
        phase = rng.uniform(0.0, 2 * np.pi, frequency.shape)
        angle = frequency * time + phase
        if of is None:
            waves = np.sin(angle).mean(axis=1) * 2.0
            size = channel.typical
            values = size * (waves if channel.odd else 0.4 + 0.6 * waves)
        else:
            values = of.typical * (2.0 * frequency * np.cos(angle)).mean(axis=1)
        values = np.clip(REACHED * values, -channel.typical, channel.typical)
        columns.append(np.round(values * RESOLUTION / channel.typical) * channel.typical / RESOLUTION)
    return np.stack(columns, axis=-1)


def play(
    spec: ModelSpec, params: Mapping[str, Any], commands: Float[np.ndarray, "R N C"], dt: float
) -> Float[np.ndarray, "R N S"]:
    """States at each logging step, from standstill at the origin under commands that are held from there."""
    with jax.enable_x64(True):
        states = _play(spec, dt, params, np.moveaxis(commands, 1, 0))
        return np.moveaxis(np.asarray(states), 0, 1)


@partial(jax.jit, static_argnames=("spec", "dt"))
def _play(
    spec: ModelSpec, dt: float, params: Mapping[str, Any], commands: Float[Array, "N R C"]
) -> Float[Array, "N R S"]:
    substeps, size = math.ceil(dt / SUBSTEP), len(spec.states)

    def step(state: Array, command: Array) -> tuple[Array, Array]:
        after = jax.lax.fori_loop(
            0,
            substeps,
            lambda _, x_and_u: integrate_rk4(spec.dynamics_fn, x_and_u, params, dt / substeps),
            jnp.concatenate([state, command], axis=-1),
        )
        return after[:, :size], state

    return jax.lax.scan(step, jnp.zeros((commands.shape[1], size)), commands)[1]
