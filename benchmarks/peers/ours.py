"""PCT's own engine: the epoch that `pct train` runs, with what else `engine.py` asks of it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from pct.optimization.network import epoch as epochs
from pct.optimization.network.training import Learner, TrainingWindows, make_learner
from pct.rollout.engine import EngineName
from peers.compilations import Compilations
from peers.problem import HORIZON, SETTINGS, Problem


def make_epoch(problem: Problem, batch_size: int, engine: EngineName = "jax") -> Callable[[], int]:
    """``epoch()`` trains on all windows once and returns their number."""
    learner = _learner(problem, batch_size=batch_size, engine=engine)
    state = epochs.replicate(learner.start(), learner.mesh)

    def epoch() -> int:
        nonlocal state
        state = _run(learner.epoch, state)
        state = learner.epoch.finish(state, 1.0)
        return len(problem.numbered)

    return epoch


def first_gradient(
    problem: Problem, batch_size: int, engine: EngineName = "jax"
) -> tuple[float, list[np.ndarray]]:
    """Loss of the first windows at the start, and its gradient by each weight."""
    # An optimiser whose state is the gradient that the step computed.
    learner = dataclasses.replace(_learner(problem, engine=engine), optimizer=optax.trace(decay=0.0))
    state, windows = learner.start(), problem.numbered
    batch = windows.take(windows.arrays, jnp.arange(batch_size))
    _, opt_state, loss, _ = learner.step_fn()(state.params, state.opt_state, batch.features, batch)
    return float(loss) / batch_size, [np.asarray(leaf) for leaf in jax.tree.leaves(opt_state.trace)]


def recompiles(problem: Problem, batch_size: int) -> int:
    """Compilations of three epochs after the first steps, the first validation and the first end of an epoch.

    The rate drops, the curriculum ends, the last batch is odd, and the last epoch goes on from a saved state.
    """
    learner = _learner(
        problem,
        batch_size=batch_size,
        lr_patience=1,
        curriculum_batches=len(problem.numbered) // batch_size + 3,
        curriculum_timesteps=HORIZON // 2,
    )
    trainer, state = learner.epoch, epochs.replicate(learner.start(), learner.mesh)
    assert learner.evaluate is not None
    saved = jax.device_get(state)
    trainer.finish(jax.tree.map(jnp.asarray, saved), jnp.asarray(1.0))
    state, _ = trainer.run(state, trainer.order(state))
    learner.evaluate(state.params)
    compilations = Compilations()
    for judged in (1.0, 2.0, 2.0):
        state = _run(trainer, state)
        learner.evaluate(state.params)
        state = trainer.finish(state, jnp.asarray(judged))
        state = jax.tree.map(jnp.asarray, jax.device_get(state))
    return compilations.count


def bytes_per_window(problem: Problem) -> float:
    """Stored data of one window at stride 1: rows, times, window starts; no history features."""
    windows = problem.numbered
    host = (windows.store.times, windows.store.recording, windows.store.truth)
    return sum(leaf.nbytes for leaf in (*jax.tree.leaves(windows.arrays), *host)) / len(windows)


def temp_bytes_per_window(problem: Problem, batch_size: int) -> float:
    """Memory that the compiled epoch takes beside its arguments and results, of one window of a batch."""
    learner = _learner(problem, batch_size=batch_size)
    return learner.epoch.temporary_bytes(learner.start()) / batch_size


def _run(trainer: epochs.Epoch, state: epochs.TrainState) -> epochs.TrainState:
    order = trainer.order(state)
    while int(state.position) < trainer.steps:
        state, told = trainer.run(state, order)
        assert told.sound
        assert math.isfinite(np.asarray(told.loss).sum())
    return state


def _learner(problem: Problem, **settings: Any) -> Learner:
    """What `pct train` makes of the problem; the windows are those of validation, too."""
    windows = TrainingWindows(problem.numbered, problem.numbered)
    return make_learner(problem.spec, windows, dataclasses.replace(SETTINGS, **settings))
