"""Dense layers with tanh between them and bounded answers as native code, over the threads of XLA's pool.

XLA calls a library for each product, which at a few hundred windows costs as much as the arithmetic, and
shares none of it among threads. Single precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pct.dynamics.bounds import Bounds
from pct.rollout.native.shared_library import prepare
from pct.types import Array, Float

# Columns to which the code may pad rows: the widest panel of any processor.
PANEL = 32
# Windows of two groups, unless they make too many groups: as many threads can take part, and as much memory
# the sums of all take. Threads mostly come in twos.
TWO_GROUPS, GROUPS = 64, 16

Layers = Sequence[tuple[Array, Array]]


def bounded_layers(layers: Layers, features: Float[Array, "B F"], bounds: Bounds) -> Float[Array, "B P"]:
    """The sums of the last layer within bounds; all others end in tanh.

    Args:
        layers: weights (inputs, outputs) and bias (outputs,) of each, at least one.
        features: what the first one reads.
        bounds: of the answers.

    Raises:
        NoCompiler: see `pct.rollout.native.shared_library.prepare`.
    """
    low, high = bounds.low, bounds.high
    logarithmic = np.zeros(low.size, bool) if bounds.log is None else np.asarray(bounds.log, bool)
    ratio = np.where(logarithmic, high / np.where(logarithmic, low, 1.0), 1.0)
    span = np.where(logarithmic, np.log(ratio), high - low)
    return _answers(layers, features, np.stack([low, high, span, logarithmic]).astype(np.float32))


@jax.custom_vjp
def _answers(layers: Layers, features: Array, bounds: Array) -> Array:
    return _forward(layers, features, bounds)[0]


def _forward(layers: Layers, features: Array, bounds: Array) -> list[Array]:
    """The answers; as the code lays them out their change with the sums, and what all other layers give."""
    windows = features.shape[0]
    answers = jax.ShapeDtypeStruct((windows, layers[-1][1].size), jnp.float32)
    padded = [jax.ShapeDtypeStruct((windows * _padded(bias.size),), jnp.float32) for _, bias in layers]
    results = answers, padded[-1], *padded[:-1]
    call = jax.ffi.ffi_call(prepare()["pct_network"], results, vmap_method="sequential")
    return list(call(features, bounds, *(array for layer in layers for array in layer)))


def _remember(layers: Layers, features: Array, bounds: Array) -> tuple[Array, Any]:
    answers, *rest = _forward(layers, features, bounds)
    return answers, (layers, features, rest)


def _reverse(remembered: Any, cotangents: Array) -> tuple[Any, Array, None]:
    layers, features, (by_sums, *values) = remembered
    windows, first = features.shape[0], layers[0][0]
    groups = max(1, min(GROUPS, 2 * -(-windows // TWO_GROUPS)))
    sums = sum((1 + weights.shape[0]) * _padded(bias.size) for weights, bias in layers)
    arrays = (windows, first.shape[1]), (groups, sums), *(x.shape for layer in layers for x in layer)
    results = tuple(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in arrays)
    call = jax.ffi.ffi_call(prepare()["pct_network_reverse"], results, vmap_method="sequential")
    matrices = (matrix for matrix, _ in layers)
    by_first, _, *gradients = call(features, cotangents, by_sums, *matrices, *values)
    # XLA leaves the product out where nobody reads it.
    by_layers = type(layers)(zip(gradients[::2], gradients[1::2], strict=True))
    return by_layers, by_first @ first.T, None


def _padded(columns: int) -> int:
    return -(-columns // PANEL) * PANEL


_answers.defvjp(_remember, _reverse)
