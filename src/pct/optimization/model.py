"""A dynamics model with learned parameters: what fits and trainings have in common."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from pct.dynamics.core import ModelSpec
from pct.rollout.integration import Integrator, make_integrator
from pct.windows.batch import FeatureDataset
from pct.windows.window_set import WindowSet


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Model(abc.ABC):
    """A dynamics model with learned parameters: constants, or predicted by a network.

    Attributes:
        spec: the model with its measurement, and with the bounds and defaults in force.
        dt: time step of the rollout in s.
        integrator_name, substeps: how a time step is integrated.
        settings: how its windows are made: horizon, history, stride, feature mode, feature names.
    """

    spec: ModelSpec
    dt: float
    integrator_name: str
    substeps: int
    settings: Mapping[str, Any]

    @property
    def integrator(self) -> Integrator:
        """The integrator with its substeps bound."""
        return make_integrator(self.integrator_name, self.substeps)

    @property
    def base_params(self) -> dict[str, Any]:
        """Every parameter at its default in force, and ``dt`` in s."""
        return self.spec.base_params(self.dt)

    @abc.abstractmethod
    def prepare(self, windows: WindowSet) -> WindowSet:
        """Windows as the model reads them."""

    @abc.abstractmethod
    def predict_states(self, dataset: FeatureDataset, *, chunk_size: int = 1024) -> np.ndarray:
        """States of all windows with the learned parameters, (B, T, S)."""

    @abc.abstractmethod
    def predict_default(self, dataset: FeatureDataset, *, chunk_size: int = 1024) -> np.ndarray:
        """States of all windows with the default parameters, (B, T, S)."""
