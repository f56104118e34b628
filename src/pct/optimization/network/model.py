"""A trained network with the model whose parameters it predicts: its rollouts and predictions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from pct.dynamics.core import ModelSpec, flatten_params, unflatten_params
from pct.optimization.network.mlp import Ensemble, ParameterMLP
from pct.optimization.network.starts import observe
from pct.optimization.network.step import make_predict_fn, predict_parameters_chunked
from pct.rollout.integration import Integrator, make_integrator
from pct.types import Array, Features, FlatParams
from pct.windows.batch import FeatureDataset
from pct.windows.window_set import WindowSet


@dataclasses.dataclass(frozen=True, eq=False)
class TrainedModel:
    """A network with the model that it answers for.

    Attributes:
        spec: the dynamics model with the bounds and defaults in force.
        network, params: the network and its weights.
        dt: time step of the rollout in s.
        integrator_name, substeps: how a time step is integrated.
        settings: what a dataset must be loaded with (horizon, history, feature mode, feature names).
    """

    spec: ModelSpec
    network: ParameterMLP | Ensemble
    params: Any
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
        """Every parameter at its value in force, and ``dt`` in s."""
        return self.spec.base_params(self.dt)

    def prepare(self, windows: WindowSet) -> WindowSet:
        """Windows as the network reads them: behind a measurement, with observed starts."""
        return observe(windows, self.spec, self.integrator_name, self.substeps)

    def predict_states(self, dataset: FeatureDataset, *, chunk_size: int = 1024) -> np.ndarray:
        """States of all windows with the network's parameters, (B, T, S)."""
        return self._predict_fn(self.network.apply, chunk_size)(self.params, dataset)

    def predict_default(self, dataset: FeatureDataset, *, chunk_size: int = 1024) -> np.ndarray:
        """States of all windows with the default parameters, (B, T, S)."""
        defaults = flatten_params(self.spec.default_params, self.spec.param_keys, self.spec.full_shapes)

        def answer(_params: Any, features: Features) -> FlatParams:
            return jnp.broadcast_to(jnp.asarray(defaults, features.dtype), (features.shape[0], defaults.size))

        return self._predict_fn(answer, chunk_size)(None, dataset)

    def predict_parameters(self, dataset: FeatureDataset, *, chunk_size: int = 1024) -> dict[str, np.ndarray]:
        """The network's answer for all windows by name, (B, *shape)."""
        values = predict_parameters_chunked(
            self.network.apply, self.params, dataset.features, chunk_size=chunk_size
        )
        return unflatten_params(values, self.spec.param_keys, self.spec.full_shapes)

    def predict_spread(self, dataset: FeatureDataset, *, chunk_size: int = 1024) -> dict[str, np.ndarray]:
        """Standard deviation of an ensemble's answers for all windows by name, (B, *shape)."""

        def spread(params: Any, features: Features) -> FlatParams:
            each: Any = self.network.apply(params, features, method="each")
            return each.std(axis=0, ddof=1)

        values = predict_parameters_chunked(spread, self.params, dataset.features, chunk_size=chunk_size)
        return unflatten_params(values, self.spec.param_keys, self.spec.full_shapes)

    def _predict_fn(
        self, answer: Callable[..., Array], chunk_size: int
    ) -> Callable[[Any, FeatureDataset], np.ndarray]:
        return make_predict_fn(answer, self.base_params, self.spec, self.integrator, chunk_size=chunk_size)
