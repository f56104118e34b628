"""Training helpers: rollouts of predicted parameters, the compiled step, evaluation, summaries."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree

from pct.dynamics.core import ModelSpec, Shape, unflatten_params
from pct.optimization.chunks import in_chunks
from pct.optimization.network.mlp import ParameterMLP
from pct.rollout.engine import BatchLossFn
from pct.rollout.integration import Integrator, integrate_rk4, rollout
from pct.types import Array, Features, Float, States
from pct.windows.batch import FeatureDataset as FeatureDataset

# A gradient this much shorter than the mean of its batch has no share in the mean.
WEAK = 1e-3

ApplyFn = Callable[..., Array]
StepFn = Callable[..., tuple[Any, Any, Array, dict[str, Array]]]
EvalLossFn = Callable[[Any, FeatureDataset], float]


def make_network_step_fn(
    apply_fn: ApplyFn,
    loss_fn: Callable[..., Array],
    param_keys: Sequence[str],
    base_params: Mapping[str, Any],
    dynamics_fn: Callable[..., Array],
    integrator: Integrator,
    optimizer: optax.GradientTransformation,
    *,
    param_shapes: Mapping[str, Shape],
    batch_loss: BatchLossFn | None = None,
    max_window_grad: float = math.inf,
    param_slope: Callable[[Array], Array] | None = None,
    axis_name: str | None = None,
) -> StepFn:
    """Compile one optimisation step: forward simulation, loss, gradient, update.

    Args:
        apply_fn: the network, ``apply_fn(params, features)`` gives (B, P), or the networks of an ensemble,
            (E, B, P): each learns as if it were alone.
        loss_fn: ``loss_fn(predicted, target, weights=...)``, summed over the windows.
        param_keys: names of the predicted parameters, in order.
        base_params: all other parameters and ``dt``, from `ModelSpec.base_params`.
        dynamics_fn: the model.
        integrator: one of `pct.rollout.integration.INTEGRATORS`.
        optimizer: an optax transformation.
        param_shapes: shape of each parameter, `ModelSpec.full_shapes`.
        batch_loss: a faster loss and gradient of the same, `pct.rollout.engine.Engine.train_loss`.
        max_window_grad: the gradient of one window is clipped to this many times the (geometric) mean of
            its batch, so that one that spins cannot own the batch. Its length is taken over the parameters.
        param_slope: change of each parameter (B, P) that counts as one there; all one when left out.
        axis_name: mapped axis over which the windows of a batch are spread, where they are.

    Returns:
        ``step_fn(params, opt_state, batch_features, batch) -> (params, opt_state, loss, aux)``. The
        loss is summed over the windows, as documented; the gradient is that of their mean. Where one of
        loss, gradient and update is not finite the parameters and the optimiser stay as they were;
        ``aux`` holds the norms of both.
    """

    def loss_and_gradient(
        values: Float[Array, "E B P"], batch: FeatureDataset
    ) -> tuple[Array, Float[Array, "E B P"]]:
        """Loss summed over windows and members, so that each row of its gradient is one window's own."""
        members = len(values)
        if members > 1:
            batch = batch.repeated(members)
        flat = values.reshape(-1, values.shape[-1])
        if batch_loss is not None:
            loss, by_window = batch_loss(flat, batch)
        else:
            loss, by_window = jax.value_and_grad(window_loss)(flat, batch)
        return loss, by_window.reshape(values.shape)

    def window_loss(values: Float[Array, "B P"], batch: FeatureDataset) -> Array:
        # The values stand for a network that predicts them whatever the features.
        model = param_keys, base_params, dynamics_fn, integrator, param_shapes
        predicted = predict_states(lambda params, _: params, values, batch.features, batch, *model)
        return loss_fn(predicted, batch.targets, weights=batch.weights)

    def everywhere(tree: Any) -> Any:
        return tree if axis_name is None else jax.lax.psum(tree, axis_name)

    @jax.jit
    def step_fn(
        params: Any, opt_state: Any, batch_features: Features, batch: FeatureDataset
    ) -> tuple[Any, Any, Array, dict[str, Array]]:
        values, network_vjp = jax.vjp(lambda params: _by_member(apply_fn(params, batch_features)), params)
        loss, by_window = loss_and_gradient(values, batch)
        windows = _counted(batch)
        if math.isfinite(max_window_grad):
            slope = 1.0 if param_slope is None else param_slope(values)
            length = jnp.linalg.norm(by_window * slope, axis=-1, keepdims=True)
            by_window = by_window * _clip(length, windows, max_window_grad, everywhere)
        (gradient,) = network_vjp(by_window.astype(values.dtype))
        # One sum over the devices a step: they wait for each other in each.
        flat, unravel = ravel_pytree(gradient)
        summed = everywhere(jnp.append(flat, jnp.stack([loss / len(values), windows])))
        loss, counted = summed[-2:]
        flat = (summed[:-2] / jnp.maximum(counted, 1)).astype(flat.dtype)
        norm = jnp.linalg.norm(flat)
        gradient = unravel(flat)
        updates, new_state = optimizer.update(gradient, opt_state, params)
        update_norm = jnp.linalg.norm(ravel_pytree(updates)[0])
        new_params = optax.apply_updates(params, updates)
        sound = jnp.isfinite(loss) & jnp.isfinite(norm) & jnp.isfinite(update_norm)
        params, opt_state = jax.tree.map(
            lambda new, old: jnp.where(sound, new, old), (new_params, new_state), (params, opt_state)
        )
        return params, opt_state, loss, {"grad_norm": norm, "update_norm": update_norm}

    return step_fn


