"""The training loop: epochs, curriculum, validation, plateau, best; progress leaves by callback."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from pct.data.windows import FeatureDataset
from pct.errors import DivergedError, PctError
from pct.optimization.batching import batch_rows, take_windows, truncate_dataset_timesteps
from pct.optimization.network_training import EvalLossFn, StepFn, learning_rate, with_learning_rate
from pct.types import Array


@dataclasses.dataclass(frozen=True)
class LoopSettings:
    """What the loop needs to know; each field as in the training command's configuration."""

    epochs: int
    batch_size: int
    lr_patience: int
    lr_factor: float
    min_lr: float
    curriculum_batches: int
    curriculum_timesteps: int


class StepReport(NamedTuple):
    """One optimiser step; ``loss`` is the mean over its windows, ``step`` counts from 1."""

    step: int
    epoch: int
    loss: float
    grad_norm: float
    learning_rate: float
    horizon: int
    windows: int


class EpochReport(NamedTuple):
    """One pass over the data; losses are means over windows, ``epoch`` counts from 1."""

    epoch: int
    step: int
    train_loss: float
    val_loss: float | None
    learning_rate: float
    is_best: bool


@runtime_checkable  # the annotations are checked while the tests run
class Reporter(Protocol):
    """What the loop tells of its progress."""

    def on_step(self, report: StepReport) -> None: ...

    def on_epoch(self, report: EpochReport) -> None: ...


@dataclasses.dataclass
class TrainResult:
    """What training leaves, also when it was stopped.

    Attributes:
        params, opt_state: network and optimiser after the last sound step.
        best_params: network of the epoch with the lowest validation loss, or training loss where
            there is no validation set.
        best_epoch, best_loss: that epoch, from 1, and its loss; 0 and infinity before the first.
        steps, epochs: reports in order.
        failure: why training stopped early, or None; KeyboardInterrupt when it was interrupted.
    """

    params: Any
    opt_state: Any
    best_params: Any
    best_epoch: int = 0
    best_loss: float = math.inf
    steps: list[StepReport] = dataclasses.field(default_factory=list)
    epochs: list[EpochReport] = dataclasses.field(default_factory=list)
    failure: PctError | KeyboardInterrupt | None = None


def train(
    params: Any,
    opt_state: Any,
    dataset: FeatureDataset,
    val_dataset: FeatureDataset | None,
    *,
    step_fn: StepFn,
    eval_loss_fn: EvalLossFn,
    settings: LoopSettings,
    key: Array,
    reporter: Reporter,
    explain: Callable[[Any, FeatureDataset, np.ndarray], str],
) -> TrainResult:
    """Train for a number of epochs.

    Args:
        params, opt_state: where to start.
        dataset, val_dataset: windows; without validation the training loss steers rate and best.
        step_fn: from `make_network_step_fn`.
        eval_loss_fn: from `make_eval_loss_fn`.
        key: PRNG key of the shuffles.
        reporter: receives every step and epoch.
        explain: ``explain(params, batch, rows)`` names the source of a loss that is not finite.

    Returns:
        The result; where training diverged or was interrupted, ``failure`` says so and everything
        up to the last sound step is there.
    """
    result = TrainResult(params, opt_state, best_params=params)
    arrays = dataset._replace(origin=None)
    patience = 0
    try:
        for epoch in range(1, settings.epochs + 1):
            key, shuffle_key = jax.random.split(key)
            train_loss = _run_epoch(result, arrays, epoch, shuffle_key, step_fn, settings, reporter, explain)
            val_loss = None
            if val_dataset is not None:
                val_loss = eval_loss_fn(result.params, val_dataset)
                if not math.isfinite(val_loss):
                    cause = explain(result.params, val_dataset, np.arange(val_dataset.targets.shape[0]))
                    raise DivergedError(f"validation loss is {val_loss} after epoch {epoch}: {cause}")
            judged = train_loss if val_loss is None else val_loss
            is_best = judged < result.best_loss
            if is_best:
                result.best_params, result.best_epoch, result.best_loss = result.params, epoch, judged
            patience = 0 if is_best else patience + 1
            rate = learning_rate(result.opt_state)
            report = EpochReport(epoch, len(result.steps), train_loss, val_loss, rate, is_best)
            result.epochs.append(report)
            reporter.on_epoch(report)
            if patience >= settings.lr_patience and rate > settings.min_lr:
                lower = max(rate * settings.lr_factor, settings.min_lr)
                result.opt_state = with_learning_rate(result.opt_state, lower)
                patience = 0
    except (DivergedError, KeyboardInterrupt) as failure:
        result.failure = failure
    return result


def _run_epoch(
    result: TrainResult,
    dataset: FeatureDataset,
    epoch: int,
    key: Array,
    step_fn: StepFn,
    settings: LoopSettings,
    reporter: Reporter,
    explain: Callable[[Any, FeatureDataset, np.ndarray], str],
) -> float:
    """One pass over the data; updates ``result`` and returns the mean loss over its windows."""
    num_samples, horizon = dataset.targets.shape[:2]
    rate = learning_rate(result.opt_state)
    total = 0.0
    step = len(result.steps)

    def finish(pending: _Pending) -> float:
        loss, norm, update = float(pending.loss), float(pending.grad_norm), float(pending.update_norm)
        for what, value in (("loss", loss), ("gradient norm", norm), ("update norm", update)):
            if not math.isfinite(value):
                cause = explain(pending.params, pending.batch, pending.rows)
                raise DivergedError(
                    f"training diverged in epoch {epoch}, step {pending.step}: {what} is {value}; {cause}"
                )
        report = StepReport(
            pending.step, epoch, loss / pending.counted, norm, rate, pending.horizon, pending.counted
        )
        result.steps.append(report)
        reporter.on_step(report)
        return loss

    pending: _Pending | None = None
    for rows, count in batch_rows(key, num_samples, settings.batch_size):
        step += 1
        batch = take_windows(dataset, jnp.asarray(rows), jnp.asarray(count))
        in_curriculum = step <= settings.curriculum_batches
        steps = min(settings.curriculum_timesteps, horizon) if in_curriculum else horizon
        if in_curriculum:
            batch = truncate_dataset_timesteps(batch, steps, keep_shape=True)
        before = result.params
        params, opt_state, loss, aux = step_fn(before, result.opt_state, batch.features, batch)
        # The device works on this step while the host reads the one before.
        if pending is not None:
            total += finish(pending)
        result.params, result.opt_state = params, opt_state
        norms = aux["grad_norm"], aux["update_norm"]
        pending = _Pending(step, steps, count, rows[:count], before, batch, loss, *norms)
    if pending is not None:
        total += finish(pending)
    return total / num_samples


class _Pending(NamedTuple):
    """A step that the device may still be working on."""

    step: int
    horizon: int
    counted: int
    rows: np.ndarray
    params: Any
    batch: FeatureDataset
    loss: Array
    grad_norm: Array
    update_norm: Array
