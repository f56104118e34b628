"""`pct train`, also `bin/optimize_network.py`: from driving logs to a trained, checked network."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pct.cli.console import command, say
from pct.cli.flags import flag_values, validate
from pct.cli.train_config import TrainConfig, flags_to_repeat, parse_args, resume_facts, shared_flags
from pct.cli.train_steps import (
    check_resumable,
    choose_device,
    load_stores,
    resolve_start,
    rows_of_start,
    run_folder,
    with_folders,
    write_results,
)
from pct.errors import DivergedError

if TYPE_CHECKING:
    from pct.runs.trainings import TrainingFolder

CONFIG = TrainConfig

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> None:
    """Read the flags and train: the eight steps, top to bottom."""
    # 1) Configure and seed.
    args = parse_args(argv)
    validate(args)
    import jax

    from pct.api.networks import trainable
    from pct.cli import processes, train_tables
    from pct.cli.device import settle_device
    from pct.cli.progress import training_reporter
    from pct.cli.stopping import Stopping
    from pct.optimization.network.feature_cache import open_features
    from pct.optimization.network.loop import TrainResult
    from pct.optimization.network.training import choose_engine, make_learner, training_windows
    from pct.rollout.compiled import keep_compiled_code
    from pct.runs import checkpoint
    from pct.runs.lock import RunLock
    from pct.runs.trainings import restore_training
    from pct.windows.loading import data_hashes

    if args.run.compile_cache:
        keep_compiled_code()
    run: TrainingFolder | None = None  # of the process that writes
    lock = RunLock()  # on its folder
    group = processes.join(args.run, jax)
    try:
        device = settle_device(args.run.device, fits=False)
        first = jax.process_index() == 0
        group.agree_on_flags(shared_flags(args))
        if args.run.resume is not None and first:
            lock.take(args.run.resume)

        # 2) Dynamics spec: the model's tables, another vehicle, held parameters; or those of a fit.
        args, start = resolve_start(args)
        spec, settings, fitted_dt = trainable(start, args.settings)

        # 3) Datasets: windows are numbers of rows, and gathered where they are used. The engine.
        args = with_folders(args)
        if args.run.resume is not None and first:
            say(*resume_facts(args), error=True)
        hashes = data_hashes([Path(path) for path in (*args.data.dataset, *args.data.val_dataset)])
        former = None if args.run.resume is None else check_resumable(args, hashes)
        spec, store, val_store = load_stores(args, spec, fitted_dt)
        histories = open_features() if args.run.compile_cache else None
        seen = rows_of_start(args)
        windows = training_windows(spec, store, val_store, settings, cache=histories, seen=seen)
        if device is None:
            device = choose_device(args, spec, windows.training)
        engine = choose_engine(spec, store.dt, settings)
        if engine.fallback and first:
            log.warning(
                "native code is not used: %s; pure JAX is slower, the results are the same", engine.fallback
            )

        # 4) Run directory: a new one, or that of the run which is resumed, left as it is until that is sure.
        saved = None if args.run.resume is None else checkpoint.newest_state(args.run.resume)
        group.agree("the data or the checkpoint", (sorted(hashes.values()), saved and saved.path.name))
        if first:
            run = run_folder(args, spec.name, hashes, lock)
            if args.run.resume is None:
                run.begin()

            # 5) Logging: metrics.jsonl always, and the services that are named.
            run.open_sinks(args.run.wandb_project, args.run.track)

        # 6) Model and optimiser.
        learner = make_learner(spec, windows, settings, engine)
        state = learner.start()
        if saved is not None:
            state = restore_training(saved, state, learner.epoch)
        if former is not None and former.settings.lr != settings.lr:
            state = learner.with_learning_rate(state, settings.lr)

        # 7) Training loop: curriculum, validation, plateau, best, checkpoints.
        result = TrainResult(state)
        if run is not None:
            if args.run.resume is not None:
                result = run.resume(state, learner.epoch)
            say(str(device), error=True)
            train_tables.announce(learner, state, run.path)
        tracker = None if run is None else run.tracker
        reporter = training_reporter(tracker, learner.settings, len(windows.training), result.steps)
        with reporter, Stopping() as stopping, group.at_work():
            result = learner.train(
                state,
                reporter=reporter,
                save=lambda state: run.save(state, result) if run is not None else None,
                save_every=args.run.checkpoint_every,
                stopping=stopping,
                result=result,
            )
        if run is None:
            if result.failure is not None:
                raise result.failure
            return

        # 8) Checkpoints first, so that nothing learned is lost; then summaries and artifacts.
        run.save(result.state, result)
        run.done(write_results(args, learner, run.path, result))
    except BaseException as error:
        if run is not None and run.is_open:
            end_failed(run, error, args)
        group.leave(error)
        raise
    finally:
        lock.release()


def end_failed(run: TrainingFolder, error: BaseException, args: TrainConfig) -> None:
    """Mark a run as failed, and say on stderr how to resume it."""
    run.failed(error)
    if run.holds_results:
        say(f"What was learned until then is in {run.path}", error=True)
    if run.is_resumable:
        lower = ("--lr", f"{args.settings.lr / 10:g}", "--force") if isinstance(error, DivergedError) else ()
        again = "".join(f" {flag}" for flag in flags_to_repeat(flag_values(args)))
        say(f"Resume with: {command('train', '--resume', run.path, *lower)}{again}", error=True)
