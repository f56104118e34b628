"""What a training run tells: before it starts, and at its end what was learned and what it beat."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console
from rich.table import Table

from pct.cli.config import TrainConfig
from pct.cli.progress import epoch_metrics, step_metrics
from pct.dynamics.core import ModelSpec
from pct.evaluation.scenarios import open_loop_errors, position_errors
from pct.optimization.network.epoch import Epoch, TrainState
from pct.optimization.network.loop import EpochReport, StepReport, TrainResult
from pct.optimization.network.trained import TrainedModel
from pct.runs.directory import write_json
from pct.windows.batch import FeatureDataset
from pct.windows.window_set import WindowSet


def announce(
    args: TrainConfig,
    spec: ModelSpec,
    dataset: WindowSet,
    val_dataset: WindowSet | None,
    state: TrainState,
    substeps: int,
    output_dir: Path,
) -> None:
    """Say on stderr what is about to be trained on what."""
    size = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    steps = f"{args.horizon} steps of {dataset.store.dt:g} s"
    counts = f"{len(dataset)} training windows"
    if val_dataset is not None:
        counts += f", {len(val_dataset)} validation windows"
    learned = ", ".join(spec.param_keys)
    print(
        f"{spec.name}: {counts} from {len(dataset.store.recordings)} recordings, {steps} "
        f"({args.integrator}, {substeps} substeps)\n"
        f"network: {len(dataset.feature_names)} features, {size} weights, answers with {learned}\n"
        f"run folder: {output_dir}"
        + (f"\ngoing on after step {state.step}, epoch {state.epoch}" if state.step else ""),
        file=sys.stderr,
    )


def with_tables(spec: ModelSpec, summary: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Predicted parameters with symbol, unit, bounds and default beside mean and spread."""
    described = {}
    for name, values in summary.items():
        row = spec.parameter(name)
        low, high = spec.param_bounds[name]
        described[name] = {
            **values,
            "unit": row.unit,
            "symbol": row.symbol,
            "bounds": [low, high],
            "default": spec.default_params[name],
        }
    return described


def reports_of(rows: Sequence[Mapping[str, Any]], state: TrainState, epoch: Epoch) -> TrainResult:
    """What a run had reported when it was stopped, from the rows of its ``metrics.jsonl``."""
    result = TrainResult(state)
    best = math.inf
    rate = math.nan
    for row in rows:
        if "train/loss" in row:
            rate = row["train/learning_rate"]
            result.steps.append(
                StepReport(
                    row["step"],
                    row["epoch"],
                    row["train/loss"],
                    row["train/grad_norm"],
                    rate,
                    row["train/horizon"],
                    epoch.counted((row["step"] - 1) % epoch.steps),
                )
            )
        elif "train/epoch_loss" in row:
            loss, val_loss = row["train/epoch_loss"], row.get("val/loss")
            judged = loss if val_loss is None else val_loss
            result.epochs.append(EpochReport(row["epoch"], row["step"], loss, val_loss, rate, judged < best))
            best = min(best, judged)
    return result


def rows_of(result: TrainResult) -> list[dict[str, Any]]:
    """The inverse of `reports_of`: rows of ``metrics.jsonl`` in their order, but for the time."""
    steps = [{"step": step.step, "epoch": step.epoch, **step_metrics(step)} for step in result.steps]
    whole = [{"step": epoch.step, "epoch": epoch.epoch, **epoch_metrics(epoch)} for epoch in result.epochs]
    return sorted([*steps, *whole], key=lambda row: row["step"])  # an epoch stays behind its last step


def save_loss_curves(output_dir: Path, result: TrainResult) -> None:
    """Write ``pct_network_loss.json`` and, once a step was made, ``pct_network_loss.png``."""
    with_val = [epoch for epoch in result.epochs if epoch.val_loss is not None]
    curves = {
        "step": [step.step for step in result.steps],
        "train_loss": [step.loss for step in result.steps],
        "learning_rate": [step.learning_rate for step in result.steps],
        "horizon": [step.horizon for step in result.steps],
        "epoch_step": [epoch.step for epoch in result.epochs],
        "epoch_train_loss": [epoch.train_loss for epoch in result.epochs],
        "val_step": [epoch.step for epoch in with_val],
        "val_loss": [epoch.val_loss for epoch in with_val],
        "best_epoch": result.best_epoch or None,
    }
    write_json(output_dir / "pct_network_loss.json", curves)
    if result.steps:
        from pct import plots  # imports Matplotlib, which training does not wait for

        plots.plot_losses(
            output_dir / "pct_network_loss.png",
            train_steps=np.asarray(curves["step"]),
            train_loss=np.asarray(curves["train_loss"]),
            val_steps=np.asarray(curves["val_step"]),
            val_loss=np.asarray(curves["val_loss"]),
            learning_rate=np.asarray(curves["learning_rate"]),
            horizon=np.asarray(curves["horizon"]),
            best_step=next((e.step for e in result.epochs if e.epoch == result.best_epoch), None),
        )


