"""optimistix: Levenberg-Marquardt over the same rollouts in JAX, compiled whole."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optimistix

from peers.fit_problem import SIGMA, Problem


def make_solver(problem: Problem) -> Callable[[np.ndarray], np.ndarray]:
    """``solve(raw)``: the fit from a start, both on the unbounded axis, (P,)."""
    logged, controls = jnp.asarray(problem.logged), jnp.asarray(problem.controls)
    sigma = jnp.asarray(SIGMA)[:, None, None]

    def residual(unknown: tuple[jax.Array, jax.Array], _: None) -> tuple[jax.Array, jax.Array]:
        raw, offsets = unknown
        params = problem.params(raw, jnp)

        def step(x: tuple[jax.Array, ...], u: jax.Array) -> tuple[tuple[jax.Array, ...], jax.Array]:
            after = tuple(problem.advance(x, tuple(u), params, jnp))
            return after, jnp.stack(after[:3])

        start = (*(logged[:3, 0] + offsets), logged[3, 0])
        rows = jax.lax.scan(step, start, controls.swapaxes(0, 1))[1].swapaxes(0, 1)
        errors = jnp.concatenate([offsets[:, None], rows - logged[:3, 1:]], axis=1) / sigma
        return errors, raw - problem.centre

    solver = optimistix.LevenbergMarquardt(rtol=1e-6, atol=1e-6)

    @jax.jit
    def solve(raw: jax.Array) -> jax.Array:
        none = jnp.zeros((3, logged.shape[2]))
        found = optimistix.least_squares(
            residual, solver, (raw, none), max_steps=300, throw=False, options={"jac": "fwd"}
        )
        return found.value[0]

    return lambda raw: np.asarray(solve(jnp.asarray(raw)), np.float64)
