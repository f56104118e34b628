"""Networks side by side: each learns as if it were alone; together they answer with their mean."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS, flatten_bounds
from pct.dynamics.bounds import Bounds
from pct.optimization.network.mlp import Ensemble, ParameterMLP, network_settings
from pct.optimization.network.step import make_network_step_fn, make_optimizer
from pct.rollout.integration import integrate_euler
from pct.windows.batch import FeatureDataset

SPEC = MODEL_SPECS["unicycle"]
LOW, HIGH = flatten_bounds(SPEC.param_keys, SPEC.param_bounds, SPEC.full_shapes)
MEMBERS, BATCH, STEPS = 3, 6, 4
NETWORK = ParameterMLP(hidden_sizes=(5,), min_bounds=LOW, max_bounds=HIGH, **network_settings(SPEC))
ENSEMBLE = Ensemble(NETWORK, MEMBERS)


@pytest.fixture
def batch() -> FeatureDataset:
    rng = np.random.default_rng(0)
    shapes: Any = ((BATCH, 2), (BATCH, STEPS, 2), (BATCH, 4), (BATCH, STEPS, 4))
    return FeatureDataset(*(jnp.asarray(rng.standard_normal(shape)) for shape in shapes))


def member(tree: Any, number: int) -> Any:
    """One network's weights out of the ensemble's."""
    return jax.tree.map(lambda leaf: leaf[number], tree)


def learn(apply: Any, params: Any, batch: FeatureDataset, members: int) -> tuple[Any, list[float]]:
    optimizer = make_optimizer(1e-2, max_grad_norm=1e-3, members=members)
    step_fn = make_network_step_fn(
        apply,
        lambda *states, **weights: SPEC.loss_fn(*states, **SPEC.train_loss_kwargs, **weights),
        SPEC.param_keys,
        SPEC.build_base_params(5),
        SPEC.dynamics_fn,
        integrate_euler,
        optimizer,
        param_shapes=SPEC.full_shapes,
        max_window_grad=1.5,
        param_slope=Bounds(LOW, HIGH).slope,
    )
    state, losses = optimizer.init(params), []
    for _ in range(3):
        params, state, loss, _ = step_fn(params, state, batch.features, batch)
        losses.append(float(loss))
    return params, losses


def test_each_member_learns_as_if_it_were_alone(batch: FeatureDataset) -> None:
    start = ENSEMBLE.init(jax.random.PRNGKey(0), batch.features)
    together, loss = learn(ENSEMBLE.each, start, batch, MEMBERS)
    losses = []
    for number in range(MEMBERS):
        alone, its = learn(NETWORK.apply, {"params": member(start["params"]["network"], number)}, batch, 1)
        losses.append(its)
        jax.tree.map(
            lambda found, wanted: np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-9),
            member(together["params"]["network"], number),
            alone["params"],
        )
    np.testing.assert_allclose(loss, np.mean(losses, axis=0), rtol=1e-9)


def test_members_start_apart_and_answer_with_their_mean(batch: FeatureDataset) -> None:
    params = ENSEMBLE.init(jax.random.PRNGKey(0), batch.features)
    each = ENSEMBLE.each(params, batch.features)
    assert each.shape == (MEMBERS, BATCH, LOW.size)
    assert (np.ptp(each, axis=0) > 0).all()
    np.testing.assert_allclose(ENSEMBLE.apply(params, batch.features), each.mean(axis=0))
