"""The state and the compiled epoch: order, one compilation, resumption to the bit, several devices."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import serialization
from jax import monitoring

from optimization.gathered_windows import GatheredWindows
from pct.optimization.network.epoch import Epoch, make_evaluate_fn
from pct.optimization.network.loop import TrainResult
from pct.optimization.network.step import learning_rate, make_window_loss_fn
from pct.runs.checkpoint import newest_state, restore_state, save_state
from pct.windows.batch import FeatureDataset

# A rate that drops, a curriculum that ends within an epoch, and a last batch of two.
EVENTFUL: dict[str, Any] = {"lr_patience": 1, "curriculum_batches": 6, "curriculum_timesteps": 2}


def assert_trees_equal(found: Any, expected: Any) -> None:
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for (path, one), other in zip(jax.tree.leaves_with_path(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(one, other, err_msg=jax.tree_util.keystr(path))


# Which windows a step reads.


def numbered(count: int) -> GatheredWindows:
    """Windows whose one feature is their number."""
    return GatheredWindows(
        FeatureDataset(
            jnp.arange(float(count))[:, None],
            jnp.zeros((count, 2, 1)),
            jnp.zeros((count, 1)),
            jnp.zeros((count, 2, 1)),
        )
    )


def mark(params: Any, opt_state: Any, features: Any, batch: FeatureDataset) -> Any:
    """A step that learns nothing; in the loss each window that counts sets the bit of its number."""
    loss = jnp.where(batch.weights.max(axis=1) > 0, 2.0 ** features[:, 0], 0.0).sum()
    return params, opt_state, loss, {"grad_norm": jnp.ones(()), "update_norm": jnp.ones(())}


def marked(epoch: Epoch, state: Any) -> list[int]:
    """Windows that count in each step of an epoch, as bits."""
    order, sums = epoch.order(state), []
    while (position := int(state.position)) < epoch.steps:
        state, metrics = epoch.run(state, order)
        losses = np.asarray(metrics.loss)[: int(state.position) - position]
        sums += [round(loss * epoch.counted(position + i)) for i, loss in enumerate(losses)]
    return sums


@pytest.mark.parametrize(("samples", "size"), [(7, 3), (8, 4), (5, 9), (1, 1), (6, 1)])
def test_every_window_counts_once_an_epoch(problem: Any, settings: Any, samples: int, size: int) -> None:
    epoch = Epoch(numbered(samples), mark, dataclasses.replace(settings, batch_size=size))
    state = problem.state()
    numbers = [epoch.numbers(epoch.order(state), i).tolist() for i in range(epoch.steps)]
    found = marked(epoch, state)
    assert found == [sum(2**number for number in step) for step in numbers]
    assert sorted(np.concatenate(numbers)) == list(range(samples))
    assert {len(step) for step in numbers[:-1]} <= {min(size, samples)}
    assert [len(step) for step in numbers] == [epoch.counted(i) for i in range(epoch.steps)]


def test_every_epoch_is_shuffled_anew(problem: Any, settings: Any) -> None:
    epoch = Epoch(numbered(50), mark, settings)
    first, again, other = (np.asarray(epoch.order(problem.state(seed))).tolist() for seed in (0, 0, 1))
    state = problem.state()
    second = np.asarray(epoch.order(state._replace(epoch=state.epoch + 1))).tolist()
    assert first == again
    assert len({tuple(order) for order in (first, other, second, range(50))}) == 4


def test_stretches_change_nothing(problem: Any, run: Any, request: pytest.FixtureRequest) -> None:
    whole = run(epochs=2, **EVENTFUL)
    request.getfixturevalue("short_stretches")
    parts = run(epochs=2, **EVENTFUL)
    (epoch,) = problem.epochs.values()
    assert (epoch.steps_per_call, epoch.steps) == (2, 4)
    assert (parts.steps, parts.epochs) == (whole.steps, whole.epochs)
    assert_trees_equal(parts.state, whole.state)


def test_weights_of_the_windows_are_kept(problem: Any, run: Any) -> None:
    """Without weight the later half of the horizon might hold anything."""
    weights = jnp.ones((14, 4)).at[:, 2:].set(0.0)
    weighted = problem.dataset._replace(weights=weights)
    spoiled = weighted._replace(targets=weighted.targets.at[:, 2:].set(jnp.nan))
    one, other = (run(epochs=1, windows=GatheredWindows(dataset)) for dataset in (weighted, spoiled))
    assert other.failure is None
    assert_trees_equal(other.state, one.state)


# Validation.


@pytest.mark.parametrize("chunk_size", [1, 3, 8, 100])
def test_validation_is_the_mean_over_windows(problem: Any, chunk_size: int) -> None:
    window_loss = make_window_loss_fn(problem.network.apply, problem.engine.eval_loss)
    evaluate = make_evaluate_fn(GatheredWindows(problem.val_dataset), window_loss, chunk_size)
    expected = problem.eval_loss_fn(problem.params, problem.val_dataset)
    assert evaluate(problem.params) == pytest.approx(expected, rel=1e-6)


# The end of an epoch.


def test_a_drop_keeps_adamw_and_its_moments(problem: Any, run: Any, settings: Any) -> None:
    before = jax.device_get(run(epochs=1).state)
    epoch = problem.epoch(dataclasses.replace(settings, lr_patience=1))
    after = epoch.finish(jax.tree.map(jnp.asarray, before), before.best_loss + 1.0)
    assert learning_rate(after.opt_state) == pytest.approx(0.5 * learning_rate(before.opt_state))
    assert int(after.epochs_without_better) == 0
    # Step count and both moments, which training has filled.
    assert_trees_equal(after.opt_state.inner_state, before.opt_state.inner_state)
    assert_trees_equal(after.params, before.params)
    moments = jax.tree.leaves(after.opt_state.inner_state)
    assert any(np.abs(leaf).max() > 0 for leaf in moments if np.ndim(leaf) == 1)


# One compilation.


@pytest.fixture
def compilations() -> Iterator[list[str]]:
    """Grows with everything that is compiled, also what comes out of the cache on disk."""
    found: list[str] = []

    def listen(event: str, duration: float, **_: Any) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            found.append(event)

    monitoring.register_event_duration_secs_listener(listen)
    yield found
    monitoring.unregister_event_duration_listener(listen)


def test_nothing_is_compiled_twice(
    problem: Any, run: Any, compilations: list[str], tmp_path: Path, short_stretches: None
) -> None:
    def evaluate(params: Any) -> float:
        return 1.0 + 0.0 * problem.evaluate(params)

    start, more = problem.state(), problem.state()
    result = run(state=start, epochs=1, evaluate=evaluate, **EVENTFUL)
    assert compilations
    run(state=problem.state(), result=result, epochs=1, evaluate=evaluate, **EVENTFUL)
    compilations.clear()
    result = run(state=result.state, result=result, epochs=4, evaluate=evaluate, **EVENTFUL)
    # Full and short batches, both horizons and a falling rate were all there.
    assert {report.windows for report in result.steps} == {4, 2}
    assert {report.horizon for report in result.steps} == {2, 4}
    assert len({report.learning_rate for report in result.steps}) == 3
    assert compilations == []
    # Resumption from a file is no new shape, and neither is a fresh start.
    save_state(tmp_path, jax.device_get(result.state), int(result.state.step))
    run(state=restored(tmp_path, problem), epochs=5, evaluate=evaluate, **EVENTFUL)
    run(state=more, epochs=1, evaluate=evaluate, **EVENTFUL)
    assert compilations == []
    (epoch,) = problem.epochs.values()
    assert epoch._run._cache_size() == 1


# Resumption.


def restored(run_folder: Path, problem: Any) -> Any:
    saved = newest_state(run_folder)
    assert saved is not None
    return restore_state(saved, problem.state())


def resume(problem: Any, run: Any, folder: Path, result: TrainResult, **options: Any) -> TrainResult:
    """Go on from what a file holds of the state."""
    save_state(folder, jax.device_get(result.state), int(result.state.step))
    return run(state=restored(folder, problem), result=result, **options)


def test_a_resumed_training_is_that_of_one_go(problem: Any, run: Any, tmp_path: Path) -> None:
    whole = run(epochs=4, **EVENTFUL)
    half = run(epochs=2, **EVENTFUL)
    result = resume(problem, run, tmp_path, half, epochs=4, **EVENTFUL)
    assert (result.steps, result.epochs) == (whole.steps, whole.epochs)
    assert_trees_equal(result.state, whole.state)


@pytest.mark.parametrize("stretches", [1, 2, 3], ids=["within an epoch", "at its end", "in the next"])
def test_a_training_that_was_stopped_goes_on_where_it_was(
    problem: Any, run: Any, tmp_path: Path, short_stretches: None, stretches: int
) -> None:
    whole = run(epochs=3, **EVENTFUL)
    asked = iter([False] * (stretches - 1) + [True])
    stopped = run(epochs=3, stopping=lambda: next(asked), **EVENTFUL)
    assert isinstance(stopped.failure, KeyboardInterrupt)
    assert (int(stopped.state.epoch), int(stopped.state.position)) == [(0, 2), (0, 4), (1, 2)][stretches - 1]
    result = resume(problem, run, tmp_path, stopped, epochs=3, **EVENTFUL)
    assert (result.steps, result.epochs) == (whole.steps, whole.epochs)
    assert_trees_equal(result.state, whole.state)


def test_what_ended_the_first_part_is_over_when_training_goes_on(run: Any) -> None:
    stopped = run(epochs=1, stopping=lambda: True)
    assert isinstance(stopped.failure, KeyboardInterrupt)
    assert run(state=stopped.state, result=stopped, epochs=1).failure is None


def test_checkpoints_come_every_so_many_epochs(run: Any) -> None:
    saved = []
    result = run(epochs=5, save=lambda state: saved.append(jax.device_get(state)), save_every=2)
    assert [int(state.epoch) for state in saved] == [2, 4]
    again = run(state=jax.tree.map(jnp.asarray, saved[1]), epochs=5)
    assert_trees_equal(again.state, result.state)


# Several devices.

TWO_DEVICES = """
import runpy, sys
import jax
from flax import serialization

