"""The engine's rollout on CPU: one array a state, lanes over the windows, a reverse pass of its own.

The same equations, integrator and order of operations as `integration.rollout`; only how the compiler
sees them differs. States are separate arrays of shape (B,), so that every operation runs over windows side by
side; sine and its kin are polynomials (`pct.rollout.fastmath`); a step and its reverse are one kernel each
(`pct.rollout.kernels`). The reverse pass keeps the state before each step and recomputes the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from pct.dynamics.core import ModelSpec
from pct.rollout import fastmath
from pct.rollout.device import platform
from pct.rollout.integration import TABLEAUS, explicit_step, make_integrator, rollout
from pct.rollout.kernels import one_kernel, unknown_one
from pct.types import Array, Controls, InitialStates, States

Lanes = tuple[Array, ...]
Learned = dict[str, Array]
RolloutFn = Callable[[InitialStates, Controls, Learned], States]


def make_rollout(
    spec: ModelSpec, base_params: Mapping[str, Any], integrator_name: str, substeps: int
) -> RolloutFn:
    """``rollout(initial_states, controls, learned)`` with a reverse-mode derivative in all three.

    On CPU it is the one of this file, elsewhere `plain_rollout`: XLA makes good loops for a GPU by itself.

    Args:
        spec: the model.
        base_params: all parameters that are not learned, and ``dt`` in s.
        integrator_name: key of `pct.rollout.integration.INTEGRATORS`.
        substeps: equal parts that each time step is made of.

    Returns:
        A function of states (B, S), hidden ones after them, controls (B, T, C) and parameters by name
        (B, *shape), which gives the states after each step, (B, T, S), without hidden ones.
    """
    make = lane_rollout if platform() == "cpu" else plain_rollout
    return make(spec, base_params, integrator_name, substeps)


def plain_rollout(
    spec: ModelSpec, base_params: Mapping[str, Any], integrator_name: str, substeps: int
) -> RolloutFn:
    """`pct.rollout.integration.rollout` of a model; arguments as in `make_rollout`."""
    integrator = make_integrator(integrator_name, substeps)
    constants = {key: value for key, value in base_params.items() if key != "dt"}
    return lambda x, u, learned: rollout(
        spec.dynamics_fn, integrator, x, u, {**constants, **learned}, base_params["dt"]
    )[..., : len(spec.states)]


def lane_rollout(
    spec: ModelSpec, base_params: Mapping[str, Any], integrator_name: str, substeps: int
) -> RolloutFn:
    """The engine's own rollout; arguments as in `make_rollout`."""
    tableau = TABLEAUS[integrator_name]
    dt = base_params["dt"]
    h = dt / substeps
    rates = make_rates(spec, base_params)

    def advance(x: Lanes, u: Lanes, learned: Learned) -> Lanes:
        return explicit_step(tableau, lambda x: rates(x, u, learned), x, h)

    forward = one_kernel(advance)

    def substep(one: Array, u: Lanes, learned: Learned) -> Callable[[Lanes, None], tuple[Lanes, Lanes]]:
        return lambda x, _: (forward(one, x, u, learned), x)

    @jax.custom_vjp
    def roll(x: Lanes, u: Lanes, learned: Learned) -> Lanes:
        return _scan(x, u, learned)[0]

    def _scan(x: Lanes, u: Lanes, learned: Learned) -> tuple[Lanes, Lanes]:
        """States after each step, (T, B) each, and before each substep, (T, substeps, B) each."""
        one = unknown_one(u[0] if u else x[0])

        def step(x: Lanes, u: Lanes) -> tuple[Lanes, tuple[Lanes, Lanes]]:
            after, before = jax.lax.scan(substep(one, u, learned), x, length=substeps)
            after = spec.lane_rates.after_step(after, u, dt)
            return after, (after, before)

        return jax.lax.scan(step, x, u)[1]

    def remember(x: Any, u: Any, learned: Any) -> tuple[Lanes, Any]:
        # Controls get a gradient only where somebody asks for it.
        wanted = () if any(leaf.perturbed for leaf in u) else None
        x, u, learned = jax.tree.map(lambda leaf: leaf.value, (x, u, learned), is_leaf=_is_primal)
        after, before = _scan(x, u, learned)
        return after, (before, u, learned, wanted)

    def reverse(remembered: Any, cotangents: Any) -> tuple[Lanes, Lanes, Learned]:
        before, u, learned, wanted = remembered

        def pull(x: Lanes, u: Lanes, learned: Learned, ct: Lanes, sums: Any) -> tuple[Lanes, Any]:
            _, vjp = jax.vjp(advance, x, u, learned)
            dx, du, dp = vjp(ct)
            return dx, jax.tree.map(jnp.add, sums, (dp, du if wanted is not None else ()))

        backward = one_kernel(pull)
        one = unknown_one(u[0] if u else before[0])

        def jumps(adjoint: Lanes) -> list[Array]:
            """What a step owes to its controls by the jumps of held states at its end."""
            owed = [jnp.zeros(leaf.shape[1:], leaf.dtype) for leaf in u]
            for state, control in spec.lane_rates.held:
                owed[control] += dt * adjoint[state]
            return owed

        def step(carry: Any, row: Any) -> tuple[Any, Lanes]:
            (adjoint, dp), (x, u, ct) = carry, row
            adjoint = tuple(a + b for a, b in zip(adjoint, ct, strict=True))
            jumped = tuple(jumps(adjoint)) if wanted is not None else ()
            start = adjoint, (dp, jumped)
            (adjoint, (dp, du)), _ = jax.lax.scan(
                lambda c, x: (backward(one, x, u, learned, *c), None), start, x, reverse=True
            )
            return (adjoint, dp), du

        adjoint = tuple(jnp.zeros_like(leaf[0, 0]) for leaf in before)
        start = adjoint, jax.tree.map(jnp.zeros_like, learned)
        dense = jax.tree.map(_dense, cotangents, is_leaf=_is_zero)
        (adjoint, dp), du = jax.lax.scan(step, start, (before, u, dense), reverse=True)
        return adjoint, du if wanted is not None else jax.tree.map(jnp.zeros_like, u), dp

    roll.defvjp(remember, reverse, symbolic_zeros=True)

    def rolled(initial_states: InitialStates, controls: Controls, learned: Learned) -> States:
        x = tuple(initial_states[:, i] for i in range(initial_states.shape[1]))
        u = tuple(controls[:, :, i].T for i in range(controls.shape[2]))
        return jnp.stack(roll(x, u, learned)[: len(spec.states)]).transpose(2, 1, 0)

    return rolled


def make_rates(spec: ModelSpec, base_params: Mapping[str, Any]) -> Callable[[Lanes, Lanes, Any], Lanes]:
    """``rates(x, u, learned)`` of states inside a step, (B,) each; what is not learned has its base value."""
    constants = {key: value for key, value in base_params.items() if key != "dt"}
    xp: Any = fastmath.xp if platform() == "cpu" else jnp

    @jax.jit  # traced and differentiated once for all stages; the kernels open it again
    def rates(x: Lanes, u: Lanes, learned: Mapping[str, Any]) -> Lanes:
        rates = spec.lane_rates.within_step(x, u, {**constants, **learned}, xp)
        return tuple(jnp.broadcast_to(rate, x[0].shape) for rate in rates)

    return rates


def _is_primal(leaf: Any) -> bool:
    return isinstance(leaf, jax.custom_derivatives.CustomVJPPrimal)


def _is_zero(leaf: Any) -> bool:
    return isinstance(leaf, jax.custom_derivatives.SymbolicZero)


def _dense(leaf: Any) -> Array:
    return jnp.zeros(leaf.shape, leaf.dtype) if _is_zero(leaf) else leaf
