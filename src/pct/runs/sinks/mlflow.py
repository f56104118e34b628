"""MLflow."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pct.errors import UsageError
from pct.runs.directory import to_json
from pct.runs.sinks.base import Service

# The longest value of a setting that MLflow takes.
LONGEST = 6000


class MlflowTracker:
    """MLflow, at ``MLFLOW_TRACKING_URI``; without that into ``mlflow.db`` in the run folder."""

    def __init__(self, run: Path, project: str, config: Mapping[str, Any]) -> None:
        try:
            from mlflow import MlflowClient
        except ImportError:
            raise UsageError(
                f"`track=mlflow={project}`: expected the package mlflow, found none: "
                'pip install "pct-vehicle[mlflow]", or leave the flag out'
            ) from None
        address = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{run.resolve() / 'mlflow.db'}"
        try:
            self.client = MlflowClient(address)
            experiment = self.client.get_experiment_by_name(project)
            number = (
                self.client.create_experiment(project) if experiment is None else experiment.experiment_id
            )
            self.run = self.client.create_run(number, run_name=run.name).info.run_id
        except Exception as error:
            raise UsageError(
                f"`track=mlflow={project}`: MLflow did not start at {address} ({error}): "
                "set MLFLOW_TRACKING_URI to its server"
            ) from None
        self.service = Service("MLflow")
        for name, value in to_json(config).items():
            self.service.call(self.client.log_param, self.run, name, str(value)[:LONGEST])

    def log(self, metrics: Mapping[str, float], *, step: int | None = None, epoch: int | None = None) -> None:
        for name, value in metrics.items():
            at = epoch if name.startswith("val/") and epoch is not None else step
            self.service.call(self.client.log_metric, self.run, name, value, step=at or 0)

    def summary(self, values: Mapping[str, Any]) -> None:
        for name, value in to_json(values).items():
            if isinstance(value, int | float) and math.isfinite(value):
                self.service.call(self.client.log_metric, self.run, f"summary/{name}", float(value))
            else:
                self.service.call(self.client.set_tag, self.run, name, str(value)[:LONGEST])

    def close(self, exit_code: int = 0) -> None:
        status = "FINISHED" if exit_code == 0 else "FAILED"
        self.service.call(self.client.set_terminated, self.run, status)
