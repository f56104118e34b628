"""What a drive uses of each limit, car by car."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from pct.designing.area import Path, Rectangle, Track
from pct.designing.follower import Driven
from pct.dynamics.core import ModelSpec
from pct.simulation.driver import speed_name
from pct.types import Float


@dataclasses.dataclass(frozen=True)
class Limits:
    """Of a drive; infinite where there is none.

    Attributes:
        speed: in m/s.
        slip: of the rear axle in rad.
        acceleration: in the plane, in m/s^2.
        steering, steering_rate: in rad and rad/s.
        energy: work of the motor by mass in J/kg.
        sliding: way of the rear axle sideways in m.
    """

    speed: float
    slip: float
    acceleration: float = np.inf
    steering: float = np.inf
    steering_rate: float = np.inf
    energy: float = np.inf
    sliding: float = np.inf


def limits_used(
    spec: ModelSpec,
    limits: Limits,
    area: Rectangle | Track,
    path: Path,
    driven: Driven,
    params: Mapping[str, Any],
    dt: float,
) -> dict[str, Float[np.ndarray, "K D"]]:
    """The worst of each drive over its limit, by name of the limit: 1 is at the limit, infinite diverged.

    Args:
        spec: the model.
        limits, area: what is allowed.
        path: of the K references.
        driven: by D cars.
        params: of the cars, a number or (D,) each.
        dt: time step in s.
    """
    motion = motion_of(spec, driven.states, params, dt)
    if isinstance(area, Rectangle):
        x, y, _ = spec.pose_indices
        place = np.abs(driven.states[..., [x, y]]) / area.half
        edge = place.max(axis=-1)
    else:
        number = driven.place.astype(int) % path.x.shape[1]
        cars = np.arange(len(number))[:, None, None]
        room = np.where(driven.offset > 0, path.left[cars, number], path.right[cars, number])
        edge = np.abs(driven.offset) / np.maximum(room, 1e-3)
    used = {
        "area": edge.max(axis=-1),
        "speed": np.abs(motion["speed"]).max(axis=-1) / limits.speed,
        "slip": np.abs(motion["slip"]).max(axis=-1) / limits.slip,
        "acceleration": motion["acceleration"].max(axis=-1) / limits.acceleration,
        "energy": motion["power"].sum(axis=-1) * dt / limits.energy,
        "sliding": motion["sliding"].sum(axis=-1) * dt / limits.sliding,
    }
    if "delta" in spec.state_indices:
        angle = driven.states[..., spec.state_indices["delta"]]
        used["steering"] = np.abs(angle).max(axis=-1) / limits.steering
        used["steering_rate"] = np.abs(np.diff(angle, axis=-1)).max(axis=-1) / dt / limits.steering_rate
    finite = np.isfinite(driven.states).all(axis=(-1, -2))
    return {name: np.where(finite, value, np.inf) for name, value in used.items()}


def motion_of(
    spec: ModelSpec, states: Float[np.ndarray, "... N S"], params: Mapping[str, Any], dt: float
) -> dict[str, Float[np.ndarray, "... N"]]:
    """Speed in m/s, slip angle of the rear axle in rad, acceleration in the plane in m/s^2, power by mass in
    W/kg and speed of the rear axle sideways in m/s, along drives; one value a car where parameters have (D,).
    """
    with np.errstate(all="ignore"):
        x = {name: states[..., i].astype(float) for name, i in spec.state_indices.items()}
        speed = x[speed_name(spec)]
        sideways = x["vy"] if "vy" in x else speed * np.tan(x.get("beta", 0.0 * speed))
        yaw_rate = x["psi_dot"] if "psi_dot" in x else np.gradient(x[spec.pose[2]], dt, axis=-1)
        behind = params["lr"] if "lr" in params and sideways.any() else 0.0
        rear = sideways - np.expand_dims(np.asarray(behind, float), -1) * yaw_rate
        # Where the car creeps, the angle of a small motion says nothing.
        slip = np.arctan2(rear, np.maximum(np.abs(speed), 1.0))
        along = np.gradient(speed, dt, axis=-1)
        return {
            "speed": speed,
            "slip": slip,
            "acceleration": np.hypot(along, speed * yaw_rate),
            "power": np.maximum(along, 0.0) * np.abs(speed),
            "sliding": np.abs(rear),
        }
