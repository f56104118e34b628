"""The ladder of baselines, from the simplest up."""

from __future__ import annotations

from collections.abc import Callable

from pct.evaluation.baselines.arx import fit_ridge_arx
from pct.evaluation.baselines.base import Baseline
from pct.evaluation.baselines.constant_parameters import default_parameters, fit_constant_parameters
from pct.evaluation.baselines.extrapolation import ConstantAcceleration, HoldLast
from pct.evaluation.baselines.kinematic import Kinematic
from pct.evaluation.datasets import TestData
from pct.optimization.model import Model
from pct.windows.window_set import WindowSet

# The row that a network on top of a fit begins with.
BELOW = "fit below"
# One value of each parameter: what predicting them moment by moment must beat.
CONSTANT = "constant fit"


def ladder(
    model: Model, test: TestData, training: Callable[[], WindowSet]
) -> dict[str, Callable[[], Baseline]]:
    """What makes each baseline, by name; it raises `pct.errors.PctError` where it cannot be had.

    Args:
        model: the run's.
        test: the recordings that the test windows come from.
        training: gives windows that lie within the training data.
    """
    on_fit = model.settings.get("beats_fit") is not None
    return {
        "hold last value": HoldLast,
        "constant acceleration": lambda: ConstantAcceleration(model.spec),
        "ridge ARX": lambda: fit_ridge_arx(training(), model.spec),
        "kinematic": lambda: Kinematic(model, test),
        BELOW if on_fit else "default parameters": lambda: default_parameters(model),
        CONSTANT: lambda: fit_constant_parameters(model, training()),
    }
