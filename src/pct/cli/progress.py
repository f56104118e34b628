"""Progress of training on stderr: a bar on a terminal, a line an epoch elsewhere; metrics to the tracker."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType

from pct.cli.console import progress_bar, say
from pct.optimization.network.loop import EpochReport, StepReport
from pct.optimization.settings import TrainSettings
from pct.runs.sinks import Tracker
from pct.runs.trainings import epoch_metrics, step_metrics


class TrainingProgress:
    """Reporter of `pct.optimization.network.loop.train`; a context manager that owns the bar."""

    def __init__(
        self, tracker: Tracker, settings: TrainSettings, num_samples: int, done: Sequence[StepReport] = ()
    ) -> None:
        """Take over where a run with these steps was stopped."""
        self._tracker = tracker
        self._settings = settings
        epochs = f"epoch {{task.fields[epoch]:>4}}/{settings.epochs}"
        self._bar = progress_bar(epochs, "{task.percentage:>3.0f}%", "{task.fields[state]}")
        windows = settings.epochs * num_samples
        self._task = self._bar.add_task("", total=windows, epoch=1, state="compiling the first step")
        self._val = ""
        self._seen = sum(step.windows for step in done)
        self._num_samples = num_samples
        self._mark: float | None = None
        self._speed = ""

    def __enter__(self) -> TrainingProgress:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._bar.stop()

    def on_step(self, report: StepReport) -> None:
        """Move the bar and log the step."""
        self._tracker.log(step_metrics(report), step=report.step, epoch=report.epoch)
        self._seen += report.windows
        state = (
            f"loss {report.loss:.4g}{self._val}  rate {report.learning_rate:.1e}  "
            f"horizon {report.horizon}{self._speed}"
        )
        self._bar.update(self._task, completed=self._seen, epoch=report.epoch, state=state)

    def on_epoch(self, report: EpochReport) -> None:
        """Log the epoch and, off a terminal, print its line."""
        now = time.perf_counter()
        if self._mark is not None:  # the first epoch compiles; it would spoil the rate
            self._speed = f"  {self._num_samples / (now - self._mark):,.0f} windows/s"
        self._mark = now
        if report.val_loss is not None:
            self._val = f"  val {report.val_loss:.4g}"
        self._tracker.log(epoch_metrics(report), step=report.step, epoch=report.epoch)
        if self._bar.disable:
            best = "  best" if report.is_best else ""
            say(
                f"epoch {report.epoch}/{self._settings.epochs}  loss {report.train_loss:.4g}{self._val}  "
                f"rate {report.learning_rate:.1e}{self._speed}{best}",
                error=True,
            )


class Silent:
    """A reporter for the processes that leave the reporting to process 0."""

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        pass

    def on_step(self, report: StepReport) -> None:
        """Say nothing."""

    def on_epoch(self, report: EpochReport) -> None:
        """Say nothing."""