jax.config.update("jax_enable_x64", True)
from pct.optimization.network.epoch import make_mesh, replicate

problem_py, out = sys.argv[1:]
problem_module = runpy.run_path(problem_py)
mesh = make_mesh()
assert mesh.size == 2
problem = problem_module["make_problem"](mesh=mesh)
state = replicate(problem.state(), mesh)
result = problem_module["run_problem"](problem, state=state, epochs=3, batch_size=5)
assert result.failure is None, result.failure
reports = [report.loss for report in result.steps] + [report.val_loss for report in result.epochs]
with open(out, "wb") as file:
    file.write(serialization.to_bytes((jax.device_get(result.state), reports)))
"""


def test_two_devices_train_as_one(problem: Any, run: Any, tmp_path: Path) -> None:
    """A batch of five is shared, so one device has a window less."""
    environment = os.environ | {
        "XLA_FLAGS": f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=2",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "JAX_COMPILATION_CACHE_DIR": str(jax.config.jax_compilation_cache_dir),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "true",
    }
    out = tmp_path / "state"
    conftest = Path(__file__).parents[1] / "conftest.py"
    done = subprocess.run(
        [sys.executable, "-c", TWO_DEVICES, conftest, out],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    one = run(epochs=3, batch_size=5)
    template = jax.device_get(one.state), [0.0] * (len(one.steps) + len(one.epochs))
    two, reports = serialization.from_bytes(template, out.read_bytes())
    expected = [report.loss for report in one.steps] + [report.val_loss for report in one.epochs]
    np.testing.assert_allclose(reports, expected, rtol=1e-5)
    for found, leaf in zip(jax.tree.leaves(two), jax.tree.leaves(one.state), strict=True):
        np.testing.assert_allclose(found, leaf, rtol=1e-5, atol=1e-7)
