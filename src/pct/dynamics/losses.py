"""Losses of predicted against true states: residual by channel, angles wrapped, scaled, reduced.

They live beside the model tables because a `ModelSpec` carries its loss. The array namespace is JAX,
imported where it is used.
"""

from __future__ import annotations

import math

import numpy as np

from pct.types import Array, Bool, Float, States, Weights


def yaw_normalized_loss(
    predicted: States,
    target: States,
    *,
    angle_mask: Bool[np.ndarray, " S"],
    scales: Float[np.ndarray, " S"],
    weights: Weights | None = None,
    huber: float | None = None,
) -> Float[Array, ""]:
    """Squared error summed over the batch; divide by its size for the mean.

    Each window counts with the mean over its steps and channels of the squared residual over the
    channel's scale, angles wrapped, so a yaw error of a full turn is no error.

    Args:
        predicted, target: states in the model's units, shape (B, T, S).
        angle_mask: which channels are angles, shape (S,).
        scales: error that counts as one, in each channel's unit, shape (S,).
        weights: weight of each step, shape (B, T); zero leaves a step out. All one when left out.
        huber: residual over scale from which an error counts by its size, no longer by its square, so that
            a window that nothing explains (a spin, an impact) stays one among many [1].

    Returns:
        A scalar without unit.
    """
    return yaw_normalized_loss_per_item(
        predicted, target, angle_mask=angle_mask, scales=scales, weights=weights, huber=huber
    ).sum()


def yaw_normalized_loss_per_item(
    predicted: States,
    target: States,
    *,
    angle_mask: Bool[np.ndarray, " S"],
    scales: Float[np.ndarray, " S"],
    weights: Weights | None = None,
    huber: float | None = None,
) -> Float[Array, " B"]:
    """The loss of each window, shape (B,); zero where all its steps have weight zero."""
    import jax.numpy as jnp

    if weights is not None:
        # A left-out step may hold anything, also a NaN. Selecting after squaring would leave a NaN gradient.
        counts = weights[..., None] > 0
        predicted, target = (jnp.where(counts, x, 0.0) for x in (predicted, target))
    squared = yaw_normalized_loss_per_element(
        predicted, target, angle_mask=angle_mask, scales=scales, huber=huber
    ).mean(axis=-1)
    if weights is None:
        return squared.mean(axis=-1)
    total = weights.sum(axis=-1)
    return (squared * weights).sum(axis=-1) / jnp.where(total > 0, total, 1.0)


def yaw_normalized_loss_per_element(
    predicted: States,
    target: States,
    *,
    angle_mask: Bool[np.ndarray, " S"],
    scales: Float[np.ndarray, " S"],
    huber: float | None = None,
) -> States:
    """The squared scaled residual of every window, step and channel, shape (B, T, S).

    References:
        P. J. Huber, "Robust Estimation of a Location Parameter", Ann. Math. Statist. 35 (1964).
    """
    residual = channel_residual(predicted, target, angle_mask)
    scaled = residual / scales.astype(residual.dtype)
    if huber is None:
        return scaled**2
    import jax.numpy as jnp

    # r^2 up to the limit, beyond it the tangent there.
    inner = jnp.clip(scaled, -huber, huber)
    return inner * (2 * scaled - inner)


def channel_residual(
    predicted: Float[Array, "... S"],
    target: Float[Array, "... S"],
    angle_mask: Bool[np.ndarray, " S"],
) -> Float[Array, "... S"]:
    """Predicted minus true in each channel's unit, angles wrapped to [-pi, pi).

    Examples:
        >>> import numpy as np
        >>> r = channel_residual(np.array([1.0, 3.1]), np.array([3.0, -3.1]), np.array([False, True]))
        >>> print(r.round(3))
        [-2.    -0.083]
    """
    import jax.numpy as jnp

    difference = predicted - target
    # Not `%`, which is no vector operation on CPU.
    wrapped = difference - 2 * math.pi * jnp.floor((difference + math.pi) / (2 * math.pi))
    return jnp.where(angle_mask, wrapped, difference)
