"""Flags of `pct train`: those of the run here, those of the training in `pct.optimization.settings`."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import tyro

from pct.cli.flags import (
    TIME_STEP,
    DataFlags,
    ModelFlags,
    RunFlags,
    flag_name,
    flag_values,
    read,
    with_values,
)
from pct.errors import DataError, UsageError
from pct.optimization.settings import HIDDEN_SIZE, TrainSettings
from pct.within import Within

# Flags that may differ when a run is resumed: they do not change what it computes up to any epoch.
FREE_ON_RESUME = (
    *("epochs", "checkpoint_every", "results", "output", "debug", "wandb_project", "analysis"),
    *("analysis_scenarios", "dataset_cache", "val_dataset_cache", "compile_cache"),
)
# Processes that train together, and the number of one of them.
NUM_PROCESSES, PROCESS_ID = Within(1, 65_536, whole=True), Within(0, 65_535, whole=True)
# Flags of one start only: a run that is resumed does not take them from the start before.
OF_ONE_START = ("resume", "force", "refresh_cache", "coordinator", "num_processes", "process_id")


@dataclasses.dataclass(frozen=True)
class TrainDataFlags(DataFlags):
    """Data."""

    val_dataset: tuple[str, ...] = ()
    """Validation data, likewise. Without it, and without --val-split, the training loss steers the learning
    rate; on top of a fit a fifth is held out."""
    dt: Annotated[int, TIME_STEP] | None = None
    """Time step of the rollout [hundredths of a second]. Default: that of the recordings."""
    dataset_cache: Path | None = None
    """File that keeps the prepared training rows; keyed by content, so it cannot be stale."""
    val_dataset_cache: Path | None = None
    """File that keeps the prepared validation rows."""
    refresh_cache: bool = False
    """Write the caches anew even where they fit."""


@dataclasses.dataclass(frozen=True)
class TrainModelFlags(ModelFlags):
    """Vehicle model."""

    model: str = "singletrack-augmented"
    """Dynamics model: a name, or a Python file that defines one; `pct models` lists them with their
    parameters."""
    global_params: tuple[str, ...] = ()
    """Parameters that are learned as one constant for the vehicle; also ones that are held by default."""
    context_params: tuple[str, ...] = ()
    """Parameters that the network predicts by context: all that are not held, and these."""
    dynamics_hidden_size: Annotated[int, HIDDEN_SIZE] = 8
    """Hidden units inside the mlp-dynamics model [units]; other models ignore it."""
    init_from: Path | None = None
    """Run folder of `pct fit` to begin from. Its model, vehicle, measurement, time step, history and
    integration hold; its measurement stays as it was fitted, the other parameters are learned. The result is
    never below the fit: it is chosen on rows that neither has used, as far as there are any."""


@dataclasses.dataclass(frozen=True)
class TrainRunFlags(RunFlags):
    """Where the run goes, and how it goes on."""

    output: Path | None = None
    """File of the predicted parameters. Default: pct_predicted_params.json in the run folder."""
    checkpoint_every: Annotated[int, Within(1, 1_000_000)] = 1
    """Epochs from one checkpoint to the next [passes]; one is also left by Ctrl-C and SIGTERM."""
    resume: Path | None = None
    """Run folder to resume, from its newest intact checkpoint; its own flags hold."""
    force: bool = False
    """Resume even though flags or data differ from those that the run was started with."""
    coordinator: str | None = None
    """HOST:PORT of process 0 where several processes train together; also PCT_COORDINATOR."""
    num_processes: Annotated[int, NUM_PROCESSES] | None = None
    """Processes that train together; also PCT_NUM_PROCESSES."""
    process_id: Annotated[int, PROCESS_ID] | None = None
    """Number of this process, from 0; also PCT_PROCESS_ID. Process 0 writes the run folder."""
    wandb_project: str | None = None
    """Weights & Biases project to log to; needs the wandb package. Default: not used."""
    analysis: bool = True
    """Draw the analysis plots under analysis/."""
    analysis_scenarios: Annotated[int, Within(0, 1000)] = 3
    """Windows of each data split that are drawn [windows]."""

    def validate(self) -> None:
        """Raise UsageError where the output has no folder."""
        if self.output is not None and not self.output.parent.is_dir():
            raise UsageError(f"`output={self.output}`: expected a path in an existing folder; make it first")


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Learn the physical parameters of a vehicle from its driving logs.

    Leaves a run folder under results/<model>/ with the trained network, the predicted parameters,
    loss curves and plots.

    Example: pct train --dataset datasets/surfaces/train --val-dataset datasets/surfaces/val

    Resume after an interruption: pct train --resume results/singletrack-augmented/run_20261123-181650
    """

    data: tyro.conf.OmitArgPrefixes[TrainDataFlags] = dataclasses.field(default_factory=TrainDataFlags)
    model: tyro.conf.OmitArgPrefixes[TrainModelFlags] = dataclasses.field(default_factory=TrainModelFlags)
    settings: tyro.conf.OmitArgPrefixes[TrainSettings] = dataclasses.field(default_factory=TrainSettings)
    run: tyro.conf.OmitArgPrefixes[TrainRunFlags] = dataclasses.field(default_factory=TrainRunFlags)

    def validate(self) -> None:
        """Raise UsageError for values that do not fit each other."""
        if self.settings.val_split and self.data.val_dataset:
            raise UsageError("`val_split` and `val_dataset` both name validation data: pass one of them")


def parse_args(argv: Sequence[str] | None = None) -> TrainConfig:
    """Read the training flags; leaves with exit code 2 and a message where they cannot be read.

    With ``--resume`` the flags of that run hold where the command line is silent.

    Raises:
        DataError: there is no run to resume.
    """
    args = read(TrainConfig, argv, prog="pct train")
    if args.run.resume is None:
        return args
    return read(TrainConfig, argv, prog="pct train", default=saved_config(args.run.resume))


def saved_config(run: Path) -> TrainConfig:
    """The settings that a run was started with, or went on with last.

    Raises:
        DataError: the folder is none of a run.
    """
    path = run / "config.json"
    try:
        saved = json.loads(path.read_text())
        kinds: dict[str, Any] = {}
        for part in get_type_hints(TrainConfig).values():
            kinds |= get_type_hints(part)
        values = {name: _from_json(value, kinds[name]) for name, value in saved.items()}
        return with_values(
            TrainConfig(), {name: value for name, value in values.items() if name not in OF_ONE_START}
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"`resume` {run}: expected a run folder with the settings of this version in {path} ({error}): "
            "give the folder that a run printed as 'run folder'"
        ) from None


def changed_flags(args: TrainConfig, saved: TrainConfig) -> dict[str, tuple[Any, Any]]:
    """Flags that steer the result and differ: ``{flag: (now, then)}``."""
    now, then = flag_values(args), flag_values(saved)
    return {
        flag_name(name): (now[name], then[name])
        for name in now
        if name not in FREE_ON_RESUME + OF_ONE_START and now[name] != then[name]
    }


def shared_flags(args: TrainConfig) -> dict[str, Any]:
    """Flags that processes which train together have in common, by name; values as JSON has them."""
    own = {*FREE_ON_RESUME, *OF_ONE_START} - {"epochs", "resume"}
    values = json.loads(json.dumps(flag_values(args), default=str))
    return {flag_name(name): value for name, value in values.items() if name not in own}


def _from_json(value: Any, kind: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    if value is None and kind is float:
        return math.inf  # JSON has no infinity
    return Path(value) if value is not None and Path in (kind, *get_args(kind)) else value
