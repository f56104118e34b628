"""Integrators and the rollout: one step, one scan. Knows no vehicle.

The numbers of a method stand in its `Tableau`; `explicit_step` runs them all, on one stacked array or on a
tuple of arrays. An integrator advances a stacked state and control by one time step with the control held;
`rollout` scans it over a horizon. `INTEGRATORS` is the table that flags choose from.

References:
    [1] W. Kutta, "Beitrag zur näherungsweisen Integration totaler Differentialgleichungen",
        Z. Math. Phys. 46 (1901).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np

from pct.types import Array, Float, StateAndControl

# Longest integration step, in s, at which a 1:10 car's tyres are still stable at walking speed.
LONGEST_STEP = 0.025

DynamicsFn = Callable[..., Array]
Integrator = Callable[..., Array]
State = TypeVar("State")


class Tableau(NamedTuple):
    """An explicit Runge-Kutta method.

    Attributes:
        stages: for each stage after the first, weights of the earlier stages' rates.
        weights: weights of all rates in the step.
    """

    stages: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]


# Kutta's method of order 4 [1], Heun's of order 2, Euler's of order 1.
RK4 = Tableau(((0.5,), (0.0, 0.5), (0.0, 0.0, 1.0)), (1 / 6, 1 / 3, 1 / 3, 1 / 6))
HEUN = Tableau(((1.0,),), (0.5, 0.5))
EULER = Tableau((), (1.0,))


def rollout(
    dynamics_fn: DynamicsFn,
    integrator: Integrator,
    initial_state: Float[Array, "... S"],
    controls: Float[Array, "... T C"],
    params: Mapping[str, Any],
    dt: float,
) -> Float[Array, "... T S"]:
    """Simulate a horizon with the controls held over each step.

    Args:
        dynamics_fn: ``dynamics_fn(x_and_u, params)``, time derivatives of shape (..., S + C).
        integrator: one of `INTEGRATORS`.
        initial_state: state at the start, shape (..., S).
        controls: control over each step, shape (..., T, C).
        params: value by name, constant over the horizon; shape () or (...) with own axes last.
        dt: time step in s.

    Returns:
        States after each step, shape (..., T, S); the start is not repeated.
    """
    import jax
    import jax.numpy as jnp

    size = initial_state.shape[-1]

    # Recomputing a step in the backward pass is cheaper than storing its stages: less memory, as fast.
    @jax.checkpoint
    def step(state: Array, control: Array) -> tuple[Array, Array]:
        x_and_u = jnp.concatenate([state, control], axis=-1)
        after = integrator(dynamics_fn, x_and_u, params, dt)[..., :size]
        return after, after

    _, states = jax.lax.scan(step, initial_state, jnp.moveaxis(controls, -2, 0))
    return jnp.moveaxis(states, 0, -2)


def explicit_step(tableau: Tableau, rate: Callable[[State], State], state: State, h: Any) -> State:
    """One step of a Runge-Kutta method.

    Args:
        tableau: the method.
        rate: time derivative of a state.
        state: an array or a tuple of arrays of any shape.
        h: step in s, a number or a symbol of one.
    """
    rates = [rate(state)]
    for row in tableau.stages:
        rates.append(rate(_advance(state, rates, row, h)))
    return _advance(state, rates, tableau.weights, h)


def _advance(state: Any, rates: Sequence[Any], weights: tuple[float, ...], h: Any) -> Any:
    if isinstance(state, tuple):
        by_state = zip(*rates, strict=True)
        return tuple(_advance(x, k, weights, h) for x, k in zip(state, by_state, strict=True))
    for k, weight in zip(rates, weights, strict=True):
        if weight:
            state = state + (weight * h) * k
    return state


def integrate(
    tableau: Tableau,
    dynamics_fn: DynamicsFn,
    x_and_u: StateAndControl,
    params: Mapping[str, Any],
    dt: float,
    *,
    substeps: int = 1,
) -> StateAndControl:
    """One time step of a Runge-Kutta method.

    Args:
        tableau: the method.
        dynamics_fn: ``dynamics_fn(x_and_u, params)``; with an attribute ``held`` as of
            `pct.dynamics.derivatives.StackedRates`, these states hold over the step and jump at its end.
        x_and_u: states then controls, shape (..., S + C); controls are held.
        params: value by name.
        dt: time step in s.
        substeps: equal parts that the step is made of.
    """
    held: Sequence[tuple[int, int]] = getattr(dynamics_fn, "held", ())
    begin, rates = x_and_u, dynamics_fn
    if held:
        stays = np.isin(np.arange(begin.shape[-1]), [state for state, _ in held])

        def rates(x_and_u: StateAndControl, params: Mapping[str, Any]) -> StateAndControl:
            return dynamics_fn(x_and_u, params) * np.where(stays, 0, 1).astype(begin.dtype)

    for _ in range(substeps):
        x_and_u = explicit_step(tableau, lambda x: rates(x, params), x_and_u, dt / substeps)
    for state, rate in held:
        at = (np.arange(begin.shape[-1]) == state).astype(begin.dtype)
        x_and_u = x_and_u + dt * at * begin[..., rate, None]
    return x_and_u


TABLEAUS: dict[str, Tableau] = {"rk4": RK4, "heun": HEUN, "euler": EULER}
integrate_rk4: Integrator = partial(integrate, RK4)
integrate_heun: Integrator = partial(integrate, HEUN)
integrate_euler: Integrator = partial(integrate, EULER)
INTEGRATORS: dict[str, Integrator] = {
    "rk4": integrate_rk4,
    "heun": integrate_heun,
    "euler": integrate_euler,
}


def make_integrator(name: str, substeps: int = 1) -> Integrator:
    """The integrator of that name with its number of substeps bound."""
    return partial(INTEGRATORS[name], substeps=substeps)


def choose_substeps(dt: float, requested: int | None = None) -> int:
    """The requested number of substeps, or enough for steps of `LONGEST_STEP` or less.

    Examples:
        >>> choose_substeps(0.05), choose_substeps(0.01), choose_substeps(0.05, 5)
        (2, 1, 5)
    """
    return requested or max(1, math.ceil(dt / LONGEST_STEP - 1e-9))
