"""A steering angle that is a command holds over each step and jumps at its end, in every engine."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pct.dynamics.core import MODEL_SPECS, ModelSpec
from pct.measurement import Measurement, with_measurement
from pct.rollout.history import make_history_rollout
from pct.rollout.integration import make_integrator, rollout
from pct.rollout.lanes import lane_rollout
from pct.rollout.native.compiler import NoCompiler
from pct.rollout.native.gradients import native_rollout
from pct.types import WholeWindows

DT, B, T, SUBSTEPS = 0.05, 3, 6, 2
PLAIN = MODEL_SPECS["singletrack-pacejka"]
SPEC = dataclasses.replace(PLAIN, held=("delta",))
PROBLEM = SPEC, SPEC.base_params(DT), "rk4", SUBSTEPS


@pytest.fixture(scope="module")
def inputs() -> tuple[np.ndarray, np.ndarray]:
    """States at the start (B, S) and controls (B, T, C)."""
    rng = np.random.default_rng(0)
    start = np.zeros((B, len(SPEC.states)))
    start[:, SPEC.state_indices["vx"]] = 4.0 + rng.random(B)
    start[:, SPEC.state_indices["delta"]] = 0.05 * rng.standard_normal(B)
    return start, rng.standard_normal((B, T, 2)) * [0.8, 0.3]


def by_hand(start: np.ndarray, controls: np.ndarray) -> np.ndarray:
    """The held angle over each step, put in place after it."""
    delta, params, x, states = SPEC.state_indices["delta"], SPEC.base_params(DT), start, []
    for row in range(T):
        still = controls[:, row] * [0.0, 1.0]
        after = x
        for _ in range(SUBSTEPS):
            z = make_integrator("rk4")(
                lambda z, p: PLAIN.dynamics_fn(z, p, np),
                np.concatenate([after, still], axis=-1),
                params,
                DT / SUBSTEPS,
            )
            after = z[:, : len(SPEC.states)]
        after = after.copy()
        after[:, delta] += DT * controls[:, row, 0]
        x = after
        states.append(x)
    return np.stack(states, axis=1)


def plain(spec: ModelSpec, start: Any, controls: Any, learned: Any) -> Any:
    params = {**spec.base_params(DT), **learned}
    return rollout(spec.dynamics_fn, make_integrator("rk4", SUBSTEPS), start, controls, params, DT)


def test_every_engine_holds_the_angle(inputs: tuple[np.ndarray, np.ndarray]) -> None:
    """Rows after each step are those of a held angle, not of a ramp."""
    start, controls = inputs
    expected = by_hand(start, controls)
    ramp = np.asarray(plain(PLAIN, start, controls, {}))
    assert np.abs(ramp - expected).max() > 0.01
    with jax.enable_x64(True):
        learned = {key: jnp.full(B, SPEC.default_params[key]) for key in ("I",)}
        x, u = jnp.asarray(start), jnp.asarray(controls)
        np.testing.assert_allclose(plain(SPEC, x, u, {}), expected, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(lane_rollout(*PROBLEM)(x, u, learned), expected, rtol=1e-6, atol=1e-6)
        after = history_rollout().states({}, whole(x, u))[1]
        np.testing.assert_allclose(np.stack(after).transpose(2, 1, 0), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.slow  # compiles the derivatives of a car
def test_native_code_holds_the_angle_and_knows_its_derivatives(
    inputs: tuple[np.ndarray, np.ndarray],
) -> None:
    """States and gradients by start, controls and parameters are those of lanes, as lanes' are of JAX."""
    start, controls = (jnp.asarray(leaf, jnp.float32) for leaf in inputs)
    learned = {key: jnp.full(B, SPEC.default_params[key], jnp.float32) for key in SPEC.param_keys}
    try:
        native = native_rollout(*PROBLEM)
    except NoCompiler as error:
        pytest.skip(str(error))
    np.testing.assert_allclose(native(start, controls, learned), by_hand(*inputs), rtol=2e-3, atol=2e-4)
    probe = jnp.asarray(np.random.default_rng(1).standard_normal((B, T, len(SPEC.states))), jnp.float32)

    def pulled(roll: Any) -> Any:
        return jax.grad(lambda *args: jnp.sum(probe * roll(*args)), argnums=(0, 1, 2))(
            start, controls, learned
        )

    exact = pulled(jax.vmap(lambda x, u, p: plain(SPEC, x[None], u[None], p)[0], in_axes=(0, 0, 0)))
    for roll in (lane_rollout(*PROBLEM), native):
        for found, expected in zip(jax.tree.leaves(pulled(roll)), jax.tree.leaves(exact), strict=True):
            size = np.abs(expected).max()
            np.testing.assert_allclose(found, expected, rtol=5e-3, atol=2e-3 * size + 1e-5)


def test_the_derivative_of_a_fit_follows_a_jump_that_a_delay_moves(
    inputs: tuple[np.ndarray, np.ndarray],
) -> None:
    """The change along a delay of the steering, by differences."""
    spec = dataclasses.replace(with_measurement(PLAIN, Measurement(delay=("delta_dot",))), held=("delta",))
    with jax.enable_x64(True):
        x, u = (jnp.asarray(leaf) for leaf in inputs)
        roll = make_history_rollout(spec, spec.base_params(DT), "rk4", SUBSTEPS, 0)
        delay = {"delay_delta_dot": jnp.asarray(0.01)}
        step = {"delay_delta_dot": jnp.asarray([1.0])}
        along = np.stack(roll.sensitivities(delay, step, whole(x, u))[1])[:, :, 0]
        ends = [
            np.stack(roll.states({"delay_delta_dot": jnp.asarray(0.01 + h)}, whole(x, u))[1])
            for h in (-1e-5, 1e-5)
        ]
        np.testing.assert_allclose(along, (ends[1] - ends[0]) / 2e-5, rtol=1e-4, atol=1e-6)
        assert np.abs(along[spec.state_indices["delta"]]).max() > 0.1


def history_rollout() -> Any:
    return make_history_rollout(SPEC, SPEC.base_params(DT), "rk4", SUBSTEPS, 0)


def whole(x: Any, u: Any) -> WholeWindows:
    """Windows without history; what is logged after the start is not read."""
    states = tuple(jnp.broadcast_to(x[:, i], (T + 1, B)) for i in range(x.shape[1]))
    return WholeWindows(states, tuple(u[:, :, i].T for i in range(u.shape[2])))
