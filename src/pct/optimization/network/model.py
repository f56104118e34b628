"""A trained network with the model whose parameters it predicts: its rollouts and predictions."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np

from pct.dynamics.core import flatten_params, unflatten_params
from pct.optimization.chunks import in_chunks
from pct.optimization.model import Model
from pct.optimization.network.mlp import Ensemble, ParameterMLP
from pct.optimization.network.starts import observe
from pct.optimization.network.step import predict_parameters_chunked, predict_states
from pct.types import Features, FlatParams, States
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

    def __getstate__(self) -> dict[str, Any]:
        # Compiled functions are not pickled; they are made again.
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def prepare(self, windows: WindowSet) -> WindowSet:
        """Windows as the network reads them: behind a measurement, with observed starts."""
        return observe(windows, self.spec, self.integrator_name, self.substeps)

    def predict_states(self, dataset: FeatureDataset, *, chunk_size: int = 1024) -> np.ndarray:
        """States of all windows with the network's parameters, (B, T, S)."""
        return self._predict(self._parameters(dataset.features, chunk_size), dataset, chunk_size)

    def predict_default(self, dataset: FeatureDataset, *, chunk_size: int = 1024) -> np.ndarray:
        """States of all windows with the default parameters, (B, T, S)."""
        defaults = flatten_params(self.spec.default_params, self.spec.param_keys, self.spec.full_shapes)
        features = dataset.features
        values = np.broadcast_to(np.asarray(defaults, features.dtype), (len(features), defaults.size))
        return self._predict(values, dataset, chunk_size)

    def predict_parameters(self, dataset: FeatureDataset, *, chunk_size: int = 1024) -> dict[str, np.ndarray]:
        """The predicted parameters of all windows by name, (B, *shape)."""
        values = self._parameters(dataset.features, chunk_size)
        return unflatten_params(values, self.spec.param_keys, self.spec.full_shapes)

    def predict_spread(self, dataset: FeatureDataset, *, chunk_size: int = 1024) -> dict[str, np.ndarray]:
        """Standard deviation of an ensemble's predictions for all windows by name, (B, *shape)."""
        assert isinstance(self.network, Ensemble)
        each = self.network.each

        def spread(params: Any, features: Features) -> FlatParams:
            return each(params, features).std(axis=0, ddof=1)

        values = predict_parameters_chunked(spread, self.params, dataset.features, chunk_size=chunk_size)
        return unflatten_params(values, self.spec.param_keys, self.spec.full_shapes)

    def _predict(self, values: FlatParams, dataset: FeatureDataset, chunk_size: int) -> np.ndarray:
        """States of all windows with a row of parameters each, (B, P)."""
        tree = values, dataset._replace(origin=None)
        return in_chunks(lambda part: self._roll_out(*part), tree, min(chunk_size, len(values)))

    def _parameters(self, features: Features, chunk_size: int) -> np.ndarray:
        """What the network predicts, (B, P)."""
        apply = partial(self._apply, self.params)
        return in_chunks(apply, features, min(chunk_size, len(features)))

    # Both are compiled once, for every split of the data and for the network's parameters and the defaults.

    @functools.cached_property
    def _apply(self) -> Callable[[Any, Features], FlatParams]:
        return jax.jit(self.network.apply)

    @functools.cached_property
    def _roll_out(self) -> Callable[[FlatParams, FeatureDataset], States]:
        spec = self.spec
        model = spec.param_keys, self.base_params, spec.dynamics_fn, self.integrator, spec.full_shapes

        @jax.jit
        def roll_out(values: FlatParams, part: FeatureDataset) -> States:
            return predict_states(lambda given, _: given, values, part.features, part, *model)

        return roll_out
