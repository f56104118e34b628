"""Layers of a network as plain functions of their weights: dense, and a gated recurrent unit [1].

Names of weights, their random starts and the order of operations are those of flax.linen 0.12: what it has
trained is read, and training gives the same digits.

References:
    [1] K. Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine
        Translation", EMNLP 2014.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from pct.types import Array

# Fills an array of this shape and type from a random key.
Initializer = Callable[[Any, tuple[int, ...], Any], Array]
Weights = dict[str, Any]

lecun_normal: Initializer = jax.nn.initializers.lecun_normal()
orthogonal: Initializer = jax.nn.initializers.orthogonal()
zeros: Initializer = jax.nn.initializers.zeros

# Gates of the recurrent unit: from the inputs with a bias, and from what it remembers; the last has one, too.
READ, REMEMBERED = ("ir", "iz", "in"), ("hr", "hz", "hn")


def random_key(key: Any, *path: str, number: int) -> Any:
    """The key of the weight of this number within a layer, by the layer's path."""
    digest = hashlib.sha1("".join(path).encode() + number.to_bytes(1, "big"), usedforsecurity=False).digest()
    return jax.random.fold_in(key, jnp.uint32(int.from_bytes(digest[:4], "big")))


def init_dense(
    key: Any,
    path: tuple[str, ...],
    inputs: int,
    outputs: int,
    *,
    kernel: Initializer = lecun_normal,
    bias: Initializer | None = zeros,
) -> Weights:
    """Weights of a dense layer, in single precision.

    Args:
        key: random key of the network.
        path: of the layer within the network.
        inputs, outputs: how many values it reads and gives.
        kernel, bias: what fills them; no bias where that is None.
    """
    weights = {"kernel": kernel(random_key(key, *path, number=1), (inputs, outputs), jnp.float32)}
    if bias is not None:
        weights["bias"] = bias(random_key(key, *path, number=2), (outputs,), jnp.float32)
    return weights


def dense(weights: Weights, values: Array) -> Array:
    """A dense layer: (..., inputs) to (..., outputs)."""
    product = jnp.dot(values, weights["kernel"])
    return product + weights["bias"] if "bias" in weights else product


def init_recurrent(key: Any, path: tuple[str, ...], inputs: int, size: int) -> Weights:
    """Weights of a gated recurrent unit; arguments as of `init_dense`, ``size`` is that of its memory."""
    gates = {name: init_dense(key, (*path, name), inputs, size) for name in READ}
    for name in REMEMBERED:
        bias = zeros if name == "hn" else None
        gates[name] = init_dense(key, (*path, name), size, size, kernel=orthogonal, bias=bias)
    return gates


def read_steps(gates: Weights, steps: Array) -> Array:
    """What a gated recurrent unit remembers after all steps, (..., T, inputs) to (..., size)."""

    def read(memory: Array, step: Array) -> tuple[Array, None]:
        reset = jax.nn.sigmoid(dense(gates["ir"], step) + dense(gates["hr"], memory))
        update = jax.nn.sigmoid(dense(gates["iz"], step) + dense(gates["hz"], memory))
        new = jnp.tanh(dense(gates["in"], step) + reset * dense(gates["hn"], memory))
        return (1.0 - update) * new + update * memory, None

    size = gates["hn"]["kernel"].shape[0]
    memory = jnp.zeros((*steps.shape[:-2], size), steps.dtype)
    return jax.lax.scan(read, memory, jnp.moveaxis(steps, -2, 0))[0]
