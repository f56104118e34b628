"""TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pct.errors import UsageError
from pct.runs.directory import to_json
from pct.runs.sinks.base import Service

FOLDER = "tensorboard"


class TensorboardTracker:
    """Files that TensorBoard reads, in the run folder under ``tensorboard``."""

    def __init__(self, run: Path, project: str, config: Mapping[str, Any]) -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            raise UsageError(
                f"`track=tensorboard={project}`: expected the package tensorboardX, found none: "
                'pip install "pct-vehicle[tensorboard]", or leave the flag out'
            ) from None
        self.writer = SummaryWriter(str(run / FOLDER))
        self.service = Service("TensorBoard")
        self._text("settings", config)

    def log(self, metrics: Mapping[str, float], *, step: int | None = None, epoch: int | None = None) -> None:
        for name, value in metrics.items():
            at = epoch if name.startswith("val/") and epoch is not None else step
            self.service.call(self.writer.add_scalar, name, value, at)

    def summary(self, values: Mapping[str, Any]) -> None:
        self._text("summary", values)

    def close(self, exit_code: int = 0) -> None:
        self._text("end", {"exit code": exit_code})
        self.service.call(self.writer.close)

    def _text(self, name: str, values: Mapping[str, Any]) -> None:
        lines = [f"{key}: {json.dumps(value)}" for key, value in to_json(values).items()]
        self.service.call(self.writer.add_text, name, "  \n".join(lines))
