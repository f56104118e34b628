"""Windows with observed starts: a network on top of a fit begins as the fit itself."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS, ModelSpec
from pct.dynamics.core import flatten_params
from pct.measurement import Measurement, with_measurement
from pct.optimization.constants.model import FittedModel
from pct.optimization.network.starts import observe
from pct.optimization.network.step import make_predict_fn
from pct.rollout.history import make_history_rollout
from pct.rollout.lanes import lane_rollout
from pct.windows.batch import FeatureDataset
from pct.windows.store import WindowStore, window_starts
from pct.windows.window_set import WindowSet, make_window_set

DT, HORIZON, HISTORY = 0.05, 6, 5
SPEC = with_measurement(
    MODEL_SPECS["unicycle"],
    Measurement(lag=("v",), bias=("v",), delay=("psi_dot", "accel"), observer=True),
)


def make_windows(spec: ModelSpec, rows: int = 40) -> WindowSet:
    rng = np.random.default_rng(0)
    none = np.zeros((rows, 0))
    store = WindowStore(
        rng.standard_normal((rows, len(spec.states))), rng.standard_normal((rows, len(spec.controls))),
        none, none, DT * np.arange(rows), np.zeros(rows, np.int32), ("drive",), (), (), DT,
    )  # fmt: skip
    shape = {"horizon": HORIZON, "history": HISTORY}
    return make_window_set(store, window_starts(store, **shape), spec, feature_mode="context", **shape)


def fitted_model(delay: float = 0.07) -> FittedModel:
    params = {
        **{key: np.asarray(SPEC.default_params[key]) for key in SPEC.param_keys},
        "delay_psi_dot": np.asarray(delay),
        "delay_accel": np.asarray(delay),
        "alpha_accel": np.asarray(0.8),
    }
    left = {"v": 0.5, "psi": 0.1}
    return FittedModel(
        spec=SPEC,
        params=params,
        deviations={},
        dt=DT,
        integrator_name="heun",
        substeps=2,
        settings={"history": HISTORY},
        remaining_error=left,
    )


# A delay below zero reads controls to come, also of several steps.
@pytest.mark.parametrize("delay", [0.07, -0.17])
def test_rollouts_from_observed_starts_are_those_of_the_fit(delay: float) -> None:
    fitted = fitted_model(delay)
    spec = fitted.spec_to_train()
    windows = make_windows(spec)
    dataset = observe(windows, spec, "heun", 2).gather()
    whole = windows.whole(np.arange(len(windows)))
    roll = make_history_rollout(SPEC, fitted.base_params, "heun", 2, HISTORY)
    wanted = np.stack(roll.states({k: jnp.asarray(v) for k, v in fitted.params.items()}, whole)[1])
    answers = jnp.asarray(flatten_params(spec.default_params, spec.param_keys, spec.full_shapes))

    def answer(_params: None, features: jax.Array) -> jax.Array:
        return jnp.broadcast_to(answers, (features.shape[0], answers.size))

    base_params = spec.build_base_params(round(100 * DT))
    predicted = make_predict_fn(answer, base_params, spec, fitted.integrator)(None, dataset)
    np.testing.assert_allclose(predicted, wanted.transpose(2, 1, 0), rtol=1e-9, atol=1e-9)
    learned = {key: jnp.full(len(windows), spec.default_params[key]) for key in spec.param_keys}
    lanes = lane_rollout(spec, base_params, "heun", 2)
    np.testing.assert_allclose(
        lanes(dataset.initial_states, dataset.controls, learned), predicted, rtol=1e-9, atol=1e-9
    )


def test_what_is_learned_on_top_are_the_parameters_of_the_vehicle() -> None:
    spec = fitted_model().spec_to_train()
    assert spec.param_keys == MODEL_SPECS["unicycle"].param_keys
    assert spec.default_params["delay_psi_dot"] == 0.07
    assert spec.default_params["alpha_accel"] == 0.8
    scales = dict(zip(spec.state_names, spec.train_loss_kwargs["scales"], strict=True))
    assert scales == {"x": np.inf, "y": np.inf, "psi": 0.1, "v": 0.5}


def test_channels_that_were_not_compared_do_not_count() -> None:
    spec = fitted_model().spec_to_train()
    states = np.random.default_rng(2).standard_normal((3, HORIZON, 4))
    moved = states + np.array([5.0, -3.0, 0.0, 0.0])

    def loss(predicted: jax.Array) -> jax.Array:
        return spec.loss_fn(predicted, states, **spec.train_loss_kwargs)

    assert loss(jnp.asarray(moved)) == 0.0
    assert np.isfinite(jax.grad(loss)(jnp.asarray(moved))).all()


def test_the_network_reads_the_hidden_states() -> None:
    windows = make_windows(SPEC)
    observed = observe(windows, SPEC, "rk4", 1)
    names = [channel.name for channel in SPEC.hidden]
    assert observed.feature_names == (*windows.feature_names, *names)
    before, after = windows.gather(), observed.gather()
    np.testing.assert_array_equal(after.features[:, : -len(names)], before.features)
    np.testing.assert_array_equal(after.features[:, -len(names) :], after.initial_states[:, 4:])


def test_without_a_measurement_windows_stay_as_they_are() -> None:
    spec = MODEL_SPECS["unicycle"]
    windows = make_windows(spec)
    assert observe(windows, spec, "rk4", 1) is windows


def test_a_sequence_is_the_steps_of_the_history() -> None:
    spec = MODEL_SPECS["unicycle"]
    windows = make_windows(spec)
    store, starts = windows.store, np.asarray(windows.arrays.starts)
    sequence = make_window_set(
        store, starts, spec, horizon=HORIZON, history=HISTORY, feature_mode="context", sequence=True
    )
    dataset: FeatureDataset = sequence.gather()
    rows = np.asarray(dataset.features)[:, len(windows.feature_names) :].reshape(-1, HISTORY, 3)
    assert sequence.feature_names[len(windows.feature_names) :][:3] == (
        f"step of v[-{HISTORY}]",
        f"step of psi_dot[-{HISTORY}]",
        f"step of accel[-{HISTORY}]",
    )
    start = starts[4]
    v = store.states[start - HISTORY : start + 1, spec.state_indices["v"]]
    np.testing.assert_allclose(rows[4, :, 0], np.diff(v))
    controls = store.controls[start - HISTORY : start]
    np.testing.assert_allclose(rows[4, 1:, 1:], np.diff(controls, axis=0))
    np.testing.assert_array_equal(rows[4, 0, 1:], 0.0)
    moved = dataclasses.replace(
        sequence, arrays=sequence.arrays._replace(states=sequence.arrays.states + 7.0)
    )
    np.testing.assert_allclose(moved.gather().features[:, -3 * HISTORY :], rows.reshape(len(rows), -1))
