"""The sinks of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pct.runs.sinks.base import FanOut, Tracker
from pct.runs.sinks.jsonl import METRICS, JsonlTracker
from pct.runs.sinks.wandb import WandbTracker


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
