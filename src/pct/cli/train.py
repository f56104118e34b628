"""`pct train`, also `bin/optimize_network.py`: from driving logs to a trained, checked network."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import shlex
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pct.cli.config import TrainConfig, shared_flags
from pct.cli.config import parse_args as parse_args
from pct.cli.folders import default_results, keep_compiled_code
from pct.cli.train_flags import check_resumable, like_fit, resolve_spec, with_folders, with_huber
from pct.errors import DataError, DivergedError
from pct.files import cache_folder

if TYPE_CHECKING:
    from pct.windows.window_set import HistoryFeatures

log = logging.getLogger(__name__)

# Windows that normalisation, tables and plots are made from; more are sampled evenly.
SHOWN = 65536


CONFIG = TrainConfig


def main(argv: Sequence[str] | None = None) -> None:
    """Read the flags and train: the eight steps, top to bottom."""
    # 1) Configure and seed.
    args = parse_args(argv)
    args.validate()
    import jax
    import jax.numpy as jnp

    from pct.cli import processes, summary
    from pct.cli.progress import Silent, TrainingProgress
    from pct.cli.stopping import Stopping
    from pct.dynamics import flatten_bounds
    from pct.dynamics.bounds import Bounds
    from pct.evaluation.overlap import save_fingerprint
    from pct.evaluation.scenarios import generate_analysis_artifacts
    from pct.optimization.network import epoch as epochs
    from pct.optimization.network import step as optnet
    from pct.optimization.network.divergence import make_explain_fn
    from pct.optimization.network.history_fit import HistoryFit
    from pct.optimization.network.loop import TrainResult, train
    from pct.optimization.network.mlp import (
        Ensemble,
        ParameterMLP,
        fit_normalization,
        network_settings,
    )
    from pct.optimization.network.observed import observe
    from pct.optimization.network.remembered import RememberedFeatures
    from pct.optimization.network.trained import TrainedModel
    from pct.rollout.engine import make_engine
    from pct.rollout.integration import choose_substeps, make_integrator
    from pct.runs import checkpoint, models
    from pct.runs.directory import (
        CONFIG,
        create_run_directory,
        mark_done,
        reopen,
        write_json,
        write_provenance,
    )
    from pct.runs.models import load_fit
    from pct.runs.tracking import open_tracker, read_metrics, write_metrics
    from pct.windows.context import moving_channels
    from pct.windows.loading import data_hashes, load_window_store
    from pct.windows.splits import split_starts
    from pct.windows.store import window_starts
    from pct.windows.window_set import make_window_set

    if args.compile_cache:
        keep_compiled_code(jax)
    begun, tracker = None, None  # the run folder, once it is this run's to mark
    group = processes.join(args, jax)
    first = jax.process_index() == 0  # the one that writes
    try:
        group.agree_on_flags(shared_flags(args))

        # 2) Dynamics spec: the model's tables, another vehicle, held parameters; bounds of the answers.
        fitted = None if args.init_from is None else load_fit(args.init_from)
        if fitted is not None:
            args = like_fit(args, fitted)
        spec = with_huber(resolve_spec(args, fitted), args.huber)
        flat_min_bounds, flat_max_bounds = flatten_bounds(
            spec.param_keys, spec.param_bounds, spec.full_shapes
        )

        # 3) Datasets: windows are numbers of rows, and gathered where they are used. The engine.
        args = with_folders(args)
        hashes = data_hashes([Path(path) for path in (*args.dataset, *args.val_dataset)])
        former = None if args.resume is None else check_resumable(args, hashes)
        window_shape: Any = {"horizon": args.horizon, "history": args.history, "stride": args.stride}
        history_fit: HistoryFeatures | None = None
        if args.history_fit:
            history_fit = HistoryFit(spec, args.integrator, args.substeps)
            if args.compile_cache:
                fitted_by = args.integrator, args.substeps
                history_fit = RememberedFeatures(history_fit, spec, fitted_by, cache_folder() / "histories")
        is_sequence = args.encoder == "gru"
        make_windows = partial(
            make_window_set,
            spec=spec,
            horizon=args.horizon,
            history=args.history,
            feature_mode=args.feature_mode,
            history_features=history_fit,
            sequence=is_sequence,
        )
        load_store = partial(load_window_store, spec=spec, refresh=args.refresh_cache)
        store = load_store(
            [Path(path) for path in args.dataset],
            cache=args.dataset_cache,
            dt=None if args.dt is None else args.dt / 100,
        )
        starts, held_out = split_starts(
            store, args.val_split or 0.0, samples=args.samples, val_samples=args.val_samples, **window_shape
        )
        dataset = make_windows(store, starts)
        val_dataset = make_windows(store, held_out) if held_out.size else None
        if args.val_dataset:
            val_store = load_store(
                [Path(path) for path in args.val_dataset],
                cache=args.val_dataset_cache,
                dt=store.dt,
                label="validation",
            )
            val_starts = window_starts(
                val_store, samples=args.val_samples, label="validation", **window_shape
            )
            val_dataset = make_windows(val_store, val_starts)
            check_same_features(dataset, val_dataset)
        dt = round(100 * store.dt)
        substeps = choose_substeps(dt / 100, args.substeps)
        dataset = observe(dataset, spec, args.integrator, substeps)
        if val_dataset is not None:
            val_dataset = observe(val_dataset, spec, args.integrator, substeps)
        base_params = spec.base_params(dataset.store.dt)
        integrator = make_integrator(args.integrator, substeps)
        engine = make_engine(args.engine, spec, base_params, args.integrator, substeps)
        if engine.fallback and first:
            log.warning(
                "native code is not used: %s; pure JAX is slower, the results are the same", engine.fallback
            )

        # 4) Run directory: a new one, or that of the run which goes on, left as it is until that is sure.
        config = dataclasses.asdict(args)
        saved = None if args.resume is None else checkpoint.newest_state(args.resume)
        group.agree("the data or the checkpoint", (sorted(hashes.values()), saved and saved.path.name))
        if args.resume is not None:
            output_dir = args.resume.resolve()
        elif first:
            output_dir = create_run_directory(args.results or default_results(), spec.name, args.feature_mode)
            begun = output_dir
            write_provenance(output_dir, config=config, command=sys.argv, data=hashes)
        else:
            output_dir = Path(os.devnull)  # never written to
        output_path = args.output or output_dir / "pct_predicted_params.json"

        # 5) Logging: metrics.jsonl always, Weights & Biases where a project is named.
        if first:
            tracker = open_tracker(output_dir, args.wandb_project, config)

        # 6) Model and optimiser.
        shown = dataset.sample(SHOWN)
        feature_mean, feature_std = fit_normalization(shown.features)
        network = ParameterMLP(
            hidden_sizes=args.model_hidden,
            min_bounds=flat_min_bounds,
            max_bounds=flat_max_bounds,
            feature_mean=feature_mean,
            feature_std=feature_std,
            rows=args.history if is_sequence else 0,
            channels=len(moving_channels(spec)),
            dense=engine.dense,
            **network_settings(spec),
        )
        model = network if args.ensemble == 1 else Ensemble(network, args.ensemble)
        optimizer = optnet.make_optimizer(
            args.lr, args.max_grad_norm, args.weight_decay, members=args.ensemble
        )

        @jax.jit
        def start(key: Any) -> epochs.TrainState:
            init_key, shuffle_key = jax.random.split(key)
            params = model.init(init_key, jnp.zeros((1, shown.features.shape[1])))
            return epochs.init_state(params, optimizer.init(params), shuffle_key)

        state = start(jax.random.PRNGKey(args.seed))
        if saved is not None:
            state = checkpoint.restore_state(saved, state)
        if former is not None and former.lr != args.lr:
            state = state._replace(opt_state=optnet.with_learning_rate(state.opt_state, args.lr))
        mesh = epochs.make_mesh()

        def train_loss_fn(*states: Any, **weights: Any) -> Any:
            return spec.loss_fn(*states, **spec.train_loss_kwargs, **weights)

        step_fn = optnet.make_network_step_fn(
            model.apply if args.ensemble == 1 else partial(model.apply, method="each"),
            train_loss_fn,
            spec.param_keys,
            base_params,
            spec.dynamics_fn,
            integrator,
            optimizer,
            param_shapes=spec.full_shapes,
            batch_loss=engine.train_loss,
            max_window_grad=args.max_window_grad,
            answer_slope=Bounds.of(spec).slope,
            axis_name=None if mesh is None else epochs.AXIS,
        )
        chunk_size = args.summary_chunk_size
        window_loss = optnet.make_window_loss_fn(model.apply, engine.eval_loss)
        evaluate = None
        if val_dataset is not None:
            judged = val_dataset.with_context(engine.context)
            evaluate = epochs.make_evaluate_fn(judged, window_loss, chunk_size, mesh)
        predict_fn = optnet.make_predict_fn(model.apply, base_params, spec, integrator, chunk_size=chunk_size)

        # 7) Training loop: curriculum, validation, plateau, best, checkpoints.
        loop = epochs.LoopSettings(
            **{field.name: config[field.name] for field in dataclasses.fields(epochs.LoopSettings)}
        )
        epoch = epochs.Epoch(dataset.with_context(engine.context), step_fn, loop, mesh)
        result = TrainResult(state)
        if first and args.resume is not None:
            begun = output_dir
            reopen(output_dir, command=sys.argv, config=config, data=hashes)
            rows = read_metrics(output_dir, step=int(state.step), epoch=int(state.epoch))
            write_metrics(output_dir, rows)
            result = summary.reports_of(rows, state, epoch)
        if first:
            summary.announce(args, spec, dataset, val_dataset, state, substeps, output_dir)

        def save(state: epochs.TrainState) -> None:
            if not first:
                return
            if not (output_dir / CONFIG).exists():
                print(f"{output_dir} was removed; it is made anew", file=sys.stderr)
                output_dir.mkdir(parents=True, exist_ok=True)
                write_provenance(output_dir, config=config, command=sys.argv, data=hashes)
                write_metrics(output_dir, summary.rows_of(result))
            checkpoint.save_state(output_dir, jax.device_get(state), int(state.step))

        reporter = TrainingProgress(tracker, loop, len(dataset), result.steps) if tracker else Silent()
        with reporter, Stopping() as stopping, group.at_work():
            result = train(
                epochs.replicate(state, mesh),
                dataset,
                val_dataset,
                epoch=epoch,
                evaluate=evaluate,
                settings=loop,
                reporter=reporter,
                explain=make_explain_fn(model.apply, predict_fn, spec),
                save=save,
                save_every=args.checkpoint_every,
                stopping=stopping,
                result=result,
            )
        if not first:
            if result.failure is not None:
                raise result.failure
            return

        # 8) Checkpoints first, so that nothing learned is lost; then summaries and artifacts.
        save(result.state)
        state = jax.device_get(result.state)
        trained = TrainedModel(
            spec,
            model,
            state.best_params,
            dt / 100,
            args.integrator,
            substeps,
            {
                **window_shape,
                "feature_mode": args.feature_mode,
                "history_fit": args.history_fit,
                "encoder": args.encoder,
                "feature_names": dataset.feature_names,
            },
        )
        models.save_network(output_dir, trained)
        save_fingerprint(output_dir, dataset)
        checkpoint.save_params(output_dir / checkpoint.MODEL_PARAMS, state.params)
        checkpoint.save_params(output_dir / checkpoint.OPTIMIZER_STATE, state.opt_state)
        checkpoint.save_params(output_dir / checkpoint.BEST_PARAMS, state.best_params)
        summary.save_loss_curves(output_dir, result)
        if result.failure is not None:
            raise result.failure
        predicted_params = summary.with_tables(
            spec,
            optnet.summarize_predictions_chunked(
                model.apply,
                state.best_params,
                shown.features,
                spec.param_keys,
                chunk_size=chunk_size,
                param_shapes=spec.full_shapes,
            ),
        )
        if args.ensemble > 1:
            for name, spread in trained.predict_spread(shown, chunk_size=chunk_size).items():
                predicted_params[name]["ensemble_std"] = spread.mean(axis=0)
        write_json(output_path, predicted_params)
        val_shown = None if val_dataset is None else val_dataset.sample(SHOWN)
        if args.analysis:
            for label, windows in (("training", shown), ("validation", val_shown)):
                if windows is not None:
                    generate_analysis_artifacts(
                        label,
                        windows,
                        trained,
                        output_dir / "analysis",
                        scenarios=args.analysis_scenarios,
                        chunk_size=chunk_size,
                    )
        facts = summary.conclude(
            trained, shown, val_shown, predicted_params, result, output_dir, output_path, chunk_size
        )
        assert tracker is not None
        tracker.summary(facts)
        tracker.close()
        mark_done(output_dir, facts)
    except BaseException as error:
        if begun is not None:
            end_failed(begun, tracker, error, args)
        group.leave(error)
        raise


def end_failed(run: Path, tracker: Any, error: BaseException, args: TrainConfig) -> None:
    """Mark a run as failed, where that can still be written, and say on stderr how to go on."""
    from pct.runs.checkpoint import saved_states
    from pct.runs.directory import mark_failed
    from pct.runs.tracking import METRICS

    interrupted = isinstance(error, KeyboardInterrupt | SystemExit)
    with contextlib.suppress(DataError):  # of a full disk, which is what failed
        if tracker is not None:
            tracker.close(exit_code=getattr(error, "exit_code", 1))
        mark_failed(run, "interrupted" if interrupted else str(error) or repr(error))
    metrics = run / METRICS
    if saved_states(run) or (metrics.is_file() and metrics.stat().st_size):
        print(f"What was learned until then is in {run}", file=sys.stderr)
    if saved_states(run):
        lower = f" --lr {args.lr / 10:g} --force" if isinstance(error, DivergedError) else ""
        print(f"Go on with: pct train --resume {shlex.quote(str(run))}{lower}", file=sys.stderr)


def check_same_features(dataset: Any, val_dataset: Any) -> None:
    """Raise DataError where the network could not read the validation data."""
    trained, found = (data.feature_names for data in (dataset, val_dataset))
    if trained != found:
        missing = sorted(set(trained) - set(found)) or "none"
        extra = sorted(set(found) - set(trained)) or "none"
        raise DataError(
            f"validation data: expected the features of the training data; missing {missing}, "
            f"not known {extra}: use logs with the same feature.* columns, or --feature-mode context"
        )
