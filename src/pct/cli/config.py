"""The training command's settings: one dataclass, a help text and a unit at each field."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import tyro

from pct.errors import DataError, UsageError

# Flags that take several values; repeating one adds to it instead of dropping the earlier values.
LIST_FLAGS = (
    *("--dataset", "--val-dataset", "--model-hidden", "--fixed"),
    *("--global-params", "--context-params"),
)

# Flags that may differ when a run is resumed: they do not change what it computes up to any epoch.
FREE_ON_RESUME = (
    *("epochs", "checkpoint_every", "results", "output", "debug", "wandb_project", "analysis"),
    *("analysis_scenarios", "dataset_cache", "val_dataset_cache", "compile_cache"),
)
# Flags of one start only: a run that is resumed does not take them from the start before.
OF_ONE_START = ("resume", "force", "refresh_cache", "coordinator", "num_processes", "process_id")


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Learn the physical parameters of a vehicle from its driving logs.

    Leaves a run folder under results/<model>/ with the trained network, the predicted parameters,
    loss curves and plots.

    Example: pct train --dataset datasets/surfaces/train --val-dataset datasets/surfaces/val

    Go on after a stop: pct train --resume results/singletrack-augmented/run_20261123-181650
    """

    dataset: tuple[str, ...] = ()
    """Training data: one or more dataset folders, or raw folders with a signals.toml; absolute, or
    relative to the repository root."""
    val_dataset: tuple[str, ...] = ()
    """Validation data, likewise. Without it, and without --val-split, the training loss steers the learning
    rate."""
    val_split: float = 0.0
    """Share of the training data to hold out as validation data [1]: whole recordings where there are
    enough of them, else the end of each, behind a gap of history and horizon."""
    model: str = "singletrack-augmented"
    """Dynamics model; `pct models` lists them with their parameters."""
    vehicle: str | None = None
    """Bounds and defaults of a named vehicle, e.g. f1tenth; `pct models` lists them. The model's own
    (a 1:10 car) when left out."""
    feature_mode: Literal["full", "context", "features"] = "full"
    """What the network reads: feature.* columns with the state context, or either alone (ablation)."""
    encoder: Literal["mlp", "gru"] = "mlp"
    """How the network reads the history: as means over its quarters, or also step by step with a gated
    recurrent unit."""
    history_fit: bool = True
    """Let the network also read a fit of the model's parameters to the history before each window."""
    samples: int | None = None
    """Most training windows to use, spread evenly over the logs [windows]; all when left out."""
    val_samples: int | None = None
    """Most validation windows to use [windows]; all when left out."""
    dt: int | None = None
    """Time step of the rollout [hundredths of a second]; the logs' own when left out."""
    horizon: int = 20
    """Steps that are predicted and compared [time steps]."""
    history: int = 20
    """Steps before a window that the network reads [time steps]."""
    stride: int = 1
    """Steps from one window's start to the next [time steps]."""
    epochs: int = 40
    """Passes over the training windows [passes]."""
    batch_size: int = 256
    """Windows in one optimiser step [windows]."""
    lr: float = 2e-3
    """Initial learning rate of AdamW [1]."""
    lr_patience: int = 4
    """Epochs without a better validation loss before the rate drops [epochs]."""
    lr_factor: float = 0.5
    """What the rate is multiplied with when it drops [1]."""
    min_lr: float = 1e-5
    """Lowest learning rate [1]."""
    weight_decay: float = 1.0
    """Decay of AdamW on the network's weights, not its biases, so not on the defaults [1]."""
    max_grad_norm: float = 1.0
    """The gradient of a batch is clipped to this norm [1]."""
    max_window_grad: float = 10.0
    """The gradient of one window is clipped to this many times the mean of its batch [1]; inf for never."""
    huber: float | None = None
    """Residual over a channel's scale from which an error counts by its size, not its square [1];
    squares throughout when left out. Use 3 or so where logs hold spins and impacts."""
    curriculum_batches: int = 0
    """Optimiser steps that train on a shorter horizon first [steps]; 0 for none."""
    curriculum_timesteps: int = 5
    """Horizon of the curriculum [time steps]."""
    model_hidden: tuple[int, ...] = (64, 64)
    """Width of each hidden layer of the network [units]."""
    ensemble: int = 1
    """Networks that are trained side by side from different starts [networks]. They answer with their mean;
    their spread tells how far to trust it."""
    dynamics_hidden_size: int = 8
    """Hidden units inside the mlp-dynamics model [units]; other models ignore it."""
    fixed: tuple[str, ...] = ()
    """Parameters to hold: NAME at its default, NAME=VALUE at a value in the parameter's unit."""
    global_params: tuple[str, ...] = ()
    """Parameters that are learned as one constant for the vehicle; also ones that are held by default."""
    context_params: tuple[str, ...] = ()
    """Parameters that the network answers by context: all that are not held, and these."""
    init_from: Path | None = None
    """Run folder of `pct fit` to begin from. Its model, vehicle, measurement, time step, history and
    integration hold; what stands between car and log stays as it was fitted, the rest is learned on."""
    integrator: Literal["rk4", "heun", "euler"] = "rk4"
    """Integration method of the rollout."""
    substeps: int | None = None
    """Integration steps per time step [1]; when left out, enough for steps of 0.025 s or less."""
    engine: Literal["auto", "jax", "native"] = "auto"
    """What rolls windows out on a CPU: code that is generated from the model's equations and compiled once
    (native), or JAX alone. auto takes native code where there is a C++ compiler and the model allows it."""
    dataset_cache: Path | None = None
    """File that keeps the prepared training rows; keyed by content, so it cannot be stale."""
    val_dataset_cache: Path | None = None
    """File that keeps the prepared validation rows."""
    refresh_cache: bool = False
    """Write the caches anew even where they fit."""
    summary_chunk_size: int = 1024
    """Windows that are summarised or evaluated at once [windows]."""
    seed: int = 0
    """Seed of initialisation and shuffling."""
    output: Path | None = None
    """Where the predicted parameters go; pct_predicted_params.json in the run folder when left out."""
    results: Path | None = None
    """Folder of all runs; results/ in the repository root when left out."""
    checkpoint_every: int = 1
    """Epochs from one checkpoint to the next [passes]; one is also left by Ctrl-C and SIGTERM."""
    resume: Path | None = None
    """Run folder to go on with, from its newest intact checkpoint; its own flags hold."""
    force: bool = False
    """Resume even though flags or data differ from those that the run was started with."""
    coordinator: str | None = None
    """HOST:PORT of process 0 where several processes train together; also PCT_COORDINATOR."""
    num_processes: int | None = None
    """Processes that train together; also PCT_NUM_PROCESSES."""
    process_id: int | None = None
    """Number of this process, from 0; also PCT_PROCESS_ID. Process 0 writes the run folder."""
    compile_cache: bool = True
    """Keep compiled code in the user's cache folder, so that the next run starts at once."""
    wandb_project: str | None = None
    """Weights & Biases project to log to; needs the wandb package. Not used when left out."""
    analysis: bool = True
    """Draw the analysis plots under analysis/."""
    analysis_scenarios: int = 3
    """Windows of each data split that are drawn [windows]."""
    debug: bool = False
    """Show the traceback of an error."""

    def validate(self) -> None:
        """Raise UsageError (a ValueError) for a value that cannot be used."""
        if not self.dataset:
            raise UsageError("--dataset: expected one folder or more, got none.")
        positive = (
            "horizon history stride epochs batch_size summary_chunk_size curriculum_timesteps "
            "dynamics_hidden_size lr_patience lr max_grad_norm huber samples val_samples dt substeps "
            "checkpoint_every num_processes ensemble"
        )
        for name in positive.split():
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise UsageError(f"{_flag(name)} must be a positive number, got {value}.")
        for name in ("curriculum_batches", "min_lr", "weight_decay", "analysis_scenarios", "process_id"):
            if (getattr(self, name) or 0) < 0:
                raise UsageError(f"{_flag(name)} must not be negative, got {getattr(self, name)}.")
        if not 0 <= self.val_split < 1:
            raise UsageError(f"--val-split must be 0 or more and less than 1, got {self.val_split}.")
        if self.val_split and self.val_dataset:
            raise UsageError("--val-split and --val-dataset both name validation data: pass one of them.")
        if not self.max_window_grad > 0:
            raise UsageError(f"--max-window-grad must be a positive number, got {self.max_window_grad}.")
        if not 0 < self.lr_factor < 1:
            raise UsageError(f"--lr-factor must lie between 0 and 1, got {self.lr_factor}.")
        if self.output is not None and not self.output.parent.is_dir():
            raise UsageError(f"--output {self.output}: expected a path in an existing folder; make it first.")
        if any(size <= 0 for size in self.model_hidden):
            raise UsageError(f"--model-hidden sizes must be positive, got {self.model_hidden}.")

    def fixed_values(self) -> dict[str, float | None]:
        """``--fixed`` as value by name; None holds the default."""
        return fixed_values(self.fixed)


