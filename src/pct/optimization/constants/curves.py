"""Curves of a fit, with bands: side force of each axle, handling, and drive force.

They stay meaningful where the numbers of a formula do not: another B with another C may give the same force
at every slip angle that was driven. The bands are the fit's covariance carried over to the curve (delta
method), as 95 % intervals of a normal distribution; or quantiles of the curves of draws of a posterior.

References:
    [1] R. Rajamani, "Vehicle Dynamics and Control", 2nd ed., Springer, 2012, section 3.3: understeer
        gradient.
    [2] H. Pacejka, "Tire and Vehicle Dynamics", 3rd ed., Butterworth-Heinemann, 2012, section 1.3: handling
        diagram.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from pct.dynamics.bicycle import static_load
from pct.dynamics.core import ModelSpec
from pct.dynamics.limits import GRAVITY
from pct.measurement.chain import vehicle_motion
from pct.optimization.constants.estimate import Estimate, scalar_places
from pct.types import Array, Float

NORMAL_95 = 1.96
DRAWN_95 = (0.025, 0.975)
POINTS = 101
# Steps of differences: as a share of a parameter's range, and of slip angle in rad.
STEP, SLIP_STEP = 1e-5, 1e-5
# The handling diagram ends at this share of what both axles can hold.
SHY = 0.95
# A curve is drawn so far beyond what was reached.
BEYOND = 1.5
# Shares of the driven rows that count as reached: one glitch reaches nothing.
REACHED = (0.01, 0.99)
AXLES = ("front", "rear")


class Curve(NamedTuple):
    """A curve with its standard error.

    Attributes:
        x: where, increasing, (K,).
        value, std: in the curve's unit, (K,) each.
        reached: lowest and highest x of the drive.
        drawn: ends of the 95 % band of draws of the posterior; None where the band is normal.
    """

    x: Float[np.ndarray, " K"]
    value: Float[np.ndarray, " K"]
    std: Float[np.ndarray, " K"]
    reached: tuple[float, float]
    drawn: tuple[Float[np.ndarray, " K"], Float[np.ndarray, " K"]] | None = None

    @property
    def low(self) -> np.ndarray:
        """Lower end of the 95 % band, (K,)."""
        return np.asarray(self.value - NORMAL_95 * self.std if self.drawn is None else self.drawn[0])

    @property
    def high(self) -> np.ndarray:
        """Upper end of the 95 % band, (K,)."""
        return np.asarray(self.value + NORMAL_95 * self.std if self.drawn is None else self.drawn[1])

    @property
    def inside(self) -> np.ndarray:
        """Which points the drive reached, (K,)."""
        return (self.x >= self.reached[0]) & (self.x <= self.reached[1])


class Curves(NamedTuple):
    """What is known of a car, whatever its formulas.

    Attributes:
        side_force: side force of each axle over its slip angle in rad, both positive to the left.
        force_unit: of ``side_force``: ``N``; ``1``, per static axle load, where the mass was learned, since
            then motion shows forces over mass only.
        handling: slip angle in front less that behind, in rad, over lateral acceleration in m/s^2; None where
            the axles' forces share no range.
        understeer_gradient: its slope where there is no force, and the standard error, in rad s^2/m.
        drive_force: force along the car in N over its speed in m/s by drive command; empty without one.
    """

    side_force: dict[str, Curve]
    force_unit: str
    handling: Curve | None
    understeer_gradient: tuple[float, float]
    drive_force: dict[float, Curve]


def make_curves(
    estimate: Estimate,
    spec: ModelSpec,
    states: Float[np.ndarray, "... S"],
    controls: Float[np.ndarray, "... C"],
    draws: Sequence[Mapping[str, Any]] = (),
) -> Curves | None:
    """The curves of a fit.

    Args:
        estimate: from `pct.optimization.constants.estimate.fit_parameters`.
        spec: the model that was fitted.
        states: rows that the fitted model goes through; rather than the logged ones, which are noisy.
        controls: what is logged of the controls.
        draws: of the posterior, the parameters by name: bands are then their quantiles.

    Returns:
        None for a model without tyres, or where the drive never left the speeds at which the model rolls.
    """
    tyre = spec.side_force
    if tyre is None or not has_curves(spec):
        return None
    carried = _carrier(estimate, spec, draws)
    p = SimpleNamespace(**{**spec.default_params, **estimate.params(spec)})
    columns = dict(zip(spec.state_names, np.moveaxis(np.asarray(states, float), -1, 0), strict=True))
    moving = _vehicle_states(spec, columns, p)
    if moving is None or not moving["vx"].size:
        return None
    slips = _slip_angles(moving, p)
    relative = "m" in spec.param_keys
    side_force, grids = {}, {}
    for axle, slip in zip(AXLES, slips, strict=True):
        low, high = (float(end) for end in np.quantile(slip, REACHED))
        most = BEYOND * max(abs(low), abs(high))
        grids[axle] = np.linspace(-most, most, POINTS)

        def force(p: Any, axle: str = axle) -> Array:
            newtons = tyre(axle, grids[axle], p, np)
            return newtons / static_load(axle, p) if relative else newtons

        side_force[axle] = carried(force).over(grids[axle], (low, high))
    value, std, *_ = carried(lambda p: np.atleast_1d(_understeer_gradient(tyre, p)))
    return Curves(
        side_force,
        "1" if relative else "N",
        _handling(tyre, carried, p, grids, moving),
        (float(value[0]), float(std[0])),
        _drive_forces(spec, carried, p, moving, controls),
    )


def curves_table(curves: Curves) -> dict[str, Any]:
    """All numbers by name, for a JSON file."""
    gradient, error = curves.understeer_gradient
    table: dict[str, Any] = {
        "side_force": {
            axle: _curve_table(curve, "slip_angle", "rad", curves.force_unit)
            for axle, curve in curves.side_force.items()
        },
        "understeer_gradient": {"value": gradient, "std": error, "unit": "rad s^2/m"},
    }
    if curves.handling is not None:
        table["handling"] = _curve_table(curves.handling, "lateral_acceleration", "m/s^2", "rad")
    if curves.drive_force:
        table["drive_force"] = {
            f"{drive:.3g}": _curve_table(curve, "speed", "m/s", "N")
            for drive, curve in curves.drive_force.items()
        }
    return table


def _curve_table(curve: Curve, over: str, x_unit: str, unit: str) -> dict[str, Any]:
    return {
        over: {"values": curve.x, "unit": x_unit, "reached": curve.reached},
        "value": curve.value,
        "std": curve.std,
        "low_95": curve.low,
        "high_95": curve.high,
        "unit": unit,
    }


class Carried(NamedTuple):
    """A curve's value and standard error, and the ends of the 95 % band of draws, (K,) each."""

    value: np.ndarray
    std: np.ndarray
    drawn: tuple[np.ndarray, np.ndarray] | None = None

    def over(self, x: np.ndarray, reached: tuple[float, float]) -> Curve:
        """The curve over x, (K,)."""
        return Curve(x, self.value, self.std, reached, self.drawn)


