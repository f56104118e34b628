"""What training asks of a native kernel: rollouts with a derivative, and a loss with its gradient.

Both are for arrays of single precision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp

from pct.dynamics.core import ModelSpec
from pct.dynamics.losses import yaw_normalized_loss
from pct.rollout.native.code import comparison
from pct.rollout.native.xla_calls import Kernel
from pct.types import Array, Controls, InitialStates, States


@lru_cache(maxsize=32)
def make_kernel(spec: ModelSpec, integrator_name: str, keys: tuple[str, ...]) -> Kernel:
    """The kernel of a model, made once; arguments and errors as of `Kernel`."""
    return Kernel(spec, integrator_name, keys)


def native_rollout(
    spec: ModelSpec, base_params: Mapping[str, Any], integrator_name: str, substeps: int
) -> Callable[[InitialStates, Controls, dict[str, Array]], States]:
    """``rollout(initial_states, controls, learned)`` of single precision; see `pct.rollout.lanes`.

    Raises:
        NotSupported, NoCompiler: see `Kernel`.
    """
    make_kernel(spec, integrator_name, spec.param_keys)  # fail early

    def rolled(initial_states: InitialStates, controls: Controls, learned: dict[str, Array]) -> States:
        # In one order, whatever JAX made of the dictionary's, so that one kernel serves all.
        names = spec.param_keys if {*spec.param_keys} == {*learned} else sorted(learned)
        kernel = make_kernel(spec, integrator_name, tuple(names))
        fixed = kernel.fixed(base_params, substeps)

        @jax.custom_vjp
        def roll(x: Array, u: Array, answers: Array) -> Array:
            return kernel.states(answers, fixed, x, u, substeps)

        def remember(x: Array, u: Array, answers: Array) -> Any:
            return roll(x, u, answers), (x, u, answers)

        def reverse(remembered: Any, cotangents: Array) -> Any:
            x, u, answers = remembered
            by_answers, by_start, by_controls = kernel.pull_back(answers, fixed, x, u, substeps, cotangents)
            return by_start, by_controls, by_answers

        roll.defvjp(remember, reverse)
        return roll(
            initial_states, controls, _side_by_side([learned[name] for name in names], len(initial_states))
        )

    return rolled


def native_loss(
    spec: ModelSpec,
    base_params: Mapping[str, Any],
    integrator_name: str,
    substeps: int,
    loss_kwargs: Mapping[str, Any],
) -> Callable[..., tuple[Array, Array]] | None:
    """``loss(answers, batch, gradient=True)``: loss summed over windows, and its gradient by the answers.

    Args:
        spec: the model, its learned parameters and its loss.
        base_params: all other parameters and ``dt``.
        integrator_name, substeps: as in `native_rollout`.
        loss_kwargs: of the loss.

    Returns:
        A function of answers (B, P) and a batch of windows (`pct.windows.batch.FeatureDataset`); None where
        the model has a loss of its own.

    Raises:
        NotSupported, NoCompiler: see `Kernel`.
    """
    if spec.loss_fn is not yaw_normalized_loss or not {*loss_kwargs} <= {"angle_mask", "scales", "huber"}:
        return None
    kernel = make_kernel(spec, integrator_name, spec.param_keys)
    fixed, compared = kernel.fixed(base_params, substeps), comparison(**loss_kwargs)

    def loss(answers: Array, batch: Any, *, gradient: bool = True) -> tuple[Array, Array]:
        weights = jnp.ones(batch.targets.shape[:2], answers.dtype) if batch.weights is None else batch.weights
        start, controls, targets, rows = batch.initial_states, batch.controls, batch.targets, None
        if batch.rows is not None:
            # What is gathered in native code XLA need not gather.
            start = None
            targets, controls, rows = batch.rows
        arrays = answers, fixed, start, controls, targets, weights, compared
        by_window, by_answers = kernel.loss(*arrays, substeps, rows=rows, gradient=gradient)
        return by_window.sum(), by_answers

    return loss


def _side_by_side(values: Sequence[Array], windows: int) -> Array:
    """Parameters of shape (B, *shape) as (B, L)."""
    parts = [value.reshape(windows, -1) for value in values]
    return jnp.concatenate(parts, axis=-1) if parts else jnp.zeros((windows, 0), jnp.float32)
