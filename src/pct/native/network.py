"""Dense layers with tanh between them as native code, forward and reverse, over the threads of XLA's pool.

XLA calls a library for each product, which at a few hundred windows costs as much as the arithmetic, and
shares none of it among threads. Single precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from pct.native.common import prepare
from pct.types import Array, Float

# Columns to which the code may pad rows: the widest panel of any processor.
PANEL = 32
# Windows of a group, unless they make too many groups: as many threads can take part, and as much memory
# the sums of all take.
GROUP, GROUPS = 24, 16

Layers = Sequence[tuple[Array, Array]]


@jax.custom_vjp
def dense_layers(layers: Layers, features: Float[Array, "B F"]) -> Float[Array, "B P"]:
    """The sums of the last layer; all others end in tanh.

    Args:
        layers: weights (inputs, outputs) and bias (outputs,) of each, at least one.
        features: what the first one reads.

    Raises:
        NoCompiler: see `pct.native.common.prepare`.
    """
    return _forward(layers, features)[0]


def _forward(layers: Layers, features: Array) -> tuple[Array, tuple[Array, ...]]:
    """The answer, and what every layer but the last gives, as the code lays it out."""
    windows = features.shape[0]
    results = (
        jax.ShapeDtypeStruct((windows, layers[-1][1].size), jnp.float32),
        *(jax.ShapeDtypeStruct((windows * _padded(bias.size),), jnp.float32) for _, bias in layers[:-1]),
    )
    call = jax.ffi.ffi_call(prepare()["pct_network"], results, vmap_method="sequential")
    answers, *values = call(features, *(array for layer in layers for array in layer))
    return answers, tuple(values)


def _remember(layers: Layers, features: Array) -> tuple[Array, Any]:
    answers, values = _forward(layers, features)
    return answers, (layers, features, values)


def _reverse(remembered: Any, cotangents: Array) -> tuple[Any, Array]:
    layers, features, values = remembered
    windows, first = features.shape[0], layers[0][0]
    groups = max(1, min(GROUPS, -(-windows // GROUP)))
    sums = sum((1 + weights.shape[0]) * _padded(bias.size) for weights, bias in layers)
    arrays = (windows, first.shape[1]), (groups, sums), *(x.shape for layer in layers for x in layer)
    results = tuple(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in arrays)
    call = jax.ffi.ffi_call(prepare()["pct_network_reverse"], results, vmap_method="sequential")
    by_first, _, *found = call(features, cotangents, *(weights for weights, _ in layers), *values)
    # XLA leaves the product out where nobody reads it.
    return type(layers)(zip(found[::2], found[1::2], strict=True)), by_first @ first.T


def _padded(columns: int) -> int:
    return -(-columns // PANEL) * PANEL


dense_layers.defvjp(_remember, _reverse)
