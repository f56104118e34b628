"""The network that predicts physical parameters within their bounds.

A plain MLP reads normalised features, with a recurrent layer for the steps of the history where there are
any. The last layer starts near zero with the defaults as bias, so that the first rollout is that of a
plausible car.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pct.dynamics.bounds import Bounds
from pct.dynamics.core import ModelSpec, flatten_params
from pct.optimization.network.layers import dense, init_dense, init_recurrent, read_steps
from pct.types import Array, Features, FlatParams, Float

# Features far outside the training data would take the network beyond what was validated.
CLIP = 5.0


# The last layer starts near zero.
LAST = jax.nn.initializers.variance_scaling(1e-4, "fan_in", "normal")
RECURRENT = "GRUCell_0"


@dataclasses.dataclass(frozen=True, eq=False)
class ParameterMLP:
    """Features to bounded parameter vectors.

    Attributes:
        hidden_sizes: width of each hidden layer.
        min_bounds, max_bounds: bounds of the flat parameter vector in each parameter's unit, (P,).
        defaults: prediction of the untrained network, (P,); the middle of the bounds when left out.
        log_mask: which entries are bounded in the logarithm, (P,); none when left out.
        feature_mean, feature_std: normalisation of the features, (F,); none when left out.
        global_mask: which entries are one learned constant for all features, (P,); none when left out.
        rows: rows of history that the last features are, for a gated recurrent unit to read; 0 for none.
        channels: values in each of these rows.
        dense: computes all dense layers and bounds of single precision at once, of
            `pct.rollout.engine.Engine.dense`.
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

    def init(self, key: Any, features: Features, path: tuple[str, ...] = ()) -> Any:
        """The weights before training.

        Args:
            key: random key.
            features: as it will read them, (B, F).
            path: of the network within another one.
        """
        read, weights = features.shape[-1], {}
        if self.rows:
            size = self.hidden_sizes[0]
            weights[RECURRENT] = init_recurrent(key, (*path, RECURRENT), self.channels, size)
            read += size - self.rows * self.channels
        start = self._start
        sizes = (read, *self.hidden_sizes, start.size)
        for number, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
            layer, own = f"Dense_{number}", {}
            if number == len(self.hidden_sizes):
                own = {"kernel": LAST, "bias": lambda _, shape, dtype: jnp.asarray(start, dtype)}
            weights[layer] = init_dense(key, (*path, layer), inputs, outputs, **own)
        return {"params": weights}

    def apply(self, params: Any, features: Features) -> FlatParams:
        """Parameters (B, P) of features (B, F) with these weights."""
        weights, hidden = params["params"], jnp.asarray(features)
        if self.feature_mean is not None:
            hidden = (hidden - jnp.asarray(self.feature_mean)) / jnp.asarray(self.feature_std)
            hidden = jnp.clip(hidden, -CLIP, CLIP)
        if self.rows:
            present, steps = jnp.split(hidden, [hidden.shape[-1] - self.rows * self.channels], axis=-1)
            steps = steps.reshape(*steps.shape[:-1], self.rows, self.channels)
            hidden = jnp.concatenate([present, read_steps(weights[RECURRENT], steps)], axis=-1)
        layers = [weights[f"Dense_{number}"] for number in range(len(self.hidden_sizes) + 1)]
        constant = self.global_mask is not None and np.any(self.global_mask)
        if self.dense is not None and hidden.dtype == jnp.float32:
            pairs = [(layer["kernel"], layer["bias"]) for layer in layers]
            if constant:
                kernel, bias = pairs[-1]
                pairs[-1] = jnp.where(np.asarray(self.global_mask), 0.0, kernel), bias
            return self.dense(pairs, hidden, self._bounds)
        for layer in layers[:-1]:
            hidden = jnp.tanh(dense(layer, hidden))
        raw = dense(layers[-1], hidden)
        if constant:
            raw = jnp.where(np.asarray(self.global_mask), layers[-1]["bias"], raw)
        return self._bounds.to(raw)

    @property
    def _bounds(self) -> Bounds:
        return Bounds(np.asarray(self.min_bounds), np.asarray(self.max_bounds), self.log_mask)

    @property
    def _start(self) -> np.ndarray:
        """The untrained answer on the unbounded axis, (P,)."""
        bounds = self._bounds
        if self.defaults is None:
            return np.zeros_like(bounds.low)
        return np.asarray(bounds.back(np.asarray(self.defaults)))


@dataclasses.dataclass(frozen=True, eq=False)
class Ensemble:
    """Networks of one kind from different starts; they predict their mean.

    Attributes:
        network: what each of them is.
        members: how many, E.
    """

    network: ParameterMLP
    members: int

    def init(self, key: Any, features: Features) -> Any:
        """The weights before training, those of the members side by side; arguments as of a network's."""
        starts = jax.vmap(lambda key: self.network.init(key, features, ("network",))["params"])
        return {"params": {"network": starts(jax.random.split(key, self.members))}}

    def apply(self, params: Any, features: Features) -> FlatParams:
        """The mean of the members, parameters (B, P) of features (B, F)."""
        return self.each(params, features).mean(axis=0)

    def each(self, params: Any, features: Features) -> Float[Array, "E B P"]:
        """The prediction of each member."""
        answers = jax.vmap(lambda weights: self.network.apply({"params": weights}, features))
        return answers(params["params"]["network"])


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
