"""Which device trains faster: one batch is computed on each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pct.dynamics.core import ModelSpec, flatten_params
from pct.files import Cache, open_cache
from pct.optimization.network.training import choose_engine
from pct.optimization.settings import TrainSettings
from pct.rollout.device import DeviceChoice, faster_device
from pct.windows.window_set import WindowSet

# Bytes of times that are kept.
MOST = 2**20


def open_trials() -> Cache | None:
    """The cache in the user's cache folder; None, after one line, where there is no safe folder for it."""
    return open_cache("devices", "how fast each device is", MOST)


def training_device(
    spec: ModelSpec,
    windows: WindowSet,
    settings: TrainSettings,
    platforms: Sequence[str],
    cache: Cache | None,
) -> DeviceChoice:
    """The platform that takes a batch's loss and gradient faster, each with the engine that it has.

    Args:
        spec: the model to train.
        windows: of the training.
        settings: of the training.
        platforms: to choose from, as of `pct.rollout.device.visible_platforms`.
        cache: keeps the times; None keeps none.
    """
    if jax.process_count() > 1:
        return DeviceChoice(platforms[0], "several processes train together")
    sample = windows.sample(settings.batch_size)._replace(origin=None)
    values = flatten_params(spec.default_params, spec.param_keys, spec.full_shapes)
    # On the host, so that each device gets its own copy.
    batch = jax.tree.map(np.asarray, sample)
    answers = np.tile(np.asarray(values, batch.targets.dtype), (len(batch.targets), 1))

    def make_run() -> Callable[[], Any]:
        engine = choose_engine(spec, windows.dt, settings)
        compute = jax.jit(lambda answers, batch: engine.train_loss(answers, batch))
        given = jax.tree.map(jnp.asarray, (answers, batch))
        return lambda: compute(*given)

    size = [*batch.targets.shape, *np.shape(batch.initial_states)]
    facts = [spec.name, spec.param_keys, size, settings.integrator, settings.substeps, settings.engine]
    return faster_device(platforms, make_run, facts=facts, cache=cache)