Carrier = Callable[[Callable[[Any], Any]], Carried]
Tyre = Callable[..., Array]


def _carrier(estimate: Estimate, spec: ModelSpec, draws: Sequence[Mapping[str, Any]] = ()) -> Carrier:
    """Value and error of a function of the parameters, by differences; its band by draws, if any."""
    places = scalar_places(spec)
    slope = estimate.deviations(spec) / np.sqrt(np.diag(estimate.covariance))
    numbers = list(places.values())
    covariance = (estimate.covariance * np.outer(slope, slope))[np.ix_(numbers, numbers)]
    values = {**spec.default_params, **estimate.params(spec)}

    def carried(function: Callable[[Any], Any]) -> Carried:
        value, slopes = differences(function, spec, values)
        variance = np.einsum("pk,pq,qk->k", slopes, covariance, slopes)
        std = np.sqrt(np.maximum(variance, 0.0))
        if not draws:
            return Carried(value, std)
        drawn = [np.asarray(function(SimpleNamespace(**{**values, **draw})), float) for draw in draws]
        low, high = np.quantile(drawn, DRAWN_95, axis=0)
        return Carried(value, std, (low, high))

    return carried


def differences(
    function: Callable[[Any], Any], spec: ModelSpec, values: Mapping[str, Any]
) -> tuple[Float[np.ndarray, " K"], Float[np.ndarray, "N K"]]:
    """A function of the parameters, and its slope by each scalar one in their order, by central differences.

    Args:
        function: of the parameters, by attribute; gives (K,).
        spec: the model.
        values: every parameter by name, in its unit.
    """

    def at(key: str, shift: float) -> np.ndarray:
        return np.asarray(function(SimpleNamespace(**{**values, key: values[key] + shift})), float)

    slopes = []
    for key in scalar_places(spec):
        low, high = spec.param_bounds[key]
        step = STEP * float(high - low)
        slopes.append((at(key, step) - at(key, -step)) / (2 * step))
    return np.asarray(function(SimpleNamespace(**values)), float), np.array(slopes)


def force_at(spec: ModelSpec, axle: str, slip: Array, p: Any) -> Array:
    """Side force of an axle at slip angles in rad: in N, or over the static load where the mass is learned.

    The mean of both sides, so that a tyre's shift does not count.

    Raises:
        AttributeError: the model has no tyres; see `has_curves`.
    """
    tyre: Any = spec.side_force
    ends = (tyre(axle, sign * np.asarray(slip, float), p, np) for sign in (1, -1))
    force = np.subtract(*ends) / 2
    return force / static_load(axle, p) if "m" in spec.param_keys else force


def has_curves(spec: ModelSpec) -> bool:
    """Whether there are curves of a model's tyres."""
    return spec.side_force is not None and {"m", "lf", "lr", "v_blend_high"} <= set(spec.default_params)