def fixed_values(entries: tuple[str, ...]) -> dict[str, float | None]:
    """``NAME`` and ``NAME=VALUE`` as value by name; None holds the default.

    Raises:
        UsageError: an entry is neither.
    """
    values: dict[str, float | None] = {}
    for entry in entries:
        name, equals, text = entry.partition("=")
        try:
            values[name] = float(text) if equals else None
        except ValueError:
            raise UsageError(f"--fixed {entry}: expected NAME or NAME=NUMBER") from None
    return values


def parse_args(argv: Sequence[str] | None = None) -> TrainConfig:
    """Read the training flags; leaves with exit code 2 and a message where they cannot be read.

    With ``--resume`` the flags of that run hold where the command line is silent.

    Raises:
        DataError: there is no run to resume.
    """
    arguments = merge_repeated(list(sys.argv[1:] if argv is None else argv))
    args = tyro.cli(TrainConfig, prog="pct train", args=arguments)
    if args.resume is None:
        return args
    return tyro.cli(TrainConfig, prog="pct train", args=arguments, default=saved_config(args.resume))


def saved_config(run: Path) -> TrainConfig:
    """The settings that a run was started with, or went on with last.

    Raises:
        DataError: the folder is none of a run.
    """
    path = run / "config.json"
    try:
        saved = json.loads(path.read_text())
        known = {field.name: field for field in dataclasses.fields(TrainConfig)}
        values = {name: _from_json(value, str(known[name].type)) for name, value in saved.items()}
        return TrainConfig(**{name: value for name, value in values.items() if name not in OF_ONE_START})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"--resume {run}: expected a run folder with the settings of this version in {path} ({error}): "
            "give the folder that a run printed as 'run folder'"
        ) from None


