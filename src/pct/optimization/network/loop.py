"""The training loop: epochs, validation, plateau, best network, checkpoints; progress leaves by callback."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from pct.errors import DivergedError, PctError
from pct.optimization.network.epoch import Epoch, StepMetrics, TrainState
from pct.optimization.network.step import learning_rate
from pct.optimization.settings import TrainSettings
from pct.types import Array
from pct.windows.batch import FeatureDataset
from pct.windows.window_set import WindowSet


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

    def __str__(self) -> str:
        val = "" if self.val_loss is None else f"  val {self.val_loss:.4g}"
        best = "  best" if self.is_best else ""
        return f"epoch {self.epoch}  loss {self.train_loss:.4g}{val}  rate {self.learning_rate:.1e}{best}"


@runtime_checkable  # the annotations are checked while the tests run
class Reporter(Protocol):
    """Receives the progress of the loop."""

    def on_step(self, report: StepReport) -> None:
        """A step was made."""

    def on_epoch(self, report: EpochReport) -> None:
        """An epoch has ended."""


@dataclasses.dataclass
class TrainResult:
    """Result of a training, also of one that was stopped.

    Attributes:
        state: after the last sound step.
        steps, epochs: reports in order; those before a resumption come first.
        failure: why training stopped early, or None; KeyboardInterrupt when it was interrupted.
    """

    state: TrainState
    steps: list[StepReport] = dataclasses.field(default_factory=list)
    epochs: list[EpochReport] = dataclasses.field(default_factory=list)
    failure: PctError | KeyboardInterrupt | None = None

    @property
    def best_epoch(self) -> int:
        """Epoch with the lowest loss, from 1; 0 before the first, and where the fit below is not beaten."""
        return int(self.state.best_epoch)

    @property
    def facts(self) -> dict[str, Any]:
        """The best epoch and losses, for the end of a run."""
        best = next((epoch.val_loss for epoch in self.epochs if epoch.epoch == self.best_epoch), None)
        if self.best_epoch == 0 and math.isfinite(self.best_loss):
            best = self.best_loss  # of the fit below
        return {
            "best_epoch": self.best_epoch,
            "best_train_loss": min((epoch.train_loss for epoch in self.epochs), default=None),
            "best_val_loss": best,
        }

    @property
    def best_loss(self) -> float:
        """The loss of that epoch, in validation where there is a validation set."""
        return float(self.state.best_loss)


def train(
    state: TrainState,
    windows: WindowSet,
    val_windows: WindowSet | None,
    *,
    epoch: Epoch,
    evaluate: Callable[[Any], float] | None,
    settings: TrainSettings,
    reporter: Reporter,
    explain: Callable[[Any, FeatureDataset, np.ndarray], str],
    save: Callable[[TrainState], None] = lambda state: None,
    save_every: int = 1,
    stopping: Callable[[], bool] = lambda: False,
    result: TrainResult | None = None,
    wins: Callable[[Any, int], bool] | None = None,
) -> TrainResult:
    """Train up to a number of epochs.

    Args:
        state: where to start or to go on; is used up.
        windows, val_windows: without validation the training loss steers rate and best.
        epoch: compiled over ``windows``.
        evaluate: from `make_evaluate_fn` over ``val_windows``.
        settings: epochs, curriculum and plateau.
        reporter: receives every step and epoch.
        explain: ``explain(params, batch, numbers)`` names the source of a loss that is not finite.
        save: keeps a checkpoint of the state.
        save_every: epochs from one checkpoint to the next.
        stopping: whether to stop; asked several times a second.
        result: reports of the steps and epochs before ``state``.
        wins: ``wins(params, epoch)``: whether a network with a lower loss may be the best; any when left out.

    Returns:
        The result; where training diverged or was interrupted, ``failure`` says so and everything
        up to the last sound step is there.
    """
    result = dataclasses.replace(result, state=state, failure=None) if result else TrainResult(state)
    try:
        while (done := int(result.state.epoch)) < settings.epochs:
            train_loss = _run_epoch(result, windows, epoch, reporter, explain, stopping)
            val_loss = None
            if val_windows is not None and evaluate is not None:
                val_loss = evaluate(result.state.params)
                if not math.isfinite(val_loss):
                    numbers = np.arange(min(len(val_windows), EXPLAINED))
                    cause = explain(result.state.params, val_windows.gather(numbers), numbers)
                    raise DivergedError(f"validation loss is {val_loss} after epoch {done + 1}: {cause}")
            rate = float(learning_rate(result.state.opt_state))
            loss = train_loss if val_loss is None else val_loss
            progress = False
            if wins and loss < result.best_loss and not wins(result.state.params, done + 1):
                # No better than the fit below, so not the best; yet no plateau while the loss falls.
                progress = all(loss < (before.val_loss or math.inf) for before in result.epochs)
                loss = math.inf
            result.state = epoch.finish(result.state, loss, progress)
            is_best = result.best_epoch == done + 1
            report = EpochReport(done + 1, int(result.state.step), train_loss, val_loss, rate, is_best)
            result.epochs.append(report)
            reporter.on_epoch(report)
            if (done + 1) % save_every == 0:
                save(result.state)
    except (DivergedError, KeyboardInterrupt) as failure:
        result.failure = failure
    return result


# Windows among which the source of a validation loss that is not finite is looked for.
EXPLAINED = 65536


def _run_epoch(
    result: TrainResult,
    windows: WindowSet,
    epoch: Epoch,
    reporter: Reporter,
    explain: Callable[[Any, FeatureDataset, np.ndarray], str],
    stopping: Callable[[], bool],
) -> float:
    """The rest of one pass over the data; updates ``result`` and returns the mean loss over its windows."""
    order = epoch.order(result.state)
    rate = float(learning_rate(result.state.opt_state))
    number = int(result.state.epoch) + 1
    while (position := int(result.state.position)) < epoch.steps:
        step = int(result.state.step)
        result.state, metrics = epoch.run(result.state, order, stopping())
        losses, norms = np.asarray(metrics.loss), np.asarray(metrics.grad_norm)
        made = int(result.state.position) - position
        for i in range(made):
            report = StepReport(
                step + i + 1,
                number,
                float(losses[i]),
                float(norms[i]),
                rate,
                epoch.horizon(step + i),
                epoch.counted(position + i),
            )
            result.steps.append(report)
            reporter.on_step(report)
        if not metrics.sound:
            numbers = epoch.numbers(order, position + made)
            cause = explain(result.state.params, windows.gather(numbers), numbers)
            what, value = _not_finite(metrics, made)
            raise DivergedError(
                f"training diverged in epoch {number}, step {step + made + 1}: {what} is {value}; {cause}"
            )
        if metrics.stop:
            raise KeyboardInterrupt
    return float(result.state.loss_sum) / len(windows)


def _not_finite(metrics: StepMetrics, step: int) -> tuple[str, float]:
    """Which figure of a step is not finite first."""
    figures: tuple[tuple[str, Array], ...] = (
        ("loss", metrics.loss),
        ("gradient norm", metrics.grad_norm),
        ("update norm", metrics.update_norm),
    )
    named = ((what, float(np.asarray(values)[step])) for what, values in figures)
    return next((what, value) for what, value in named if not math.isfinite(value))
