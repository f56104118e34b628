"""The training loop: rate, moments, best, curriculum, and honest failures."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from optimization.gathered_windows import GatheredWindows
from pct.errors import DivergedError
from pct.optimization.batching import truncate_dataset_timesteps
from pct.optimization.network import step as network_training
from pct.optimization.network.divergence import make_explain_fn
from pct.optimization.network.step import learning_rate, make_predict_fn, with_learning_rate
from pct.windows.batch import FeatureDataset

STEPS = 4  # batches of an epoch: 14 windows in fours


def take(dataset: FeatureDataset, rows: Sequence[int], count: int | None = None) -> FeatureDataset:
    """A batch of these windows, of which the first so many have weight."""
    batch = GatheredWindows(dataset).take(dataset._replace(origin=None), jnp.asarray(rows))
    counts = jnp.arange(len(rows)) < (len(rows) if count is None else count)
    return batch._replace(weights=jnp.ones(batch.targets.shape[:2]) * counts[:, None])


def assert_trees_equal(found: Any, expected: Any) -> None:
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for (path, one), other in zip(jax.tree.leaves_with_path(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(one, other, err_msg=jax.tree_util.keystr(path))


def same(found: Any, expected: Any) -> bool:
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)
    return all(np.array_equal(one, other) for one, other in pairs)


def scripted(losses: list[float]) -> Callable[[Any], float]:
    """Validation losses as they are given, the last one for ever."""
    remaining = itertools.chain(losses, itertools.repeat(losses[-1]))
    return lambda params: next(remaining)


# What is learned.


def test_training_lowers_the_loss_and_finds_the_gain(problem: Any, run: Any) -> None:
    result = run(epochs=60)
    assert result.failure is None
    assert result.epochs[-1].train_loss < 0.1 * result.epochs[0].train_loss
    assert result.best_loss < 0.2 * result.epochs[0].val_loss
    features = jnp.asarray([[-1.0], [1.0]])
    gain = problem.network.apply(result.state.best_params, features)[:, 0]
    np.testing.assert_allclose(gain, [0.8, 1.2], atol=0.05)


def test_reports_are_means_over_windows(problem: Any, run: Any, recorder: Any) -> None:
    result = run(epochs=2, reporter=recorder)
    assert (recorder.steps, recorder.epochs) == (result.steps, result.epochs)
    assert [report.step for report in result.steps] == list(range(1, 2 * STEPS + 1))
    assert [report.epoch for report in result.steps] == [1] * STEPS + [2] * STEPS
    assert [report.windows for report in result.steps] == [4, 4, 4, 2] * 2
    assert {report.horizon for report in result.steps} == {4}
    for epoch in result.epochs:
        steps = [report for report in result.steps if report.epoch == epoch.epoch]
        mean = sum(report.loss * report.windows for report in steps) / 14
        assert epoch.train_loss == pytest.approx(mean)
        assert epoch.step == steps[-1].step
    # The first step's loss is that of the start, on the windows that it says.
    first = result.steps[0]
    assert first.loss == pytest.approx(problem.eval_loss_fn(problem.params, problem.dataset), rel=1.0)


def test_one_batch_of_all_windows_reports_the_mean_loss(problem: Any, run: Any) -> None:
    result = run(epochs=1, batch_size=100)
    start = problem.eval_loss_fn(problem.params, problem.dataset)
    assert result.steps[0].loss == pytest.approx(start)
    end = problem.eval_loss_fn(result.state.params, problem.val_dataset)
    assert result.epochs[0].val_loss == pytest.approx(end)


def test_the_seed_alone_decides(run: Any) -> None:
    one, again, other = (run(seed=seed, epochs=2) for seed in (3, 3, 4))
    assert_trees_equal(again.state.params, one.state.params)
    assert [step.loss for step in again.steps] == [step.loss for step in one.steps]
    assert not same(other.state.params, one.state.params)


# Best parameters and the learning rate.


def test_the_best_parameters_are_those_of_the_best_epoch(run: Any) -> None:
    snapshots = []
    losses = iter([3.0, 1.0, 2.0, 1.0, 5.0])

    def evaluate(params: Any) -> float:
        snapshots.append(jax.tree.map(np.array, params))
        return next(losses)

    result = run(epochs=5, evaluate=evaluate)
    assert (result.best_epoch, result.best_loss) == (2, 1.0)
    assert [epoch.is_best for epoch in result.epochs] == [True, True, False, False, False]
    assert_trees_equal(result.state.best_params, snapshots[1])
    assert_trees_equal(result.state.params, snapshots[4])
    assert not same(result.state.params, result.state.best_params)


def test_an_epoch_that_does_not_win_is_never_the_best(problem: Any, run: Any) -> None:
    """On top of a fit the state begins with the fit and its loss as the best."""
    asked = []

    def wins(params: Any, epoch: int) -> bool:
        asked.append(epoch)
        return epoch == 4

    def state() -> Any:
        start = problem.state()
        fit = jax.tree.map(lambda leaf: 0 * leaf, start.params)
        return start._replace(best_params=fit, best_loss=jnp.asarray(2.5, start.best_loss.dtype))

    losses = [3.0, 2.0, 1.5, 1.8, 1.9]
    result = run(state=state(), epochs=5, evaluate=scripted(losses), wins=wins)
    # A loss above the best is not asked for; one that was refused is not the one to beat.
    assert asked == [2, 3, 4]
    assert (result.best_epoch, result.best_loss) == (4, pytest.approx(1.8))
    assert [epoch.is_best for epoch in result.epochs] == [False, False, False, True, False]
    assert result.facts["best_val_loss"] == 1.8

    # No plateau while the loss falls; from the third epoch on it is one.
    result = run(
        state=state(), epochs=6, lr_patience=2, lr_factor=0.1, evaluate=scripted([2.0, 1.5, 1.8]),
        wins=lambda *_: False,
    )  # fmt: skip
    np.testing.assert_allclose([e.learning_rate for e in result.epochs], [1e-2] * 4 + [1e-3] * 2, rtol=1e-6)

    result = run(state=state(), epochs=3, evaluate=scripted(losses), wins=lambda *_: False)
    assert (result.best_epoch, result.best_loss) == (0, 2.5)
    assert result.facts["best_val_loss"] == 2.5
    assert all(not leaf.any() for leaf in jax.tree.leaves(result.state.best_params))


def test_without_validation_the_training_loss_decides(run: Any) -> None:
    result = run(epochs=3, val_windows=None, evaluate=None)
    losses = [epoch.train_loss for epoch in result.epochs]
    assert [epoch.val_loss for epoch in result.epochs] == [None] * 3
    assert result.best_loss == min(losses)
    assert result.best_epoch == 1 + int(np.argmin(losses))


def test_the_rate_drops_after_so_many_epochs_without_a_better_one(run: Any) -> None:
    # Best in epochs 1 and 6; from there on nothing is better. The count starts anew after a drop.
    losses = [3.0, 4.0, 4.0, 4.0, 4.0, 2.0, 2.5, 2.0, 2.5]
    result = run(epochs=10, lr_patience=2, lr_factor=0.1, min_lr=2e-5, evaluate=scripted(losses))
    rates = [epoch.learning_rate for epoch in result.epochs]
    # An epoch reports the rate that it ran at; the drop is seen in the next one. The floor is reached last.
    np.testing.assert_allclose(rates, [1e-2] * 3 + [1e-3] * 2 + [1e-4] * 3 + [2e-5] * 2, rtol=1e-6)
    assert [step.learning_rate for step in result.steps] == list(np.repeat(rates, STEPS))


def test_the_rate_never_goes_below_its_floor(run: Any) -> None:
    result = run(epochs=6, lr_patience=1, lr_factor=0.1, min_lr=3e-3, evaluate=scripted([1.0]))
    rates = [epoch.learning_rate for epoch in result.epochs]
    np.testing.assert_allclose(rates, [1e-2, 1e-2, 3e-3, 3e-3, 3e-3, 3e-3], rtol=1e-6)


def test_after_a_drop_it_still_is_adamw_at_the_lower_rate(problem: Any) -> None:
    """One step at half the rate moves half as far, decay of the weights included."""
    batch = take(problem.dataset, range(4))
    state = problem.opt_state
    params, state, _, _ = problem.step_fn(problem.params, state, batch.features, batch)

    def move(opt_state: Any) -> Any:
        after, *_ = problem.step_fn(params, opt_state, batch.features, batch)
        return jax.tree.map(lambda new, old: new - old, after, params)

    whole, half = move(state), move(with_learning_rate(state, 0.5 * learning_rate(state)))
    for one, other in zip(jax.tree.leaves(whole), jax.tree.leaves(half), strict=True):
        np.testing.assert_allclose(other, 0.5 * np.asarray(one), rtol=1e-4, atol=1e-9)


def test_the_optimizer_decays_weights() -> None:
    """AdamW, not Adam: without a gradient the weights still shrink, by rate times decay."""
    optimizer = network_training.make_optimizer(0.1, 1.0)
    params = {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}
    updates, _ = optimizer.update(jax.tree.map(jnp.zeros_like, params), optimizer.init(params), params)
    assert (np.asarray(updates["kernel"]) < 0).all()


def test_the_gradient_is_clipped() -> None:
    optimizer = network_training.make_optimizer(1.0, 1e-3)
    params = {"bias": jnp.zeros(2)}
    state = optimizer.init(params)
    _, one = optimizer.update({"bias": jnp.asarray([3e8, 4e8])}, state, params)
    _, other = optimizer.update({"bias": jnp.asarray([6e-4, 8e-4])}, state, params)
    for found, expected in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6)


# Curriculum and the last batch.


def test_the_curriculum_ends_after_its_steps(run: Any) -> None:
    result = run(epochs=2, curriculum_batches=5, curriculum_timesteps=3)
    assert [report.horizon for report in result.steps] == [3] * 5 + [4] * 3
    longer = run(epochs=1, curriculum_batches=2, curriculum_timesteps=50)
    assert [report.horizon for report in longer.steps] == [4] * 4


def test_the_curriculum_trains_on_the_shorter_horizon(problem: Any, run: Any) -> None:
    """The first step of the curriculum is the step of a set that was cut, not only masked."""
    cut = truncate_dataset_timesteps(problem.dataset, 2)
    short = run(epochs=1, batch_size=100, curriculum_batches=1, curriculum_timesteps=2)
    whole = run(epochs=1, batch_size=100)
    expected = run(epochs=1, batch_size=100, windows=GatheredWindows(cut))
    pairs = zip(jax.tree.leaves(short.state.params), jax.tree.leaves(expected.state.params), strict=True)
    for found, leaf in pairs:
        np.testing.assert_allclose(found, leaf, rtol=1e-6, atol=1e-9)
    assert short.steps[0].loss == pytest.approx(expected.steps[0].loss)
    assert short.steps[0].loss != pytest.approx(whole.steps[0].loss)


def test_the_last_batch_trains_as_if_it_were_short(problem: Any) -> None:
    """Filling up neither adds to the loss nor dilutes the gradient."""
    rows = [2, 9, 2, 9]
    filled = take(problem.dataset, rows, 2)
    short = take(problem.dataset, rows[:2], 2)
    results = [
        problem.step_fn(problem.params, problem.opt_state, batch.features, batch) for batch in (filled, short)
    ]
    (params, _, loss, aux), (expected, _, expected_loss, expected_aux) = results
    assert float(loss) == pytest.approx(float(expected_loss), rel=1e-6)
    assert float(aux["grad_norm"]) == pytest.approx(float(expected_aux["grad_norm"]), rel=1e-6)
    for found, leaf in zip(jax.tree.leaves(params), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(found, leaf, rtol=1e-6, atol=1e-9)


# Failures.


def spoiled(problem: Any, **columns: tuple[Any, float]) -> GatheredWindows:
    """The training windows with a value put at an index of some arrays."""
    dataset = problem.dataset
    for name, (index, value) in columns.items():
        dataset = dataset._replace(**{name: getattr(dataset, name).at[index].set(value)})
    return GatheredWindows(dataset)


def explain_fn(problem: Any) -> Callable[..., str]:
    predict_fn = make_predict_fn(problem.network.apply, problem.base_params, problem.spec, chunk_size=8)
    return make_explain_fn(problem.network.apply, predict_fn, problem.spec)


@pytest.mark.parametrize(
    ("columns", "cause"),
    [
        ({"features": ((5, 0), math.nan)}, r"the features of window 5 \('drive/1' at 0.25 s\)"),
        ({"targets": ((6, 2, 1), math.inf)}, r"the targets of window 6 \('drive/0' at 0.30 s\)"),
        ({"controls": ((3, 0, 0), math.nan)}, r"the controls of window 3 \('drive/1' at 0.15 s\)"),
        (
            {"initial_states": ((4, 3), math.inf)},
            r"state \w+ of window 4 \('drive/0' at 0.20 s\) is not finite from step 1 on \(1 of \d windows\)",
        ),
    ],
)
def test_a_loss_that_is_not_finite_names_its_source(problem: Any, run: Any, columns: Any, cause: str) -> None:
    result = run(windows=spoiled(problem, **columns), explain=explain_fn(problem))
    assert isinstance(result.failure, DivergedError)
    message = str(result.failure)
    with pytest.raises(
        DivergedError, match=rf"^training diverged in epoch 1, step \d: loss is .*; .*{cause}"
    ):
        raise result.failure
    assert len(message.splitlines()) <= 2
    assert result.failure.exit_code == 4


def test_a_parameter_that_is_not_finite_is_named(problem: Any, run: Any) -> None:
    params = jax.tree.map(lambda leaf: leaf, problem.params)
    params["params"]["Dense_1"]["bias"] = params["params"]["Dense_1"]["bias"].at[1].set(jnp.nan)
    result = run(state=problem.state(params=params), explain=explain_fn(problem))
    assert "parameter beta_psi_dot of window" in str(result.failure)
    assert "lower `lr`" in str(result.failure)


def test_what_was_learned_before_a_failure_is_kept(problem: Any, run: Any, settings: Any) -> None:
    """The bad window stops training in the step that holds it; earlier steps stay."""
    sound = run(epochs=1)
    epoch = problem.epoch(settings)
    row = int(epoch.numbers(epoch.order(problem.state()), 2)[0])  # a window of the third batch
    result = run(epochs=2, windows=spoiled(problem, targets=((row, 0, 0), math.nan)))
    assert isinstance(result.failure, DivergedError)
    assert "epoch 1, step 3" in str(result.failure)
    assert result.steps == sound.steps[:2]
    assert result.epochs == []
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(result.state._replace(best_loss=0.0)))
    # Two steps were made: no more, no less.
    assert (int(result.state.step), int(result.state.position), int(result.state.epoch)) == (2, 2, 0)
    count = [leaf for leaf in jax.tree.leaves(result.state.opt_state) if leaf.dtype.kind == "i"]
    assert {int(leaf) for leaf in count} == {2}
    batch = take(problem.dataset, range(4))
    again = problem.step_fn(result.state.params, result.state.opt_state, batch.features, batch)
    assert float(again[2]) > 0


def test_a_step_that_is_not_finite_changes_nothing(problem: Any) -> None:
    batch = take(spoiled(problem, targets=((0, 0, 0), math.nan)).gather(), range(4))
    params, opt_state, loss, _ = problem.step_fn(problem.params, problem.opt_state, batch.features, batch)
    assert not math.isfinite(float(loss))
    assert_trees_equal(params, problem.params)
    assert_trees_equal(opt_state, problem.opt_state)


def test_an_update_that_overflows_changes_nothing(problem: Any, run: Any) -> None:
    """Loss and gradient are fine, but where they would lead is not."""
    opt_state = with_learning_rate(problem.opt_state, 1e38)
    result = run(state=problem.state(opt_state=opt_state))
    assert isinstance(result.failure, DivergedError)
    assert "epoch 1, step 1: update norm is inf" in str(result.failure)
    assert_trees_equal(result.state.params, problem.params)


def test_a_validation_loss_that_is_not_finite_stops_training(problem: Any, run: Any) -> None:
    targets = problem.val_dataset.targets.at[3, 1, 0].set(jnp.nan)
    result = run(
        val_windows=GatheredWindows(problem.val_dataset._replace(targets=targets)),
        evaluate=scripted([math.nan]),
        explain=explain_fn(problem),
    )
    assert str(result.failure).startswith(
        "validation loss is nan after epoch 1: the targets of window 3 ('drive/1' at 0.15 s) are not finite"
    )
    assert len(result.steps) == STEPS
    assert not same(result.state.params, problem.params)


def test_an_interrupt_returns_what_was_learned(problem: Any, run: Any, short_stretches: None) -> None:
    """The loop stops after the running call."""
    asked = iter([False] * (STEPS // 2) + [True])
    result = run(epochs=5, batch_size=4, stopping=lambda: next(asked))
    assert isinstance(result.failure, KeyboardInterrupt)
    assert len(result.epochs) == 1
    assert len(result.steps) == STEPS + 2
    assert (int(result.state.epoch), int(result.state.position)) == (1, 2)
    assert result.best_epoch == 1
    assert not same(result.state.params, problem.params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(result.state))
