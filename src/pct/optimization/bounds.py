"""Between real numbers, which optimisers move, and values within bounds: monotonic, smooth, invertible.

Where a range spans decades the map works on logarithms.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pct.types import Array, Float

# A default at a bound would need an infinite bias: it starts this share of the range inside.
EDGE = 1e-3


def to_bounds(
    raw: Float[Array, "... P"], low: np.ndarray, high: np.ndarray, log_mask: Any = None
) -> Float[Array, "... P"]:
    """Real numbers to values within [low, high], monotonic and smooth.

    Linear bounds: low + (high - low) * sigmoid(raw). Logarithmic ones: the same on the logarithms.
    Far out the value rests on the bound and the gradient goes to zero, both finite.

    Args:
        raw: any real number, (..., P).
        low, high: bounds, (P,); low > 0 where logarithmic.
        log_mask: which entries are logarithmic, (P,).
    """
    low, high = np.asarray(low, raw.dtype), np.asarray(high, raw.dtype)
    share = jax.nn.sigmoid(raw)
    value = low + (high - low) * share
    if log_mask is not None and np.any(log_mask):
        safe_low = np.where(log_mask, low, 1.0)
        ratio = np.where(log_mask, high / safe_low, 1.0)
        value = jnp.where(np.asarray(log_mask), safe_low * jnp.exp(np.log(ratio) * share), value)
    # Rounding may step over a bound by one unit in the last place.
    return jnp.clip(value, low, high)


def bounds_slope(
    value: Float[Array, "... P"], low: np.ndarray, high: np.ndarray, log_mask: Any = None
) -> Float[Array, "... P"]:
    """Change of a value as its share of the range, logarithmic where bounded so, goes from 0 to 1."""
    low, high = np.asarray(low, value.dtype), np.asarray(high, value.dtype)
    if log_mask is None or not np.any(log_mask):
        return jnp.broadcast_to(high - low, value.shape)
    ratio = np.where(log_mask, high / np.where(log_mask, low, 1.0), 1.0)
    return jnp.where(np.asarray(log_mask), value * np.log(ratio), high - low)


def from_bounds(value: np.ndarray, low: np.ndarray, high: np.ndarray, log_mask: Any = None) -> np.ndarray:
    """Inverse of `to_bounds`; a value at a bound is taken the share `EDGE` of the range inside it."""
    linear = (value - low) / (high - low)
    if log_mask is None:
        share = linear
    else:
        mask = np.asarray(log_mask, bool)
        safe = [np.where(mask, v, e) for v, e in ((value, 1.0), (low, 1.0), (high, np.e))]
        share = np.where(mask, np.log(safe[0] / safe[1]) / np.log(safe[2] / safe[1]), linear)
    share = np.clip(share, EDGE, 1.0 - EDGE)
    return np.log(share) - np.log1p(-share)
