"""What steering and drive can do: limits on steering rate and acceleration, and their parameters.

They belong to the car's own actuators and so act on its commands: a model gives them to `define_model` as its
`limits`, apart from its derivative. Both limits are continuous in the control, so that gradients stay finite;
beyond a limit the gradient with respect to the control is zero.

References:
    M. Althoff, G. Würsching, "CommonRoad: Vehicle Models", TU Munich, 2020, sections 3 and 4.
    https://gitlab.lrz.de/tum-cps/commonroad-vehicle-models
"""

from typing import Any

from pct.dynamics.core import Parameter
from pct.types import Array

GRAVITY = 9.81
"""Acceleration of free fall in m/s^2, with the digits that the published reference values used."""


def limit_steering_rate(delta: Array, delta_dot: Array, p: Any, xp: Any) -> Array:
    """Steering rate that the actuator delivers.

    Args:
        delta: steering angle in rad.
        delta_dot: wanted steering rate in rad/s.
        p: parameters with ``s_min``, ``s_max`` in rad and ``sv_min``, ``sv_max`` in rad/s.
        xp: array namespace.

    Returns:
        The rate within its bounds, in rad/s; zero where it pushes beyond a stop.
    """
    rate = xp.clip(delta_dot, p.sv_min, p.sv_max)
    inward = xp.where(delta <= p.s_min, xp.maximum(rate, 0.0), rate)
    return xp.where(delta >= p.s_max, xp.minimum(rate, 0.0), inward)


def limit_acceleration(v: Array, accel: Array, p: Any, xp: Any, mu: Array | None = None) -> Array:
    """Longitudinal acceleration that the drive delivers.

    Above ``v_switch`` the drive is limited by its power, so the acceleration falls with 1/v.

    Args:
        v: speed in m/s, negative in reverse.
        accel: wanted acceleration in m/s^2.
        p: parameters with ``v_min``, ``v_max``, ``v_switch`` in m/s and ``a_max`` in m/s^2.
        xp: array namespace.
        mu: friction of the road where that is a limit, too; all wheels grip.

    Returns:
        The acceleration within its bounds, in m/s^2; zero where it pushes beyond a top speed.
    """
    most, least = p.a_max * p.v_switch / xp.maximum(v, p.v_switch), -p.a_max
    if mu is not None:
        most, least = xp.minimum(most, mu * GRAVITY), xp.maximum(least, -mu * GRAVITY)
    lower, upper = xp.where(v > p.v_min, least, 0.0), xp.where(v < p.v_max, most, 0.0)
    return xp.maximum(xp.minimum(accel, upper), lower)


def limit_friction(accel: Array, mu: Array, xp: Any) -> Array:
    """Longitudinal acceleration in m/s^2 that a road of friction ``mu`` can transmit, all wheels gripping."""
    return xp.clip(accel, -mu * GRAVITY, mu * GRAVITY)


def limit_steering_and_drive(x: Any, u: Any, p: Any, xp: Any) -> dict[str, Array]:
    """What the car's actuators make of the commands ``delta_dot`` in rad/s and ``accel`` in m/s^2, by name.

    Arguments as of the limits of `pct.dynamics.core.define_model`; the states are ``delta`` and ``v``.
    """
    return {
        "delta_dot": limit_steering_rate(x.delta, u.delta_dot, p, xp),
        "accel": limit_acceleration(x.v, u.accel, p, xp),
    }


def _limit(
    name: str, symbol: str, unit: str, low: float, high: float, default: float, doc: str, role: str
) -> Parameter:
    return Parameter(name, symbol, unit, low, high, default, doc, scope="fixed", role=role)


LIMITS = (
    _limit(
        "s_min", r"\delta_{min}", "rad", -1.3, -0.05, -0.4189, "steering angle at the right stop",
        role="steering stop",
    ),
    _limit(
        "s_max", r"\delta_{max}", "rad", 0.05, 1.3, 0.4189, "steering angle at the left stop",
        role="steering stop",
    ),
    _limit(
        "sv_min", r"\dot{\delta}_{min}", "rad/s", -60.0, -0.05, -3.2, "fastest steering to the right",
        role="steering speed",
    ),
    _limit(
        "sv_max", r"\dot{\delta}_{max}", "rad/s", 0.05, 60.0, 3.2, "fastest steering to the left",
        role="steering speed",
    ),
    _limit(
        "v_switch", "v_S", "m/s", 0.1, 120.0, 7.319, "speed above which power limits acceleration",
        role="power",
    ),
    _limit("a_max", "a_{max}", "m/s^2", 0.1, 100.0, 9.51, "largest acceleration and braking", role="power"),
    _limit("v_min", "v_{min}", "m/s", -60.0, 0.0, -5.0, "top speed in reverse, negative", role="power"),
    _limit("v_max", "v_{max}", "m/s", 0.5, 120.0, 20.0, "top speed", role="power"),
)  # fmt: skip
"""The limits' rows; defaults are the 1:10 car of the f1tenth gym (`pct.dynamics.vehicles`)."""