def _clip(
    length: Float[Array, "E B 1"], windows: Any, limit: float, everywhere: Callable[[Any], Any]
) -> Float[Array, "E B 1"]:
    """Factor of each window's gradient that limits its length to so many times the mean of the batch.

    Args:
        length: of each window's gradient.
        windows: how many of them count.
        limit: in means.
        everywhere: sums over the devices.
    """

    def total(values: Array) -> Array:
        return values.sum(axis=1, keepdims=True)

    # The mean of fourth roots tells which windows have a gradient to speak of: those at standstill, and
    # those without weight, have none. Of the others the geometric mean is not moved by a few that spin.
    roots, counted = everywhere((total(length**0.25), jnp.asarray(windows)))
    roots /= jnp.maximum(counted, 1)
    pulls = length > WEAK * roots**4
    safe = jnp.where(pulls, length, 1.0)
    logs, count = everywhere((total(jnp.log(safe)), total(pulls)))
    return jnp.minimum(1.0, limit * jnp.exp(logs / jnp.maximum(count, 1)) / safe)


def _counted(batch: FeatureDataset) -> Array | int:
    """Windows that count."""
    if batch.counts is not None:
        return batch.counts.sum()
    return len(batch.targets) if batch.weights is None else (batch.weights.max(axis=1) > 0).sum()


def _by_member(values: Array) -> Float[Array, "E B P"]:
    """A network alone is an ensemble of one."""
    return values if values.ndim == 3 else values[None]


def make_optimizer(
    lr: float, max_grad_norm: float = 1.0, weight_decay: float = 1.0, *, members: int = 1
) -> optax.GradientTransformation:
    """AdamW behind a clip of the gradient's norm, with the learning rate in the optimiser's state.

    A rate that is part of the state can drop without a new optimiser: moments and compiled step stay.
    Weights decay, biases do not: the last layer's bias is the defaults. Moments are of all weights in one
    vector: a step takes a few operations instead of a few for each layer.

    Args:
        lr: initial learning rate.
        max_grad_norm: longest gradient that is followed.
        weight_decay: AdamW's decay of matrices; strong, since neighbouring windows share their noise.
        members: networks of an ensemble; each has its own norm.
    """

    def build(learning_rate: Array) -> optax.GradientTransformation:
        def init(params: Any) -> Any:
            return make(params).init(ravel_pytree(params)[0])

        def update(gradient: Any, state: Any, params: Any) -> tuple[Any, Any]:
            flat, unravel = ravel_pytree(gradient)
            updates, state = make(params).update(flat, state, ravel_pytree(params)[0])
            return unravel(updates), state

        def make(params: Any) -> optax.GradientTransformation:
            decay, _ = ravel_pytree(jax.tree.map(lambda leaf: jnp.full_like(leaf, leaf.ndim > 1), params))
            adamw = optax.adamw(learning_rate, weight_decay=weight_decay * decay)
            return optax.chain(optax.clip_by_global_norm(max_grad_norm), adamw)

        if members > 1:
            return optax.GradientTransformation(jax.vmap(init), jax.vmap(update))
        return optax.GradientTransformation(init, update)

    return optax.inject_hyperparams(build)(learning_rate=lr)


def learning_rate(opt_state: Any) -> Array:
    """The rate in force."""
    return opt_state.hyperparams["learning_rate"]


def with_learning_rate(opt_state: Any, lr: float | Array) -> Any:
    """The optimiser's state with another rate and everything else as it was."""
    old = opt_state.hyperparams["learning_rate"]
    return opt_state._replace(
        hyperparams={**opt_state.hyperparams, "learning_rate": jnp.asarray(lr, old.dtype)}
    )


