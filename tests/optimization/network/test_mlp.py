"""The bounded map stays inside and inverts; an untrained network answers with the defaults."""

import dataclasses
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pct.dynamics import MODEL_SPECS, ModelSpec, flatten_bounds
from pct.dynamics.bounds import Bounds
from pct.dynamics.core import flatten_params
from pct.optimization.network.mlp import (
    Ensemble,
    ParameterMLP,
    as_constants,
    fit_normalization,
    network_settings,
)

LOW, HIGH = np.array([0.1, -3.0, 1e-3, 5.0]), np.array([1.6, 3.0, 1e3, 5.5])
LOG = np.array([False, False, True, True])

masks = pytest.mark.parametrize("mask", [None, LOG], ids=["linear", "log"])
every_model = pytest.mark.parametrize("spec", MODEL_SPECS.values(), ids=MODEL_SPECS.keys())


@masks
@settings(max_examples=100, deadline=None)
@given(raw=st.lists(st.floats(allow_nan=False, width=32), min_size=4, max_size=4))
def test_the_map_never_leaves_the_bounds(mask: np.ndarray | None, raw: list[float]) -> None:
    for dtype in (np.float32, np.float64):
        value = np.asarray(Bounds(LOW, HIGH, mask).to(jnp.asarray(raw, dtype)))
        assert value.dtype == dtype
        assert (value >= LOW.astype(dtype)).all()
        assert (value <= HIGH.astype(dtype)).all()


@masks
@settings(max_examples=100, deadline=None)
@given(shares=st.lists(st.floats(0.001, 0.999), min_size=4, max_size=4))
def test_the_map_inverts(mask: np.ndarray | None, shares: list[float]) -> None:
    log = np.zeros(4, bool) if mask is None else mask
    linear = LOW + (HIGH - LOW) * np.array(shares)
    decades = np.abs(LOW) * (HIGH / np.abs(LOW)) ** np.array(shares)
    value = np.where(log, decades, linear)
    raw = Bounds(LOW, HIGH, mask).back(value)
    np.testing.assert_allclose(Bounds(LOW, HIGH, mask).to(jnp.asarray(raw)), value, rtol=1e-9, atol=1e-12)


@masks
def test_the_map_rises_over_the_whole_range(mask: np.ndarray | None) -> None:
    raw = jnp.linspace(-8.0, 8.0, 200)[:, None] * jnp.ones(4)
    value = np.asarray(Bounds(LOW, HIGH, mask).to(raw))
    assert (np.diff(value, axis=0) > 0).all()
    share = (value[[0, -1]] - LOW) / (HIGH - LOW)
    assert (share[0] < 1e-3).all()
    assert (share[1] > 0.99).all()


def test_the_middle_is_the_mean_or_the_geometric_mean() -> None:
    middle = np.asarray(Bounds(LOW, HIGH, LOG).to(jnp.zeros(4)))
    np.testing.assert_allclose(middle[:2], (LOW + HIGH)[:2] / 2, atol=1e-12)
    np.testing.assert_allclose(middle[2:], np.sqrt((LOW * HIGH)[2:]), rtol=1e-12)


@masks
def test_the_gradient_is_finite_at_and_beyond_the_bounds(mask: np.ndarray | None) -> None:
    at_bounds = [Bounds(LOW, HIGH, mask).back(bound) for bound in (LOW, HIGH)]
    far = [np.full(4, raw) for raw in (-1e30, -200.0, -40.0, 0.0, 40.0, 200.0, 1e30, np.inf, -np.inf)]
    for raw in [*at_bounds, *far]:
        assert np.isfinite(Bounds(LOW, HIGH, mask).to(jnp.asarray(raw))).all()
        gradient = jax.grad(lambda r: Bounds(LOW, HIGH, mask).to(r).sum())(jnp.asarray(raw))
        assert np.isfinite(gradient).all(), raw
        assert (np.asarray(gradient) >= 0).all()
    # Beside a bound, where a default may lie, the gradient still leads back inside.
    for raw in at_bounds:
        gradient = jax.grad(lambda r: Bounds(LOW, HIGH, mask).to(r).sum())(jnp.asarray(raw))
        assert (np.asarray(gradient) > 0).all()


def test_a_value_at_a_bound_lies_just_inside() -> None:
    for value, bound in ((LOW, 0), (HIGH, 1)):
        raw = Bounds(LOW, HIGH, LOG).back(value)
        assert np.isfinite(raw).all()
        back = np.asarray(Bounds(LOW, HIGH, LOG).to(jnp.asarray(raw)))
        linear = (back - value) / (HIGH - LOW)
        decades = np.log(np.abs(back / value)) / np.log(np.where(LOG, HIGH / LOW, np.e))
        distance = np.where(LOG, decades, linear)
        assert (distance * (1 - 2 * bound) > 0).all()
        assert (np.abs(distance) <= 1.1e-3).all()


