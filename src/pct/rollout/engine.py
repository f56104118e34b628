"""Which engine rolls windows out: generated native code or XLA's, `pct.rollout.lanes`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from pct.dynamics.core import ModelSpec
from pct.errors import UsageError
from pct.rollout.lanes import RolloutFn, make_rollout
from pct.types import Array, Controls, InitialStates, States

EngineName = Literal["auto", "jax", "native"]
# loss(answers, batch, gradient=True): summed over the windows, and its gradient by the answers.
BatchLossFn = Callable[..., tuple[Array, Array]]


class Engine(NamedTuple):
    """What rolls windows out.

    Attributes:
        rollout: as of `make_rollout`.
        train_loss, eval_loss: loss of a batch and its gradient by the answers in one call, for single
            precision; None where the loss is to be made of ``rollout``.
        dense: the dense layers of a network of single precision and their bounds, as of
            `pct.rollout.native.network.bounded_layers`; None where XLA is to compute them.
        context: state context of windows of single precision, as of `native.context.state_context`; None
            where XLA is to compute it.
        fallback: why native code was asked for and is not used; empty where that is not so.
    """

    rollout: RolloutFn
    train_loss: BatchLossFn | None = None
    eval_loss: BatchLossFn | None = None
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
    if name == "jax":
        return Engine(plain)
    from pct.rollout.native.common import prepare
    from pct.rollout.native.compiler import NoCompiler
    from pct.rollout.native.context import state_context
    from pct.rollout.native.graph import NotSupported
    from pct.rollout.native.network import bounded_layers
    from pct.rollout.native.training import native_loss, native_rollout

    problem = spec, base_params, integrator_name, substeps
    try:
        if jax.default_backend() != "cpu":
            raise NoCompiler(f"native code is for CPUs, not for '{jax.default_backend()}'")
        fast = native_rollout(*problem)
        train_loss = native_loss(*problem, spec.train_loss_kwargs)
        eval_loss = native_loss(*problem, spec.eval_loss_kwargs)
        prepare()
    except (NoCompiler, NotSupported) as error:
        reason = f"model '{spec.name}' uses {error}" if isinstance(error, NotSupported) else str(error)
        if name == "native":
            raise UsageError(f"--engine native: {reason}: use --engine auto") from None
        return Engine(plain, fallback=reason if jax.default_backend() == "cpu" else "")

    def rollout(initial_states: InitialStates, controls: Controls, learned: dict[str, Array]) -> States:
        arrays = jax.tree.leaves((initial_states, controls, learned))
        single = all(leaf.dtype == jnp.float32 for leaf in arrays)
        return (fast if single else plain)(initial_states, controls, learned)

    return Engine(rollout, train_loss, eval_loss, bounded_layers, state_context)
