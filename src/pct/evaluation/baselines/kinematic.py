"""The kinematic single-track model on the same rows: what geometry alone explains."""

from __future__ import annotations

import dataclasses

import numpy as np

from pct.dynamics.core import ModelSpec
from pct.dynamics.kinematic_singletrack import KINEMATIC_SINGLETRACK
from pct.errors import DataError
from pct.evaluation.baselines.constant_parameters import diverged_as_infinite
from pct.evaluation.datasets import TestData
from pct.optimization.model import Model
from pct.rollout.integration import rollout
from pct.types import Float
from pct.windows.inputs import with_inputs
from pct.windows.store import make_window_store
from pct.windows.window_set import WindowSet, make_window_set


@dataclasses.dataclass(frozen=True, eq=False)
class Kinematic:
    """Rolls `kinematic-singletrack` out over the rows of the windows, read anew for its channels.

    Attributes:
        model: the run's; its geometry, limits and integrator are used.
        test: the recordings that the windows come from.
    """

    model: Model
    test: TestData
    doc = "The kinematic single-track model with the geometry of the run's model."
    controls = KINEMATIC_SINGLETRACK.controls

    def predict(self, windows: WindowSet) -> Float[np.ndarray, "B T S"]:
        """The rollout on the channels of the same name; NaN for the others.

        Where the logs do not hold the acceleration, it is derived from the speed of the very rows that are
        predicted; then the speed is no prediction, and NaN.

        Raises:
            DataError: the run's model has none of the channels, or the logs lack them.
        """
        if not is_comparable(self.model.spec):
            raise DataError(f"the model '{self.model.spec.name}' has none of its channels")
        spec = _with_values(KINEMATIC_SINGLETRACK, self.model.spec)
        store = make_window_store(self.test.recordings, spec, dt=windows.dt, label="test", inputs="auto")
        spec = with_inputs(spec, store.origins, "auto")
        dataset = make_window_set(
            store,
            windows.starts,
            spec,
            horizon=windows.horizon,
            history=windows.history,
            feature_mode="context",
        ).gather()
        params = spec.base_params(windows.dt)
        states = rollout(
            spec.dynamics_fn,
            self.model.integrator,
            dataset.initial_states,
            dataset.controls,
            params,
            params["dt"],
        )
        columns = np.moveaxis(diverged_as_infinite(np.asarray(states, float)), -1, 0)
        known = dict(zip(spec.state_names, columns, strict=True))
        if "accel" in self.test.derived(spec.controls):
            del known["v"]
        # The heading may have another name.
        known |= dict(zip(self.model.spec.pose, (known[name] for name in spec.pose), strict=True))
        missing = np.full(columns.shape[1:], np.nan)
        return np.stack([known.get(name, missing) for name in self.model.spec.state_names], axis=-1)


def is_comparable(spec: ModelSpec) -> bool:
    """Whether a model has channels of the kinematic one."""
    return bool(set(KINEMATIC_SINGLETRACK.state_names) & set(spec.state_names))


def _with_values(spec: ModelSpec, other: ModelSpec) -> ModelSpec:
    """The model with another's defaults, as far as that has its parameters."""
    shared = {name: value for name, value in other.default_params.items() if name in spec.default_params}
    return dataclasses.replace(spec, default_params={**spec.default_params, **shared})