def reached_slips(
    spec: ModelSpec, params: Mapping[str, Any], states: Float[np.ndarray, "... S"]
) -> dict[str, float]:
    """The largest slip angle in rad that rows reach, by axle; empty without tyres or slip.

    Args:
        spec: the model.
        params: fitted parameters by name.
        states: rows that the fitted model goes through.
    """
    if not has_curves(spec):
        return {}
    p = SimpleNamespace(**{**spec.default_params, **params})
    columns = dict(zip(spec.state_names, np.moveaxis(np.asarray(states, float), -1, 0), strict=True))
    moving = _vehicle_states(spec, columns, p)
    if moving is None or not moving["vx"].size:
        return {}
    return {
        axle: float(np.abs(np.quantile(slip, REACHED)).max())
        for axle, slip in zip(AXLES, _slip_angles(moving, p), strict=True)
    }


def _vehicle_states(spec: ModelSpec, states: Mapping[str, Any], p: Any) -> dict[str, np.ndarray] | None:
    """``vx, vy, psi_dot, delta`` of the car itself where it is fast enough to slip, (N,) each; None without.

    Behind sensors with a steering ratio or a lever arm these are undone; lags and biases, which are small
    beside the range of a drive, are not.
    """
    shown = states if spec.physical is None else spec.physical(states, p)
    columns = {name: np.asarray(values) for name, values in shown.items()}
    if "vx" not in columns and {"v", "beta"} <= set(columns):
        columns["vx"] = columns["v"] * np.cos(columns["beta"])
        columns["vy"] = columns["v"] * np.sin(columns["beta"])
    columns = vehicle_motion(spec, p, columns, np)
    if not {"vx", "vy", "psi_dot", "delta"} <= set(columns):
        return None
    fast = columns["vx"] >= float(p.v_blend_high)
    return {name: columns[name][fast] for name in ("vx", "vy", "psi_dot", "delta")}


def _slip_angles(moving: Mapping[str, np.ndarray], p: Any) -> tuple[np.ndarray, np.ndarray]:
    """Slip angles in front and behind in rad."""
    lf, lr = float(p.lf), float(p.lr)
    front = moving["delta"] - np.arctan((moving["vy"] + lf * moving["psi_dot"]) / moving["vx"])
    rear = np.arctan((lr * moving["psi_dot"] - moving["vy"]) / moving["vx"])
    return front, rear


def _understeer_gradient(tyre: Tyre, p: Any) -> Array:
    """m / L (lr / C_f - lf / C_r) with the axles' slopes at zero slip, in rad s^2/m [1]."""
    ends = np.array([-SLIP_STEP, SLIP_STEP])
    slopes = [np.diff(tyre(axle, ends, p, np))[0] / (2 * SLIP_STEP) for axle in AXLES]
    return p.m / (p.lf + p.lr) * (p.lr / slopes[0] - p.lf / slopes[1])


def _handling(
    tyre: Tyre,
    carried: Carrier,
    p: Any,
    grids: Mapping[str, np.ndarray],
    moving: Mapping[str, np.ndarray],
) -> Curve | None:
    """The handling diagram [2]: both axles' slip angles at the same lateral acceleration, steady."""

    def acceleration(axle: str, slip: Array, p: Any) -> Array:
        return GRAVITY * tyre(axle, slip, p, np) / static_load(axle, p)

    rising = {}
    for axle, slip in grids.items():
        at = acceleration(axle, slip, p)
        middle = slip.size // 2
        # From zero slip to both sides up to the peaks: beyond them the slip angle is not unique.
        low, high = int(np.argmin(at[: middle + 1])), middle + int(np.argmax(at[middle:]))
        if high - low < 2:
            return None
        rising[axle] = slip[low : high + 1], (at[low], at[high])
    low = max(ends[0] for _, ends in rising.values())
    high = min(ends[1] for _, ends in rising.values())
    if low >= high:
        return None
    # At the peaks a little force takes any slip angle.
    x = (low + high) / 2 + SHY * (high - low) / 2 * np.linspace(-1, 1, POINTS)

    def difference(p: Any) -> Array:
        front, rear = (np.interp(x, acceleration(axle, slip, p), slip) for axle, (slip, _) in rising.items())
        return front - rear

    reached = np.quantile(moving["vx"] * moving["psi_dot"], REACHED)
    return carried(difference).over(x, (float(reached[0]), float(reached[1])))


def _drive_forces(
    spec: ModelSpec, carried: Carrier, p: Any, moving: Mapping[str, np.ndarray], controls: np.ndarray
) -> dict[float, Curve]:
    """Force along the car over speed at the strongest braking that was commanded, coasting and full drive."""
    columns = dict(zip(spec.control_names, np.moveaxis(np.asarray(controls, float), -1, 0), strict=True))
    columns = vehicle_motion(spec, p, columns, np)
    drive_force = spec.drive_force
    if drive_force is None or "drive" not in columns:
        return {}
    low, high = (float(end) for end in np.quantile(columns["drive"], REACHED))
    slow, fast = (float(end) for end in np.quantile(moving["vx"], REACHED))
    speed = np.linspace(0.0, BEYOND * fast, POINTS)
    curves = {}
    for command in dict.fromkeys((high, 0.0, low)):

        def force(p: Any, command: float = command) -> Array:
            return drive_force(speed, command, p, np)

        curves[command] = carried(force).over(speed, (slow, fast))
    return curves
