"""Which car it is: its wheelbase from speed, yaw rate and steering, the vehicle of that size, and its scale.

References:
    R. Rajamani, "Vehicle Dynamics and Control", 2nd ed., Springer, 2012, sections 2.2 and 3.3: at small
    lateral acceleration a car turns by v·tan(delta)/(L + K·v²).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pct.dynamics.core import ModelSpec
from pct.dynamics.vehicles.vehicle import VEHICLES, with_vehicle
from pct.recordings.derive import derive
from pct.recordings.trajectory import Trajectory

# Rows in which tyres hardly slip, in m/s², and move, in m/s; least number of them.
CALM, MOVING, ROWS = 2.5, 0.3, 50
# Steering and yaw rate that agree less tell nothing of the size.
CORRELATION = 0.9
# A wheelbase within this factor of a vehicle's is that vehicle's.
SAME = 1.15
# Full-size cars that corner harder than this, in m/s², or are faster, in m/s, are race cars.
RACING, FASTEST = 13.0, 55.0
# Powers of a length by which a unit grows from one car to another of its shape and weight a volume, whose
# accelerations are the same.
POWERS = {"m": 1, "kg": 3, "kg m^2": 5, "N": 3, "1/N": -3, "N s/m": 3, "N s^2/m^2": 3}


class Size(NamedTuple):
    """What a drive says of its car.

    Attributes:
        wheelbase: in m; None where steering and yaw rate do not tell.
        speed: highest usual, in m/s.
        lateral: highest usual acceleration in a bend, in m/s².
    """

    wheelbase: float | None
    speed: float
    lateral: float


def measure(recordings: Sequence[Trajectory]) -> Size:
    """The size of a car from all its recordings."""
    columns = []
    for recording in recordings:
        channels, dt = recording.channels, recording.dt
        found = [derive(name, channels, dt) for name in ("v", "psi_dot", "delta")]
        v, rate, delta = (np.full(len(recording), np.nan) if one is None else one for one in found)
        columns.append(np.stack([v, rate, delta]))
    v, rate, delta = np.concatenate(columns, axis=1)
    lateral = np.abs(v * rate)
    known = np.isfinite(v)
    speed = float(np.quantile(np.abs(v[known]), 0.99)) if known.any() else 0.0
    cornering = float(np.quantile(lateral[np.isfinite(lateral)], 0.99)) if np.isfinite(lateral).any() else 0.0
    calm = np.isfinite(lateral + delta) & (lateral < CALM) & (np.abs(v) > max(MOVING, 0.1 * speed))
    wheelbase = None
    if calm.sum() >= ROWS:
        # v·tan(delta) = L·rate + K·v²·rate + v·offset, K the understeer
        of, turn = v[calm], rate[calm]
        turned, unknowns = of * np.tan(delta[calm]), np.stack([turn, of**2 * turn, of], axis=-1)
        solution, *_ = np.linalg.lstsq(unknowns, turned, rcond=None)
        left = turned - unknowns @ solution
        straight = turned - of * (turned @ of) / (of @ of)
        if 1.0 - (left @ left) / max(float(straight @ straight), 1e-12) > CORRELATION**2 and solution[0] > 0:
            wheelbase = float(solution[0])
    return Size(wheelbase, speed, cornering)


def wheelbase_of(vehicle: str, spec: ModelSpec) -> float:
    """The wheelbase of a vehicle in m."""
    values = with_vehicle(spec, vehicle).default_params
    return float(values["lf"] + values["lr"])


def nearest_vehicle(size: Size, spec: ModelSpec) -> tuple[str, str]:
    """The vehicle of about that wheelbase, and why."""
    if size.wheelbase is None:
        faster = ((FASTEST, "av-21"), (12.0, "bmw-320i"))
        name = next((name for least, name in faster if size.speed > least), "f1tenth")
        return name, f"the wheelbase is not known; speeds up to {size.speed:.1f} m/s"
    length = size.wheelbase
    # Vehicles whose every value is their own, not brought over from another.
    away = {
        name: abs(np.log(length / wheelbase_of(name, spec)))
        for name, vehicle in VEHICLES.items()
        if not vehicle.like
    }
    least = min(away.values())
    near = sorted(name for name in away if away[name] < least + np.log(SAME))
    what = f"wheelbase about {length:.3g} m"
    if len(near) > 1 and {"av-21", "bmw-320i"} <= {*near}:
        racing = size.lateral > RACING or size.speed > FASTEST
        name = "av-21" if racing else "bmw-320i"
        return name, f"{what}, up to {size.lateral:.0f} m/s² in bends and {size.speed:.0f} m/s"
    name = min(near, key=away.__getitem__)
    if least <= np.log(SAME):
        return name, what
    return name, f"{what}; the nearest that is known, brought to this size"


def to_scale(spec: ModelSpec, wheelbase: float) -> ModelSpec:
    """A car of the same shape with another wheelbase, in m: bounds and defaults by the units of parameters.

    Wider bounds are left where the size is another, since shape and weight are a guess then.
    """
    values = spec.default_params
    factor = wheelbase / float(values["lf"] + values["lr"])
    if abs(np.log(factor)) <= np.log(SAME):
        return spec
    bounds, defaults = dict(spec.param_bounds), dict(values)
    for row in spec.parameters:
        if power := POWERS.get(row.unit, 0):
            by = factor**power
            low, high = (np.asarray(side) * by for side in bounds[row.name])
            defaults[row.name] = values[row.name] * by
            bounds[row.name] = (low / 2 if np.all(low > 0) else low, high * 2)
    return dataclasses.replace(spec, param_bounds=bounds, default_params=defaults)
