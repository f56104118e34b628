"""What is judged: anything that answers with states over a horizon, opened from its run folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

from pct.dynamics.core import ModelSpec
from pct.rollout.integration import Integrator
from pct.windows.batch import FeatureDataset
from pct.windows.window_set import WindowSet


@runtime_checkable  # the annotations are checked while the tests run
class Model(Protocol):
    """A dynamics model with learned parameters, constant or answered by a network.

    Attributes are those of `pct.optimization.network.model.TrainedModel`, which is one.
    """

    @property
    def spec(self) -> ModelSpec:
        """The dynamics model with the bounds and defaults in force."""
        ...

    @property
    def dt(self) -> float:
        """Time step of the rollout in s."""
        ...

    @property
    def integrator_name(self) -> str:
        """Name of the integration method."""
        ...

    @property
    def substeps(self) -> int:
        """Integration steps per time step."""
        ...

    @property
    def integrator(self) -> Integrator:
        """The integrator with its substeps bound."""
        ...

    @property
    def base_params(self) -> dict[str, Any]:
        """Every parameter at its value in force, and ``dt`` in s."""
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """What a dataset must be loaded with: horizon, history, stride, feature mode, feature names."""
        ...

    def prepare(self, windows: WindowSet) -> WindowSet:
        """Windows as the model reads them."""
        ...

    def predict_states(self, dataset: FeatureDataset, *, chunk_size: int = 1024) -> np.ndarray:
        """States of all windows, (B, T, S)."""
        ...

    def predict_default(self, dataset: FeatureDataset, *, chunk_size: int = 1024) -> np.ndarray:
        """The same with the parameters before training."""
        ...
