"""Mini-batches of windows: permute, slice with a fixed shape, truncate in time."""

from __future__ import annotations

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from pct.data.windows import FeatureDataset
from pct.errors import UsageError
from pct.types import Array, Int


def batch_rows(key: Array, num_samples: int, batch_size: int) -> Iterator[tuple[np.ndarray, int]]:
    """Shuffled rows of each mini-batch of one epoch, every batch of the same length.

    Args:
        key: PRNG key of the shuffle.
        num_samples: windows in the dataset.
        batch_size: windows a batch; at most ``num_samples`` are taken.

    Yields:
        Row numbers (batch_size,) and how many of them count: the last batch is filled up with
        repeated rows, which must get weight zero, so that no new shape is compiled for it.
    """
    size = min(batch_size, num_samples)
    order = np.asarray(jax.random.permutation(key, num_samples))
    for start in range(0, num_samples, size):
        rows = order[start : start + size]
        yield np.resize(rows, size), len(rows)


@jax.jit
def take_windows(dataset: FeatureDataset, rows: Int[Array, " B"], count: Int[Array, ""]) -> FeatureDataset:
    """The windows of the given rows, of which only the first ``count`` weigh in the loss."""
    windows = jax.tree.map(lambda leaf: leaf[rows], dataset)
    steps = windows.targets.shape[1]
    weights = jnp.ones((rows.shape[0], steps)) if windows.weights is None else windows.weights
    keep = (jnp.arange(rows.shape[0]) < count)[:, None]
    return windows._replace(weights=jnp.where(keep, weights, 0.0).astype(windows.targets.dtype))


def truncate_dataset_timesteps(
    dataset: FeatureDataset, timesteps: int, *, keep_shape: bool = False
) -> FeatureDataset:
    """The same windows with a shorter horizon.

    Args:
        dataset: windows of T steps.
        timesteps: steps to keep, 1 or more; a horizon that is shorter already stays as it is.
        keep_shape: give the steps beyond weight zero instead of cutting them off, so that a compiled
            training step serves every horizon.

    Raises:
        UsageError: ``timesteps`` is not positive.
    """
    if timesteps <= 0:
        raise UsageError(f"--curriculum-timesteps {timesteps}: expected 1 step or more")
    if not keep_shape:
        return dataset._replace(
            controls=dataset.controls[:, :timesteps],
            targets=dataset.targets[:, :timesteps],
            weights=None if dataset.weights is None else dataset.weights[:, :timesteps],
        )
    kept = np.arange(dataset.targets.shape[1]) < timesteps
    ones = jnp.ones(dataset.targets.shape[:2], dataset.targets.dtype)
    return dataset._replace(weights=jnp.where(kept, ones if dataset.weights is None else dataset.weights, 0))
