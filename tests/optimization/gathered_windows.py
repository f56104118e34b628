"""A window set that holds gathered windows, so that a test can train on any."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pct.windows.batch import FeatureDataset
from pct.windows.window_set import WindowSet


class GatheredWindows(WindowSet):
    """A batch in memory in place of rows, so that a test can hold any windows."""

    def __init__(self, dataset: FeatureDataset) -> None:
        object.__setattr__(self, "arrays", dataset._replace(origin=None))
        object.__setattr__(self, "horizon", int(dataset.targets.shape[1]))
        object.__setattr__(self, "dataset", dataset)

    def __len__(self) -> int:
        return int(self.arrays.targets.shape[0])

    def take(self, arrays: Any, numbers: Any) -> FeatureDataset:
        return jax.tree.map(lambda leaf: leaf[numbers], arrays)

    def gather(self, numbers: Any = None) -> FeatureDataset:
        numbers = np.arange(len(self)) if numbers is None else numbers
        origin = self.dataset.origin
        if origin is not None:
            rows = {name: getattr(origin, name)[numbers] for name in ("recording", "times")}
            origin = dataclasses.replace(origin, **rows)
        return self.take(self.arrays, jnp.asarray(numbers))._replace(origin=origin)
