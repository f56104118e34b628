"""Flags of `pct train`: those of the run here, those of the training in `pct.optimization.settings`."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypedDict, get_args, get_type_hints

import tyro

from pct.cli.console import quoted
from pct.cli.flags import (
    TIME_STEP,
    DataFlags,
    ModelFlags,
    RunFlags,
    flag_name,
    flag_values,
    read,
    validate,
    with_values,
)
from pct.errors import DataError, UsageError
from pct.json_files import read_json
from pct.optimization.settings import HIDDEN_SIZE, TrainSettings
from pct.runs.directory import CONFIG
from pct.within import Within

FIX = "give the folder that a run printed as 'run folder'"

# Flags that may differ when a run is resumed: they do not change what it computes up to any epoch.
FREE_ON_RESUME = (
    *("epochs", "checkpoint_every", "results", "output", "debug", "wandb_project", "track", "analysis"),
    *("analysis_scenarios", "dataset_cache", "val_dataset_cache", "compile_cache"),
)
# Processes that train together, and the number of one of them.
NUM_PROCESSES, PROCESS_ID = Within(1, 65_536, whole=True), Within(0, 65_535, whole=True)
# Flags of one start only: a run that is resumed does not take them from the start before. A run folder may be
# a stranger's, so where we write and whom we report to is said on the command line or not at all.
ELSEWHERE = ("output", "dataset_cache", "val_dataset_cache", "wandb_project", "track")
OF_ONE_START = (
    *("resume", "force", "refresh_cache", "coordinator", "num_processes", "process_id"),
    *("device", "results", *ELSEWHERE),
)


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
    """HOST:PORT of process 0 where several processes train together; also PCT_COORDINATOR. They do not
    authenticate each other: on trusted networks only."""
    num_processes: Annotated[int, NUM_PROCESSES] | None = None
    """Processes that train together; also PCT_NUM_PROCESSES."""
    process_id: Annotated[int, PROCESS_ID] | None = None
    """Number of this process, from 0; also PCT_PROCESS_ID. Process 0 writes the run folder."""
    wandb_project: str | None = None
    """Weights & Biases project to log to, as --track wandb=PROJECT. Default: not used."""
    track: tuple[str, ...] = ()
    """Services that follow the run, NAME or NAME=PROJECT: wandb, mlflow, tensorboard, or one of an installed
    package; metrics.jsonl is always written."""
    analysis: bool = True
    """Draw the analysis plots under analysis/."""
    analysis_scenarios: Annotated[int, Within(0, 1000)] = 1
    """Windows of each data split that are drawn, at evenly spaced ranks of their error [windows]."""

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

    With ``--resume`` the flags of that run hold where the command line is silent, but for `OF_ONE_START`; no
    file that the run names is executed.

    Raises:
        DataError: there is no run to resume.
        UsageError: its equations are those of a file, which the command line does not name.
    """
    from pct.dynamics.registry import is_model_file

    args = read(TrainConfig, argv, prog="pct train")
    if (run := args.run.resume) is None:
        return args
    saved = saved_config(run)
    if is_model_file(saved.model.model) and not is_model_file(args.model.model):
        raise UsageError(
            f"`resume` {run}: its equations are those of {saved.model.model}, and no file that a run folder "
            f"names is executed: if you trust that file, pass `model={saved.model.model}`"
        )
    return read(TrainConfig, argv, prog="pct train", default=saved)


def saved_config(run: Path) -> TrainConfig:
    """The settings that a run was started with, or went on with last, but for `OF_ONE_START`.

    Raises:
        DataError: the folder is none of a run, or a setting cannot be used.
    """
    saved = {name: value for name, value in _read_config(run).items() if name not in OF_ONE_START}
    kinds = _kinds()
    config = with_values(
        TrainConfig(), {name: _from_json(value, kinds[name]) for name, value in saved.items()}
    )
    try:
        validate(config)
    except UsageError as error:
        raise DataError(f"{run / CONFIG}: {error}: {FIX}") from None
    return config