def conclude(
    trained: TrainedModel,
    dataset: FeatureDataset,
    val_dataset: FeatureDataset | None,
    predicted_params: Mapping[str, Mapping[str, Any]],
    result: TrainResult,
    output_dir: Path,
    output_path: Path,
    chunk_size: int,
) -> dict[str, Any]:
    """Print what was learned, what it beat and where to look next; return it as facts.

    Returns:
        Best losses, and the error at the end of the horizon by state for the trained network and the
        default parameters.
    """
    console = Console(width=None if sys.stdout.isatty() else 100)
    judged = dataset if val_dataset is None else val_dataset
    split = "training" if val_dataset is None else "validation"
    spec = trained.spec
    console.print(_learned_table(spec, predicted_params))
    ours = trained.predict_states(judged, chunk_size=chunk_size)
    default = trained.predict_default(judged, chunk_size=chunk_size)
    errors = {
        "trained": open_loop_errors(ours, judged, spec)[-1],
        "default": open_loop_errors(default, judged, spec)[-1],
    }
    distance = {
        "trained": position_errors(ours, judged, spec)[-1],
        "default": position_errors(default, judged, spec)[-1],
    }
    horizon = ours.shape[1] * trained.dt
    console.print(_error_table(spec, errors, distance, split, horizon))
    share = distance["trained"] / distance["default"] if distance["default"] > 0 else 1.0
    verdict = "beats" if share < 1 else "does NOT beat"
    console.print(
        f"The network {verdict} the default parameters: position error after {horizon:g} s is "
        f"{distance['trained']:.3g} m against {distance['default']:.3g} m ({100 * share:.0f} %) "
        f"on {ours.shape[0]} {split} windows.",
        highlight=False,
        soft_wrap=True,
    )
    if val_dataset is None:
        console.print(
            "No validation data: these windows were trained on. Pass --val-dataset or --val-split to check."
        )
    console.print(f"Predicted parameters: {output_path}", highlight=False, soft_wrap=True)
    console.print(
        f"Look next at {output_dir / 'analysis'}: {split}_parameters.png, {split}_error_growth.png."
        if (output_dir / "analysis").is_dir()
        else "Run with --analysis to see plots of the predictions.",
        highlight=False,
        soft_wrap=True,
    )
    return {
        "best_epoch": result.best_epoch,
        "best_train_loss": min((epoch.train_loss for epoch in result.epochs), default=None),
        "best_val_loss": min((e.val_loss for e in result.epochs if e.val_loss is not None), default=None),
        "split": split,
        "horizon_s": horizon,
        "final_position_rmse_m": {key: float(value) for key, value in distance.items()},
        "final_rmse": {
            key: dict(zip(spec.state_names, values.tolist(), strict=True)) for key, values in errors.items()
        },
    }


def _learned_table(spec: ModelSpec, predicted: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table(title=f"Learned parameters of {spec.name}", title_justify="left")
    for heading in ("parameter", "mean", "spread", "default", "bounds", "unit"):
        table.add_column(heading, justify="left" if heading in ("parameter", "unit") else "right")
    for name, values in predicted.items():
        if spec.full_shapes[name]:
            shape = " x ".join(map(str, spec.full_shapes[name]))
            table.add_row(name, f"({shape} entries)", "", "", "", values["unit"])
            continue
        low, high = values["bounds"]
        table.add_row(
            name,
            f"{values['mean']:.4g}",
            f"{values['std']:.2g}",
            f"{values['default']:.4g}",
            f"{low:g} .. {high:g}",
            values["unit"],
        )
    return table


def _error_table(
    spec: ModelSpec,
    errors: Mapping[str, np.ndarray],
    distance: Mapping[str, float],
    split: str,
    horizon: float,
) -> Table:
    title = f"Open-loop RMSE after {horizon:g} s on the {split} windows"
    table = Table(title=title, title_justify="left")
    for heading in ("state", "trained", "default parameters", "ratio", "unit"):
        table.add_column(heading, justify="left" if heading in ("state", "unit") else "right")

    def add(name: str, ours: float, default: float, unit: str) -> None:
        ratio = f"{ours / default:.2f}" if default > 0 else "-"
        table.add_row(name, f"{ours:.4g}", f"{default:.4g}", ratio, unit)

    add("position", distance["trained"], distance["default"], "m")
    for i, channel in enumerate(spec.states):
        if channel.name not in spec.pose[:2]:
            add(channel.name, errors["trained"][i], errors["default"][i], channel.unit)
    return table
