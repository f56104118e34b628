"""Predictions, losses and summaries: aligned with the log, and the same in any number of chunks."""

from __future__ import annotations

from operator import itemgetter
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pct.data.loading import load_feature_dataset_group
from pct.data.windows import FeatureDataset
from pct.dynamics import MODEL_SPECS, with_fixed
from pct.dynamics.core import flatten_params
from pct.integration import integrate_euler, make_integrator
from pct.optimization.network_training import (
    make_eval_loss_fn,
    make_predict_fn,
    predict_parameters_chunked,
    summarize_predictions_chunked,
)

MU = 0.7


def load(folder: Path, spec: Any) -> FeatureDataset:
    return load_feature_dataset_group(
        [folder], spec, None, False, 12, None, "context", "test", horizon=10, history=2
    )


def errors(spec: Any, windows: FeatureDataset, mu: float) -> np.ndarray:
    """Largest error of each state over all windows and steps, with the parameters given."""
    values = flatten_params({**spec.default_params, "mu": mu}, spec.param_keys, spec.full_shapes)
    predict_fn = make_predict_fn(
        lambda _params, features: jnp.tile(jnp.asarray(values, features.dtype), (features.shape[0], 1)),
        spec.build_base_params(2),
        spec,
        # Fine enough to meet the simulator, whose steps are a fourth of these.
        make_integrator("rk4", 2),
    )
    return np.abs(predict_fn(None, windows) - np.asarray(windows.targets)).max(axis=(0, 1))


@pytest.mark.parametrize("name", ["singletrack", "singletrack-augmented"])
def test_the_true_parameters_reproduce_what_was_logged(exact_drive: Path, name: str) -> None:
    """From file to prediction: channels, controls and steps are aligned, to what the file's digits hold."""
    spec = MODEL_SPECS[name]
    windows = load(exact_drive, spec)
    exact = errors(spec, windows, MU)
    assert (exact < 1e-4).all(), dict(zip(spec.state_names, exact, strict=True))
    # A control that is one step late is plainly worse, so the agreement says something.
    late = windows._replace(controls=jnp.roll(windows.controls, 1, axis=1))
    assert errors(spec, late, MU).max() > 1e-2
    assert errors(spec, windows, 1.0).max() > 1e-2


def test_held_parameters_take_part_in_the_prediction(exact_drive: Path) -> None:
    spec = with_fixed(MODEL_SPECS["singletrack"], {"mu": MU})
    assert "mu" not in spec.param_keys
    assert (errors(spec, load(exact_drive, spec), MU) < 1e-4).all()


@pytest.fixture
def trained(problem: Any) -> Any:
    """The network's parameters, moved so that every window gets its own answer."""
    return jax.tree.map(lambda leaf: leaf + 0.1, problem.params)


@pytest.mark.parametrize("chunk_size", [1, 3, 14, 100])
def test_chunks_change_nothing(problem: Any, trained: Any, chunk_size: int) -> None:
    dataset = problem.dataset

    def outcome(size: int) -> tuple[Any, ...]:
        apply_fn, spec = problem.network.apply, problem.spec
        predict_fn = make_predict_fn(apply_fn, problem.base_params, spec, integrate_euler, chunk_size=size)
        eval_loss_fn = make_eval_loss_fn(
            problem.network, problem.base_params, spec, integrate_euler, chunk_size=size
        )
        return (
            predict_fn(trained, dataset),
            eval_loss_fn(trained, dataset),
            predict_parameters_chunked(apply_fn, trained, dataset.features, chunk_size=size),
        )

    for found, expected in zip(outcome(chunk_size), outcome(7), strict=True):
        assert np.shape(found) == np.shape(expected)
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


def test_the_loss_is_the_mean_over_windows(problem: Any, trained: Any) -> None:
    dataset = problem.dataset
    arrays = dataset._replace(origin=None)
    halves = [jax.tree.map(itemgetter(part), arrays) for part in (slice(7), slice(7, 14))]
    parts = [problem.eval_loss_fn(trained, half) for half in halves]
    assert problem.eval_loss_fn(trained, dataset) == pytest.approx(np.mean(parts))
    assert parts[0] != pytest.approx(parts[1])
    # A prediction that is right has none.
    predict_fn = make_predict_fn(problem.network.apply, problem.base_params, problem.spec, integrate_euler)
    right = dataset._replace(targets=jnp.asarray(predict_fn(trained, dataset)))
    assert problem.eval_loss_fn(trained, right) == pytest.approx(0.0, abs=1e-9)


def test_the_summary_is_over_all_windows(problem: Any, trained: Any) -> None:
    answer = np.asarray(problem.network.apply(trained, problem.dataset.features), np.float64)
    summary = summarize_predictions_chunked(
        problem.network.apply,
        trained,
        problem.dataset.features,
        problem.spec.param_keys,
        chunk_size=4,
        param_shapes=problem.spec.full_shapes,
    )
    assert tuple(summary) == problem.spec.param_keys
    for i, key in enumerate(problem.spec.param_keys):
        column = answer[:, i]
        expected = {"mean": column.mean(), "std": column.std(), "min": column.min(), "max": column.max()}
        assert summary[key] == pytest.approx(expected, rel=1e-6)
        assert summary[key]["min"] < summary[key]["max"]


def test_the_summary_keeps_the_shape_of_arrays() -> None:
    spec = MODEL_SPECS["tv-linear"]
    answer = np.arange(3 * 35, dtype=float).reshape(3, 35)
    summary = summarize_predictions_chunked(
        lambda _params, features: features,
        None,
        jnp.asarray(answer),
        spec.param_keys,
        chunk_size=2,
        param_shapes=spec.full_shapes,
    )
    np.testing.assert_allclose(summary["A"]["mean"], answer[:, :25].mean(axis=0).reshape(5, 5))
    np.testing.assert_allclose(summary["B"]["max"], answer[-1, 25:].reshape(5, 2))
