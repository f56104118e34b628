"""Batches: every window once, one shape for all, and what fills up a batch does not count."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pct.data.windows import FeatureDataset
from pct.dynamics import MODEL_SPECS
from pct.errors import UsageError
from pct.optimization.batching import batch_rows, take_windows, truncate_dataset_timesteps

UNICYCLE = MODEL_SPECS["unicycle"]


def windows(count: int = 7, steps: int = 5) -> FeatureDataset:
    rng = np.random.default_rng(0)
    return FeatureDataset(
        features=jnp.asarray(rng.standard_normal((count, 3))),
        controls=jnp.asarray(rng.standard_normal((count, steps, 2))),
        initial_states=jnp.asarray(rng.standard_normal((count, 4))),
        targets=jnp.asarray(rng.standard_normal((count, steps, 4))),
    )


def loss_and_gradient(batch: FeatureDataset) -> tuple[float, np.ndarray]:
    """The model's loss of a prediction that depends on what each window holds, and its gradient."""

    def loss(gain: jax.Array) -> jax.Array:
        predicted = gain * batch.controls.sum(axis=-1, keepdims=True) + batch.initial_states[:, None]
        return UNICYCLE.loss_fn(predicted, batch.targets, weights=batch.weights, **UNICYCLE.train_loss_kwargs)

    value, gradient = jax.jit(jax.value_and_grad(loss))(jnp.asarray([0.9, 1.2, 1.0, 0.5]))
    return float(value), np.asarray(gradient)


@pytest.mark.parametrize(("samples", "size"), [(7, 3), (8, 4), (5, 9), (1, 1), (6, 1)])
def test_every_window_comes_once_an_epoch(samples: int, size: int) -> None:
    batches = list(batch_rows(jax.random.PRNGKey(0), samples, size))
    assert {len(rows) for rows, _ in batches} == {min(size, samples)}
    counted = np.concatenate([rows[:count] for rows, count in batches])
    assert sorted(counted) == list(range(samples))
    assert all(count == len(rows) for rows, count in batches[:-1])
    assert all(set(rows[count:]) <= set(rows[:count]) for rows, count in batches)


def test_the_key_shuffles() -> None:
    orders = [
        np.concatenate([rows for rows, _ in batch_rows(jax.random.PRNGKey(seed), 50, 50)]).tolist()
        for seed in (0, 0, 1)
    ]
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]
    assert orders[0] != list(range(50))


def test_taken_windows_are_those_of_the_rows() -> None:
    dataset = windows()
    rows = np.array([5, 0, 3])
    batch = take_windows(dataset, jnp.asarray(rows), jnp.asarray(3))
    for name in ("features", "controls", "initial_states", "targets"):
        np.testing.assert_array_equal(getattr(batch, name), getattr(dataset, name)[rows])
    np.testing.assert_array_equal(batch.weights, 1.0)
    assert batch.weights.dtype == batch.targets.dtype


def test_weights_of_the_dataset_are_kept() -> None:
    weights = jnp.asarray(np.random.default_rng(1).uniform(size=(7, 5)))
    batch = take_windows(windows()._replace(weights=weights), jnp.asarray([2, 6, 1]), jnp.asarray(2))
    np.testing.assert_array_equal(batch.weights[:2], weights[jnp.asarray([2, 6])])
    np.testing.assert_array_equal(batch.weights[2], 0.0)


def test_a_filled_up_batch_has_the_loss_and_gradient_of_the_short_one() -> None:
    dataset = windows()
    filled = take_windows(dataset, jnp.asarray([4, 6, 4, 6]), jnp.asarray(2))
    short = take_windows(dataset, jnp.asarray([4, 6]), jnp.asarray(2))
    for found, expected in zip(loss_and_gradient(filled), loss_and_gradient(short), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    # And it is no mean that the filling could hide in.
    full = take_windows(dataset, jnp.asarray([4, 6, 4, 6]), jnp.asarray(4))
    assert loss_and_gradient(full)[0] == pytest.approx(2 * loss_and_gradient(short)[0])


@pytest.mark.parametrize("weighted", [False, True])
def test_cutting_and_masking_a_horizon_are_the_same(weighted: bool) -> None:
    dataset = windows()
    if weighted:
        weights = np.random.default_rng(1).uniform(size=(7, 5))
        dataset = dataset._replace(weights=jnp.asarray(weights))
    cut = truncate_dataset_timesteps(dataset, 2)
    masked = truncate_dataset_timesteps(dataset, 2, keep_shape=True)
    assert (cut.targets.shape[1], cut.controls.shape[1]) == (2, 2)
    assert masked.targets.shape == dataset.targets.shape
    for found, expected in zip(loss_and_gradient(masked), loss_and_gradient(cut), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert loss_and_gradient(cut)[0] != pytest.approx(loss_and_gradient(dataset)[0])


@pytest.mark.parametrize("keep_shape", [False, True])
def test_a_longer_horizon_than_there_is_changes_nothing(keep_shape: bool) -> None:
    dataset = windows()
    same = truncate_dataset_timesteps(dataset, 9, keep_shape=keep_shape)
    np.testing.assert_array_equal(same.targets, dataset.targets)
    assert loss_and_gradient(same)[0] == pytest.approx(loss_and_gradient(dataset)[0])


def test_what_lies_beyond_a_masked_horizon_may_be_anything() -> None:
    dataset = windows()
    spoiled = dataset._replace(targets=dataset.targets.at[:, 3:].set(jnp.nan))
    value, gradient = loss_and_gradient(truncate_dataset_timesteps(spoiled, 3, keep_shape=True))
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("steps", [0, -1])
def test_a_horizon_of_nothing_is_refused(steps: int) -> None:
    with pytest.raises(UsageError, match=f"--curriculum-timesteps {steps}: expected 1 step or more"):
        truncate_dataset_timesteps(windows(), steps)
