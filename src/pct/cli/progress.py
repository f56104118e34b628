"""Progress on stderr: a bar on a terminal, a line an epoch or a step elsewhere; metrics to the tracker."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from pct.choices.steps import Step, about
from pct.cli.console import ask, progress_bar, say
from pct.optimization.constants.fitting import FitProgress
from pct.optimization.network.loop import EpochReport, StepReport
from pct.optimization.settings import TrainSettings
from pct.runs.sinks import Tracker
from pct.runs.trainings import epoch_metrics, step_metrics


def training_reporter(
    tracker: Tracker | None, settings: TrainSettings, num_samples: int, done: Sequence[StepReport] = ()
) -> TrainingProgress | Silent:
    """What shows and logs a training; silent in a process without a tracker.

    Args:
        tracker: of the process that reports.
        settings: of the training.
        num_samples: windows of an epoch.
        done: steps of a run that is resumed.
    """
    return Silent() if tracker is None else TrainingProgress(tracker, settings, num_samples, done)


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


class RunProgress:
    """Progress of `pct.run`: its choices as lines, and its steps in a bar with the time left or as lines.

    A context manager that owns the bar.
    """

    def __init__(self) -> None:
        """The bar, which begins with the context."""
        self._bar = progress_bar(
            "{task.percentage:>3.0f}%", "{task.fields[left]}", "{task.fields[doing]}", own_time=True
        )
        self._task = self._bar.add_task("", total=1.0, doing="reading", left="")

    def __enter__(self) -> RunProgress:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._bar.stop()

    def __call__(self, news: Any) -> None:
        """Show a `Step`, an iteration of the fit, or a line."""
        if isinstance(news, Step) and not self._bar.disable:
            left = "" if news.left is None else TimeLeft(news.left)
            self._bar.update(self._task, completed=news.done, doing=news.text, left=left)
        elif isinstance(news, FitProgress):  # one step, thousands of iterations
            self._bar.update(self._task, doing=f"fitting, iteration {news.iteration}")
        else:
            say(str(news), error=True)

    def ask(self, question: str) -> str:
        """A person's answer; the bar waits."""
        self._bar.stop()
        try:
            return ask(question)
        finally:
            self._bar.start()


class TimeLeft:
    """What is left of some seconds from now on, in words."""

    def __init__(self, seconds: float) -> None:
        """``seconds`` are left now."""
        self._end = time.perf_counter() + seconds

    def __str__(self) -> str:
        return f"{about(max(self._end - time.perf_counter(), 0.0))} left"
