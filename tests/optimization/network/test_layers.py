"""Networks begin and answer as those of flax do, digit by digit: what it has trained is read and goes on."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pct.dynamics.bounds import Bounds
from pct.optimization.network.mlp import Ensemble, ParameterMLP

LOW, HIGH = np.array([0.1, -1.0, 2.0]), np.array([1.2, 1.0, 9.0])
SIZES, ROWS, CHANNELS = (5, 4), 3, 2
FEATURES = np.linspace(-2.0, 2.0, 2 * 9).reshape(2, 9).astype(np.float32)


class OfFlax(nn.Module):
    """The same network, of flax's layers."""

    rows: int

    @nn.compact
    def __call__(self, features: Any) -> Any:
        hidden = features
        if self.rows:
            present, steps = jnp.split(features, [features.shape[-1] - self.rows * CHANNELS], axis=-1)
            steps = steps.reshape(*steps.shape[:-1], self.rows, CHANNELS)
            before = jnp.zeros((steps.shape[0], SIZES[0]), steps.dtype)
            read = nn.RNN(nn.GRUCell(SIZES[0]))(steps, initial_carry=before)
            hidden = jnp.concatenate([present, read[..., -1, :]], axis=-1)
        for size in SIZES:
            hidden = nn.tanh(nn.Dense(size)(hidden))
        last = nn.initializers.variance_scaling(1e-4, "fan_in", "normal")
        return Bounds(LOW, HIGH, None).to(nn.Dense(LOW.size, kernel_init=last)(hidden))


class Several(nn.Module):
    """Networks side by side, of flax."""

    network: OfFlax

    @nn.compact
    def __call__(self, features: Any) -> Any:
        axes: Any = {"variable_axes": {"params": 0}, "split_rngs": {"params": True}, "in_axes": None}
        return nn.vmap(lambda one, read: one(read), axis_size=3, **axes)(self.network, features)


@pytest.mark.parametrize(("rows", "members"), [(0, 1), (ROWS, 3)])
def test_weights_and_answers_are_those_of_flax(rows: int, members: int) -> None:
    one = ParameterMLP(SIZES, LOW, HIGH, rows=rows, channels=CHANNELS)
    theirs: Any = OfFlax(rows)
    ours, apply = (one, one.apply) if members == 1 else (Ensemble(one, 3), Ensemble(one, 3).each)
    theirs = theirs if members == 1 else Several(theirs)
    key, features = jax.random.PRNGKey(7), jnp.asarray(FEATURES)
    weights, expected = ours.init(key, features), theirs.init(key, features)
    jax.tree.map(np.testing.assert_array_equal, weights, expected)
    np.testing.assert_array_equal(apply(weights, features), theirs.apply(expected, features))
