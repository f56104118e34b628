"""Windows with a shorter horizon."""

from __future__ import annotations

from pct.errors import UsageError
from pct.windows.batch import FeatureDataset


def truncate_dataset_timesteps(dataset: FeatureDataset, timesteps: int) -> FeatureDataset:
    """The same windows with a shorter horizon, which is another shape to compile for.

    The training epoch gives later steps weight zero instead.

    Args:
        dataset: windows of T steps.
        timesteps: steps to keep, 1 or more; a horizon that is shorter already stays as it is.

    Raises:
        UsageError: ``timesteps`` is not positive.
    """
    if timesteps <= 0:
        raise UsageError(f"`curriculum_timesteps`: expected 1 step or more, got {timesteps}")
    return dataset._replace(
        controls=dataset.controls[:, :timesteps],
        targets=dataset.targets[:, :timesteps],
        weights=None if dataset.weights is None else dataset.weights[:, :timesteps],
    )
