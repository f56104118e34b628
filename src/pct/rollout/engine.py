"""The engine: what rolls windows out and takes their loss, native code or XLA's from `pct.rollout.lanes`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp

from pct.dynamics.core import ModelSpec, unflatten_params
from pct.errors import UsageError
from pct.rollout.device import platform
from pct.rollout.lanes import RolloutFn, make_rollout
from pct.types import Array, Controls, InitialStates, States

EngineName = Literal["auto", "jax", "native"]


@runtime_checkable
class BatchLossFn(Protocol):
    """Loss of a batch and its gradient in one call: what an engine supplies to training and validation."""

    def __call__(self, answers: Array, batch: Any, *, gradient: bool = True) -> tuple[Array, Array]:
        """Loss and gradient.

        Args:
            answers: learned parameters, (B, P).
            batch: windows, `pct.windows.batch.FeatureDataset`.
            gradient: whether it is wanted.

        Returns:
            The loss, summed over the windows, and its gradient by the answers, (B, P), or an empty array.
        """


class Engine(NamedTuple):
    """What rolls windows out.

    Attributes:
        rollout: as of `make_rollout`.
        train_loss, eval_loss: the model's loss of a batch, with the weights of training and of validation.
        dense: the dense layers of a network of single precision and their bounds, as of
            `pct.rollout.native.dense_layers.bounded_layers`; None where XLA is to compute them.
        context: state context of windows of single precision, as of
            `pct.rollout.native.state_context.state_context`; None where XLA is to compute it.
        fallback: why native code was asked for and is not used; empty where that is not so.
    """

    rollout: RolloutFn
    train_loss: BatchLossFn
    eval_loss: BatchLossFn
    dense: Callable[..., Array] | None = None
    context: Callable[..., Array] | None = None
    fallback: str = ""


def make_engine(
    name: EngineName, spec: ModelSpec, base_params: Mapping[str, Any], integrator_name: str, substeps: int
) -> Engine:
    """The engine of that name for a model.

    Args:
        name: ``auto`` is ``native`` on a CPU, where the model and the machine allow it, else ``jax``.
        spec, base_params, integrator_name, substeps: as of `make_rollout`.

    Raises:
        UsageError: ``native``, and the model or the machine does not allow it.
    """
    plain = make_rollout(spec, base_params, integrator_name, substeps)
    slow = Engine(
        plain,
        rollout_loss(spec, plain, spec.train_loss_kwargs),
        rollout_loss(spec, plain, spec.eval_loss_kwargs),
    )
    if name == "jax":
        return slow
    from pct.rollout.native.compiler import NoCompiler
    from pct.rollout.native.dense_layers import bounded_layers
    from pct.rollout.native.gradients import native_loss, native_rollout
    from pct.rollout.native.graph import NotSupported
    from pct.rollout.native.shared_library import prepare
    from pct.rollout.native.state_context import state_context

    problem = spec, base_params, integrator_name, substeps
    try:
        require_cpu()
        fast = native_rollout(*problem)
        train_loss = native_loss(*problem, spec.train_loss_kwargs)
        eval_loss = native_loss(*problem, spec.eval_loss_kwargs)
        prepare()
    except (NoCompiler, NotSupported) as error:
        return slow._replace(fallback=fallback_reason(name, spec, error))

    def rollout(initial_states: InitialStates, controls: Controls, learned: dict[str, Array]) -> States:
        arrays = jax.tree.leaves((initial_states, controls, learned))
        single = all(leaf.dtype == jnp.float32 for leaf in arrays)
        return (fast if single else plain)(initial_states, controls, learned)

    def by_precision(single: BatchLossFn | None, other: BatchLossFn) -> BatchLossFn:
        def loss(answers: Array, batch: Any, *, gradient: bool = True) -> tuple[Array, Array]:
            is_single = answers.dtype == batch.targets.dtype == jnp.float32
            return (single if single and is_single else other)(answers, batch, gradient=gradient)

        return loss

    return Engine(
        rollout,
        by_precision(train_loss, rollout_loss(spec, rollout, spec.train_loss_kwargs)),
        by_precision(eval_loss, rollout_loss(spec, rollout, spec.eval_loss_kwargs)),
        bounded_layers,
        state_context,
    )


def require_cpu() -> None:
    """Native code is for CPUs.

    Raises:
        NoCompiler: JAX computes elsewhere.
    """
    from pct.rollout.native.compiler import NoCompiler

    if platform() != "cpu":
        raise NoCompiler(f"native code is for CPUs, not for '{platform()}'")


def fallback_reason(name: EngineName, spec: ModelSpec, error: Exception) -> str:
    """Why native code of a model is not used; empty where nobody expects it.

    Raises:
        UsageError: it was asked for.
    """
    from pct.rollout.native.graph import NotSupported

    reason = f"model '{spec.name}' uses {error}" if isinstance(error, NotSupported) else str(error)
    if name == "native":
        raise UsageError(f"`engine=native`: {reason}: use `engine=auto`") from None
    return reason if platform() == "cpu" else ""


def rollout_loss(spec: ModelSpec, rollout: RolloutFn, loss_kwargs: Mapping[str, Any]) -> BatchLossFn:
    """The model's loss of what a rollout gives, and its gradient by reverse mode.

    Args:
        spec: the model, its learned parameters and its loss.
        rollout: of the model, differentiable.
        loss_kwargs: of the loss.
    """

    def loss(answers: Array, batch: Any) -> Array:
        learned = unflatten_params(answers, spec.param_keys, spec.full_shapes)
        predicted = rollout(batch.initial_states, batch.controls, learned)
        return spec.loss_fn(predicted, batch.targets, weights=batch.weights, **loss_kwargs)

    def with_gradient(answers: Array, batch: Any, *, gradient: bool = True) -> tuple[Array, Array]:
        if gradient:
            return jax.value_and_grad(loss)(answers, batch)
        return loss(answers, batch), jnp.zeros(0, answers.dtype)

    return with_gradient
