"""What is judged: anything that answers with states over a horizon, opened from its run folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from pct.analysis import NETWORK, load_network
from pct.data.window_set import WindowSet
from pct.data.windows import FeatureDataset
from pct.dynamics.core import ModelSpec
from pct.errors import DataError
from pct.fitted import FIT, load_fit
from pct.integration import Integrator


@runtime_checkable  # the annotations are checked while the tests run
class Model(Protocol):
    """A dynamics model with learned parameters, constant or answered by a network.

    Attributes are those of `pct.analysis.TrainedModel`, which is one.
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


def open_run(run: Path) -> Model:
    """The model that a run folder holds.

    Raises:
        DataError: there is no such folder, nothing in it that can be judged, or it is damaged.
    """
    if (run / NETWORK).is_file():
        return load_network(run)
    if (run / FIT).is_file():
        return load_fit(run)
    found = "a folder without it" if run.is_dir() else "no folder"
    raise DataError(
        f"{run}: expected the folder of a finished run with {NETWORK} or {FIT}, found {found}: "
        "give the folder that `pct train` or `pct fit` printed as 'run folder'"
    )
