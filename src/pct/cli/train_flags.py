"""What the flags of `pct train` mean together: the model, a fit to begin with, a run to go on with."""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING, Any

from pct.cli.config import TrainConfig, changed_flags, saved_config
from pct.cli.folders import resolve_folder
from pct.errors import DataError, UsageError

if TYPE_CHECKING:
    from pct.dynamics import ModelSpec
    from pct.optimization.constants.fitted import FittedModel

log = logging.getLogger(__name__)


def resolve_spec(args: TrainConfig, fitted: FittedModel | None = None) -> ModelSpec:
    """The model of the flags: registered or fitted, of the requested hidden size and vehicle, with scopes.

    Raises:
        UsageError: an unknown model, vehicle or parameter; the message lists the known ones.
    """
    from pct.dynamics import resolve_model, with_fixed, with_scope
    from pct.dynamics.vehicles import with_vehicle

    spec = resolve_model(args.model) if fitted is None else fitted.spec_to_train()
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
    spec = with_scope(with_scope(spec, args.context_params, "context"), args.global_params, "global")
    return with_fixed(spec, args.fixed_values())


def like_fit(args: TrainConfig, fitted: FittedModel) -> TrainConfig:
    """The settings with what the fit decides.

    Raises:
        UsageError: a flag asks for something else.
    """
    name = fitted.spec.name
    if args.model not in (name, TrainConfig.model):
        raise UsageError(
            f"--model {args.model}: --init-from {args.init_from} is a fit of {name}: leave it out"
        )
    if args.vehicle is not None:
        raise UsageError("--vehicle: with --init-from it is the fit's: leave it out")
    integration: Any = {"integrator": fitted.integrator_name, "substeps": fitted.substeps}
    return dataclasses.replace(
        args,
        init_from=args.init_from and args.init_from.resolve(),
        model=name,
        dt=round(100 * fitted.dt),
        history=fitted.settings["history"],
        history_fit=False,  # the observer reads the history
        **integration,
    )


def with_huber(spec: ModelSpec, huber: float | None) -> ModelSpec:
    """The model with errors beyond so many scales counted by their size, in training and validation."""
    if huber is None:
        return spec
    return dataclasses.replace(
        spec,
        train_loss_kwargs={**spec.train_loss_kwargs, "huber": huber},
        eval_loss_kwargs={**spec.eval_loss_kwargs, "huber": huber},
    )


def check_resumable(args: TrainConfig, hashes: dict[str, str]) -> TrainConfig:
    """Refuse to go on with other flags or data than the run was started with, unless forced.

    Returns:
        The settings of the run.

    Raises:
        UsageError: a flag differs, or no epoch is left.
        DataError: a file of the data differs.
    """
    from pct.runs.directory import DONE, data_of

    assert args.resume is not None
    saved = saved_config(args.resume)
    if (args.resume / DONE).exists() and args.epochs <= saved.epochs:
        raise UsageError(
            f"--resume {args.resume}: its {saved.epochs} epochs are done: "
            f"pass --epochs {2 * saved.epochs} to train on"
        )
    if changed := changed_flags(args, saved):
        told = ", ".join(f"{flag} is {now}, was {then}" for flag, (now, then) in changed.items())
        if not args.force:
            raise UsageError(f"--resume {args.resume}: {told}: leave the flag out, or pass --force")
        log.warning("%s", told)
    then = data_of(args.resume)
    if differ := sorted(path for path in then.keys() | hashes.keys() if then.get(path) != hashes.get(path)):
        told = f"the data is not what the run was started with: {differ[0]} ({len(differ)} files differ)"
        if not args.force:
            raise DataError(f"--resume {args.resume}: {told}: put it back, or pass --force")
        log.warning("%s", told)
    return saved


def with_folders(args: TrainConfig) -> TrainConfig:
    """The settings with absolute paths of the data, by which a run can go on from any folder.

    Raises:
        DataError: a folder is missing.
    """
    return dataclasses.replace(
        args,
        dataset=tuple(str(resolve_folder(path, "--dataset")) for path in args.dataset),
        val_dataset=tuple(str(resolve_folder(path, "--val-dataset")) for path in args.val_dataset),
    )
