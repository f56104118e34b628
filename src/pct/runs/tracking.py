"""Metric sinks: ``metrics.jsonl`` always, Weights & Biases when a project is named.

Metrics are named split/quantity, e.g. ``train/loss`` by step and ``val/loss`` by epoch.
"""

from __future__ import annotations

import json
import logging
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TextIO, runtime_checkable

from pct.errors import DataError, UsageError
from pct.files import write_output
from pct.runs.directory import to_json

METRICS = "metrics.jsonl"

# The documented pairs first; the patterns give every other metric of a split the same axis.
STEP_METRICS = {"train/loss": "step", "val/loss": "epoch", "train/*": "step", "val/*": "epoch"}

logger = logging.getLogger(__name__)


@runtime_checkable  # the annotations are checked while the tests run
class Tracker(Protocol):
    """Takes the metrics of a run as they come."""

    def log(self, metrics: Mapping[str, float], *, step: int | None = None, epoch: int | None = None) -> None:
        """Record metrics at a training step, an epoch or both."""

    def summary(self, values: Mapping[str, Any]) -> None:
        """Record what the run came to: best losses, settings of the curriculum."""

    def close(self, exit_code: int = 0) -> None:
        """End the record; an exit code other than 0 marks the run as failed."""


def open_tracker(run: Path, wandb_project: str | None, config: Mapping[str, Any]) -> Tracker:
    """The sinks of a run as one tracker.

    Args:
        run: the run folder; every sink writes in there.
        wandb_project: project on Weights & Biases, None for none.
        config: the settings of the run.

    Raises:
        UsageError: a project is named, but W&B is not installed or does not start.
    """
    # W&B first: where it does not start, no file is left open.
    remote = [] if wandb_project is None else [WandbTracker(run, wandb_project, config)]
    return FanOut([JsonlTracker(run / METRICS), *remote])


def read_metrics(run: Path, *, step: int, epoch: int) -> list[dict[str, Any]]:
    """What a run had logged up to a checkpoint, without a line that was cut short.

    Args:
        run: the run folder.
        step, epoch: steps and whole epochs that the checkpoint holds.
    """
    path = run / METRICS
    rows = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else ():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        whole_epoch = "train/loss" not in row
        if row.get("step", math.inf) <= step and (not whole_epoch or row.get("epoch", math.inf) <= epoch):
            rows.append(row)
    return rows


def write_metrics(run: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Put rows in the place of what a run had logged.

    Raises:
        DataError: the file cannot be written.
    """
    text = "".join(json.dumps(to_json(row), allow_nan=False) + "\n" for row in rows)
    write_output(run / METRICS, text.encode())


class JsonlTracker:
    """One JSON object a line, handed to the system at once, so that a crash costs the last line at most.

    A line holds ``time`` (s since the epoch of Unix), ``step`` and ``epoch`` where given, and the metrics;
    one that is not finite is null. The summary is a line ``{"time": ..., "summary": {...}}``.
    Where the file was replaced the next line goes to the new one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._guard():
            self.file: TextIO = path.open("a", encoding="utf-8")

    def log(self, metrics: Mapping[str, float], *, step: int | None = None, epoch: int | None = None) -> None:
        where = {name: at for name, at in (("step", step), ("epoch", epoch)) if at is not None}
        self._write({**where, **metrics})

    def summary(self, values: Mapping[str, Any]) -> None:
        self._write({"summary": values})

    def close(self, exit_code: int = 0) -> None:
        with self._guard():
            self.file.close()

    def _write(self, row: Mapping[str, Any]) -> None:
        line = json.dumps(to_json({"time": round(time.time(), 3), **row}), allow_nan=False)
        with self._guard():
            if os.fstat(self.file.fileno()).st_nlink == 0 and self.path.parent.exists():
                self.file.close()
                self.file = self.path.open("a", encoding="utf-8")
            self.file.write(line + "\n")
            self.file.flush()

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DataError(
                f"{self.path}: cannot write ({error.strerror}): "
                "free some space or choose a results folder that can be written"
            ) from None


class WandbTracker:
    """Weights & Biases, online or, with ``WANDB_MODE=offline``, into the run folder.

    Once started it cannot fail the run: the first error is a warning, and logging to W&B ends there.
    """

    def __init__(self, run: Path, project: str, config: Mapping[str, Any]) -> None:
        try:
            # Not `import wandb`: a leftover folder of that name in the working directory would satisfy it.
            from wandb import init
        except ImportError:
            raise UsageError(
                f"--wandb-project {project}: expected the package wandb, found none: "
                'pip install "pct[wandb]", or leave the flag out'
            ) from None
        try:
            self.run = init(project=project, name=run.name, dir=str(run), config=to_json(config))
        except Exception as error:
            raise UsageError(
                f"--wandb-project {project}: W&B did not start ({error}): "
                "run `wandb login`, or set WANDB_MODE=offline"
            ) from None
        self.working = True
        for metric, axis in STEP_METRICS.items():
            self._try(self.run.define_metric, metric, step_metric=axis)

    def log(self, metrics: Mapping[str, float], *, step: int | None = None, epoch: int | None = None) -> None:
        where = {name: at for name, at in (("step", step), ("epoch", epoch)) if at is not None}
        self._try(self.run.log, {**where, **metrics})

    def summary(self, values: Mapping[str, Any]) -> None:
        self._try(lambda: self.run.summary.update(to_json(values)))

    def close(self, exit_code: int = 0) -> None:
        self._try(self.run.finish, exit_code=exit_code)

    def _try(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        if not self.working:
            return
        try:
            call(*args, **kwargs)
        except Exception as error:
            self.working = False
            logger.warning(
                "W&B stopped taking metrics (%s); the run goes on, %s has them all", error, METRICS
            )


class FanOut:
    """Several trackers as one."""

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self.trackers = trackers

    def log(self, metrics: Mapping[str, float], *, step: int | None = None, epoch: int | None = None) -> None:
        for tracker in self.trackers:
            tracker.log(metrics, step=step, epoch=epoch)

    def summary(self, values: Mapping[str, Any]) -> None:
        for tracker in self.trackers:
            tracker.summary(values)

    def close(self, exit_code: int = 0) -> None:
        for tracker in self.trackers:
            tracker.close(exit_code)
