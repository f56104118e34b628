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
from pct.recordings.time_steps import rows_of
from pct.recordings.trajectory import Trajectory

# Rows in which tyres hardly slip, in m/s² and as a share of the most in the drives, and that move, in m/s;
# least number of them.
CALM, LINEAR, MOVING, ROWS = 2.5, 0.5, 0.3, 50
# Means are taken over so many seconds.
SPAN = 0.3
# Steering and yaw rate that agree less tell nothing of the size.
CORRELATION = 0.9
# A wheelbase within this factor of a vehicle's is that vehicle's.
SAME = 1.08
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
        error: standard error of the wheelbase, in m.
    """

    wheelbase: float | None
    speed: float
    lateral: float
    error: float = 0.0

    @property
    def told(self) -> str:
        """The wheelbase for messages."""
        error = f" ± {self.error:.2g}" if self.error else ""
        return f"{self.wheelbase:.3g}{error} m"


def measure(recordings: Sequence[Trajectory]) -> Size:
    """The size of a car from all its recordings."""
    found = np.concatenate([_motion(recording) for recording in recordings], axis=1)
    v, lateral = found[0], found[3]
    speed = float(np.quantile(np.abs(v[np.isfinite(v)]), 0.99)) if np.isfinite(v).any() else 0.0
    sound = np.isfinite(found).all(axis=0)
    cornering = float(np.nanquantile(lateral, 0.99)) if np.isfinite(lateral).any() else 0.0
    calm = sound & (lateral < max(CALM, LINEAR * cornering)) & (np.abs(v) > max(MOVING, 0.1 * speed))
    wheelbase, error = None, 0.0
    if calm.sum() >= ROWS:
        # v·tan(delta) = L·rate + K·v²·rate + T·v·rate' + v·offset: K is the understeer, and inertia and tyres
        # let the yaw rate follow later.
        of, turn, turned, _, change = found[:, calm]
        unknowns = np.stack([turn, of**2 * turn, of * change, of], axis=-1)
        solution, *_ = np.linalg.lstsq(unknowns, turned, rcond=None)
        left = turned - unknowns @ solution
        straight = turned - of * (turned @ of) / (of @ of)
        if 1.0 - (left @ left) / max(float(straight @ straight), 1e-12) > CORRELATION**2 and solution[0] > 0:
            wheelbase = float(solution[0])
            # Rows of one span go together.
            rows = max(rows_of(SPAN, recording.dt, most=len(recording)) for recording in recordings)
            spread = 2 * rows * float(left @ left) / len(left)
            error = float(np.sqrt(spread * np.linalg.pinv(unknowns.T @ unknowns)[0, 0]))
    return Size(wheelbase, speed, cornering, error)


def _motion(recording: Trajectory) -> np.ndarray:
    """Speed, yaw rate, speed times tangent of the steering angle, acceleration in the bend and change of the
    yaw rate, means over `SPAN` so that noise hides, (5, N); NaN for what is not known."""
    channels, dt = recording.channels, recording.dt
    columns = [derive(name, channels, dt) for name in ("v", "psi_dot", "delta")]
    v, rate, delta = (np.full(len(recording), np.nan) if one is None else one for one in columns)
    rows = min(rows_of(SPAN, dt, most=len(recording)), len(recording))
    speed, turn, turned = (
        np.convolve(one, np.full(rows, 1 / rows), "valid") for one in (v, rate, v * np.tan(delta))
    )
    change = np.gradient(turn, dt) if len(turn) > 1 else np.zeros_like(turn)
    return np.stack([speed, turn, turned, np.abs(speed * turn), change])


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
    near = vehicles_near(size, spec)
    what = f"wheelbase about {size.told}"
    if len(near) > 1 and {"av-21", "bmw-320i"} <= {*near}:
        racing = size.lateral > RACING or size.speed > FASTEST
        # What is too uncertain to tell them apart is nearer to one of them.
        unsure = size.error > np.log(SAME) * length
        name = "av-21" if racing else min(near, key=away.__getitem__) if unsure else "bmw-320i"
        return name, f"{what}, up to {size.lateral:.0f} m/s² in bends and {size.speed:.0f} m/s"
    name = min(near, key=away.__getitem__)
    if least <= tolerance(size):
        return name, what
    return name, f"{what}; the nearest that is known, brought to this size"


def tolerance(size: Size) -> float:
    """Largest logarithm of the wheelbase over that of a car that may be the one of the drives."""
    return max(float(np.log(SAME)), 2 * size.error / size.wheelbase) if size.wheelbase else 0.0


def vehicles_near(size: Size, spec: ModelSpec) -> list[str]:
    """Known vehicles of about the wheelbase that was found; several where it is too uncertain to choose."""
    if size.wheelbase is None:
        return []
    away = {
        name: abs(np.log(size.wheelbase / wheelbase_of(name, spec)))
        for name, vehicle in VEHICLES.items()
        if not vehicle.like
    }
    least = min(away.values())
    most = max(least + float(np.log(SAME)), 2 * size.error / size.wheelbase)
    return sorted(name for name in away if away[name] < most)


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
