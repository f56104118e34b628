"""The loss by element, window and batch: angles wrapped, scaled by channel, steps weighted."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS
from pct.dynamics.losses import (
    channel_residual,
    yaw_normalized_loss,
    yaw_normalized_loss_per_element,
    yaw_normalized_loss_per_item,
)

KWARGS = {"angle_mask": np.array([False, True]), "scales": np.array([0.5, 0.1])}


def states(seed: int) -> jnp.ndarray:
    return jnp.asarray(np.random.default_rng(seed).normal(size=(3, 4, 2)))


def test_angles_are_wrapped_and_positions_are_not() -> None:
    turn = 2 * np.pi
    predicted = jnp.array([turn, 3.1 + turn, 0.1 - turn])
    target = jnp.array([0.0, -3.1, 0.0])
    residual = channel_residual(predicted, target, np.array([False, True, True]))
    np.testing.assert_allclose(residual, [turn, 6.2 - turn, 0.1], atol=1e-12)


def test_a_full_turn_is_no_error_and_has_no_gradient() -> None:
    target = states(0)
    turned = target.at[..., 1].add(2 * np.pi)
    loss, gradient = jax.value_and_grad(lambda x: yaw_normalized_loss(x, target, **KWARGS))(turned)
    assert loss < 1e-24
    assert jnp.abs(gradient).max() < 1e-10


def test_elements_are_scaled_squares() -> None:
    predicted = jnp.zeros((1, 1, 2))
    target = jnp.array([[[1.0, 0.2]]])
    element = yaw_normalized_loss_per_element(predicted, target, **KWARGS)
    np.testing.assert_allclose(element, [[[4.0, 4.0]]], rtol=1e-12)


def test_forms_agree() -> None:
    """The batch's loss sums its windows', a window's is the mean over its steps and channels."""
    predicted, target = states(1), states(2)
    element = yaw_normalized_loss_per_element(predicted, target, **KWARGS)
    item = yaw_normalized_loss_per_item(predicted, target, **KWARGS)
    np.testing.assert_allclose(item, element.mean(axis=(1, 2)), rtol=1e-12)
    np.testing.assert_allclose(yaw_normalized_loss(predicted, target, **KWARGS), item.sum(), rtol=1e-12)


def test_weights_choose_steps() -> None:
    """A shorter horizon by weights is the loss of the truncated windows; what is left out may be NaN."""
    predicted, target = states(3), states(4)
    weights = jnp.tile(jnp.array([1.0, 1.0, 0.0, 0.0]), (3, 1)).at[2].set(0.0)
    broken = predicted.at[:, 2:].set(jnp.nan)

    def loss(x: jax.Array) -> jax.Array:
        return yaw_normalized_loss_per_item(x, target, weights=weights, **KWARGS)

    short = yaw_normalized_loss_per_item(predicted[:, :2], target[:, :2], **KWARGS)
    np.testing.assert_allclose(loss(broken), short.at[2].set(0.0), rtol=1e-12)
    gradient = jax.grad(lambda x: loss(x).sum())(broken)
    assert jnp.isfinite(gradient).all()
    assert not gradient[:, 2:].any()


@pytest.mark.parametrize("name", sorted(MODEL_SPECS))
def test_each_model_carries_its_loss(name: str) -> None:
    """A full turn in heading is no error; an error of one scale in every channel counts one."""
    spec = MODEL_SPECS[name]
    target = jnp.zeros((2, 3, len(spec.states)))
    turned = target.at[..., spec.pose_indices[2]].set(2 * np.pi)
    assert spec.loss_fn(turned, target, **spec.train_loss_kwargs) < 1e-24
    off = target + jnp.asarray(spec.scales)
    np.testing.assert_allclose(spec.loss_fn(off, target, **spec.eval_loss_kwargs), 2.0, rtol=1e-12)
