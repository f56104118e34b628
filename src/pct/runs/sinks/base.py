"""What every sink is. Metrics are named split/quantity: ``train/loss`` by step, ``val/loss`` by epoch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from pct.runs.sinks.jsonl import METRICS

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


class Service:
    """Calls to a tracking service; once started it cannot fail the run.

    The first error is a warning, and logging to the service ends there.
    """

    def __init__(self, name: str) -> None:
        """Nothing is called yet; ``name`` is for the warning."""
        self._name, self._working = name, True

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Call, unless the service has failed before."""
        if not self._working:
            return
        try:
            function(*args, **kwargs)
        except Exception as error:
            self._working = False
            logger.warning(
                "%s stopped taking metrics (%s); the run goes on, %s has them all", self._name, error, METRICS
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
