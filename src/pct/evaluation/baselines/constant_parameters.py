"""The run's own equations with constant parameters: the defaults, or values fitted to the training data."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from pct.errors import DataError
from pct.optimization.constants.estimate import fit_parameters
from pct.optimization.constants.model import FittedModel
from pct.optimization.model import Model
from pct.types import Float
from pct.windows.store import spread
from pct.windows.window_set import WindowSet

# More windows do not change the answer of the fit, but take longer.
FITTED = 500


@dataclasses.dataclass(frozen=True, eq=False)
class ConstantParameters:
    """Rolls the run's model out with the same parameters everywhere.

    Attributes:
        doc: what the parameters are.
        fitted: the run's equations with them.
    """

    doc: str
    fitted: FittedModel

    def predict(self, windows: WindowSet) -> Float[np.ndarray, "B T S"]:
        """The rollout; infinite where it left the numbers."""
        return diverged_as_infinite(self.fitted.predict_states(self.fitted.prepare(windows).batch))


@dataclasses.dataclass(frozen=True, eq=False)
class DefaultParameters:
    """The model as it was before training."""

    model: Model
    doc = "The run's equations with the default parameters."

    def predict(self, windows: WindowSet) -> Float[np.ndarray, "B T S"]:
        """The rollout; infinite where it left the numbers."""
        return diverged_as_infinite(self.model.predict_default(self.model.prepare(windows).batch))


def fit_constant_parameters(model: Model, training: WindowSet) -> ConstantParameters:
    """One value of each parameter, from `fit_parameters` of training windows.

    Raises:
        DataError: the run is such a fit itself.
        DivergedError: the rollouts with the default parameters are not finite.
    """
    if isinstance(model, FittedModel):
        raise DataError("the run is a constant fit itself")
    spec, numbers = model.spec, spread(np.arange(len(training)), FITTED)
    rollout: Any = {"integrator": model.integrator_name, "substeps": model.substeps}
    fitted = FittedModel(
        spec=spec,
        dt=model.dt,
        integrator_name=model.integrator_name,
        substeps=model.substeps,
        settings={"horizon": training.horizon, "history": training.history},
        params=fit_parameters(training, numbers, spec, model.base_params, **rollout).params(spec),
        deviations={},
        remaining_error={},
    )
    doc = f"The run's equations with one value of each parameter, fitted to {numbers.size} training windows."
    return ConstantParameters(doc, fitted)


def diverged_as_infinite(states: Float[np.ndarray, "B T S"]) -> Float[np.ndarray, "B T S"]:
    """The states with infinity for NaN, which says that a channel is not predicted at all."""
    return np.where(np.isnan(states), np.inf, states)
