"""The training loop of the documentation, written with the documented names only."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pct.dynamics import MODEL_SPECS, ModelSpec, flatten_bounds
from pct.dynamics.mlp_dynamics import mlp_default_params, mlp_param_bounds, mlp_param_shapes
from pct.optimization import network_training as optnet
from pct.optimization.batching import truncate_dataset_timesteps
from pct.optimization.network_training import (
    FeatureDataset,
    ParameterMLP,
    integrate_rk4,
    load_feature_dataset_group,
    make_eval_loss_fn,
    summarize_predictions_chunked,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def single_precision() -> Iterator[None]:
    """As the program runs: the other tests are in double precision."""
    with jax.enable_x64(False):
        yield


@pytest.fixture
def args() -> Any:
    """`parse_args` of ``bin/optimize_network.py``."""
    path = ROOT / "bin" / "optimize_network.py"
    location = importlib.util.spec_from_file_location("optimize_network", path)
    assert location is not None
    assert location.loader is not None
    script = importlib.util.module_from_spec(location)
    location.loader.exec_module(script)
    flags = (
        "--dataset datasets/surfaces/val --model singletrack --epochs 4 --batch-size 16 --lr 1e-2",
        "--samples 40 --dt 5 --horizon 4 --history 4 --model-hidden 8 --curriculum-batches 2",
        "--curriculum-timesteps 2 --lr-patience 1 --feature-mode context --summary-chunk-size 16",
    )
    return script.parse_args([word for line in flags for word in line.split()])


def test_the_documented_loop(args: Any) -> None:
    rng = jax.random.PRNGKey(args.seed)
    assert args.summary_chunk_size > 0
    spec = MODEL_SPECS[args.model]
    flat_min_bounds, flat_max_bounds = flatten_bounds(spec.param_keys, spec.param_bounds, spec.full_shapes)
    dataset = load_feature_dataset_group(
        [ROOT / path for path in args.dataset],
        spec,
        args.dataset_cache,
        args.refresh_cache,
        args.samples,
        args.dt,
        args.feature_mode,
        "training",
        horizon=args.horizon,
        history=args.history,
    )
    base_params = spec.build_base_params(args.dt)
    assert base_params["dt"] == 0.05
    model = ParameterMLP(
        hidden_sizes=args.model_hidden, min_bounds=flat_min_bounds, max_bounds=flat_max_bounds
    )
    params = model.init(rng, jnp.zeros((1, dataset.features.shape[1])))
    current_lr = args.lr
    optimizer: optax.GradientTransformation = optax.adamw(current_lr)
    opt_state = optimizer.init(params)

    def make_step_fn(optimizer: optax.GradientTransformation) -> Any:
        return optnet.make_network_step_fn(
            model.apply,
            partial(spec.loss_fn, **spec.train_loss_kwargs),
            spec.param_keys,
            base_params,
            spec.dynamics_fn,
            integrate_rk4,
            optimizer,
            param_shapes=spec.full_shapes,
        )

    step_fn, eval_loss_fn = make_step_fn(optimizer), make_eval_loss_fn(model, base_params, spec)
    num_samples, global_step, best, patience = dataset.features.shape[0], 0, np.inf, 0
    loss_history, horizons = [], []
    for _ in range(args.epochs):
        rng, perm_key = jax.random.split(rng)
        perm = jax.random.permutation(perm_key, num_samples)
        for start in range(0, num_samples, args.batch_size):
            rows = perm[start : start + args.batch_size]
            batch = FeatureDataset(*(leaf[rows] for leaf in dataset[:4]))
            if global_step < args.curriculum_batches:
                batch = truncate_dataset_timesteps(batch, args.curriculum_timesteps)
            params, opt_state, loss, _ = step_fn(params, opt_state, batch.features, batch)
            loss_history.append(float(loss) / len(rows))
            horizons.append(batch.targets.shape[1])
            global_step += 1
        val_loss = eval_loss_fn(params, dataset)
        patience = 0 if val_loss < best else patience + 1
        best = min(best, val_loss)
        if patience >= args.lr_patience and current_lr > args.min_lr:
            current_lr = max(current_lr * args.lr_factor, args.min_lr)
            optimizer = optax.adam(current_lr)
            opt_state = optimizer.init(params)
            step_fn = make_step_fn(optimizer)
    assert horizons[:3] == [2, 2, 4]
    assert best < eval_loss_fn(model.init(rng, jnp.zeros((1, dataset.features.shape[1]))), dataset)
    summary = summarize_predictions_chunked(
        model.apply,
        params,
        dataset.features,
        spec.param_keys,
        chunk_size=args.summary_chunk_size,
        param_shapes=spec.full_shapes,
    )
    assert set(summary) == set(spec.param_keys)
    low, high = spec.param_bounds["mu"]
    assert low <= summary["mu"]["min"] <= summary["mu"]["mean"] <= summary["mu"]["max"] <= high


def test_a_spec_is_patched_as_documented() -> None:
    spec = MODEL_SPECS["mlp-dynamics"]
    hidden_size = 5
    patched = dataclasses.replace(
        spec,
        param_shapes=mlp_param_shapes(hidden_size),
        param_bounds=mlp_param_bounds(hidden_size),
        default_params=mlp_default_params(hidden_size),
    )
    assert isinstance(patched, ModelSpec)
    assert patched.full_shapes["W2"] == (3, 5)
    assert patched.vector_size == sum(int(np.prod(shape)) for shape in patched.full_shapes.values())
    fields = "param_keys param_shapes param_bounds default_params dynamics_fn loss_fn build_base_params"
    derived = "state_indices dynamics_module control_dim state_names control_names full_shapes vector_size"
    kwargs = "train_loss_kwargs eval_loss_kwargs"
    assert all(hasattr(patched, name) for name in f"{fields} {derived} {kwargs}".split())