def build(spec: ModelSpec, **options) -> ParameterMLP:
    low, high = flatten_bounds(spec.param_keys, spec.param_bounds, spec.full_shapes)
    return ParameterMLP((8,), low, high, **(network_settings(spec) | options))


@pytest.fixture(scope="module")
def starts() -> dict[tuple[str, str], tuple[np.ndarray, np.ndarray]]:
    """Answer and gradient of the last bias of untrained networks, by model and place of the defaults.

    All in one compiled function: compiling is what takes time here.
    """
    features = jnp.asarray([[1.0, -2.0, 0.3], [-0.4, 0.0, 1.5]])
    networks = {}
    for name, spec in MODEL_SPECS.items():
        networks[name, "table"] = build(spec)
        for side, place in enumerate(("low", "high")):
            at_bound = {key: spec.param_bounds[key][side] for key in spec.default_params}
            networks[name, place] = build(dataclasses.replace(spec, default_params=at_bound))

    def outcome(network: ParameterMLP, key: Any) -> tuple[Any, Any]:
        params = network.init(key, features)
        span = np.asarray(network.max_bounds) - np.asarray(network.min_bounds)
        gradient = jax.grad(lambda p: (network.apply(p, features) / span).sum())(params)
        return network.apply(params, features), gradient["params"]["Dense_1"]["bias"]

    compiled = jax.jit(lambda key: {case: outcome(network, key) for case, network in networks.items()})
    return jax.tree.map(np.asarray, compiled(jax.random.PRNGKey(0)))


@every_model
def test_an_untrained_network_answers_with_the_defaults(spec: ModelSpec, starts: Any) -> None:
    answer, _ = starts[spec.name, "table"]
    defaults = flatten_params(spec.default_params, spec.param_keys, spec.full_shapes)
    low, high = flatten_bounds(spec.param_keys, spec.param_bounds, spec.full_shapes)
    assert answer.shape == (2, spec.vector_size)
    assert (np.abs(answer - defaults) <= 0.02 * (high - low)).all()
    assert ((answer >= low) & (answer <= high)).all()


@every_model
@pytest.mark.parametrize("place", ["low", "high"])
def test_defaults_at_a_bound_are_a_start_like_any_other(spec: ModelSpec, starts: Any, place: str) -> None:
    answer, gradient = starts[spec.name, place]
    low, high = flatten_bounds(spec.param_keys, spec.param_bounds, spec.full_shapes)
    bound = {"low": low, "high": high}[place]
    assert (np.abs(answer - bound) <= 0.02 * (high - low)).all()
    assert np.isfinite(gradient).all()
    assert (gradient > 1e-5).all()


def shapes_of(network: ParameterMLP, features: Any) -> Any:
    """The network's parameters as shapes: nothing is compiled."""
    return jax.eval_shape(network.init, jax.random.PRNGKey(0), features)


def test_array_parameters_are_bounded_entry_by_entry() -> None:
    spec = MODEL_SPECS["tv-linear"]
    network = build(spec)
    features = np.ones((2, 3))
    rng = np.random.default_rng(0)
    huge = jax.tree.map(lambda leaf: 1e6 * rng.standard_normal(leaf.shape), shapes_of(network, features))
    low, high = np.asarray(network.min_bounds), np.asarray(network.max_bounds)
    answer = np.asarray(network.apply(huge, features))
    assert answer.shape == (2, 35)
    assert ((answer >= low) & (answer <= high)).all()
    np.testing.assert_array_equal(low[:25].reshape(5, 5), spec.param_bounds["A"][0])


def test_log_entries_follow_the_table() -> None:
    spec = MODEL_SPECS["singletrack"]
    rows = tuple(dataclasses.replace(row, log=row.name in ("mu", "I")) for row in spec.parameters)
    mask = network_settings(dataclasses.replace(spec, parameters=rows))["log_mask"]
    assert mask.tolist() == [key in ("mu", "I") for key in spec.param_keys]


def test_without_defaults_it_starts_in_the_middle() -> None:
    network = ParameterMLP((8,), LOW, HIGH)
    features = jnp.ones((2, 3))
    answer = np.asarray(network.apply(network.init(jax.random.PRNGKey(0), features), features))
    assert (np.abs(answer - (LOW + HIGH) / 2) < 0.02 * (HIGH - LOW)).all()


def test_hidden_layers_have_the_requested_sizes() -> None:
    network = ParameterMLP((5, 7), LOW, HIGH)
    params = shapes_of(network, np.ones((1, 3)))
    shapes = {"/".join(path): leaf.shape for path, leaf in flax.traverse_util.flatten_dict(params).items()}
    assert shapes["params/Dense_0/kernel"] == (3, 5)
    assert shapes["params/Dense_1/kernel"] == (5, 7)
    assert shapes["params/Dense_2/kernel"] == (7, 4)


# Normalisation.


