"""State context as native code against XLA's, and within the set of windows that uses it."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS, ModelSpec
from pct.rollout.native.state_context import state_context
from pct.windows.context import history_parts, means_of, moving_means
from pct.windows.store import WindowStore
from pct.windows.window_set import make_window_set
from rollout.native.windows import every_model, needs_compiler

pytestmark = [needs_compiler, pytest.mark.usefixtures("single_precision")]

ROWS = 400


def make_rows(spec: ModelSpec) -> tuple[np.ndarray, np.ndarray]:
    """A car far from the origin that has turned a hundred times."""
    rng = np.random.default_rng(0)
    states = rng.normal(size=(ROWS, len(spec.states))).cumsum(axis=0)
    states[:, spec.pose_indices] += [300.0, -200.0, 600.0]
    return states.astype(np.float32), rng.normal(size=(ROWS, spec.control_dim)).astype(np.float32)


@every_model
@pytest.mark.parametrize("history", [1, 3, 20, 22])
@pytest.mark.parametrize("windows", [0, 1, 70, 301])
def test_what_xla_computes(spec: ModelSpec, history: int, windows: int) -> None:
    states, controls = make_rows(spec)
    means = moving_means(np.concatenate([states, controls], axis=-1), history)
    starts = np.random.default_rng(1).integers(history, ROWS, windows).astype(np.int32)
    found, wanted = (
        np.asarray(
            jax.jit(context, static_argnums=(4, 5))(
                states, controls, means, starts, tuple(history_parts(history)), spec.pose_indices
            )
        )
        for context in (state_context, means_of)
    )
    # An angle of 600 rad is known to 6e-5, and turns distances of some 20 m.
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=2e-5)


@pytest.mark.parametrize("double", [False, True])
def test_windows_of_single_precision_use_it(double: bool) -> None:
    spec = MODEL_SPECS["singletrack"]
    with jax.enable_x64(double):
        states, controls = (rows.astype(float if double else np.float32) for rows in make_rows(spec))
        none = np.zeros((ROWS, 0), states.dtype)
        times, recording = np.arange(ROWS) / 50, np.zeros(ROWS, np.int32)
        store = WindowStore(states, controls, none, none, times, recording, ("a drive",), (), (), 0.02)
        windows = make_window_set(store, np.arange(9, 99), spec, horizon=5, history=8, feature_mode="context")
        used = []

        def context(*args: Any) -> jax.Array:
            used.append(True)
            return state_context(*args)

        found = dataclasses.replace(windows, context=context).take(windows.arrays, jnp.arange(80)).features
        wanted = windows.take(windows.arrays, jnp.arange(80)).features
    assert len(used) == (not double)
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=2e-5)