def flags_to_repeat(values: Mapping[str, Any]) -> list[str]:
    """Flags that a run which is resumed does not take from its folder, as they are passed again.

    Args:
        values: of flags by name, of the command line or of ``config.json``.

    Examples:
        >>> flags_to_repeat({"model": "my car.py", "output": None, "wandb_project": "cars", "lr": 0.1})
        ["--model 'my car.py'", '--wandb-project cars']
        >>> flags_to_repeat({"track": ("mlflow=cars", "tensorboard"), "wandb_project": None})
        ['--track mlflow=cars tensorboard']
    """
    from pct.dynamics.registry import is_model_file

    named = {name: values[name] for name in ELSEWHERE if values.get(name) not in (None, (), [])}
    model = {"model": values["model"]} if is_model_file(values.get("model", "")) else {}
    words = {
        name: map(quoted, value if isinstance(value, list | tuple) else [value])
        for name, value in {**model, **named}.items()
    }
    return [" ".join([flag_name(name), *values]) for name, values in words.items()]


def resume_facts(args: TrainConfig) -> list[str]:
    """What a run that is resumed reads, and what it was started with that does not hold now, in sentences."""
    run = args.run.resume
    assert run is not None
    read_paths = [*args.data.dataset, *args.data.val_dataset, *filter(None, [args.model.init_from])]
    lines = [f"{run} is resumed with {', '.join(map(str, read_paths))}"]
    given = flag_values(args)
    saved = {name: value for name, value in _read_config(run).items() if name in ELSEWHERE}
    if left_out := flags_to_repeat({k: value for k, value in saved.items() if not given[k]}):
        lines.append(
            f"It was started with {' '.join(left_out)}, which is not used: nothing is written where a run "
            "folder says; pass it again if it is yours"
        )
    return lines


def _read_config(run: Path) -> Mapping[str, Any]:
    kinds = {name: _in_json(kind) for name, kind in _kinds().items()}
    record = TypedDict("record", kinds, total=False)  # type: ignore[misc]
    return read_json(run / CONFIG, record, what="the settings of pct train", fix=FIX)


def _kinds() -> dict[str, Any]:
    """The type of each flag by name."""
    kinds: dict[str, Any] = {}
    for part in get_type_hints(TrainConfig).values():
        kinds |= get_type_hints(part)
    return kinds


def _in_json(kind: Any) -> Any:
    """The type that a flag has in ``config.json``: paths are texts, and infinity is null."""
    if Path in (kind, *get_args(kind)):
        return str | None
    return float | None if kind is float else kind


def changed_flags(args: TrainConfig, saved: TrainConfig) -> dict[str, tuple[Any, Any]]:
    """Flags that steer the result and differ: ``{flag: (now, then)}``."""
    from pct.dynamics.registry import is_model_file

    now, then = flag_values(args), flag_values(saved)
    changed = {
        flag_name(name): (now[name], then[name])
        for name in now
        if name not in FREE_ON_RESUME + OF_ONE_START and now[name] != then[name]
    }
    models = changed.get("--model", ("", ""))
    # The same file may lie elsewhere by now.
    if all(map(is_model_file, models)) and Path(models[0]).name == Path(models[1]).name:
        del changed["--model"]
    return changed


def shared_flags(args: TrainConfig) -> dict[str, Any]:
    """Flags that processes which train together have in common, by name; values as JSON has them."""
    own = {*FREE_ON_RESUME, *OF_ONE_START} - {"epochs", "resume", "device"}
    values = json.loads(json.dumps(flag_values(args), default=str))
    return {flag_name(name): value for name, value in values.items() if name not in own}


def _from_json(value: Any, kind: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    if value is None and kind is float:
        return math.inf  # JSON has no infinity
    return Path(value) if value is not None and Path in (kind, *get_args(kind)) else value
