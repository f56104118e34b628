"""A shorter horizon, cut off or masked: the same loss and gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS
from pct.errors import UsageError
from pct.optimization.batching import truncate_dataset_timesteps
from pct.windows.batch import FeatureDataset

UNICYCLE = MODEL_SPECS["unicycle"]


def windows(count: int = 7, steps: int = 5) -> FeatureDataset:
    rng = np.random.default_rng(0)
    return FeatureDataset(
        features=jnp.asarray(rng.standard_normal((count, 3))),
        controls=jnp.asarray(rng.standard_normal((count, steps, 2))),
        initial_states=jnp.asarray(rng.standard_normal((count, 4))),
        targets=jnp.asarray(rng.standard_normal((count, steps, 4))),
    )


def masked(dataset: FeatureDataset, timesteps: int) -> FeatureDataset:
    """Steps beyond the horizon weigh nothing, as the training epoch does it."""
    batch, steps, _ = dataset.targets.shape
    weights = jnp.ones((batch, steps)) if dataset.weights is None else dataset.weights
    return dataset._replace(weights=jnp.where(jnp.arange(steps) < timesteps, weights, 0.0))


def loss_and_gradient(batch: FeatureDataset) -> tuple[float, np.ndarray]:
    """The model's loss of a prediction that depends on what each window holds, and its gradient."""

    def loss(gain: jax.Array) -> jax.Array:
        predicted = gain * batch.controls.sum(axis=-1, keepdims=True) + batch.initial_states[:, None]
        return UNICYCLE.loss_fn(predicted, batch.targets, weights=batch.weights, **UNICYCLE.train_loss_kwargs)

    value, gradient = jax.jit(jax.value_and_grad(loss))(jnp.asarray([0.9, 1.2, 1.0, 0.5]))
    return float(value), np.asarray(gradient)


@pytest.mark.parametrize("weighted", [False, True])
def test_cutting_and_masking_a_horizon_are_the_same(weighted: bool) -> None:
    dataset = windows()
    if weighted:
        weights = np.random.default_rng(1).uniform(size=(7, 5))
        dataset = dataset._replace(weights=jnp.asarray(weights))
    cut = truncate_dataset_timesteps(dataset, 2)
    assert (cut.targets.shape[1], cut.controls.shape[1]) == (2, 2)
    for found, expected in zip(loss_and_gradient(masked(dataset, 2)), loss_and_gradient(cut), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert loss_and_gradient(cut)[0] != pytest.approx(loss_and_gradient(dataset)[0])


def test_a_longer_horizon_than_there_is_changes_nothing() -> None:
    dataset = windows()
    same = truncate_dataset_timesteps(dataset, 9)
    np.testing.assert_array_equal(same.targets, dataset.targets)
    assert loss_and_gradient(same)[0] == pytest.approx(loss_and_gradient(dataset)[0])


def test_what_lies_beyond_a_masked_horizon_may_be_anything() -> None:
    dataset = windows()
    spoiled = dataset._replace(targets=dataset.targets.at[:, 3:].set(jnp.nan))
    value, gradient = loss_and_gradient(masked(spoiled, 3))
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("steps", [0, -1])
def test_a_horizon_of_nothing_is_refused(steps: int) -> None:
    with pytest.raises(UsageError, match=f"`curriculum_timesteps`: expected 1 step or more, got {steps}"):
        truncate_dataset_timesteps(windows(), steps)
