"""`pct train`, also `bin/optimize_network.py`: from driving logs to a trained, checked network."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pct.cli.config import TrainConfig
from pct.cli.config import parse_args as parse_args
from pct.errors import DataError, UsageError

if TYPE_CHECKING:
    from pct.dynamics import ModelSpec

REPO_ROOT = Path(__file__).resolve().parents[3]


def main(argv: Sequence[str] | None = None) -> None:
    """Read the flags and train: the eight steps, top to bottom."""
    # 1) Configure and seed.
    args = parse_args(argv)
    args.validate()
    import jax
    import jax.numpy as jnp

    from pct import analysis
    from pct.cli import summary
    from pct.cli.progress import TrainingProgress
    from pct.data.loading import data_hashes, load_feature_dataset_group
    from pct.dynamics import flatten_bounds
    from pct.integration import choose_substeps, make_integrator
    from pct.optimization import network_training as optnet
    from pct.optimization.divergence import make_explain_fn
    from pct.optimization.history_fit import HistoryFit
    from pct.optimization.loop import LoopSettings, train
    from pct.optimization.network import ParameterMLP, fit_normalization, network_settings
    from pct.runs import checkpoint
    from pct.runs.directory import create_run_directory, mark_done, mark_failed, write_json, write_provenance
    from pct.runs.tracking import open_tracker

    keep_compiled_code(jax)
    rng = jax.random.PRNGKey(args.seed)
    init_key, shuffle_key = jax.random.split(rng)

    # 2) Dynamics spec: the model's tables, another vehicle, held parameters; bounds of the answers.
    spec = resolve_spec(args)
    flat_min_bounds, flat_max_bounds = flatten_bounds(spec.param_keys, spec.param_bounds, spec.full_shapes)

    # 3) Datasets.
    dataset_paths = [resolve_folder(path, "--dataset") for path in args.dataset]
    val_dataset_paths = [resolve_folder(path, "--val-dataset") for path in args.val_dataset]
    window_shape = {"horizon": args.horizon, "history": args.history, "stride": args.stride}
    history_fit = HistoryFit(spec, args.integrator, args.substeps) if args.history_fit else None
    dataset = load_feature_dataset_group(
        dataset_paths,
        spec,
        args.dataset_cache,
        args.refresh_cache,
        args.samples,
        args.dt,
        args.feature_mode,
        "training",
        history_features=history_fit,
        **window_shape,
    )
    assert dataset.origin is not None
    dt = round(100 * dataset.origin.dt)
    val_dataset = None
    if val_dataset_paths:
        val_dataset = load_feature_dataset_group(
            val_dataset_paths,
            spec,
            args.val_dataset_cache,
            args.refresh_cache,
            args.val_samples,
            dt,
            args.feature_mode,
            "validation",
            history_features=history_fit,
            **window_shape,
        )
        check_same_features(dataset, val_dataset)

    # 4) Run directory.
    output_dir = create_run_directory(args.results or default_results(), spec.name, args.feature_mode)
    output_path = args.output or output_dir / "pct_predicted_params.json"
    hashes = data_hashes([*dataset_paths, *val_dataset_paths])
    config = dataclasses.asdict(args)
    write_provenance(output_dir, config=config, command=sys.argv, data=hashes)

    tracker = None
    try:
        # 5) Logging: metrics.jsonl always, Weights & Biases where a project is named.
        tracker = open_tracker(output_dir, args.wandb_project, config)

        # 6) Model and optimiser.
        base_params = spec.build_base_params(dt)
        substeps = choose_substeps(dt / 100, args.substeps)
        integrator = make_integrator(args.integrator, substeps)
        feature_mean, feature_std = fit_normalization(dataset.features)
        model = ParameterMLP(
            hidden_sizes=args.model_hidden,
            min_bounds=flat_min_bounds,
            max_bounds=flat_max_bounds,
            feature_mean=feature_mean,
            feature_std=feature_std,
            **network_settings(spec),
        )
        params = jax.jit(model.init)(init_key, jnp.zeros((1, dataset.features.shape[1])))
        optimizer = optnet.make_optimizer(args.lr, args.max_grad_norm, args.weight_decay)
        opt_state = optimizer.init(params)

        def train_loss_fn(*states: Any, **weights: Any) -> Any:
            return spec.loss_fn(*states, **spec.train_loss_kwargs, **weights)

        step_fn = optnet.make_network_step_fn(
            model.apply,
            train_loss_fn,
            spec.param_keys,
            base_params,
            spec.dynamics_fn,
            integrator,
            optimizer,
            param_shapes=spec.full_shapes,
        )
        chunk_size = args.summary_chunk_size
        eval_loss_fn = optnet.make_eval_loss_fn(model, base_params, spec, integrator, chunk_size=chunk_size)
        predict_fn = optnet.make_predict_fn(model.apply, base_params, spec, integrator, chunk_size=chunk_size)

        # 7) Training loop: curriculum, validation, plateau, best.
        settings = LoopSettings(**{f.name: config[f.name] for f in dataclasses.fields(LoopSettings)})
        summary.announce(args, spec, dataset, val_dataset, params, substeps, output_dir)
        with TrainingProgress(tracker, settings, dataset.features.shape[0]) as progress:
            result = train(
                params,
                opt_state,
                dataset,
                val_dataset,
                step_fn=step_fn,
                eval_loss_fn=eval_loss_fn,
                settings=settings,
                key=shuffle_key,
                reporter=progress,
                explain=make_explain_fn(model.apply, predict_fn, spec, dataset),
            )

        # 8) Checkpoints first, so that nothing learned is lost; then summaries and artifacts.
        trained = analysis.TrainedModel(
            spec,
            model,
            result.best_params,
            dt / 100,
            args.integrator,
            substeps,
            {
                **window_shape,
                "feature_mode": args.feature_mode,
                "history_fit": args.history_fit,
                "feature_names": dataset.origin.feature_names,
            },
        )
        analysis.save_network(output_dir, trained)
        checkpoint.save_params(output_dir / checkpoint.MODEL_PARAMS, result.params)
        checkpoint.save_params(output_dir / checkpoint.OPTIMIZER_STATE, result.opt_state)
        checkpoint.save_params(output_dir / checkpoint.BEST_PARAMS, result.best_params)
        summary.save_loss_curves(output_dir, result, settings)
        if result.failure is not None:
            raise result.failure
        predicted_params = summary.with_tables(
            spec,
            optnet.summarize_predictions_chunked(
                model.apply,
                result.best_params,
                dataset.features,
                spec.param_keys,
                chunk_size=chunk_size,
                param_shapes=spec.full_shapes,
            ),
        )
        write_json(output_path, predicted_params)
        if args.analysis:
            for label, windows in (("training", dataset), ("validation", val_dataset)):
                if windows is not None:
                    analysis.generate_analysis_artifacts(
                        label,
                        windows,
                        trained,
                        output_dir / "analysis",
                        scenarios=args.analysis_scenarios,
                        chunk_size=chunk_size,
                    )
        facts = summary.conclude(
            trained, dataset, val_dataset, predicted_params, result, output_dir, output_path, chunk_size
        )
        tracker.summary(facts)
        tracker.close()
        mark_done(output_dir, facts)
    except BaseException as error:
        reason = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error) or repr(error)
        if tracker is not None:
            tracker.close(exit_code=getattr(error, "exit_code", 1))
        mark_failed(output_dir, reason)
        print(f"What was learned until then is in {output_dir}", file=sys.stderr)
        raise


def keep_compiled_code(jax: Any) -> None:
    """Keep compiled code in the user's cache folder, so that the next run starts at once.

    `JAX_COMPILATION_CACHE_DIR` chooses another folder, `JAX_ENABLE_COMPILATION_CACHE=false` none.
    """
    if jax.config.jax_compilation_cache_dir is None:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        jax.config.update("jax_compilation_cache_dir", str(cache / "pct" / "compiled"))


def resolve_spec(args: TrainConfig) -> ModelSpec:
    """The model of the flags: registered, of the requested hidden size and vehicle, with held parameters.

    Raises:
        UsageError: an unknown model, vehicle or parameter; the message lists the known ones.
    """
    from pct.dynamics import MODEL_SPECS, with_fixed
    from pct.dynamics.vehicles import with_vehicle

    try:
        spec = MODEL_SPECS[args.model]
    except KeyError:
        available = ", ".join(sorted(MODEL_SPECS))
        raise UsageError(f"Unknown model '{args.model}'. Available models: {available}") from None
    if spec.name == "mlp-dynamics":
        from pct.dynamics.mlp_dynamics import mlp_default_params, mlp_param_bounds, mlp_param_shapes

        hidden_size = args.dynamics_hidden_size
        spec = dataclasses.replace(
            spec,
            param_shapes=mlp_param_shapes(hidden_size),
            param_bounds=mlp_param_bounds(hidden_size),
            default_params=mlp_default_params(hidden_size),
        )
    if args.vehicle is not None:
        spec = with_vehicle(spec, args.vehicle)
    return with_fixed(spec, args.fixed_values())


def resolve_folder(path: str, flag: str) -> Path:
    """A dataset folder, absolute or relative to the repository root, else to the working directory.

    Raises:
        DataError: there is no such folder.
    """
    tried = list(dict.fromkeys((REPO_ROOT / path, Path.cwd() / path)))
    for folder in tried:
        if folder.is_dir():
            return folder
    what = "a file" if any(folder.exists() for folder in tried) else "nothing"
    raise DataError(
        f"{flag} {path}: expected a folder, found {what} at {' or '.join(map(str, tried))}: "
        "check the path, or make a dataset with `pct simulate`"
    )


def default_results() -> Path:
    """``results/`` in the repository root; in the working directory where PCT is installed without one."""
    in_repository = (REPO_ROOT / "pyproject.toml").exists()
    return (REPO_ROOT if in_repository else Path.cwd()) / "results"


def check_same_features(dataset: Any, val_dataset: Any) -> None:
    """Raise DataError where the network could not read the validation data."""
    trained, found = (data.origin.feature_names for data in (dataset, val_dataset))
    if trained != found:
        missing = sorted(set(trained) - set(found)) or "none"
        extra = sorted(set(found) - set(trained)) or "none"
        raise DataError(
            f"validation data: expected the features of the training data; missing {missing}, "
            f"not known {extra}: use logs with the same feature.* columns, or --feature-mode context"
        )
