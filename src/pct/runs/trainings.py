"""The run folder of a training: weights and checkpoints first, then summaries and figures."""

from __future__ import annotations

import contextlib
import logging
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pct.errors import DataError
from pct.optimization.network.epoch import Epoch, TrainState
from pct.optimization.network.loop import EpochReport, StepReport, TrainResult
from pct.optimization.network.model import TrainedModel
from pct.optimization.network.training import Learner
from pct.runs import checkpoint
from pct.runs.directory import CONFIG, mark_done, mark_failed, reopen, write_json, write_provenance
from pct.runs.lock import RunLock
from pct.runs.model_files import save_network
from pct.runs.overlap import save_fingerprint
from pct.runs.sinks import METRICS, Tracker, open_tracker, read_metrics, write_metrics

log = logging.getLogger(__name__)

LOSSES = "pct_network_loss.json"


def write_training(run: Path, learner: Learner, result: TrainResult, state: TrainState) -> TrainedModel:
    """Write description, weights, optimiser, losses, and the fingerprint of the training rows.

    Args:
        run: the run folder.
        learner: that was trained.
        result: reports of its steps and epochs.
        state: where it ended, on the host.

    Returns:
        The network with its best weights.

    Raises:
        DataError: the folder cannot be written.
    """
    trained = learner.trained(state.best_params, beats_fit=learner.beats_fit(state))
    save_network(run, trained)
    checkpoint.save_params(run / checkpoint.MODEL_PARAMS, state.params)
    checkpoint.save_params(run / checkpoint.OPTIMIZER_STATE, state.opt_state)
    checkpoint.save_params(run / checkpoint.BEST_PARAMS, state.best_params)
    below = learner.windows.seen.hashes if learner.windows.seen else None
    save_fingerprint(run, learner.windows.training, below)
    write_json(run / LOSSES, loss_curves(result))
    return trained


def loss_curves(result: TrainResult) -> dict[str, Any]:
    """Losses, rates and horizons by step and epoch, for a JSON file."""
    validated = [epoch for epoch in result.epochs if epoch.val_loss is not None]
    return {
        "step": [step.step for step in result.steps],
        "train_loss": [step.loss for step in result.steps],
        "learning_rate": [step.learning_rate for step in result.steps],
        "horizon": [step.horizon for step in result.steps],
        "epoch_step": [epoch.step for epoch in result.epochs],
        "epoch_train_loss": [epoch.train_loss for epoch in result.epochs],
        "val_step": [epoch.step for epoch in validated],
        "val_loss": [epoch.val_loss for epoch in validated],
        "best_epoch": result.best_epoch or None,
    }


def loss_figure(result: TrainResult) -> dict[str, Any]:
    """Arguments of `pct.plots.draw_losses`."""
    import numpy as np

    curves = loss_curves(result)
    names = ("train_loss", "val_loss", "learning_rate", "horizon")
    return {
        "train_steps": np.asarray(curves["step"]),
        "val_steps": np.asarray(curves["val_step"]),
        **{name: np.asarray(curves[name]) for name in names},
        "best_step": next((e.step for e in result.epochs if e.epoch == result.best_epoch), None),
    }


def step_metrics(report: StepReport) -> dict[str, float]:
    """What is logged of a step."""
    return {
        "train/loss": report.loss,
        "train/grad_norm": report.grad_norm,
        "train/learning_rate": report.learning_rate,
        "train/horizon": report.horizon,
    }


def epoch_metrics(report: EpochReport) -> dict[str, float]:
    """What is logged of an epoch."""
    val = {} if report.val_loss is None else {"val/loss": report.val_loss}
    return {"train/epoch_loss": report.train_loss, **val}


def restore_training(saved: checkpoint.SavedState, start: TrainState, epoch: Epoch) -> TrainState:
    """The state of training in a checkpoint.

    Args:
        saved: the checkpoint.
        start: a state of the same training.
        epoch: of that training.

    Raises:
        DataError: it is of another network, or its counts are none of a training.
    """
    state = checkpoint.restore_state(saved, start)
    counts = {name: int(getattr(state, name)) for name in ("epoch", "step", "best_epoch", "position")}
    if min(counts.values()) < 0 or counts["position"] > epoch.steps:
        found = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise DataError(
            f"{saved.path}: expected counts from zero on and a position of at most {epoch.steps}, found "
            f"{found}: delete it, and training goes on from the checkpoint before it"
        )
    return state


