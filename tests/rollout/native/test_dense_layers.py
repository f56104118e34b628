"""Dense layers and bounds as native code against XLA's, and within the network that uses them."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS, flatten_bounds
from pct.dynamics.bounds import Bounds
from pct.optimization.network.mlp import Ensemble, ParameterMLP, network_settings
from pct.rollout.native.dense_layers import bounded_layers
from rollout.native.windows import needs_compiler

pytestmark = [needs_compiler, pytest.mark.usefixtures("single_precision")]

SPEC = MODEL_SPECS["singletrack"]


def make_layers(sizes: tuple[int, ...], seed: int = 0) -> list[tuple[jax.Array, jax.Array]]:
    rng = np.random.default_rng(seed)
    shapes = itertools.pairwise(sizes)
    return [
        (
            jnp.asarray(rng.normal(size=(rows, columns)) / np.sqrt(max(1, rows)), jnp.float32),
            jnp.asarray(rng.normal(size=columns), jnp.float32),
        )
        for rows, columns in shapes
    ]


def of_xla(layers: Any, features: jax.Array, bounds: Bounds) -> jax.Array:
    for weights, bias in layers[:-1]:
        features = nn.tanh(features @ weights + bias)
    return bounds.to(features @ layers[-1][0] + layers[-1][1])


def make_bounds(count: int, logarithmic: str) -> Bounds:
    """Of which none, every third or all are bounded in the logarithm."""
    low = np.linspace(-3.0, 2.0, count)
    mask = {"none": None, "some": np.arange(count) % 3 == 1, "all": np.ones(count, bool)}[logarithmic]
    low = low if mask is None else np.where(mask, 0.01 + low**2, low)
    return Bounds(low, low + np.linspace(0.5, 40.0, count), mask)


def values_and_gradients(
    dense: Any, layers: Any, features: Any, cotangents: Any, logarithmic: str = "some"
) -> Any:
    bounds = make_bounds(cotangents.shape[1], logarithmic)

    def run(layers: Any, features: Any) -> Any:
        answers, reverse = jax.vjp(lambda *given: dense(*given, bounds), layers, features)
        return answers, reverse(cotangents)

    return jax.tree.map(np.asarray, jax.jit(run)(layers, features))


@pytest.mark.parametrize("logarithmic", ["none", "some", "all"])
@pytest.mark.parametrize("windows", [1, 5, 24, 64, 301])
@pytest.mark.parametrize(
    "sizes", [(3, 2), (42, 64, 64, 13), (7, 1, 33, 5, 1), (0, 8, 4), (20, 200, 17)], ids=str
)
def test_values_and_gradients(sizes: tuple[int, ...], windows: int, logarithmic: str) -> None:
    rng = np.random.default_rng(1)
    layers = make_layers(sizes)
    features = jnp.asarray(rng.normal(size=(windows, sizes[0])), jnp.float32)
    cotangents = jnp.asarray(rng.normal(size=(windows, sizes[-1])), jnp.float32)
    found, wanted = (
        values_and_gradients(dense, layers, features, cotangents, logarithmic)
        for dense in (bounded_layers, of_xla)
    )
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5 * np.abs(other).max(initial=1.0))


def test_no_windows_have_no_gradient() -> None:
    layers = make_layers((3, 4, 2))
    nothing = jnp.zeros((0, 3), jnp.float32), jnp.zeros((0, 2), jnp.float32)
    answers, (by_layers, by_features) = values_and_gradients(bounded_layers, layers, *nothing)
    assert answers.shape == (0, 2)
    assert by_features.shape == (0, 3)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(by_layers))


def test_a_window_that_is_not_finite_spoils_its_own_answer_only() -> None:
    features = np.random.default_rng(2).normal(size=(50, 6)).astype(np.float32)
    layers = make_layers((6, 9, 3))
    bounds = make_bounds(3, "some")
    sound = np.asarray(bounded_layers(layers, features, bounds))
    features[17, 2] = np.nan
    answers = np.asarray(bounded_layers(layers, features, bounds))
    assert np.isnan(answers[17]).all()
    np.testing.assert_array_equal(np.delete(answers, 17, 0), np.delete(sound, 17, 0))


def test_far_out_the_answers_rest_on_the_bounds() -> None:
    bounds = make_bounds(4, "some")
    low, high = bounds.low, bounds.high
    layers = [(jnp.ones((1, 4)), jnp.zeros(4))]
    features = np.array([[-3e38], [-200.0], [200.0], [3e38]], np.float32)
    answers, (by_layers, _) = values_and_gradients(
        bounded_layers, layers, features, np.ones((4, 4), np.float32)
    )
    np.testing.assert_allclose(answers, np.float32([low, low, high, high]), rtol=1e-6)
    assert (answers >= np.float32(low)).all()
    assert (answers <= np.float32(high)).all()
    assert not np.any(by_layers[0][1])


def test_every_time_the_same_whichever_threads_take_part() -> None:
    rng = np.random.default_rng(3)
    features, cotangents = (rng.normal(size=(1000, size)).astype(np.float32) for size in (42, 13))
    layers = make_layers((42, 64, 64, 13))
    first = values_and_gradients(bounded_layers, layers, features, cotangents)
    for _ in range(50):
        again = values_and_gradients(bounded_layers, layers, features, cotangents)
        jax.tree.map(np.testing.assert_array_equal, again, first)


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("rows", [0, 4])
def test_a_network_of_parameters(members: int, rows: int) -> None:
    """With global parameters, with an ensemble, and behind a recurrent layer, whose gradient goes through."""
    low, high = flatten_bounds(SPEC.param_keys, SPEC.param_bounds, SPEC.full_shapes)
    settings = network_settings(SPEC) | {"global_mask": np.arange(low.size) % 3 == 0}
    features = jnp.asarray(np.random.default_rng(4).normal(size=(40, 30)), jnp.float32)
    plain = ParameterMLP((16, 12), low, high, rows=rows, channels=5 if rows else 0, **settings)
    models = [
        network if members == 1 else Ensemble(network, members)
        for network in (plain, dataclasses.replace(plain, dense=bounded_layers))
    ]
    params, same = (model.init(jax.random.PRNGKey(5), features) for model in models)
    jax.tree.map(np.testing.assert_array_equal, params, same)
    params = jax.tree.map(
        lambda leaf: leaf + 0.3 * jnp.sin(jnp.arange(leaf.size).reshape(leaf.shape)), params
    )

    def judged(model: Any, params: Any) -> Any:
        share = (model.apply(params, features) - low) / (high - low)
        return jnp.sum(jnp.sin(3.0 * share)), share

    (_, wanted), wanted_gradient = jax.value_and_grad(lambda p: judged(models[0], p), has_aux=True)(params)
    (_, found), gradient = jax.value_and_grad(lambda p: judged(models[1], p), has_aux=True)(params)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    for one, other in zip(jax.tree.leaves(gradient), jax.tree.leaves(wanted_gradient), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5 * np.abs(other).max(initial=1.0))


def test_double_precision_stays_with_xla() -> None:
    network = ParameterMLP((4,), np.zeros(2), np.ones(2), dense=lambda *args: 1 / 0)
    with jax.enable_x64(True):
        features = jnp.ones((3, 5), jnp.float64)
        params = jax.tree.map(
            lambda leaf: leaf.astype(jnp.float64), network.init(jax.random.PRNGKey(0), features)
        )
        assert network.apply(params, features).dtype == jnp.float64
