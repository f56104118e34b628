"""The unicycle, the linear and the network model against closed forms and the models they start from."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from pct.dynamics import MODEL_SPECS
from pct.dynamics.core import flatten_bounds
from pct.dynamics.mlp_dynamics import mlp_default_params, mlp_param_bounds, mlp_param_shapes
from pct.rollout.integration import integrate_rk4, rollout

UNICYCLE = MODEL_SPECS["unicycle"]
LINEAR = MODEL_SPECS["tv-linear"]
NETWORK = MODEL_SPECS["mlp-dynamics"]


def test_unicycle_drives_a_circle() -> None:
    """Held yaw rate and speed close a circle of radius v / psi_dot, seen through gains and biases."""
    params = {"alpha_psi_dot": 2.0, "beta_psi_dot": 0.5, "alpha_accel": 3.0, "beta_accel": -0.6}
    steps = 400
    # The physical yaw rate is 2 * 0.25 + 0.5 = 1 rad/s, the acceleration 3 * 0.2 - 0.6 = 0.
    controls = jnp.broadcast_to(jnp.array([0.25, 0.2]), (steps, 2))
    start = jnp.array([1.0, -2.0, 0.3, 4.0])
    states = rollout(UNICYCLE.dynamics_fn, integrate_rk4, start, controls, params, 2 * np.pi / steps)
    np.testing.assert_allclose(states[-1], start + np.array([0, 0, 2 * np.pi, 0]), atol=1e-7)
    np.testing.assert_allclose(
        states[steps // 2 - 1, :2], start[:2] + 8.0 * np.array([-np.sin(0.3), np.cos(0.3)]), atol=1e-7
    )


def test_linear_model_starts_as_the_rolling_car() -> None:
    """A and B are the Jacobian of the kinematic single-track driving straight ahead at 3 m/s."""
    kinematic = MODEL_SPECS["kinematic-singletrack"]
    ahead = jnp.array([0.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0])
    jacobian = jax.jit(jax.jacfwd(lambda z: kinematic.dynamics_fn(z, kinematic.default_params)))(ahead)[:5]
    np.testing.assert_allclose(LINEAR.default_params["A"], jacobian[:, :5], atol=1e-15)
    np.testing.assert_allclose(LINEAR.default_params["B"], jacobian[:, 5:], atol=1e-15)


def test_linear_model_is_a_matrix_product() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(6, 7))
    A, B = rng.normal(size=(6, 5, 5)), rng.normal(size=(6, 5, 2))
    rates = LINEAR.dynamics_fn(z, {"A": A, "B": B}, np)[:, :5]
    for i in range(6):
        np.testing.assert_allclose(rates[i], A[i] @ z[i, :5] + B[i] @ z[i, 5:], rtol=1e-12)


def test_network_model_starts_as_a_rolling_car() -> None:
    """The network adds nothing at first, whatever its weight, but can be moved: W2 and b2 have gradients."""
    z = jnp.array([0.0, 0.0, 0.2, 3.0, 0.1, 1.0, 0.1, 0.4, 0.6])
    p = NETWORK.default_params
    np.testing.assert_array_equal(NETWORK.dynamics_fn(z, p), NETWORK.dynamics_fn(z, p | {"alpha": 0.0}))

    def squared(learned: dict) -> jax.Array:
        return (NETWORK.dynamics_fn(z, p | learned) ** 2).sum()

    gradient = jax.jit(jax.grad(squared))({key: jnp.asarray(p[key]) for key in ("W1", "b1", "W2", "b2")})
    assert jnp.all(gradient["W2"] != 0.0)
    assert jnp.all(gradient["b2"] != 0.0)


def test_network_model_adds_its_network() -> None:
    """The residual on the rates of v, psi_dot and beta is alpha (W2 tanh(W1 z + b1) + b2)."""
    rng = np.random.default_rng(1)
    p = NETWORK.default_params
    learned = {
        "W1": rng.normal(size=(8, 6)), "b1": rng.normal(size=8),
        "W2": rng.normal(size=(3, 8)), "b2": rng.normal(size=3), "alpha": 0.7,
    }  # fmt: skip
    state = np.array([0.0, 0.0, 0.2, 3.0, 0.1, 1.0, 0.1, 0.4, 0.6])
    scaled = np.array([0.2 / 0.4189, 3.0 / 20.0, 1.0 / 2.0, 0.1 / 0.2, 0.4 / 3.2, 0.6 / 9.51])
    hidden = np.tanh(learned["W1"] @ scaled + learned["b1"])
    residual = 0.7 * (learned["W2"] @ hidden + learned["b2"])
    moved = NETWORK.dynamics_fn(state, p | learned, np) - NETWORK.dynamics_fn(state, p, np)
    np.testing.assert_allclose(moved[[3, 5, 6]], residual, rtol=1e-9)
    assert not np.delete(moved, [3, 5, 6]).any()


def test_network_model_takes_another_hidden_size() -> None:
    """Patched as the training script documents it; batched weights included."""
    size = 5
    spec = dataclasses.replace(
        NETWORK,
        param_shapes=mlp_param_shapes(size),
        param_bounds=mlp_param_bounds(size),
        default_params=mlp_default_params(size),
    )
    assert spec.vector_size == 5 * 6 + 5 + 3 * 5 + 3 + 1
    low, high = flatten_bounds(spec.param_keys, spec.param_bounds, spec.full_shapes)
    assert low.shape == high.shape == (spec.vector_size,)
    assert (low < high).all()
    assert set(spec.default_params) == set(NETWORK.default_params)
    z = np.tile([0.0, 0.0, 0.2, 3.0, 0.1, 1.0, 0.1, 0.4, 0.6], (4, 1))
    batched = {key: np.stack([spec.default_params[key]] * 4) for key in spec.param_keys}
    rates = spec.dynamics_fn(z, spec.default_params | batched, np)
    np.testing.assert_array_equal(rates, spec.dynamics_fn(z, NETWORK.default_params, np))
