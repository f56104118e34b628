"""PCT's own engine: the loop that `pct train` runs, with what else `engine.py` asks of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from pct.integration import integrate_rk4
from pct.optimization.batching import batch_rows, take_windows, truncate_dataset_timesteps
from pct.optimization.network_training import make_network_step_fn, make_optimizer, with_learning_rate
from peers.compilations import Compilations
from peers.problem import HORIZON, LEARNING_RATE, TIMESTEP_HUNDREDTHS, WEIGHT_DECAY, Problem


def make_epoch(problem: Problem, batch_size: int) -> Callable[[], int]:
    """``epoch()`` trains on all windows once and returns their number."""
    return _make_epoch(problem, batch_size)


def first_gradient(problem: Problem, batch_size: int) -> tuple[float, list[np.ndarray]]:
    """Loss of the first windows at the start, and its gradient by each weight."""
    # An optimiser whose state is the gradient that the step computed.
    optimizer = optax.trace(decay=0.0)
    batch = jax.tree.map(lambda leaf: leaf[:batch_size], problem.windows)
    opt_state = optimizer.init(problem.params)
    _, state, loss, _ = _make_step_fn(problem, optimizer)(problem.params, opt_state, batch.features, batch)
    return float(loss) / batch_size, [np.asarray(leaf) for leaf in jax.tree.leaves(state.trace)]


def recompiles(problem: Problem, batch_size: int) -> int:
    """Compilations after the first step: a longer horizon, an odd last batch, a drop of the rate."""
    compilations = Compilations()
    epoch = _make_epoch(problem, batch_size)
    counts = []
    epoch(curriculum=2, on_step=lambda: counts.append(compilations.count))
    epoch(rate=LEARNING_RATE / 2)
    return compilations.count - counts[0]


def bytes_per_window(problem: Problem) -> float:
    """Stored data of one window, at stride 1."""
    return sum(leaf.nbytes for leaf in jax.tree.leaves(problem.windows)) / len(problem.starts)


def temp_bytes_per_window(problem: Problem, batch_size: int) -> float:
    """Memory that the compiled step takes beside its arguments and results, of one window."""
    optimizer = make_optimizer(LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    batch = take_windows(problem.windows, jnp.arange(batch_size), jnp.asarray(batch_size))
    args = problem.params, optimizer.init(problem.params), batch.features, batch
    step_fn: Any = _make_step_fn(problem, optimizer)
    return step_fn.lower(*args).compile().memory_analysis().temp_size_in_bytes / batch_size


def _make_epoch(problem: Problem, batch_size: int) -> Callable[..., int]:
    optimizer = make_optimizer(LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    params, opt_state = problem.params, optimizer.init(problem.params)
    step_fn = _make_step_fn(problem, optimizer)
    num_samples = len(problem.starts)
    key = jax.random.PRNGKey(0)

    def epoch(
        curriculum: int = 0, rate: float = LEARNING_RATE, on_step: Callable[[], Any] = lambda: None
    ) -> int:
        nonlocal params, opt_state, key
        key, shuffle_key = jax.random.split(key)
        opt_state = with_learning_rate(opt_state, rate)
        losses = []
        for step, (rows, count) in enumerate(batch_rows(shuffle_key, num_samples, batch_size)):
            batch = take_windows(problem.windows, jnp.asarray(rows), jnp.asarray(count))
            if step < curriculum:
                batch = truncate_dataset_timesteps(batch, HORIZON // 2, keep_shape=True)
            params, opt_state, loss, _ = step_fn(params, opt_state, batch.features, batch)
            losses.append(loss)
            on_step()
        assert math.isfinite(sum(float(loss) for loss in losses))
        return num_samples

    return epoch


def _make_step_fn(problem: Problem, optimizer: optax.GradientTransformation) -> Callable[..., Any]:
    spec = problem.spec
    return make_network_step_fn(
        problem.network.apply,
        lambda *states, **weights: spec.loss_fn(*states, **spec.train_loss_kwargs, **weights),
        spec.param_keys,
        spec.build_base_params(TIMESTEP_HUNDREDTHS),
        spec.dynamics_fn,
        integrate_rk4,
        optimizer,
        param_shapes=spec.full_shapes,
    )
