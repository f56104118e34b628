"""Integrators against closed forms, and the rollout against its steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS
from pct.rollout.integration import (
    INTEGRATORS,
    TABLEAUS,
    explicit_step,
    integrate_rk4,
    make_integrator,
    rollout,
)

SPEC = MODEL_SPECS["singletrack"]


def decay(x_and_u: jnp.ndarray, params: dict) -> jnp.ndarray:
    """dx/dt = -rate x + u, the control held."""
    return jnp.stack([-params["rate"] * x_and_u[..., 0] + x_and_u[..., 1], 0.0 * x_and_u[..., 1]], axis=-1)


@pytest.mark.parametrize(("name", "terms"), [("euler", 1), ("heun", 2), ("rk4", 4)])
def test_one_step_is_the_taylor_series(name: str, terms: int) -> None:
    """On a linear equation a method of order p is the exponential series up to h^p."""
    h = 0.3
    z = INTEGRATORS[name](decay, jnp.array([2.0, 0.0]), {"rate": 1.5}, h)
    series = sum((-1.5 * h) ** k / np.prod(np.arange(1.0, k + 1.0)) for k in range(terms + 1))
    np.testing.assert_allclose(z, [2.0 * series, 0.0], rtol=1e-14)


@pytest.mark.parametrize("name", sorted(INTEGRATORS))
def test_a_tableau_is_consistent(name: str) -> None:
    """The weights of a step and of each stage are of the shape of an explicit method."""
    tableau = TABLEAUS[name]
    assert sum(tableau.weights) == pytest.approx(1.0, rel=1e-15)
    assert len(tableau.weights) == len(tableau.stages) + 1
    assert [len(row) for row in tableau.stages] == list(range(1, len(tableau.stages) + 1))


@pytest.mark.parametrize(("name", "order"), [("euler", 1), ("heun", 2), ("rk4", 4)])
def test_the_error_falls_with_the_order(name: str, order: int) -> None:
    """On a pendulum, which is not linear."""

    def rate(state: tuple[float, float]) -> tuple[float, float]:
        return state[1], -np.sin(state[0])

    def end(steps: int) -> np.ndarray:
        state = 1.0, 0.5
        for _ in range(steps):
            state = explicit_step(TABLEAUS[name], rate, state, 2.0 / steps)
        return np.array(state)

    coarse, fine, finest = end(40), end(80), end(160)
    ratio = np.linalg.norm(coarse - fine) / np.linalg.norm(fine - finest)
    assert np.log2(ratio) == pytest.approx(order, abs=0.1)


@pytest.mark.parametrize("name", sorted(INTEGRATORS))
def test_a_tuple_of_arrays_steps_as_their_stack(name: str) -> None:
    rng = np.random.default_rng(0)
    matrix, stacked = rng.normal(size=(3, 3)), rng.normal(size=(5, 3))

    def rates(state: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
        return tuple(sum(matrix[i, j] * state[j] for j in range(3)) for i in range(3))

    whole = explicit_step(TABLEAUS[name], lambda x: x @ matrix.T, stacked, 0.1)
    parts = explicit_step(TABLEAUS[name], rates, tuple(stacked.T), 0.1)
    np.testing.assert_allclose(np.stack(parts, axis=-1), whole, rtol=1e-13)


@pytest.mark.parametrize("name", sorted(INTEGRATORS))
def test_substeps_are_shorter_steps(name: str) -> None:
    z, params = jnp.array([2.0, 0.7]), {"rate": 1.5}
    expected = z
    for _ in range(3):
        expected = INTEGRATORS[name](decay, expected, params, 0.1)
    actual = make_integrator(name, substeps=3)(decay, z, params, 0.3)
    np.testing.assert_allclose(actual, expected, rtol=1e-14)


def drive() -> tuple[jnp.ndarray, jnp.ndarray]:
    rng = np.random.default_rng(0)
    start = jnp.asarray(rng.normal(size=(4, 7)) * 0.05).at[:, 3].add(4.0)
    return start, jnp.asarray(rng.normal(size=(4, 6, 2)))


def test_rollout_is_its_steps() -> None:
    """Each window with its own parameters; states after each step, the start not repeated."""
    start, controls = drive()
    params = SPEC.default_params | {"mu": jnp.array([0.4, 0.6, 0.8, 1.0])}
    states = rollout(SPEC.dynamics_fn, integrate_rk4, start, controls, params, 0.02)
    assert states.shape == (4, 6, 7)
    z = start
    for t in range(6):
        z = integrate_rk4(SPEC.dynamics_fn, jnp.concatenate([z, controls[:, t]], -1), params, 0.02)[:, :7]
        np.testing.assert_allclose(states[:, t], z, rtol=1e-12, atol=1e-14)


def test_rollout_of_one_window_is_the_batch_s() -> None:
    start, controls = drive()
    batch = rollout(SPEC.dynamics_fn, integrate_rk4, start, controls, SPEC.default_params, 0.02)
    single = rollout(SPEC.dynamics_fn, integrate_rk4, start[1], controls[1], SPEC.default_params, 0.02)
    np.testing.assert_allclose(batch[1], single, rtol=1e-12, atol=1e-14)


def test_rollout_gradient_is_finite_differences() -> None:
    """Through the recomputed steps, to a parameter and the start."""
    start, controls = drive()

    @jax.jit
    def cost(mu: jax.Array, start: jax.Array) -> jax.Array:
        params = SPEC.default_params | {"mu": mu}
        states = rollout(SPEC.dynamics_fn, integrate_rk4, start, controls, params, 0.02)
        return (states[..., 5] ** 2).sum()

    mu, step = jnp.asarray(0.8), 1e-6
    by_mu, by_start = jax.jit(jax.grad(cost, argnums=(0, 1)))(mu, start)
    numeric = (cost(mu + step, start) - cost(mu - step, start)) / (2 * step)
    np.testing.assert_allclose(by_mu, numeric, rtol=1e-7)
    shift = jnp.ones_like(start)
    numeric = (cost(mu, start + step * shift) - cost(mu, start - step * shift)) / (2 * step)
    np.testing.assert_allclose(by_start.sum(), numeric, rtol=1e-7)


def test_rollout_compiles_once_per_shape() -> None:
    traces = []

    @jax.jit
    def simulate(start: jax.Array, controls: jax.Array, mu: jax.Array) -> jax.Array:
        traces.append(controls.shape)
        params = SPEC.default_params | {"mu": mu}
        return rollout(SPEC.dynamics_fn, integrate_rk4, start, controls, params, 0.02)

    start, controls = drive()
    for mu in (0.4, 0.9):
        simulate(start, controls, mu * jnp.ones(4))
    simulate(start, controls[:, :3], 0.5 * jnp.ones(4))
    simulate(2 * start, -controls, 0.7 * jnp.ones(4))
    assert traces == [(4, 6, 2), (4, 3, 2)]
