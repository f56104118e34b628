"""Weights & Biases."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pct.errors import UsageError
from pct.runs.directory import to_json
from pct.runs.sinks.base import Service

# The documented pairs first; the patterns give every other metric of a split the same axis.
STEP_METRICS = {"train/loss": "step", "val/loss": "epoch", "train/*": "step", "val/*": "epoch"}


class WandbTracker:
    """Weights & Biases, online or, with ``WANDB_MODE=offline``, into the run folder."""

    def __init__(self, run: Path, project: str, config: Mapping[str, Any]) -> None:
        try:
            # Not `import wandb`: a leftover folder of that name in the working directory would satisfy it.
            from wandb import init
        except ImportError:
            raise UsageError(
                f"`wandb_project={project}`: expected the package wandb, found none: "
                'pip install "pct-vehicle[wandb]", or leave the flag out'
            ) from None
        try:
            self.run = init(project=project, name=run.name, dir=str(run), config=to_json(config))
        except Exception as error:
            raise UsageError(
                f"`wandb_project={project}`: W&B did not start ({error}): "
                "run `wandb login`, or set WANDB_MODE=offline"
            ) from None
        self.service = Service("W&B")
        for metric, axis in STEP_METRICS.items():
            self.service.call(self.run.define_metric, metric, step_metric=axis)

    def log(self, metrics: Mapping[str, float], *, step: int | None = None, epoch: int | None = None) -> None:
        where = {name: at for name, at in (("step", step), ("epoch", epoch)) if at is not None}
        self.service.call(self.run.log, {**where, **metrics})

    def summary(self, values: Mapping[str, Any]) -> None:
        self.service.call(lambda: self.run.summary.update(to_json(values)))

    def close(self, exit_code: int = 0) -> None:
        self.service.call(self.run.finish, exit_code=exit_code)