def predict_states(
    apply_fn: ApplyFn,
    params: Any,
    features: Features,
    batch: FeatureDataset,
    param_keys: Sequence[str],
    base_params: Mapping[str, Any],
    dynamics_fn: Callable[..., Array],
    integrator: Integrator,
    param_shapes: Mapping[str, Shape],
) -> States:
    """Roll out every window with the parameters that the network predicts, (B, T, S)."""
    learned = unflatten_params(apply_fn(params, features), tuple(param_keys), param_shapes)
    constants = {key: value for key, value in base_params.items() if key != "dt"}
    states = rollout(
        dynamics_fn,
        integrator,
        batch.initial_states,
        batch.controls,
        {**constants, **learned},
        base_params["dt"],
    )
    return states[..., : batch.targets.shape[-1]]


def make_predict_fn(
    apply_fn: ApplyFn,
    base_params: Mapping[str, Any],
    spec: ModelSpec,
    integrator: Integrator = integrate_rk4,
    *,
    chunk_size: int = 1024,
) -> Callable[[Any, FeatureDataset], np.ndarray]:
    """``predict_fn(params, dataset)``: predicted states of all windows on the host, (B, T, S)."""

    model = spec.param_keys, base_params, spec.dynamics_fn, integrator, spec.full_shapes

    @jax.jit
    def predict_chunk(params: Any, chunk: FeatureDataset) -> States:
        return predict_states(apply_fn, params, chunk.features, chunk, *model)

    def predict_fn(params: Any, dataset: FeatureDataset) -> np.ndarray:
        arrays, size = dataset._replace(origin=None), min(chunk_size, len(dataset.targets))
        return in_chunks(partial(predict_chunk, params), arrays, size)

    return predict_fn


def make_window_loss_fn(apply_fn: ApplyFn, batch_loss: BatchLossFn) -> Callable[[Any, FeatureDataset], Array]:
    """``window_loss(params, batch)``: evaluation loss summed over the windows of a batch, to be compiled.

    Args:
        apply_fn: the network.
        batch_loss: `pct.rollout.engine.Engine.eval_loss`.
    """

    def window_loss(params: Any, batch: FeatureDataset) -> Array:
        return batch_loss(apply_fn(params, batch.features), batch, gradient=False)[0]

    return window_loss


def make_eval_loss_fn(
    model: ParameterMLP,
    base_params: Mapping[str, Any],
    spec: ModelSpec,
    integrator: Integrator = integrate_rk4,
    *,
    chunk_size: int = 1024,
) -> EvalLossFn:
    """``eval_loss_fn(params, dataset)``: mean loss of a window, on any number of windows."""
    predict_fn = make_predict_fn(model.apply, base_params, spec, integrator, chunk_size=chunk_size)

    def eval_loss_fn(params: Any, dataset: FeatureDataset) -> float:
        predicted = predict_fn(params, dataset)
        total = spec.loss_fn(
            jnp.asarray(predicted), dataset.targets, weights=dataset.weights, **spec.eval_loss_kwargs
        )
        return float(total) / predicted.shape[0]

    return eval_loss_fn


def predict_parameters_chunked(
    apply_fn: ApplyFn, params: Any, features: Features, *, chunk_size: int
) -> Float[np.ndarray, "B P"]:
    """The parameters that the network predicts for every window, on the host, (B, P)."""
    return in_chunks(partial(jax.jit(apply_fn), params), features, min(chunk_size, len(features)))


def summarize_predictions_chunked(
    apply_fn: ApplyFn,
    params: Any,
    features: Features,
    param_keys: Sequence[str],
    *,
    chunk_size: int,
    param_shapes: Mapping[str, Shape],
) -> dict[str, dict[str, Any]]:
    """Mean and spread of each predicted parameter over all windows, in its unit.

    Args:
        apply_fn, params: the network and its weights.
        features: (B, F).
        param_keys, param_shapes: names of the predicted parameters in order, and the shape of each.
        chunk_size: windows that are in memory at once, 1 or more.

    Returns:
        ``{name: {"mean": ..., "std": ..., "min": ..., "max": ...}}``; numbers, or nested lists for
        array parameters.
    """
    values = predict_parameters_chunked(apply_fn, params, features, chunk_size=chunk_size)
    named = unflatten_params(values.astype(np.float64), tuple(param_keys), param_shapes)
    figures: dict[str, Any] = {"mean": np.mean, "std": np.std, "min": np.min, "max": np.max}
    return {
        key: {name: figure(value, axis=0).tolist() for name, figure in figures.items()}
        for key, value in named.items()
    }
