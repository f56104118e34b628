"""Predictions, losses, summaries: aligned with the log, the same in all chunk sizes; robust gradients."""

from __future__ import annotations

from operator import itemgetter
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pct.dynamics import MODEL_SPECS, with_fixed
from pct.dynamics.core import flatten_params, unflatten_params
from pct.optimization.network.step import (
    make_eval_loss_fn,
    make_predict_fn,
    predict_parameters_chunked,
    summarize_predictions_chunked,
)
from pct.rollout.integration import integrate_euler, make_integrator
from pct.windows.batch import FeatureDataset
from pct.windows.loading import load_feature_dataset_group

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


# Robust gradients.

SLOPE = np.array([3.0, 0.1, 20.0, 1.0])


def weigh(dataset: FeatureDataset, weight: Any = 1.0) -> FeatureDataset:
    """The windows as a batch, each with a weight."""
    ones = jnp.ones(dataset.targets.shape[:2])
    return dataset._replace(weights=ones * jnp.reshape(jnp.asarray(weight), (-1, 1)), origin=None)


def spoil(dataset: FeatureDataset, window: int) -> FeatureDataset:
    """One window whose errors are some 1e4 times those of the others."""
    return dataset._replace(targets=dataset.targets.at[window, :, :2].multiply(1e4))


@pytest.fixture(scope="module")
def step(problem: Any) -> Any:
    """``step(params, batch, max_window_grad)``: where one step leads, as a vector; compiled once."""
    step_fns = {
        limit: problem.make_step_fn(
            optax.sgd(1.0), max_window_grad=limit, param_slope=lambda answers: jnp.asarray(SLOPE)
        )
        for limit in (1.0, np.inf)
    }

    def step(params: Any, batch: FeatureDataset, max_window_grad: float) -> np.ndarray:
        state = optax.sgd(1.0).init(params)
        after, *_ = step_fns[max_window_grad](params, state, batch.features, batch)
        return flat(params) - flat(after)

    return step


@pytest.fixture
def double(trained: Any) -> Any:
    """Parameters whose steps show to the last digit."""
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float64), trained)


def answered(problem: Any, answers: Any, batch: FeatureDataset) -> Any:
    """The rollout of these answers."""
    learned = unflatten_params(answers, problem.spec.param_keys, problem.spec.full_shapes)
    return problem.engine.rollout(batch.initial_states, batch.controls, learned)


def flat(tree: Any) -> np.ndarray:
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def test_the_gradient_of_each_window_is_clipped(problem: Any, double: Any, step: Any) -> None:
    """To the geometric mean of the batch, in units of the answers' slopes."""
    batch = weigh(spoil(problem.dataset, 5))
    answers, vjp = jax.vjp(lambda params: problem.network.apply(params, batch.features), double)

    def loss(answers: Any) -> Any:
        predicted = answered(problem, answers, batch)
        return problem.spec.loss_fn(predicted, batch.targets, **problem.spec.train_loss_kwargs)

    gradient = np.asarray(jax.grad(loss)(answers))
    length = np.linalg.norm(gradient * SLOPE, axis=1)
    mean = np.exp(np.log(length).mean())
    clipped = gradient * np.minimum(1.0, mean / length)[:, None]
    for limit, by_window in ((1.0, clipped), (np.inf, gradient)):
        (expected,) = vjp(jnp.asarray(by_window / len(length)))
        np.testing.assert_allclose(step(double, batch, limit), flat(expected), rtol=1e-9)


def test_one_bad_window_does_not_own_the_step(problem: Any, double: Any, step: Any) -> None:
    sound, bad = weigh(problem.dataset), weigh(spoil(problem.dataset, 5))
    alone = weigh(spoil(problem.dataset, 5), jnp.arange(14) == 5)
    assert cosine(step(double, bad, 1.0), step(double, sound, 1.0)) > 0.95
    # Without the clip it does.
    assert cosine(step(double, bad, np.inf), step(double, alone, np.inf)) > 0.999
    assert abs(cosine(step(double, bad, np.inf), step(double, sound, np.inf))) < 0.9


def test_windows_without_weight_have_no_part(problem: Any, double: Any, step: Any) -> None:
    few = jax.tree.map(lambda leaf: leaf[:4], problem.dataset._replace(origin=None))
    expected = step(double, weigh(few), 1.0)
    rest = weigh(spoil(problem.dataset, 5), jnp.arange(14) < 4)
    np.testing.assert_allclose(step(double, rest, 1.0), expected, rtol=1e-9)


def test_windows_without_gradient_have_no_part_in_the_mean(problem: Any, double: Any, step: Any) -> None:
    """Where a car stands still no parameter matters; zero is not an ordinary length of a gradient."""
    bad = spoil(problem.dataset, 5)._replace(origin=None)
    right = bad._replace(targets=answered(problem, problem.network.apply(double, bad.features), bad))
    both = jax.tree.map(lambda one, other: jnp.concatenate([one, other]), bad, right)
    expected = step(double, weigh(bad), 1.0)
    np.testing.assert_allclose(2.0 * step(double, weigh(both), 1.0), expected, rtol=1e-9)
