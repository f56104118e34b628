"""Steps of `pct train` that read its flags: where to start, the data, what is resumed, what is summarised."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pct.cli.console import flush, say
from pct.cli.flags import flag_name, flag_values
from pct.cli.folders import resolve_folder
from pct.cli.train_config import TrainConfig, TrainModelFlags, changed_flags, saved_config
from pct.errors import DataError, UsageError

if TYPE_CHECKING:
    from pct.api.cars import Car
    from pct.dynamics import ModelSpec
    from pct.optimization.network.loop import TrainResult
    from pct.optimization.network.model import TrainedModel
    from pct.optimization.network.training import Learner
    from pct.optimization.network.validation import Seen
    from pct.rollout.device import DeviceChoice
    from pct.runs.lock import RunLock
    from pct.runs.trainings import TrainingFolder
    from pct.windows.store import WindowStore
    from pct.windows.window_set import WindowSet

log = logging.getLogger(__name__)


def resolve_start(args: TrainConfig) -> tuple[TrainConfig, Car]:
    """The car of the flags, or the fit that they name, and the flags with what the fit decides.

    Raises:
        UsageError: an unknown model, vehicle or parameter, or a flag that does not fit the fit.
    """
    from pct.api.cars import model
    from pct.api.opening import open_fit
    from pct.dynamics.registry import is_model_file
    from pct.optimization.network.training import settings_on_top

    flags = args.model
    if flags.init_from is None:
        car = model(flags.model, vehicle=flags.vehicle, hidden_size=flags.dynamics_hidden_size)
        return args, _with_scopes(car, flags)
    own_file = flags.model if is_model_file(flags.model) else None
    fit = open_fit(flags.init_from, model=own_file)
    name = fit.model.spec.name
    if own_file is None and flags.model not in (name, TrainModelFlags.model):
        raise UsageError(
            f"`model` {flags.model}: `init_from` {flags.init_from} is a fit of {name}: leave it out"
        )
    if flags.vehicle is not None:
        raise UsageError("`vehicle`: with `init_from` it is the fit's: leave it out")
    args = dataclasses.replace(
        args,
        data=dataclasses.replace(args.data, dt=round(100 * fit.model.dt)),
        model=dataclasses.replace(flags, init_from=flags.init_from.resolve(), model=own_file or name),
        settings=settings_on_top(fit.model, args.settings),
    )
    return args, _with_scopes(fit.car, flags)


def _with_scopes(car: Car, flags: TrainModelFlags) -> Car:
    car = car.scope("context", *flags.context_params).scope("global", *flags.global_params)
    return car.hold_all(flags.fixed_values())


def rows_of_start(args: TrainConfig) -> Seen | None:
    """What the fit of the flags has used; None where they name none."""
    from pct.api.networks import rows_seen_by
    from pct.api.opening import open_fit

    return None if args.model.init_from is None else rows_seen_by(open_fit(args.model.init_from))


def with_folders(args: TrainConfig) -> TrainConfig:
    """The flags with absolute paths of the data, by which a run can be resumed from any folder.

    Raises:
        DataError: a folder is missing.
    """
    data: dict[str, Any] = {
        name: tuple(str(resolve_folder(path, flag_name(name))) for path in getattr(args.data, name))
        for name in ("dataset", "val_dataset")
    }
    return dataclasses.replace(args, data=dataclasses.replace(args.data, **data))


def load_stores(
    args: TrainConfig, spec: ModelSpec, fitted_dt: float | None
) -> tuple[ModelSpec, WindowStore, WindowStore | None]:
    """The model with its inputs as they act in the training data, unless a fit has decided that; rows of the
    training data, and of the validation data where folders are named.

    Args:
        args: the flags, with absolute paths.
        spec: the model whose channels are read.
        fitted_dt: time step of a fit to start from in s; None where there is none.
    """
    from pct.windows.inputs import with_inputs, with_unlogged
    from pct.windows.loading import load_window_store

    data = args.data

    def load(paths: tuple[str, ...], cache: Path | None, dt: float | None, **options: Any) -> Any:
        folders = [Path(path) for path in paths]
        return load_window_store(folders, spec, cache=cache, refresh=data.refresh_cache, dt=dt, **options)

    inputs = args.settings.inputs if fitted_dt is None else None
    dt = fitted_dt or (None if data.dt is None else data.dt / 100)
    store = load(data.dataset, data.dataset_cache, dt, inputs=inputs)
    known = with_unlogged(spec, store.origins, only=False)
    spec = known if inputs is None else with_inputs(spec, store.origins, inputs)
    if not data.val_dataset:
        return spec, store, None
    val_store = load(data.val_dataset, data.val_dataset_cache, store.dt, label="validation")
    return with_unlogged(spec, val_store.origins, only=False), store, val_store


def choose_device(args: TrainConfig, spec: ModelSpec, windows: WindowSet) -> DeviceChoice:
    """The device that trains these windows fastest, which JAX uses from now on."""
    from pct.optimization.network.device_trial import open_trials, training_device
    from pct.rollout.device import use_device, visible_platforms

    trials = open_trials() if args.run.compile_cache else None
    device = training_device(spec, windows, args.settings, visible_platforms(), trials)
    use_device(device)
    return device


def run_folder(args: TrainConfig, name: str, hashes: dict[str, str], lock: RunLock) -> TrainingFolder:
    """A new folder of a model's results, or that of the run which is resumed, with nothing written yet.

    Args:
        args: the flags.
        name: of the model.
        hashes: of the data, by path.
        lock: on the folder.
    """
    from pct.cli.folders import default_results
    from pct.runs.directory import create_run_directory
    from pct.runs.trainings import TrainingFolder

    results = args.run.results or default_results()
    resumed = args.run.resume and args.run.resume.resolve()
    path = resumed or create_run_directory(results, name, args.settings.feature_mode)
    return TrainingFolder(path, config=flag_values(args), data=hashes, lock=lock)


def check_resumable(args: TrainConfig, hashes: dict[str, str]) -> TrainConfig:
    """Refuse to resume with other flags or data than the run was started with, unless forced.

    Returns:
        The settings of the run.

    Raises:
        UsageError: a flag differs, or no epoch is left.
        DataError: a file of the data differs, or the folder holds links that lead out of it.
    """
    from pct.runs.directory import DONE, data_of, require_own

    run = args.run.resume
    assert run is not None
    require_own(run)
    saved = saved_config(run)
    if (run / DONE).exists() and args.settings.epochs <= saved.settings.epochs:
        epochs = saved.settings.epochs
        raise UsageError(
            f"`resume` {run}: its {epochs} epochs are done: pass `epochs={2 * epochs}` to train on"
        )
    if changed := changed_flags(args, saved):
        differences = ", ".join(f"{flag} is {now}, was {then}" for flag, (now, then) in changed.items())
        if not args.run.force:
            raise UsageError(f"`resume` {run}: {differences}: leave the flag out, or pass --force")
        log.warning("%s", differences)
    then = data_of(run)
    if differ := sorted(path for path in then.keys() | hashes.keys() if then.get(path) != hashes.get(path)):
        message = f"the data is not what the run was started with: {differ[0]} ({len(differ)} files differ)"
        if not args.run.force:
            raise DataError(f"`resume` {run}: {message}: put it back, or pass --force")
        log.warning("%s", message)
    return saved


def write_results(args: TrainConfig, learner: Learner, folder: Path, result: TrainResult) -> dict[str, Any]:
    """Write the network, then its summaries and figures; the facts of the run.

    Raises:
        DivergedError: the training ended so, and what it had learned is written.
    """
    import jax

    from pct.evaluation.scenarios import save_loss_figure
    from pct.runs.directory import after_saving
    from pct.runs.trainings import write_training

    trained = write_training(folder, learner, result, jax.device_get(result.state))
    facts = result.facts
    if result.failure is None:
        facts |= _summarize(args, learner, trained, folder, result)
    with after_saving("the loss curves"):
        save_loss_figure(folder, result)
    if result.failure is not None:
        raise result.failure
    return facts


def _summarize(
    args: TrainConfig, learner: Learner, trained: TrainedModel, folder: Path, result: TrainResult
) -> dict[str, Any]:
    """Write and print what was learned and compare it with the defaults and the fit below; the facts of that.

    The figures come last: nobody waits for them to read the results.
    """
    from pct.cli import train_tables
    from pct.evaluation.scenarios import against_defaults, generate_analysis_artifacts
    from pct.evaluation.train_page import REPORT, train_page
    from pct.files import write_output
    from pct.optimization.network.training import SHOWN
    from pct.runs.directory import PREDICTED, after_saving, write_json
    from pct.runs.trainings import loss_figure

    output = args.run.output or folder / PREDICTED
    summary = learner.summarize(trained)
    write_json(output, summary)
    chunk_size = args.settings.summary_chunk_size
    label, dataset = "training", learner.sample
    splits = {label: dataset}
    if learner.windows.validation is not None:
        label, dataset = "validation", learner.windows.validation.sample(SHOWN)
        splits[label] = dataset
    comparison = against_defaults(trained, dataset, label, chunk_size=chunk_size)
    train_tables.conclude(learner.spec, summary, comparison, learner.verdicts(result.state), output)
    if args.run.analysis:
        flush()
        with after_saving("all plots under analysis/"):
            for split, windows in splits.items():
                generate_analysis_artifacts(
                    split,
                    windows,
                    trained,
                    folder / "analysis",
                    scenarios=args.run.analysis_scenarios,
                    chunk_size=chunk_size,
                )
        with after_saving("the report"):
            report = train_page(
                trained,
                learner.windows.validation or learner.windows.training,
                comparison,
                summary,
                loss_figure(result) if result.steps else None,
                learner.verdicts(result.state),
                folder,
            )
            write_output(folder / REPORT, report.encode())
            say(f"Report: {folder / REPORT}")
            say(f"Look next at {folder / 'analysis'}: {label}_parameters.png, {label}_error_growth.png.")
    else:
        say("Run with --analysis to see plots of the predictions.")
    return {**comparison.facts, **learner.facts(result.state)}
