"""The sinks of a run."""

from __future__ import annotations

import difflib
import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pct.errors import UsageError
from pct.runs.sinks.base import FanOut, Tracker
from pct.runs.sinks.jsonl import METRICS, JsonlTracker
from pct.runs.sinks.mlflow import MlflowTracker
from pct.runs.sinks.tensorboard import TensorboardTracker
from pct.runs.sinks.wandb import WandbTracker

# An installed package offers its trackers in this group of entry points, by name.
ENTRY_POINTS = "pct.trackers"
PROJECT = "pct"
OURS: dict[str, Callable[..., Tracker]] = {
    "wandb": WandbTracker,
    "mlflow": MlflowTracker,
    "tensorboard": TensorboardTracker,
}


def open_tracker(
    run: Path, wandb_project: str | None, config: Mapping[str, Any], track: Sequence[str] = ()
) -> Tracker:
    """The sinks of a run as one tracker.

    Args:
        run: the run folder.
        wandb_project: project on Weights & Biases, None for none.
        config: the settings of the run.
        track: tracking services, ``NAME`` or ``NAME=PROJECT``: wandb, mlflow, tensorboard, and those that
            installed packages offer in the group ``pct.trackers``, each a callable of run folder, project
            and settings.

    Raises:
        UsageError: a service is unknown, not installed, or does not start.
    """
    wanted: list[tuple[Callable[..., Tracker], str]]
    wanted = [] if wandb_project is None else [(WandbTracker, wandb_project)]
    wanted += [_find(name) for name in track]
    # Services first: where one does not start, no file is left open.
    services = [make(run, project, config) for make, project in wanted]
    return FanOut([JsonlTracker(run / METRICS), *services])


def _find(text: str) -> tuple[Callable[..., Tracker], str]:
    """A tracker and its project."""
    name, _, project = text.partition("=")
    offered = {entry.name: entry for entry in importlib.metadata.entry_points(group=ENTRY_POINTS)}
    if name in OURS:
        return OURS[name], project or PROJECT
    if name in offered:
        return offered[name].load(), project or PROJECT
    known = [*OURS, *offered]
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean '{near[0]}'?" if near else f"expected one of {', '.join(known)}"
    raise UsageError(f"`track={text}`: unknown tracker '{name}': {hint}")
