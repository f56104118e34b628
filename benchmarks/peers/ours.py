"""PCT's own engine: the epoch that `pct train` runs, with what else `engine.py` asks of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from pct.optimization.network import epoch as epochs
from pct.optimization.network.step import make_network_step_fn, make_optimizer, make_window_loss_fn
from pct.optimization.settings import TrainSettings
from pct.rollout.engine import Engine, EngineName, make_engine
from pct.rollout.integration import integrate_rk4
from pct.windows.window_set import WindowSet, make_window_set
from peers.compilations import Compilations
from peers.problem import HISTORY, HORIZON, LEARNING_RATE, TIMESTEP_HUNDREDTHS, WEIGHT_DECAY, Problem


def make_epoch(problem: Problem, batch_size: int, engine: EngineName = "jax") -> Callable[[], int]:
    """``epoch()`` trains on all windows once and returns their number."""
    windows = _windows(problem)
    trainer, state = _start(problem, windows, batch_size, engine=engine)

    def epoch() -> int:
        nonlocal state
        state = _run(trainer, state)
        state = trainer.finish(state, 1.0)
        return len(windows)

    return epoch


def first_gradient(
    problem: Problem, batch_size: int, engine: EngineName = "jax"
) -> tuple[float, list[np.ndarray]]:
    """Loss of the first windows at the start, and its gradient by each weight."""
    # An optimiser whose state is the gradient that the step computed.
    optimizer = optax.trace(decay=0.0)
    windows = _windows(problem)
    batch = windows.take(windows.arrays, jnp.arange(batch_size))
    step_fn = _make_step_fn(problem, optimizer, engine=engine)
    _, state, loss, _ = step_fn(problem.params, optimizer.init(problem.params), batch.features, batch)
    return float(loss) / batch_size, [np.asarray(leaf) for leaf in jax.tree.leaves(state.trace)]


def recompiles(problem: Problem, batch_size: int) -> int:
    """Compilations of three epochs after the first steps, the first validation and the first end of an epoch.

    The rate drops, the curriculum ends, the last batch is odd, and the last epoch goes on from a saved state.
    """
    windows = _windows(problem)
    trainer, state = _start(problem, windows, batch_size, curriculum_batches=len(windows) // batch_size + 3)
    window_loss = make_window_loss_fn(problem.network.apply, _engine(problem, "jax").eval_loss)
    evaluate = epochs.make_evaluate_fn(windows, window_loss, 1024)
    saved = jax.device_get(state)
    trainer.finish(jax.tree.map(jnp.asarray, saved), jnp.asarray(1.0))
    state, _ = trainer.run(state, trainer.order(state))
    evaluate(state.params)
    compilations = Compilations()
    for judged in (1.0, 2.0, 2.0):
        state = _run(trainer, state)
        evaluate(state.params)
        state = trainer.finish(state, jnp.asarray(judged))
        state = jax.tree.map(jnp.asarray, jax.device_get(state))
    return compilations.count


def bytes_per_window(problem: Problem) -> float:
    """Stored data of one window at stride 1: rows, times, window starts; no history features."""
    windows = _windows(problem)
    host = (windows.store.times, windows.store.recording, windows.store.truth)
    return sum(leaf.nbytes for leaf in (*jax.tree.leaves(windows.arrays), *host)) / len(windows)


def temp_bytes_per_window(problem: Problem, batch_size: int) -> float:
    """Memory that the compiled epoch takes beside its arguments and results, of one window of a batch."""
    trainer, state = _start(problem, _windows(problem), batch_size)
    return trainer.temporary_bytes(state) / batch_size


def _run(trainer: epochs.Epoch, state: epochs.TrainState) -> epochs.TrainState:
    order = trainer.order(state)
    while int(state.position) < trainer.steps:
        state, told = trainer.run(state, order)
        assert told.sound
        assert math.isfinite(np.asarray(told.loss).sum())
    return state


def _windows(problem: Problem) -> WindowSet:
    shape = {"horizon": HORIZON, "history": HISTORY}
    return make_window_set(problem.store, problem.starts, problem.spec, feature_mode="context", **shape)


def _start(
    problem: Problem,
    windows: WindowSet,
    batch_size: int,
    curriculum_batches: int = 0,
    engine: EngineName = "jax",
) -> tuple[epochs.Epoch, epochs.TrainState]:
    optimizer = make_optimizer(LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    mesh = epochs.make_mesh()
    settings = TrainSettings(
        epochs=1,
        batch_size=batch_size,
        lr_patience=1,
        curriculum_batches=curriculum_batches,
        curriculum_timesteps=HORIZON // 2,
    )
    axis_name = None if mesh is None else epochs.AXIS
    windows = windows.with_context(_engine(problem, engine).context)
    trainer = epochs.Epoch(windows, _make_step_fn(problem, optimizer, axis_name, engine), settings, mesh)
    params = jax.tree.map(jnp.copy, problem.params)
    state = epochs.init_state(params, optimizer.init(params), jax.random.PRNGKey(0))
    return trainer, epochs.replicate(state, mesh)


def _make_step_fn(
    problem: Problem,
    optimizer: optax.GradientTransformation,
    axis_name: str | None = None,
    engine: EngineName = "jax",
) -> Callable[..., Any]:
    spec = problem.spec
    base_params, made = spec.build_base_params(TIMESTEP_HUNDREDTHS), _engine(problem, engine)
    return make_network_step_fn(
        problem.network.clone(dense=made.dense).apply,
        lambda *states, **weights: spec.loss_fn(*states, **spec.train_loss_kwargs, **weights),
        spec.param_keys,
        base_params,
        spec.dynamics_fn,
        integrate_rk4,
        optimizer,
        param_shapes=spec.full_shapes,
        batch_loss=made.train_loss,
        axis_name=axis_name,
    )


def _engine(problem: Problem, name: EngineName) -> Engine:
    return make_engine(name, problem.spec, problem.spec.build_base_params(TIMESTEP_HUNDREDTHS), "rk4", 1)
