"""The training loop as the documentation of the system shows it, on the same maths.

A Python loop over batches, windows materialised and shuffled once an epoch, the loss read every step; a
new optimiser and a new step function whenever the rate drops. Nothing of PCT's own engine is in it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from pct.dynamics.core import unflatten_params
from pct.optimization.batching import truncate_dataset_timesteps
from pct.rollout.integration import integrate_rk4
from pct.windows.batch import FeatureDataset
from peers.problem import HORIZON, LEARNING_RATE, TIMESTEP_HUNDREDTHS, WEIGHT_DECAY, Problem


def make_epoch(problem: Problem, batch_size: int) -> Callable[[], int]:
    """``epoch()`` trains on all windows once and returns their number."""
    dataset = problem.windows
    num_samples = dataset.features.shape[0]
    rng = jax.random.PRNGKey(0)
    params = problem.params
    optimizer = optax.adamw(LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    opt_state = optimizer.init(params)
    step_fn = make_step_fn(problem, optimizer)

    def epoch() -> int:
        nonlocal rng, params, opt_state
        loss_history = []
        rng, perm_key = jax.random.split(rng)
        perm = jax.random.permutation(perm_key, num_samples)
        shuffled = FeatureDataset(*(leaf[perm] for leaf in dataset[:4]))
        for start in range(0, num_samples, batch_size):
            end = min(start + batch_size, num_samples)
            batch = take(shuffled, start, end)
            params, opt_state, loss = step_fn(params, opt_state, batch.features, batch)
            loss_history.append(float(loss) / (end - start))
        assert math.isfinite(sum(loss_history))
        return num_samples

    return epoch


def first_gradient(problem: Problem, batch_size: int) -> tuple[float, list[np.ndarray]]:
    """Loss of the first windows at the start, and its gradient by each weight."""
    batch = take(problem.windows, 0, batch_size)
    grad_fn = jax.jit(jax.value_and_grad(make_loss_fn(problem)))
    loss, gradient = grad_fn(problem.params, batch.features, batch)
    return float(loss), [np.asarray(leaf) for leaf in jax.tree.leaves(gradient)]


def recompile_seconds(problem: Problem, batch_size: int) -> dict[str, float]:
    """Time of the first step, and of the next one after each change that compiles it anew."""

    def start(rate: float) -> tuple[Any, Any]:
        optimizer = optax.adamw(rate, weight_decay=WEIGHT_DECAY)
        return optimizer.init(problem.params), make_step_fn(problem, optimizer)

    def seconds(batch: FeatureDataset, rate: float | None = None) -> float:
        nonlocal opt_state, step_fn
        begin = time.perf_counter()
        if rate is not None:
            opt_state, step_fn = start(rate)
        float(step_fn(problem.params, opt_state, batch.features, batch)[2])
        return time.perf_counter() - begin

    opt_state, step_fn = None, None
    batch = take(problem.windows, 0, batch_size)
    shorter = truncate_dataset_timesteps(batch, HORIZON // 2)
    return {
        "first_step": seconds(batch, LEARNING_RATE),
        "rate_drop": seconds(batch, LEARNING_RATE / 2),
        "horizon": seconds(shorter),
        "odd_last_batch": seconds(take(problem.windows, 0, batch_size // 2)),
    }


def take(windows: FeatureDataset, start: int, end: int) -> FeatureDataset:
    """A slice of windows."""
    return FeatureDataset(*(leaf[start:end] for leaf in windows[:4]))


def make_step_fn(problem: Problem, optimizer: optax.GradientTransformation) -> Callable[..., Any]:
    """``step_fn(params, opt_state, batch_features, batch)``: forward simulation, loss, gradient, update."""
    loss_fn = make_loss_fn(problem)

    @jax.jit
    def step_fn(params: Any, opt_state: Any, batch_features: Any, batch: FeatureDataset) -> Any:
        loss, gradient = jax.value_and_grad(loss_fn)(params, batch_features, batch)
        updates, opt_state = optimizer.update(gradient, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss * batch_features.shape[0]

    return step_fn


def make_loss_fn(problem: Problem) -> Callable[..., Any]:
    """``loss_fn(params, features, batch)``: mean over the windows, all states stacked in one scan."""
    spec = problem.spec
    base_params = spec.build_base_params(TIMESTEP_HUNDREDTHS)
    dt = base_params.pop("dt")

    def loss_fn(params: Any, features: Any, batch: FeatureDataset) -> Any:
        answer = problem.network.apply(params, features)
        learned = unflatten_params(answer, spec.param_keys, spec.full_shapes)
        car = {**base_params, **learned}

        def step(state: Any, control: Any) -> Any:
            x_and_u = jnp.concatenate([state, control], axis=-1)
            after = integrate_rk4(spec.dynamics_fn, x_and_u, car, dt)[:, : len(spec.states)]
            return after, after

        _, states = jax.lax.scan(step, batch.initial_states, batch.controls.swapaxes(0, 1))
        total = spec.loss_fn(states.swapaxes(0, 1), batch.targets, **spec.train_loss_kwargs)
        return total / features.shape[0]

    return loss_fn
