"""The run's own equations with constant parameters: the defaults, or values fitted to the training data."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from pct.dynamics.core import Channel
from pct.errors import DataError
from pct.optimization.constants.estimate import fit_parameters
from pct.optimization.constants.model import FittedModel
from pct.optimization.model import Model
from pct.types import Float
from pct.windows.batch import FeatureDataset
from pct.windows.store import spread
from pct.windows.window_set import WindowSet

# More windows do not change the fit, but take longer.
FITTED = 500


@dataclasses.dataclass(frozen=True, eq=False)
class ConstantParameters:
    """Rolls the run's equations out with the same parameters everywhere.

    Attributes:
        doc: what the parameters are.
        model: the run's equations.
        roll_out: states of prepared windows with these parameters, (B, T, S).
    """

    doc: str
    model: Model
    roll_out: Callable[[FeatureDataset], np.ndarray]

    @property
    def controls(self) -> tuple[Channel, ...]:
        """Those of the run's model."""
        return self.model.spec.controls

    def predict(self, windows: WindowSet) -> Float[np.ndarray, "B T S"]:
        """The rollout; infinite where it diverged."""
        return diverged_as_infinite(self.roll_out(self.model.prepare(windows).batch))


def default_parameters(model: Model) -> ConstantParameters:
    """The model as it was before training: a network on top of a fit is that fit."""
    on_fit = model.settings.get("beats_fit") is not None
    doc = f"The run's equations with the {'parameters of the fit below' if on_fit else 'default parameters'}."
    return ConstantParameters(doc, model, model.predict_default)


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
    return ConstantParameters(doc, fitted, fitted.predict_states)


def diverged_as_infinite(states: Float[np.ndarray, "B T S"]) -> Float[np.ndarray, "B T S"]:
    """The states with infinity for NaN: in `pct.evaluation`, NaN marks a channel that is not predicted."""
    return np.where(np.isnan(states), np.inf, states)
