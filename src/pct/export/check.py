"""Compares exported code with JAX in double precision, on inputs over the whole range of the model.

A difference is measured in what rounding may do: relative to the value and to how much JAX's own value
moves when inputs and parameters move relatively by as much. So cancellation and kinks do not count as
errors of the code, and a wrong sign or term is many orders above `TOLERANCE`. Zeros stay zeros under a
relative change: the conventions at standstill are compared strictly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from pct.errors import PctError
from pct.export.source import Source
from pct.rollout.integration import TABLEAUS, explicit_step
from pct.types import Float

TOLERANCE = 1e-9
SAMPLES = 256
# Channels without a limit go up to so many times their typical size.
WIDEST = 10.0
# Relative change of inputs and parameters that tells how much rounding may do, and how often it is drawn.
NUDGE, NUDGES = 1e-7, 3
# Of the size that an output has on large inputs: below, it may be a number that is zero but for rounding.
FLOOR = 1e-3
# Of all numbers, at least these must be finite in JAX.
LEAST_COMPARED = 0.5


class Inputs(NamedTuple):
    """Where the functions are compared: states, controls, and time step in s."""

    x: Float[np.ndarray, "N S"]
    u: Float[np.ndarray, "N C"]
    dt: Float[np.ndarray, " N"]


class Outputs(NamedTuple):
    """What the functions give: rates, state after a step, derivatives of both by state and control."""

    derivative: Float[np.ndarray, "N S"]
    step: Float[np.ndarray, "N S"]
    dfdx: Float[np.ndarray, "N S S"]
    dfdu: Float[np.ndarray, "N S C"]
    A: Float[np.ndarray, "N S S"]
    B: Float[np.ndarray, "N S C"]


def random_inputs(source: Source, samples: int = SAMPLES, seed: int = 0) -> Inputs:
    """Inputs of all sizes up to the limits of the channels, both signs.

    The first stands still with all at zero; in a quarter of the others about half of the entries are zero.
    """
    rng = np.random.default_rng(seed)

    def draw(channels: Any) -> np.ndarray:
        limits = np.array([min(channel.limit, WIDEST * channel.typical) for channel in channels])
        shape = samples, len(channels)
        values = limits * 10.0 ** -rng.uniform(0.0, 3.0, shape) * rng.choice([-1.0, 1.0], shape)
        zero = (rng.random(shape) < 0.5) & (np.arange(samples) % 4 == 0)[:, None]
        zero[0] = True
        return np.where(zero, 0.0, values)

    spec = source.spec
    return Inputs(draw(spec.states), draw(spec.controls), rng.uniform(0.001, 0.05, samples))


def compare(source: Source, inputs: Inputs, computed: Outputs) -> dict[str, float]:
    """Largest relative difference of each function from JAX, where JAX has a number.

    Raises:
        PctError: one exceeds `TOLERANCE`; the message names the function, the entry and the input. Or JAX
            has too few numbers to compare with.
    """
    exact, moves = reference(source, inputs)
    largest = {}
    for name, values, expected, move in zip(Outputs._fields, computed, exact, moves, strict=True):
        compared = np.isfinite(expected)
        size = np.where(compared, np.abs(expected), 0.0)
        with np.errstate(all="ignore"):
            scale = size + move / NUDGE + FLOOR * np.quantile(size, 0.9, axis=0)
            differences = np.abs(values - expected) / scale
        if compared.mean() < LEAST_COMPARED:
            raise PctError(
                f"the model '{source.spec.name}' cannot be checked: its {name} is finite at "
                f"{compared.mean():.0%} of the random inputs only: nothing was written"
            )
        same = (values == expected) | ~compared
        differences = np.where(same, 0.0, np.where(np.isnan(differences), np.inf, differences))
        largest[name] = float(differences.max(initial=0.0))
        if largest[name] > TOLERANCE:
            where = tuple(int(i) for i in np.unravel_index(differences.argmax(), differences.shape))
            raise PctError(_told(source, inputs, name, where, float(values[where]), float(expected[where])))
    return largest


def reference(source: Source, inputs: Inputs) -> tuple[Outputs, Outputs]:
    """JAX's outputs, and how much they move when inputs and parameters do by `NUDGE`, at most."""
    import jax
    import jax.numpy as jnp

    spec, states = source.spec, len(source.spec.states)
    tableau = TABLEAUS[source.integrator_name]
    # Compiled to be called a few times, so with little effort; the integrator calls it stage by stage.
    dynamics_fn = jax.jit(spec.dynamics_fn, compiler_options={"xla_backend_optimization_level": 0})
    samples, size = len(inputs.x), states + len(spec.controls)
    # Every input once for each direction of change.
    directions = np.tile(np.eye(size), (samples, 1))

    def with_slopes(function: Any, x_and_u: Any) -> tuple[np.ndarray, np.ndarray]:
        values, slopes = jax.jvp(function, (x_and_u,), (jnp.asarray(directions),))
        by = np.asarray(slopes)[:, :states].reshape(samples, size, states).swapaxes(1, 2)
        return np.asarray(values)[::size, :states], by

    def outputs(x: np.ndarray, u: np.ndarray, params: Any) -> Outputs:
        x_and_u = jnp.asarray(np.repeat(np.concatenate([x, u], axis=1), size, axis=0))
        h = jnp.asarray(np.repeat(inputs.dt / source.substeps, size)[:, None])

        def rates_at(z: Any) -> Any:
            return dynamics_fn(z, params)

        def step(z: Any) -> Any:
            for _ in range(source.substeps):
                z = explicit_step(tableau, rates_at, z, h)
            return z

        rates, by = with_slopes(rates_at, x_and_u)
        after, step_by = with_slopes(step, x_and_u)
        return Outputs(
            *(rates, after, by[:, :, :states], by[:, :, states:]),
            *(step_by[:, :, :states], step_by[:, :, states:]),
        )

    rng = np.random.default_rng(1)

    def nudged(value: Any) -> np.ndarray:
        value = np.asarray(value, float)
        return np.asarray(value * (1 + NUDGE * rng.uniform(-1.0, 1.0, value.shape)))

    with jax.enable_x64(True):

        def call(change: Any) -> Outputs:
            params = {name: jnp.asarray(change(value)) for name, value in source.values.items()}
            return outputs(change(inputs.x), change(inputs.u), params)

        exact = call(lambda value: np.asarray(value, float))
        moves = [np.zeros_like(value) for value in exact]
        for _ in range(NUDGES):
            for move, value, base in zip(moves, call(nudged), exact, strict=True):
                with np.errstate(all="ignore"):
                    np.fmax(move, np.abs(value - base), out=move)
    return exact, Outputs(*moves)


def _told(
    source: Source, inputs: Inputs, name: str, where: tuple[int, ...], value: float, expected: float
) -> str:
    sample, row = where[:2]
    spec = source.spec
    entry = spec.state_names[row]
    if len(where) == 3:
        by = spec.control_names if name in ("dfdu", "B") else spec.state_names
        entry += f" by {by[where[2]]}"
    at: Mapping[str, float] = dict(
        zip(
            (*spec.state_names, *spec.control_names),
            (*inputs.x[sample], *inputs.u[sample]),
            strict=True,
        )
    )
    shown = ", ".join(f"{key} {number:.6g}" for key, number in at.items())
    return (
        f"the exported {name} of {entry}: expected {expected!r} as JAX has it, found {value!r} at {shown}, "
        f"dt {inputs.dt[sample]:.6g}: nothing was written; this is an error of PCT, please report it"
    )
