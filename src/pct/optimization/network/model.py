"""A trained network with the model whose parameters it predicts: its rollouts and predictions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from pct.dynamics.core import flatten_params, unflatten_params
from pct.optimization.model import Model
from pct.optimization.network.mlp import Ensemble, ParameterMLP
from pct.optimization.network.starts import observe
from pct.optimization.network.step import make_predict_fn, predict_parameters_chunked
from pct.types import Array, Features, FlatParams
from pct.windows.batch import FeatureDataset
from pct.windows.window_set import WindowSet


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class TrainedModel(Model):
    """A model whose parameters a network predicts.

    Attributes:
        network, params: the network and its weights.
    """

    network: ParameterMLP | Ensemble
    params: Any

    def prepare(self, windows: WindowSet) -> WindowSet:
        """Windows as the network reads them: behind a measurement, with observed starts."""
        return observe(windows, self.spec, self.integrator_name, self.substeps)

    def predict_states(self, dataset: FeatureDataset, *, chunk_size: int = 1024) -> np.ndarray:
        """States of all windows with the network's parameters, (B, T, S)."""
        return self._predict_fn(self.network.apply, chunk_size)(self.params, dataset)

    def predict_default(self, dataset: FeatureDataset, *, chunk_size: int = 1024) -> np.ndarray:
        """States of all windows with the default parameters, (B, T, S)."""
        defaults = flatten_params(self.spec.default_params, self.spec.param_keys, self.spec.full_shapes)

        def predict_fixed(_params: Any, features: Features) -> FlatParams:
            return jnp.broadcast_to(jnp.asarray(defaults, features.dtype), (features.shape[0], defaults.size))

        return self._predict_fn(predict_fixed, chunk_size)(None, dataset)

    def predict_parameters(self, dataset: FeatureDataset, *, chunk_size: int = 1024) -> dict[str, np.ndarray]:
        """The predicted parameters of all windows by name, (B, *shape)."""
        values = predict_parameters_chunked(
            self.network.apply, self.params, dataset.features, chunk_size=chunk_size
        )
        return unflatten_params(values, self.spec.param_keys, self.spec.full_shapes)

    def predict_spread(self, dataset: FeatureDataset, *, chunk_size: int = 1024) -> dict[str, np.ndarray]:
        """Standard deviation of an ensemble's predictions for all windows by name, (B, *shape)."""

        def spread(params: Any, features: Features) -> FlatParams:
            each: Any = self.network.apply(params, features, method="each")
            return each.std(axis=0, ddof=1)

        values = predict_parameters_chunked(spread, self.params, dataset.features, chunk_size=chunk_size)
        return unflatten_params(values, self.spec.param_keys, self.spec.full_shapes)

    def _predict_fn(
        self, apply: Callable[..., Array], chunk_size: int
    ) -> Callable[[Any, FeatureDataset], np.ndarray]:
        return make_predict_fn(apply, self.base_params, self.spec, self.integrator, chunk_size=chunk_size)
