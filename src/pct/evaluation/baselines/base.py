"""What every baseline is, and the motion in the vehicle's frame that those without equations share."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from pct.dynamics.core import Channel, ModelSpec
from pct.types import Float
from pct.windows.window_set import WindowSet

YAW_RATE = "psi_dot"


@runtime_checkable  # the annotations are checked while the tests run
class Baseline(Protocol):
    """Predicts the windows' states from their history, their first state and their controls."""

    @property
    def doc(self) -> str:
        """What it does, in a sentence or two."""
        ...

    @property
    def controls(self) -> tuple[Channel, ...]:
        """The controls to come that it reads."""
        ...

    def predict(self, windows: WindowSet) -> Float[np.ndarray, "B T S"]:
        """Predicted states; NaN throughout a channel that it does not have."""
        ...


def motion_channels(spec: ModelSpec) -> list[str]:
    """The states but the position, and but the heading where the yaw rate is a state."""
    x, y, heading = spec.pose
    derived = {x, y, heading} if YAW_RATE in spec.state_names else {x, y}
    return [name for name in spec.state_names if name not in derived]


def motion_of(states: Float[np.ndarray, "B L S"], spec: ModelSpec) -> Float[np.ndarray, "B L M"]:
    """The `motion_channels` of states over time, angles without jumps."""
    columns = [spec.state_indices[name] for name in motion_channels(spec)]
    motion = np.asarray(states[..., columns], float)
    angles = spec.angle_mask[columns]
    motion[..., angles] = np.unwrap(motion[..., angles], axis=1)
    return motion


def with_pose(motion: Float[np.ndarray, "B K M"], spec: ModelSpec, dt: float) -> Float[np.ndarray, "B T S"]:
    """States over a horizon whose pose follows from the motion by the trapezoidal rule.

    Args:
        motion: `motion_channels` at the start, where the pose is zero, and after each step, (B, T + 1, M).
        spec: the model.
        dt: time step in s.

    Returns:
        States after each step. The position is NaN where the states do not give the velocity along and
        across the vehicle; a car whose states hold a speed alone is taken to move where it points.
    """
    columns = dict(zip(motion_channels(spec), np.moveaxis(motion, -1, 0), strict=True))
    x, y, heading = spec.pose
    if heading not in columns:
        columns[heading] = _integral(columns[YAW_RATE], dt)
    turned = columns[heading]
    if {"vx", "vy"} <= columns.keys():
        ahead, aside = columns["vx"], columns["vy"]
    elif "v" in columns:
        slip = columns.get("beta", np.zeros_like(turned))
        ahead, aside = columns["v"] * np.cos(slip), columns["v"] * np.sin(slip)
    else:
        ahead = aside = np.full_like(turned, np.nan)
    cos, sin = np.cos(turned), np.sin(turned)
    columns[x] = _integral(cos * ahead - sin * aside, dt)
    columns[y] = _integral(sin * ahead + cos * aside, dt)
    return np.stack([columns[name] for name in spec.state_names], axis=-1)[:, 1:]


def _integral(rate: Float[np.ndarray, "B K"], dt: float) -> Float[np.ndarray, "B K"]:
    """Integral from the first column on, zero there."""
    steps = 0.5 * dt * (rate[:, 1:] + rate[:, :-1])
    return np.concatenate([np.zeros_like(rate[:, :1]), np.cumsum(steps, axis=1)], axis=1)
