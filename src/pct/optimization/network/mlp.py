"""The network that predicts physical parameters within their bounds.

A plain MLP reads normalised features, with a recurrent layer for the steps of the history where there are
any. The last layer starts near zero with the defaults as bias, so that the first rollout is that of a
plausible car.

References:
    [1] K. Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine
        Translation", EMNLP 2014.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from pct.dynamics.bounds import Bounds
from pct.dynamics.core import ModelSpec, flatten_params
from pct.types import Array, Features, FlatParams, Float

# Features far outside the training data would take the network beyond what was validated.
CLIP = 5.0


class ParameterMLP(nn.Module):
    """Features to bounded parameter vectors.

    Attributes:
        hidden_sizes: width of each hidden layer.
        min_bounds, max_bounds: bounds of the flat parameter vector in each parameter's unit, (P,).
        defaults: prediction of the untrained network, (P,); the middle of the bounds when left out.
        log_mask: which entries are bounded in the logarithm, (P,); none when left out.
        feature_mean, feature_std: normalisation of the features, (F,); none when left out.
        global_mask: which entries are one learned constant for all features, (P,); none when left out.
        rows: rows of history that the last features are, for a gated recurrent unit to read [1]; 0 for none.
        channels: values in each of these rows.
        dense: computes all dense layers and bounds of single precision at once, of
            `pct.rollout.engine.Engine.dense`.

    Calling it with features (B, F) returns parameters (B, P).
    """

    hidden_sizes: tuple[int, ...]
    min_bounds: Any
    max_bounds: Any
    defaults: Any = None
    log_mask: Any = None
    feature_mean: Any = None
    feature_std: Any = None
    global_mask: Any = None
    rows: int = 0
    channels: int = 0
    dense: Callable[..., Array] | None = None

    @nn.compact
    def __call__(self, features: Features) -> FlatParams:
        hidden = features
        if self.feature_mean is not None:
            hidden = (hidden - jnp.asarray(self.feature_mean)) / jnp.asarray(self.feature_std)
            hidden = jnp.clip(hidden, -CLIP, CLIP)
        if self.rows:
            present, steps = jnp.split(hidden, [hidden.shape[-1] - self.rows * self.channels], axis=-1)
            steps = steps.reshape(*steps.shape[:-1], self.rows, self.channels)
            before = jnp.zeros((*steps.shape[:-2], self.hidden_sizes[0]), steps.dtype)
            read: Array = nn.RNN(nn.GRUCell(self.hidden_sizes[0]))(steps, initial_carry=before)
            read = read[..., -1, :]
            hidden = jnp.concatenate([present, read], axis=-1)
        bounds = Bounds(np.asarray(self.min_bounds), np.asarray(self.max_bounds), self.log_mask)
        start = np.zeros_like(bounds.low) if self.defaults is None else bounds.back(np.asarray(self.defaults))
        layers = [nn.Dense(size) for size in self.hidden_sizes]
        last = nn.Dense(
            bounds.low.size,
            kernel_init=nn.initializers.variance_scaling(1e-4, "fan_in", "normal"),
            bias_init=lambda _key, _shape, dtype: jnp.asarray(start, dtype),
        )
        constant = self.global_mask is not None and np.any(self.global_mask)
        if self.dense is not None and not self.is_initializing() and hidden.dtype == jnp.float32:
            weights = [self._weights(number) for number in range(len(layers) + 1)]
            if constant:
                kernel, bias = weights[-1]
                weights[-1] = jnp.where(np.asarray(self.global_mask), 0.0, kernel), bias
            return self.dense(weights, hidden, bounds)
        for layer in layers:
            hidden = nn.tanh(layer(hidden))
        raw = last(hidden)
        if constant:
            _, constants = self._weights(len(layers))
            raw = jnp.where(np.asarray(self.global_mask), constants, raw)
        return bounds.to(raw)

    def _weights(self, layer: int) -> tuple[Array, Array]:
        """Weights and bias of a dense layer."""
        own = self.variables["params"][f"Dense_{layer}"]
        return own["kernel"], own["bias"]


class Ensemble(nn.Module):
    """Networks of one kind from different starts; they predict their mean.

    Attributes:
        network: what each of them is.
        members: how many, E.

    Calling it with features (B, F) returns parameters (B, P).
    """

    network: ParameterMLP
    members: int

    def __call__(self, features: Features) -> FlatParams:
        return self.each(features).mean(axis=0)

    @nn.compact
    def each(self, features: Features) -> Float[Array, "E B P"]:
        """The prediction of each member."""
        members = nn.vmap(
            lambda network, features: network(features),
            variable_axes={"params": 0},
            split_rngs={"params": True},
            in_axes=None,
            axis_size=self.members,
        )
        return members(self.network, features)


def as_constants(params: Any, network: ParameterMLP) -> Any:
    """The weights with which a network answers its defaults, whatever it reads, also those at a bound.

    Args:
        params: weights of the network, or of an ensemble of it.
        network: that they are of.
    """
    last = f"Dense_{len(network.hidden_sizes)}"
    bounds = Bounds(np.asarray(network.min_bounds), np.asarray(network.max_bounds), network.log_mask)
    # Training does not begin here: so near to a bound there is no gradient.
    start = bounds.back(np.asarray(network.defaults), edge=1e-7)

    def constant(path: Any, leaf: Array) -> Array:
        layer, kind = (key.key for key in path[-2:])
        if layer != last:
            return leaf
        return (
            jnp.zeros_like(leaf)
            if kind == "kernel"
            else jnp.broadcast_to(start, leaf.shape).astype(leaf.dtype)
        )

    return jax.tree_util.tree_map_with_path(constant, params)


def fit_normalization(features: Features) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each feature over the training windows, (F,) each.

    A constant feature gets deviation one, so that it stays zero instead of dividing by zero.
    """
    values = np.asarray(features, np.float64)
    mean, std = values.mean(axis=0), values.std(axis=0)
    return mean, np.where(std > 1e-6 * (1.0 + np.abs(mean)), std, 1.0)


def network_settings(spec: ModelSpec) -> dict[str, Any]:
    """Start, logarithmic and global entries of a model's network by attribute, (P,) each."""
    scope = {key: float(key in spec.global_keys) for key in spec.param_keys}
    return {
        "defaults": flatten_params(spec.default_params, spec.param_keys, spec.full_shapes),
        "log_mask": Bounds.of(spec).log,
        "global_mask": flatten_params(scope, spec.param_keys, spec.full_shapes) > 0,
    }
