"""The fit to the history: it finds what moved the car, and is silent where nothing did."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS, with_fixed
from pct.dynamics.bounds import Bounds
from pct.optimization.network.history_fit import CHUNK, HistoryFit
from pct.rollout.engine import EngineName
from pct.rollout.native import sensitivities
from pct.rollout.native.compiler import load_library
from pct.windows.loading import load_feature_dataset_group
from rollout.native.windows import needs_compiler

MU = 0.7
# Friction alone, and as the simulator integrates: the stiffness of the tyres is known.
SPEC = with_fixed(MODEL_SPECS["singletrack"], dict.fromkeys(("C_Sf", "C_Sr", "m", "I")))


DT, HISTORY = 0.02, 20
ENGINES: tuple[EngineName, EngineName] = ("native", "jax")
UNICYCLE = MODEL_SPECS["unicycle"]
LOGARITHMIC = dataclasses.replace(
    UNICYCLE, parameters=tuple(dataclasses.replace(row, log=row.low > 0) for row in UNICYCLE.parameters)
)


@pytest.fixture(autouse=True)
def kept_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(Path(__file__).parents[3] / ".cache"))


@pytest.fixture(scope="module")
def fit() -> HistoryFit:
    """Compiled once: every test gives it histories of one length."""
    return HistoryFit(SPEC, "heun", 1)


def column(names: tuple[str, ...], values: np.ndarray, ending: str) -> np.ndarray:
    """The first feature whose name ends like this."""
    return np.asarray(values)[:, [name.endswith(ending) for name in names].index(True)]


def friction(fit: HistoryFit, values: np.ndarray) -> np.ndarray:
    low, high = SPEC.param_bounds["mu"]
    raw = jnp.asarray(column(fit.names, values, "fit.mu"))
    return np.asarray(Bounds(np.array([low]), np.array([high])).to(raw[:, None]))[:, 0]


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


def test_parameters_at_their_bounds_start_a_fit_too() -> None:
    spec = MODEL_SPECS["unicycle"]
    low = {name: bounds[0] for name, bounds in spec.param_bounds.items()}
    fit = HistoryFit(dataclasses.replace(spec, default_params=low), "euler", 1)
    assert np.isfinite(fit(*histories(*simple_drives([0.8, 1.2])))).all()


def test_arrays_are_left_alone() -> None:
    fit = HistoryFit(MODEL_SPECS["tv-linear"], "rk4", 1)
    assert fit.names == ()
    assert np.asarray(fit(jnp.zeros((3, 5, 5)), jnp.zeros((3, 4, 2)), 0.05)).shape == (3, 0)
    mixed: Any = HistoryFit(MODEL_SPECS["mlp-dynamics"], "rk4", 1)
    assert {name.rpartition(".")[2] for name in mixed.names} == {"alpha"}


@pytest.fixture(scope="module")
def simple_fit() -> HistoryFit:
    return HistoryFit(MODEL_SPECS["unicycle"], "euler", 1)


def simple_drives(gains: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Unicycles with these gains on the yaw rate, step by step as Euler's method goes."""
    x, y, psi, v = (MODEL_SPECS["unicycle"].state_indices[name] for name in ("x", "y", "psi", "v"))
    controls = np.random.default_rng(2).uniform(-1.0, 1.0, (len(gains), HISTORY, 2))
    states = np.zeros((len(gains), HISTORY + 1, 4))
    states[:, 0, v] = 3.0
    for k in range(HISTORY):
        now, after = states[:, k], states[:, k + 1]
        after[:, x] = now[:, x] + DT * now[:, v] * np.cos(now[:, psi])
        after[:, y] = now[:, y] + DT * now[:, v] * np.sin(now[:, psi])
        after[:, psi] = now[:, psi] + DT * np.asarray(gains) * controls[:, k, 0]
        after[:, v] = now[:, v] + DT * controls[:, k, 1]
    return states, controls


def test_names_are_the_columns(simple_fit: HistoryFit) -> None:
    gains = np.array([0.8, 1.0, 1.2])
    values = np.asarray(simple_fit(*histories(*simple_drives(gains))))
    assert values.shape == (3, len(simple_fit.names))
    low, high = MODEL_SPECS["unicycle"].param_bounds["alpha_psi_dot"]
    raw = column(simple_fit.names, values, "fit.alpha_psi_dot")
    np.testing.assert_allclose(raw, Bounds(np.array(low), np.array(high)).back(gains), atol=0.3)
    assert (np.diff(raw) > 0.3).all()


@pytest.mark.parametrize("spoiled", [np.nan, 1e30])
def test_a_history_that_cannot_be_fitted_spoils_no_other(spoiled: float, simple_fit: HistoryFit) -> None:
    states, controls = simple_drives([0.9, 1.0, 1.1])
    whole = np.asarray(simple_fit(*histories(states, controls)))
    states[1, 7, 2] = spoiled
    values = np.asarray(simple_fit(*histories(states, controls)))
    assert np.isfinite(values).all()
    np.testing.assert_array_equal(values[[0, 2]], whole[[0, 2]])


@needs_compiler
def test_native_code_finds_what_jax_finds() -> None:
    """In double precision, so that both round alike; each window has its own parameters from the second
    iteration on."""
    states, controls = simple_drives(np.linspace(0.6, 1.4, 20))
    states += 0.1 * UNICYCLE.scales * np.random.default_rng(3).standard_normal(states.shape)
    with jax.enable_x64(True):
        given = jnp.asarray(states), jnp.asarray(controls), DT
        native, reference = (HistoryFit(LOGARITHMIC, "euler", 1, engine)(*given) for engine in ENGINES)
    assert native.dtype == np.float64
    assert np.ptp(native, axis=0).min() > 1e-6
    np.testing.assert_allclose(native, reference, rtol=1e-8, atol=1e-8)


@needs_compiler
def test_other_histories_and_settings_need_no_other_code(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = set()

    def load(key: str, *given: Any) -> Any:
        asked.add(key)
        return load_library(key, *given)

    states, controls = simple_drives([0.8, 1.0, 1.2])
    monkeypatch.setattr(sensitivities, "load_library", load)
    monkeypatch.setattr(HistoryFit, "_fit", lambda *_, **__: pytest.fail("JAX was called"))
    sensitivities._code.cache_clear()
    held = with_fixed(UNICYCLE, {"alpha_psi_dot": None})
    for spec, rows, integrator, substeps in ((UNICYCLE, 9, "rk4", 3), (held, 12, "euler", 1)):
        values = HistoryFit(spec, integrator, substeps)(*histories(states[:, : rows + 1], controls[:, :rows]))
        assert values.shape == (3, 4 * len(spec.param_keys))
    assert len(asked) == 1


def test_more_histories_than_a_chunk_holds(simple_fit: HistoryFit) -> None:
    states, controls = simple_drives(np.linspace(0.7, 1.3, CHUNK + 3))
    values = np.asarray(simple_fit(*histories(states, controls)))
    assert values.shape[0] == CHUNK + 3
    last = np.asarray(simple_fit(*histories(states[CHUNK:], controls[CHUNK:])))
    np.testing.assert_array_equal(values[CHUNK:], last)
    assert (np.diff(values[::50, 0]) > 0).all()
