"""The fit to the history: it finds what moved the car, and is silent where nothing did."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from pct.data.loading import load_feature_dataset_group
from pct.dynamics import MODEL_SPECS, with_fixed
from pct.optimization.history_fit import HistoryFit
from pct.optimization.network import from_bounds, to_bounds

MU = 0.7
# Friction alone, and as the simulator integrates: the stiffness of the tyres is known.
SPEC = with_fixed(MODEL_SPECS["singletrack"], dict.fromkeys(("C_Sf", "C_Sr", "m", "I")))


DT, HISTORY = 0.02, 20


@pytest.fixture(scope="module")
def fit() -> HistoryFit:
    """Compiled once: every test gives it 16 histories of 20 steps."""
    return HistoryFit(SPEC, "rk4", 1)


def column(names: tuple[str, ...], values: np.ndarray, ending: str) -> np.ndarray:
    """The first feature whose name ends like this."""
    return np.asarray(values)[:, [name.endswith(ending) for name in names].index(True)]


def friction(fit: HistoryFit, values: np.ndarray) -> np.ndarray:
    low, high = SPEC.param_bounds["mu"]
    raw = jnp.asarray(column(fit.names, values, "fit.mu"))
    return np.asarray(to_bounds(raw[:, None], np.array([low]), np.array([high])))[:, 0]


def test_it_finds_the_friction_of_an_exact_drive(exact_drive: Path, fit: HistoryFit) -> None:
    windows = load_feature_dataset_group(
        [exact_drive],
        SPEC,
        None,
        False,
        16,
        None,
        "context",
        "test",
        horizon=1,
        history=HISTORY,
        history_features=fit,
    )
    count = len(fit.names)
    assert windows.origin.feature_names[-count:] == fit.names
    values = np.asarray(windows.features)[:, -count:]
    assert np.isfinite(values).all()
    error = np.abs(friction(fit, values) - MU)
    assert abs(SPEC.default_params["mu"] - MU) > 0.3
    # Where the fit says that it is sure, it is right.
    log_std = column(fit.names, values, "log_std.mu")
    sure = log_std <= np.quantile(log_std, 0.75)
    assert np.median(error[sure]) < 0.015 * MU
    assert error[sure].max() < 0.03 * MU


def histories(states: np.ndarray, controls: np.ndarray) -> tuple[Any, Any, float]:
    return jnp.asarray(states, jnp.float32), jnp.asarray(controls, jnp.float32), DT


def test_standstill_says_nothing_and_breaks_nothing(fit: HistoryFit) -> None:
    """No motion, no evidence: the default comes back with a large spread."""
    states = np.zeros((16, HISTORY + 1, len(SPEC.states)))
    states[8:] = 1e-3 * np.random.default_rng(0).standard_normal(states[8:].shape)
    values = np.asarray(fit(*histories(states, np.zeros((16, HISTORY, 2)))))
    assert values.shape == (16, len(fit.names))
    assert np.isfinite(values).all()
    np.testing.assert_allclose(friction(fit, values), SPEC.default_params["mu"], rtol=0.02)
    assert (column(fit.names, values, "log_std.mu") > 1.0).all()


@pytest.mark.parametrize("spoiled", [np.nan, 1e6])
def test_a_history_that_cannot_be_fitted_spoils_no_other(spoiled: float, fit: HistoryFit) -> None:
    states = np.zeros((16, HISTORY + 1, len(SPEC.states)))
    states[..., SPEC.state_indices["v"]] = 3.0
    controls = np.random.default_rng(1).uniform(-0.3, 0.3, (16, HISTORY, 2))
    whole = np.asarray(fit(*histories(states, controls)))
    states[1, 7, SPEC.state_indices["psi_dot"]] = spoiled
    values = np.asarray(fit(*histories(states, controls)))
    assert np.isfinite(values).all()
    others = np.arange(16) != 1
    np.testing.assert_allclose(values[others], whole[others], rtol=1e-4, atol=1e-5)


def test_parameters_at_their_bounds_start_a_fit_too() -> None:
    spec = MODEL_SPECS["unicycle"]
    low = {name: bounds[0] for name, bounds in spec.param_bounds.items()}
    fit = HistoryFit(dataclasses.replace(spec, default_params=low), "euler", 1)
    states = np.zeros((2, 7, 4))
    states[..., spec.state_indices["v"]] = 2.0
    values = fit(jnp.asarray(states), jnp.zeros((2, 6, 2)), 0.05)
    assert np.isfinite(values).all()


def test_arrays_are_left_alone() -> None:
    fit = HistoryFit(MODEL_SPECS["tv-linear"], "rk4", 1)
    assert fit.names == ()
    assert np.asarray(fit(jnp.zeros((3, 5, 5)), jnp.zeros((3, 4, 2)), 0.05)).shape == (3, 0)
    mixed: Any = HistoryFit(MODEL_SPECS["mlp-dynamics"], "rk4", 1)
    assert {name.rpartition(".")[2] for name in mixed.names} == {"alpha"}


def test_names_are_the_columns() -> None:
    spec = MODEL_SPECS["unicycle"]
    fit = HistoryFit(spec, "euler", 1)
    rng = np.random.default_rng(2)
    controls = rng.uniform(-1.0, 1.0, (3, 8, 2))
    gain = np.array([0.8, 1.0, 1.2])
    # Driven with another gain on the yaw rate, step by step as Euler's method does.
    states = np.zeros((3, 9, 4))
    x, y, psi, v = (spec.state_indices[name] for name in ("x", "y", "psi", "v"))
    states[:, 0, v] = 3.0
    for k in range(8):
        now, after = states[:, k], states[:, k + 1]
        after[:, x] = now[:, x] + 0.05 * now[:, v] * np.cos(now[:, psi])
        after[:, y] = now[:, y] + 0.05 * now[:, v] * np.sin(now[:, psi])
        after[:, psi] = now[:, psi] + 0.05 * gain * controls[:, k, 0]
        after[:, v] = now[:, v] + 0.05 * controls[:, k, 1]
    values = np.asarray(fit(jnp.asarray(states), jnp.asarray(controls), 0.05))
    assert values.shape == (3, len(fit.names))
    low, high = spec.param_bounds["alpha_psi_dot"]
    raw = column(fit.names, values, "fit.alpha_psi_dot")
    expected = from_bounds(gain, np.array(low), np.array(high))
    np.testing.assert_allclose(raw, expected, atol=0.3)
    assert (np.diff(raw) > 0.3).all()
