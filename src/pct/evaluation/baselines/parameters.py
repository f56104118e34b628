"""The run's own equations with constant parameters: the defaults, or values fitted to the training data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from pct.data.splits import spread
from pct.data.windows import GatheredWindows
from pct.dynamics.core import flatten_params
from pct.errors import DataError
from pct.evaluation.model import Model
from pct.evaluation.windows import OpenLoopWindows
from pct.fitted import FittedModel
from pct.optimization.network_training import make_predict_fn
from pct.optimization.parameter_tuning import tune_parameters
from pct.types import Features, FlatParams, Float

# More windows do not change the answer of the fit, but take longer.
FITTED = 500


@dataclasses.dataclass(frozen=True, eq=False)
class ConstantParameters:
    """Rolls the run's model out with the same parameters everywhere.

    Attributes:
        doc: what the parameters are.
        model: whose equations, time step and integrator are used.
        params: value of each context parameter in its unit.
    """

    doc: str
    model: Model
    params: Mapping[str, Any]

    def predict(self, windows: OpenLoopWindows) -> Float[np.ndarray, "B T S"]:
        """The rollout; infinite where it left the numbers."""
        spec = self.model.spec
        values = flatten_params(self.params, spec.param_keys, spec.full_shapes)

        def answer(_params: Any, features: Features) -> FlatParams:
            return jnp.broadcast_to(jnp.asarray(values, features.dtype), (features.shape[0], values.size))

        predict_fn = make_predict_fn(answer, self.model.base_params, spec, self.model.integrator)
        return diverged_as_infinite(predict_fn(None, windows.prepared))


@dataclasses.dataclass(frozen=True, eq=False)
class DefaultParameters:
    """The model as it was before training."""

    model: Model
    doc = "The run's equations with the default parameters."

    def predict(self, windows: OpenLoopWindows) -> Float[np.ndarray, "B T S"]:
        """The rollout; infinite where it left the numbers."""
        fitted = isinstance(self.model, FittedModel)
        dataset = windows.dataset_with_past if fitted else windows.prepared
        return diverged_as_infinite(self.model.predict_default(dataset))


def fit_constant_parameters(model: Model, training: OpenLoopWindows) -> ConstantParameters:
    """One value of each parameter, fitted to training windows by robust least squares.

    Raises:
        DataError: the run is such a fit itself.
        DivergedError: the rollouts with the default parameters are not finite.
    """
    if isinstance(model, FittedModel):
        raise DataError("the run is a constant fit itself")
    numbers = spread(np.arange(len(training)), FITTED)
    dataset = GatheredWindows(training.dataset).gather(numbers)
    tuned = tune_parameters(dataset, model.spec, model.base_params, model.integrator)
    doc = f"The run's equations with one value of each parameter, fitted to {numbers.size} training windows."
    return ConstantParameters(doc, model, tuned.params)


def diverged_as_infinite(states: Float[np.ndarray, "B T S"]) -> Float[np.ndarray, "B T S"]:
    """The states with infinity for NaN, which says that a channel is not predicted at all."""
    return np.where(np.isnan(states), np.inf, states)