def changed_flags(args: TrainConfig, saved: TrainConfig) -> dict[str, tuple[Any, Any]]:
    """Flags that steer the result and differ: ``{flag: (now, then)}``."""
    pairs = {
        field.name: (getattr(args, field.name), getattr(saved, field.name))
        for field in dataclasses.fields(TrainConfig)
        if field.name not in FREE_ON_RESUME + OF_ONE_START
    }
    return {_flag(name): pair for name, pair in pairs.items() if pair[0] != pair[1]}


def shared_flags(args: TrainConfig) -> dict[str, Any]:
    """Flags that processes which train together have in common, by name; values as JSON has them."""
    own = {*FREE_ON_RESUME, *OF_ONE_START} - {"epochs", "resume"}
    values = json.loads(json.dumps(dataclasses.asdict(args), default=str))
    return {_flag(name): value for name, value in values.items() if name not in own}


def _from_json(value: Any, annotation: str) -> Any:
    if isinstance(value, list):
        return tuple(value)
    if value is None and annotation == "float":
        return math.inf  # JSON has no infinity
    return Path(value) if value is not None and annotation.startswith("Path") else value


def merge_repeated(arguments: list[str], flags: Sequence[str] = LIST_FLAGS) -> list[str]:
    """Join the values of a list flag that is given more than once, behind its first mention."""
    values: dict[str, list[str]] = {}
    current = values.setdefault("", [])
    for argument in arguments:
        if not argument.startswith("--"):
            current.append(argument)
            continue
        flag, equals, value = argument.partition("=")
        flag = flag.replace("_", "-")
        if flag in flags:
            current = values.setdefault(flag, [])
            current += [value] if equals else []
        else:
            current = values[argument] = []
    return [part for flag, rest in values.items() for part in ([flag] if flag else []) + rest]


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
