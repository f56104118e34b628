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


HUBER = 1.5


def test_huber_is_the_square_within_its_limit_and_the_tangent_beyond() -> None:
    scaled = jnp.asarray([-1e6, -4.0, -1.5, -0.3, 0.0, 1.0, 1.5, 1.5001, 3.0])
    predicted = jnp.stack([0.5 * scaled, jnp.zeros(9)], axis=-1)[None]
    target = jnp.zeros((1, 9, 2))
    found = yaw_normalized_loss_per_element(predicted, target, huber=HUBER, **KWARGS)[0, :, 0]
    size = np.abs(scaled)
    tangent = HUBER**2 + 2 * HUBER * (size - HUBER)
    np.testing.assert_allclose(found, np.where(size <= HUBER, scaled**2, tangent), rtol=1e-12)


def test_huber_bounds_the_gradient() -> None:
    """Whatever the error, a step of a channel pulls no harder than at the limit."""

    def loss(predicted: jax.Array, huber: float | None) -> jax.Array:
        element = yaw_normalized_loss_per_element(predicted, jnp.zeros((1, 6, 2)), huber=huber, **KWARGS)
        return element.sum()

    errors = jnp.asarray([1e12, -1e3, 0.75, -0.7, 0.1, 0.0])
    predicted = jnp.stack([errors, jnp.zeros(6)], axis=-1)[None]
    gradient = jax.grad(loss)(predicted, HUBER)[0, :, 0]
    most = 2 * HUBER / 0.5
    assert jnp.abs(gradient).max() <= most * (1 + 1e-12)
    np.testing.assert_allclose(gradient[:2], [most, -most], rtol=1e-12)
    # Within the limit nothing is changed, to the bit.
    np.testing.assert_array_equal(gradient[3:], jax.grad(loss)(predicted, None)[0, 3:, 0])


def test_an_unreached_limit_changes_nothing() -> None:
    predicted, target = states(1), states(2)
    weights = jnp.asarray(np.random.default_rng(5).uniform(size=(3, 4)))
    for form in (yaw_normalized_loss, yaw_normalized_loss_per_item):
        found = form(predicted, target, weights=weights, huber=1e9, **KWARGS)
        np.testing.assert_allclose(found, form(predicted, target, weights=weights, **KWARGS), rtol=1e-12)


def test_a_spin_counts_by_its_size() -> None:
    """All forms take the limit."""
    predicted, target = states(1), states(2)
    spin = predicted.at[0, :, 0].add(1e3)
    item = yaw_normalized_loss_per_item(spin, target, huber=HUBER, **KWARGS)
    # An error of 2000 scales in one of two channels.
    assert item[0] == pytest.approx(2000 * HUBER, rel=0.01)
    assert yaw_normalized_loss_per_item(spin, target, **KWARGS)[0] == pytest.approx(2000**2 / 2, rel=0.01)
    batch = yaw_normalized_loss(spin, target, huber=HUBER, **KWARGS)
    np.testing.assert_allclose(batch, item.sum(), rtol=1e-12)


@pytest.mark.parametrize("name", sorted(MODEL_SPECS))
def test_each_model_carries_its_loss(name: str) -> None:
    """A full turn in heading is no error; an error of one scale in every channel counts one."""
    spec = MODEL_SPECS[name]
    target = jnp.zeros((2, 3, len(spec.states)))
    turned = target.at[..., spec.pose_indices[2]].set(2 * np.pi)
    assert spec.loss_fn(turned, target, **spec.train_loss_kwargs) < 1e-24
    off = target + jnp.asarray(spec.scales)
    np.testing.assert_allclose(spec.loss_fn(off, target, **spec.eval_loss_kwargs), 2.0, rtol=1e-12)