def test_features_are_brought_to_mean_zero_and_deviation_one() -> None:
    rng = np.random.default_rng(0)
    features = rng.standard_normal((400, 3)) * [1e-4, 1.0, 1e5] + [1.0, 0.0, 3e6]
    mean, std = fit_normalization(features)
    scaled = (features - mean) / std
    np.testing.assert_allclose(scaled.mean(axis=0), 0.0, atol=1e-6)
    np.testing.assert_allclose(scaled.std(axis=0), 1.0, rtol=1e-6)


@pytest.mark.parametrize("constant", [0.0, 3.0, -1e6, 1e-8])
def test_a_constant_feature_stays_zero(constant: float) -> None:
    # The mean of equal single-precision numbers is not always that number.
    features = np.full((777, 1), constant, np.float32) * np.float32(1.1)
    mean, std = fit_normalization(features)
    assert std.tolist() == [1.0]
    np.testing.assert_allclose((features - mean) / std, 0.0, atol=1e-6 * max(1.0, abs(constant)))


def test_the_network_normalises_what_it_reads() -> None:
    features = jnp.asarray([[1.0, 200.0], [3.0, 600.0]])
    mean, std = fit_normalization(features)
    network = ParameterMLP((8,), LOW, HIGH, feature_mean=mean, feature_std=std)
    params = jax.tree.map(lambda leaf: leaf + 0.1, network.init(jax.random.PRNGKey(0), features))
    plain = ParameterMLP((8,), LOW, HIGH)
    np.testing.assert_allclose(
        network.apply(params, features), plain.apply(params, (features - mean) / std), rtol=1e-12
    )


def test_features_far_from_the_training_data_change_nothing_more() -> None:
    network = ParameterMLP((8,), LOW, HIGH, feature_mean=np.zeros(2), feature_std=np.ones(2))
    params = jax.tree.map(lambda leaf: leaf + 0.1, network.init(jax.random.PRNGKey(0), jnp.ones((1, 2))))
    far, farther = (np.asarray(network.apply(params, jnp.full((1, 2), x))) for x in (1e3, 1e9))
    np.testing.assert_array_equal(far, farther)


def test_a_global_answer_is_the_same_for_all_features_and_learns() -> None:
    mask = np.array([False, True, False, True])
    network = ParameterMLP(hidden_sizes=(8,), min_bounds=LOW, max_bounds=HIGH, global_mask=mask)
    features = jnp.asarray(np.random.default_rng(0).standard_normal((6, 3)))
    params = network.init(jax.random.PRNGKey(0), features)
    # Weights of an ordinary size, as after training.
    params = jax.tree.map(lambda leaf: leaf + 0.3, params)
    answers = np.asarray(network.apply(params, features))
    assert (np.ptp(answers, axis=0) > 0).tolist() == (~mask).tolist()
    gradient = jax.grad(lambda params: network.apply(params, features)[:, 1].sum())(params)
    last = gradient["params"]["Dense_1"]
    assert last["bias"][1] != 0
    assert not np.asarray(last["kernel"]).any()


def test_a_recurrent_network_reads_the_order_of_the_rows() -> None:
    rows, channels, size = 5, 2, 3
    network = ParameterMLP(hidden_sizes=(8,), min_bounds=LOW, max_bounds=HIGH, rows=rows, channels=channels)
    rng = np.random.default_rng(0)
    present, steps = rng.standard_normal((4, size)), rng.standard_normal((4, rows, channels))

    def features(steps: np.ndarray) -> jax.Array:
        return jnp.asarray(np.concatenate([present, steps.reshape(4, -1)], axis=1))

    params = jax.tree.map(lambda leaf: leaf + 0.1, network.init(jax.random.PRNGKey(0), features(steps)))
    forward, backward = (np.asarray(network.apply(params, features(s))) for s in (steps, steps[:, ::-1]))
    assert forward.shape == (4, 4)
    assert np.abs(forward - backward).min() > 1e-9


@masks
@pytest.mark.parametrize("members", [1, 3])
def test_as_constants_a_network_answers_its_defaults_also_at_a_bound(
    mask: np.ndarray | None, members: int
) -> None:
    defaults = np.array([0.1, 2.9999, 1e3, 5.2])  # a fit may end at a bound
    one = ParameterMLP((6, 5), LOW, HIGH, defaults=defaults, log_mask=mask)
    network = one if members == 1 else Ensemble(one, members)
    features = jnp.asarray(np.random.default_rng(0).normal(size=(7, 4)), jnp.float32)
    params = network.init(jax.random.PRNGKey(0), features)
    began = np.asarray(network.apply(params, features))
    assert np.ptp(began, axis=0).max() > 0
    answers = np.asarray(network.apply(as_constants(params, one), features))
    assert (np.ptp(answers, axis=0) <= 1e-6 * np.abs(defaults)).all()
    np.testing.assert_allclose(answers, np.broadcast_to(defaults, answers.shape), rtol=5e-6)
