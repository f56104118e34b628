"""Baselines that need no training and no model: the present goes on."""

from __future__ import annotations

import dataclasses

import numpy as np

from pct.dynamics.core import ModelSpec
from pct.evaluation.baselines.base import motion_of, with_pose
from pct.types import Float
from pct.windows.window_set import WindowSet

# Rows that a rate is taken from: fewer are noise, more are the past.
RATE_ROWS = 5


@dataclasses.dataclass(frozen=True)
class HoldLast:
    """Everything stays as it is at the start, also where the car is."""

    doc = "Every state stays as it is at the start of the window, the position too."
    controls = ()

    def predict(self, windows: WindowSet) -> Float[np.ndarray, "B T S"]:
        """The first state, at every step."""
        first = np.asarray(windows.batch.initial_states, float)
        return np.repeat(first[:, None], windows.horizon, axis=1)


@dataclasses.dataclass(frozen=True, eq=False)
class ConstantAcceleration:
    """Every motion channel goes on along a line; the pose follows."""

    spec: ModelSpec
    doc = (
        f"Speeds, yaw rate and steering go on from the window's first state with the slope of the "
        f"least-squares line through the last {RATE_ROWS} rows; the pose follows."
    )
    controls = ()

    def predict(self, windows: WindowSet) -> Float[np.ndarray, "B T S"]:
        """The first state, moved along lines."""
        past = motion_of(windows.past[0], self.spec)[:, -RATE_ROWS:]
        rows = np.arange(past.shape[1]) - (past.shape[1] - 1) / 2
        slope = np.einsum("l,blm->bm", rows, past) / (rows @ rows)
        steps = np.arange(windows.horizon + 1)
        return with_pose(past[:, -1:] + steps[:, None] * slope[:, None], self.spec, windows.dt)
