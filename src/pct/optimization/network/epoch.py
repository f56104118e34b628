"""The state of a training and its compiled epoch.

The epoch runs on the device over numbers of windows; windows are gathered there, and the host reads metrics
when a call of some steps is done. Horizon, learning rate, last batch and resumption are data, not shapes, so
nothing is compiled twice. Several devices, also of several processes, share each batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from pct.optimization.network.step import StepFn, learning_rate, with_learning_rate
from pct.optimization.settings import TrainSettings
from pct.rollout.device import platform
from pct.types import Array
from pct.windows.batch import FeatureDataset
from pct.windows.window_set import WindowSet

AXIS = "windows"
# Windows that are trained on before the host reads metrics and handles Ctrl-C: a tenth of a second of
# native code, a second or two where JAX rolls out a large model.
WINDOWS_PER_CALL = 65536

WindowLossFn = Callable[[Any, FeatureDataset], Array]


class TrainState(NamedTuple):
    """All that training changes; with data and settings it decides everything that follows.

    Attributes:
        params, opt_state: network and optimiser, with its learning rate.
        best_params: network of the epoch with the lowest loss, in validation where there is any.
        best_loss, best_epoch: that loss and epoch, from 1; before the first, infinity, or the loss of the fit
            below, and 0.
        epochs_without_better: since then, or since the rate dropped.
        key: of the run; with ``epoch`` it gives the order of the windows.
        epoch: epochs that are done.
        step: optimiser steps that are done, which the curriculum counts.
        position: steps that are done of the present epoch.
        loss_sum: loss summed over the windows of the present epoch.
    """

    params: Any
    opt_state: Any
    best_params: Any
    best_loss: Array
    best_epoch: Array
    epochs_without_better: Array
    key: Array
    epoch: Array
    step: Array
    position: Array
    loss_sum: Array


class StepMetrics(NamedTuple):
    """Metrics of the steps of one call, for the host.

    Attributes:
        loss, grad_norm, update_norm: by step, (M,); the loss is the mean over the step's windows.
        sound: False where the step after the last one is not finite and was not made.
        stop: whether a process wants to stop.
    """

    loss: Array
    grad_norm: Array
    update_norm: Array
    sound: Array
    stop: Array


def init_state(params: Any, opt_state: Any, key: Array) -> TrainState:
    """The state before the first step."""
    count = jnp.zeros((), jnp.int32)
    state = TrainState(
        params=params,
        opt_state=opt_state,
        best_params=params,
        best_loss=jnp.inf,
        best_epoch=count,
        epochs_without_better=count,
        key=key,
        epoch=count,
        step=count,
        position=count,
        loss_sum=0.0,
    )
    # Each leaf a buffer of its own, since a step is given them all, and of the type that steps return: a
    # Python number's type is weak, and would compile the step a second time.
    return jax.tree.map(lambda leaf: jnp.array(leaf, dtype=jnp.result_type(leaf), copy=True), state)


def make_mesh() -> Mesh | None:
    """All devices of all processes, of the platform in force, in a row; None where there is but one."""
    devices = jax.devices(platform())
    return Mesh(np.array(devices), (AXIS,)) if len(devices) > 1 else None


class Epoch:
    """The compiled parts of an epoch over one set of windows.

    Attributes:
        steps: optimiser steps of an epoch.
        steps_per_call: most steps before the host reads metrics.
    """

    def __init__(
        self, windows: WindowSet, step_fn: StepFn, settings: TrainSettings, mesh: Mesh | None = None
    ) -> None:
        """Prepare; nothing is compiled before it is used.

        Args:
            windows: the training windows.
            step_fn: from `make_network_step_fn`, with ``axis_name=AXIS`` where there is a mesh.
            settings: of the training.
            mesh: the devices that share each batch.
        """
        self._windows, self._step_fn, self._settings, self._mesh = windows, step_fn, settings, mesh
        self._count = len(windows)
        self._batch = min(settings.batch_size, self._count)
        self.steps = math.ceil(self._count / self._batch)
        self.steps_per_call = max(1, min(self.steps, WINDOWS_PER_CALL // self._batch))
        self._arrays = replicate(windows.arrays, mesh)
        devices = 1 if mesh is None else mesh.size
        self._share = math.ceil(self._batch / devices)
        same, split = PartitionSpec(), PartitionSpec(AXIS)
        self._run = _spread(self._steps, mesh, (same, same, same, split), donated=(0,))
        self.finish = jax.jit(partial(_finish_epoch, settings=settings), donate_argnums=0)

    def order(self, state: TrainState) -> Array:
        """Numbers of the windows in the order of the present epoch, (W,)."""
        # On the host: XLA sorts random numbers for it, which costs a tenth of the epoch.
        seed = [*np.asarray(state.key).tolist(), int(state.epoch)]
        order = np.random.default_rng(seed).permutation(self._count).astype(np.int32)
        return replicate(order, self._mesh)

    def run(self, state: TrainState, order: Array, stop: bool = False) -> tuple[TrainState, StepMetrics]:
        """Make the next steps of the present epoch, `steps_per_call` or as many as are left.

        Args:
            state: is used up.
            order: from `order`.
            stop: whether this process wants to stop; shared with all others.
        """
        return self._run(state, self._arrays, order, _by_device(stop, self._mesh))

    def temporary_bytes(self, state: TrainState) -> int:
        """Memory in bytes that `run` takes beside its arguments and results."""
        args = state, self._arrays, self.order(state), _by_device(False, self._mesh)
        return self._run.lower(*args).compile().memory_analysis().temp_size_in_bytes

    def counted(self, position: int) -> int:
        """Windows in the step at a position of the epoch."""
        return min(self._batch, self._count - position * self._batch)

    def horizon(self, step: Any) -> Any:
        """Steps of the rollout that count in an optimiser step, which counts from 0."""
        settings, whole = self._settings, self._windows.horizon
        shorter = max(0, whole - settings.curriculum_timesteps)
        return whole - shorter * (step < settings.curriculum_batches)

    def numbers(self, order: Array, position: int) -> np.ndarray:
        """Numbers of the windows in the step at a position of the epoch."""
        first = position * self._batch
        return np.asarray(order)[first : first + self._batch]

    def _steps(
        self, state: TrainState, arrays: Any, order: Array, stop: Array
    ) -> tuple[TrainState, StepMetrics]:
        device = 0 if self._mesh is None else jax.lax.axis_index(AXIS)
        place = device * self._share + jnp.arange(self._share)

        def unfinished(carry: Any) -> Array:
            state, _, made, sound = carry
            return (made < self.steps_per_call) & (state.position < self.steps) & sound

        def step(carry: Any) -> Any:
            state, metrics, made, _ = carry
            at = state.position * self._batch + place
            counts = (place < self._batch) & (at < self._count)
            batch = self._windows.take(arrays, order[jnp.minimum(at, self._count - 1)])
            in_time = jnp.arange(self._windows.horizon) < self.horizon(state.step)
            weights = counts[:, None] * in_time.astype(batch.targets.dtype)
            if batch.weights is None:
                batch = batch._replace(weights=weights, counts=counts)
            else:
                batch = batch._replace(weights=weights * batch.weights)
            params, opt_state, loss, aux = self._step_fn(state.params, state.opt_state, batch.features, batch)
            windows = jnp.minimum(self._batch, self._count - state.position * self._batch)
            row = jnp.stack([loss / windows, aux["grad_norm"], aux["update_norm"]])
            sound = jnp.isfinite(row).all()
            state = state._replace(
                params=params,
                opt_state=opt_state,
                step=state.step + sound,
                position=state.position + sound,
                loss_sum=state.loss_sum + jnp.where(sound, loss, 0.0).astype(state.loss_sum.dtype),
            )
            return state, metrics.at[made].set(row), made + 1, sound

        metrics = jnp.zeros((self.steps_per_call, 3), state.loss_sum.dtype)
        start = state, metrics, jnp.zeros((), jnp.int32), jnp.asarray(True)
        state, metrics, _, sound = jax.lax.while_loop(unfinished, step, start)
        stop = stop.max() if self._mesh is None else jax.lax.pmax(stop.max(), AXIS)
        return state, StepMetrics(metrics[:, 0], metrics[:, 1], metrics[:, 2], sound, stop)


def make_evaluate_fn(
    windows: WindowSet, window_loss: WindowLossFn, chunk_size: int, mesh: Mesh | None = None
) -> Callable[[Any], float]:
    """``evaluate(params)``: mean loss over all windows, on the devices and in parts.

    Args:
        windows: the validation windows.
        window_loss: ``window_loss(params, batch)``, summed over the windows by their weights.
        chunk_size: windows that are rolled out at once.
        mesh: the devices that share the work.
    """
    count = len(windows)
    devices = 1 if mesh is None else mesh.size
    share = math.ceil(min(chunk_size, count) / devices)
    chunks = math.ceil(count / (share * devices))

    def total(params: Any, arrays: Any) -> Array:
        device = 0 if mesh is None else jax.lax.axis_index(AXIS)

        def add(chunk: Array, total: Array) -> Array:
            at = (chunk * devices + device) * share + jnp.arange(share)
            batch = windows.take(arrays, jnp.minimum(at, count - 1))
            weights = jnp.where((at < count)[:, None], _ones(batch), 0.0)
            return total + window_loss(params, batch._replace(weights=weights))

        result = jax.lax.fori_loop(0, chunks, add, jnp.zeros(()))
        return result if mesh is None else jax.lax.psum(result, AXIS)

    compiled = _spread(total, mesh, (PartitionSpec(), PartitionSpec()))
    arrays = replicate(windows.arrays, mesh)
    return lambda params: float(compiled(params, arrays)) / count


def replicate(tree: Any, mesh: Mesh | None) -> Any:
    """The same arrays on every device."""
    if mesh is None:
        return tree
    everywhere = NamedSharding(mesh, PartitionSpec())

    def put(leaf: Any) -> Array:
        values = np.asarray(leaf)
        return jax.make_array_from_callback(values.shape, everywhere, lambda index: values[index])

    return jax.tree.map(put, tree)


def _ones(batch: FeatureDataset) -> Array:
    return jnp.ones(batch.targets.shape[:2], batch.targets.dtype) if batch.weights is None else batch.weights


def _spread(
    function: Callable[..., Any], mesh: Mesh | None, specs: Any, *, donated: tuple[int, ...] = ()
) -> Any:
    """Compiled, once for one device or for each of the mesh."""
    if mesh is not None:
        # Results are the same on all devices, because they come out of sums over all.
        alone = function
        function = jax.shard_map(
            lambda *args: alone(*jax.tree.map(_made_anew_if_empty, args)),
            mesh=mesh,
            in_specs=specs,
            out_specs=PartitionSpec(),
            check_vma=False,
        )
    return jax.jit(function, donate_argnums=donated)


def _made_anew_if_empty(leaf: Array) -> Array:
    """The same values: XLA of JAX 0.11 crashes on what goes to several devices and has no entries."""
    return leaf if leaf.size else jnp.zeros(leaf.shape, leaf.dtype)


def _by_device(flag: bool, mesh: Mesh | None) -> Array:
    """A flag of this process, once for each device."""
    if mesh is None:
        # The call takes it over: made by JAX beforehand it takes a tenth of a millisecond more.
        return np.full(1, flag, np.int32)
    return jax.make_array_from_callback(
        (mesh.size,), NamedSharding(mesh, PartitionSpec(AXIS)), lambda _: np.full(1, flag, np.int32)
    )


def _finish_epoch(
    state: TrainState, loss: Array, progress: Array | bool = False, *, settings: TrainSettings
) -> TrainState:
    """Keep the best network, lower the rate on a plateau, and go to the next epoch.

    Args:
        state: of the epoch that is done.
        loss: of its network; infinite where that may not be the best.
        progress: whether this is no plateau although the network is not the best.
        settings: of the training.
    """
    is_best = loss < state.best_loss
    best_params = jax.tree.map(lambda new, old: jnp.where(is_best, new, old), state.params, state.best_params)
    without = jnp.where(is_best | progress, 0, state.epochs_without_better + 1)
    rate = learning_rate(state.opt_state)
    drop = (without >= settings.lr_patience) & (rate > settings.min_lr)
    lower = jnp.maximum(rate * settings.lr_factor, settings.min_lr)
    return state._replace(
        opt_state=with_learning_rate(state.opt_state, jnp.where(drop, lower, rate)),
        best_params=best_params,
        best_loss=jnp.where(is_best, loss, state.best_loss).astype(state.best_loss.dtype),
        best_epoch=jnp.where(is_best, state.epoch + 1, state.best_epoch),
        epochs_without_better=jnp.where(drop, 0, without),
        epoch=state.epoch + 1,
        position=jnp.zeros_like(state.position),
        loss_sum=jnp.zeros_like(state.loss_sum),
    )
