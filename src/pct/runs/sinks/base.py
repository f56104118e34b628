"""What every sink is. Metrics are named split/quantity: ``train/loss`` by step, ``val/loss`` by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable


@runtime_checkable  # the annotations are checked while the tests run
class Tracker(Protocol):
    """Takes the metrics of a run as they come."""

    def log(self, metrics: Mapping[str, float], *, step: int | None = None, epoch: int | None = None) -> None:
        """Record metrics at a training step, an epoch or both."""

    def summary(self, values: Mapping[str, Any]) -> None:
        """Record what the run came to: best losses, settings of the curriculum."""

    def close(self, exit_code: int = 0) -> None:
        """End the record; an exit code other than 0 marks the run as failed."""


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