def reports_of(rows: Sequence[Mapping[str, Any]], state: TrainState, epoch: Epoch) -> TrainResult:
    """Reports of a run that was stopped, from the rows of its ``metrics.jsonl``."""
    result = TrainResult(state)
    best = math.inf
    rate = math.nan
    for row in rows:
        if "train/loss" in row:
            rate = _number(row["train/learning_rate"])
            result.steps.append(
                StepReport(
                    row["step"],
                    row["epoch"],
                    _number(row["train/loss"]),
                    _number(row["train/grad_norm"]),
                    rate,
                    row["train/horizon"],
                    epoch.counted((row["step"] - 1) % epoch.steps),
                )
            )
        elif "train/epoch_loss" in row:
            loss, val_loss = _number(row["train/epoch_loss"]), row.get("val/loss")
            val_loss = None if val_loss is None else float(val_loss)
            decisive = loss if val_loss is None else val_loss
            is_best = decisive < best and row["epoch"] <= int(state.best_epoch)
            result.epochs.append(EpochReport(row["epoch"], row["step"], loss, val_loss, rate, is_best))
            best = decisive if is_best else best
    return result


def _number(value: Any) -> float:
    """A number of ``metrics.jsonl``, which is null there where it is not finite."""
    return math.nan if value is None else float(value)


def rows_of(result: TrainResult) -> list[dict[str, Any]]:
    """The inverse of `reports_of`: rows of ``metrics.jsonl`` in their order, but for the time."""
    steps = [{"step": step.step, "epoch": step.epoch, **step_metrics(step)} for step in result.steps]
    whole = [{"step": epoch.step, "epoch": epoch.epoch, **epoch_metrics(epoch)} for epoch in result.epochs]
    return sorted([*steps, *whole], key=lambda row: row["step"])  # an epoch stays behind its last step


class TrainingFolder:
    """The run folder of a training while it goes on.

    Attributes:
        path: the folder.
        tracker: takes its metrics; None before `open_sinks`.
        is_open: whether the folder is this run's to mark.
    """

    def __init__(
        self, path: Path, *, config: Mapping[str, Any], data: Mapping[str, str], lock: RunLock
    ) -> None:
        """Take a folder; nothing is written yet.

        Args:
            path: of a new run, or of one that is resumed.
            config: every setting with its value in force.
            data: hash of every input file by path.
            lock: on the folder, free for a new run.
        """
        self.path, self._config, self._data, self._lock = path, config, data, lock
        self.tracker: Tracker | None = None
        self.is_open = False

    def begin(self) -> None:
        """Record what a new run is started with."""
        self._lock.take(self.path)
        self.is_open = True
        write_provenance(self.path, config=self._config, command=sys.argv, data=self._data)

    def open_sinks(self, wandb_project: str | None, track: Sequence[str] = ()) -> None:
        """Open ``metrics.jsonl``, and the tracking services that are named."""
        self.tracker = open_tracker(self.path, wandb_project, self._config, track)

    def resume(self, state: TrainState, epoch: Epoch) -> TrainResult:
        """Record that the run goes on from a checkpoint; the reports of the steps before it."""
        self.is_open = True
        reopen(self.path, command=sys.argv, config=self._config, data=self._data)
        rows = read_metrics(self.path, step=int(state.step), epoch=int(state.epoch))
        write_metrics(self.path, rows)
        return reports_of(rows, state, epoch)

    def save(self, state: TrainState, result: TrainResult) -> None:
        """Leave a checkpoint; a folder that was removed in the meantime is made anew."""
        import jax

        if not (self.path / CONFIG).exists():
            log.warning("%s was removed; it is made anew", self.path)
            self.path.mkdir(parents=True, exist_ok=True)
            self.begin()
            write_metrics(self.path, rows_of(result))
        checkpoint.save_state(self.path, jax.device_get(state), int(state.step))

    def done(self, facts: Mapping[str, Any]) -> None:
        """End the run well."""
        if self.tracker is not None:
            self.tracker.summary(facts)
            self.tracker.close()
        mark_done(self.path, facts)

    def failed(self, error: BaseException) -> None:
        """Mark the run as failed, where that can still be written."""
        interrupted = isinstance(error, KeyboardInterrupt | SystemExit)
        with contextlib.suppress(DataError):  # of a full disk, which is what failed
            if self.tracker is not None:
                self.tracker.close(exit_code=getattr(error, "exit_code", 1))
            mark_failed(self.path, "interrupted" if interrupted else str(error) or repr(error))

    @property
    def is_resumable(self) -> bool:
        """Whether there is a checkpoint."""
        return bool(checkpoint.saved_states(self.path))

    @property
    def holds_results(self) -> bool:
        """Whether anything that was learned is there."""
        metrics = self.path / METRICS
        return self.is_resumable or (metrics.is_file() and metrics.stat().st_size > 0)
