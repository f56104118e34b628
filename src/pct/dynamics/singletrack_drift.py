"""`singletrack-drift`: CommonRoad's single-track drift model, with wheel speeds and combined slip.

The tyres are `pct.dynamics.tires.combined_slip_forces`. The commanded acceleration becomes a torque on the
wheels, split between the axles, and what the road returns of it moves the car. Above ``v_blend_high`` the
equations are CommonRoad's digit for digit where ``tau_w`` is zero; below ``v_blend_low`` and in reverse the
car rolls. Three things differ from its implementation: the blend between the two ends in exact zeros and
ones, a locked wheel turns again when the brake is released, and the slips of a car that slides sideways
or backwards stay finite.

Unhindered, a wheel's slip settles in ``I_y_w u / (R_w^2 p_kx1 F_z)``: 2 ms for a full-size car at 15 m/s, and
a Runge-Kutta step of order 4 is stable up to 2.78 of it. ``tau_w`` is added to that time, so that the time
steps of logs can be taken. It changes how fast the slip settles, not where. The preset `bmw-320i` has
CommonRoad's zero: take substeps with it, or hold ``tau_w=0.02``.

References:
    M. Althoff, G. Würsching, "CommonRoad: Vehicle Models", TU Munich, 2020, section 7.
    https://gitlab.lrz.de/tum-cps/commonroad-vehicle-models
"""

import dataclasses
from typing import Any, NamedTuple

from pct.dynamics import bicycle, channels
from pct.dynamics.core import Parameter, define_model, register_model_spec
from pct.dynamics.limits import GRAVITY, LIMITS, limit_acceleration, limit_friction, limit_steering_rate
from pct.dynamics.tires import COMBINED_SLIP, combined_slip_forces, lateral_force
from pct.types import Array


class Rates(NamedTuple):
    """Rates of the states ``v, psi_dot, beta, omega_f, omega_r``, of shape (...) each."""

    v: Array
    psi_dot: Array
    beta: Array
    omega_f: Array
    omega_r: Array


def derivative(x: Any, u: Any, p: Any, xp: Any) -> Any:
    """Time derivative of ``[x, y, delta, v, psi, psi_dot, beta, omega_f, omega_r]``.

    Controls are ``[delta_dot, accel]``.
    """
    weight = _slipping(x.v, p, xp)
    # Below v_blend_low the slipping rates have weight zero; their v is held there so that they stay finite.
    slipping = slipping_rates(x._replace(v=xp.maximum(x.v, p.v_blend_low)), u.delta_dot, u.accel, p, xp)
    rolling = rolling_rates(x, u.delta_dot, u.accel, p, xp)
    mixed = Rates(*(weight * s + (1.0 - weight) * r for s, r in zip(slipping, rolling, strict=True)))
    return x._replace(**bicycle.pose_rates(x, xp), delta=u.delta_dot, **mixed._asdict())


def limits(x: Any, u: Any, p: Any, xp: Any) -> dict[str, Array]:
    """Limits of steering and drive; where the car rolls, also the friction of the road, as no tyre slips."""
    accel = limit_acceleration(x.v, u.accel, p, xp)
    weight = _slipping(x.v, p, xp)
    return {
        "delta_dot": limit_steering_rate(x.delta, u.delta_dot, p, xp),
        "accel": weight * accel + (1.0 - weight) * limit_friction(accel, p.mu, xp),
    }


def _slipping(v: Array, p: Any, xp: Any) -> Array:
    """Weight of the slipping rates at a speed, zero to one."""
    return bicycle.smoothstep((v - p.v_blend_low) / (p.v_blend_high - p.v_blend_low), xp)


def slipping_rates(x: Any, delta_dot: Array, accel: Array, p: Any, xp: Any) -> Rates:
    """Rates of a car whose tyres slip, from their forces.

    Args:
        x: states ``delta, v, psi_dot, beta, omega_f, omega_r``; v at or above ``v_blend_low``.
        delta_dot: steering rate in rad/s.
        accel: acceleration in m/s^2 that the torque on the wheels would give without slip.
        p: parameters.
        xp: array namespace.
    """
    vx, vy = x.v * xp.cos(x.beta), x.v * xp.sin(x.beta)
    sin_delta, cos_delta = xp.sin(x.delta), xp.cos(x.delta)
    # Speed of each wheel's hub along the wheel. Held above zero: sideways and backwards slips stay finite.
    along_front = xp.maximum(vx * cos_delta + (vy + p.lf * x.psi_dot) * sin_delta, p.v_blend_low)
    along_rear = xp.maximum(vx, p.v_blend_low)
    alpha_front = xp.arctan((vy + p.lf * x.psi_dot) / along_rear) - x.delta
    alpha_rear = xp.arctan((vy - p.lr * x.psi_dot) / along_rear)
    wheelbase = p.lf + p.lr
    load_front = p.m * (GRAVITY * p.lr - accel * p.h) / wheelbase
    load_rear = p.m * (GRAVITY * p.lf + accel * p.h) / wheelbase
    slip_front = 1.0 - p.R_w * x.omega_f / along_front
    slip_rear = 1.0 - p.R_w * x.omega_r / along_rear
    fx_front, fy_front = combined_slip_forces(slip_front, alpha_front, load_front, p, xp)
    fx_rear, fy_rear = combined_slip_forces(slip_rear, alpha_rear, load_rear, p, xp)

    sin_beta, cos_beta = xp.sin(x.beta), xp.cos(x.beta)
    sin_course, cos_course = xp.sin(x.delta - x.beta), xp.cos(x.delta - x.beta)
    v_dot = (fx_front * cos_course - fy_front * sin_course + fx_rear * cos_beta + fy_rear * sin_beta) / p.m
    across = fy_front * cos_course + fx_front * sin_course + fy_rear * cos_beta - fx_rear * sin_beta
    beta_dot = across / (p.m * x.v) - x.psi_dot
    psi_ddot = (p.lf * (fy_front * cos_delta + fx_front * sin_delta) - p.lr * fy_rear) / p.I

    hub_front, hub_rear = hub_accelerations(x, delta_dot, v_dot, psi_ddot, beta_dot, p, xp)
    drive, brake = p.m * p.R_w * xp.maximum(accel, 0.0), p.m * p.R_w * xp.minimum(accel, 0.0)
    torque_front = p.T_se * drive + p.T_sb * brake - p.R_w * fx_front
    torque_rear = (1.0 - p.T_se) * drive + (1.0 - p.T_sb) * brake - p.R_w * fx_rear
    return Rates(
        v=v_dot,
        psi_dot=psi_ddot,
        beta=beta_dot,
        omega_f=wheel_rate(x.omega_f, torque_front, load_front, along_front, hub_front, p, xp),
        omega_r=wheel_rate(x.omega_r, torque_rear, load_rear, along_rear, hub_rear, p, xp),
    )


def side_force(axle: str, slip: Array, p: Any, xp: Any) -> Array:
    """Side force of an axle in N under its static load, where its wheels do not slip along."""
    return lateral_force(-slip, bicycle.static_load(axle, p), p, xp)


def wheel_rate(
    omega: Array, torque: Array, load: Array, along: Array, hub_acceleration: Array, p: Any, xp: Any
) -> Array:
    """Angular acceleration of a wheel in rad/s^2.

    Args:
        omega: wheel speed in rad/s.
        torque: sum of the torques on the wheel in N m.
        load: vertical load in N.
        along: speed of its hub along it in m/s, positive.
        hub_acceleration: rate of that speed in m/s^2.
        p: parameters ``R_w, I_y_w, p_kx1, tau_w``.
        xp: array namespace.

    Returns:
        ``torque / I_y_w`` at ``tau_w = 0``; never such that the wheel turns backwards.
    """
    settling_rate = p.R_w**2 * p.p_kx1 * load / (p.I_y_w * along)
    share = 1.0 / (1.0 + p.tau_w * settling_rate)
    keeps_slip = omega * hub_acceleration / along
    rate = share * (torque / p.I_y_w) + (1.0 - share) * keeps_slip
    return xp.where(omega > 0.0, rate, xp.maximum(rate, 0.0))


def rolling_rates(x: Any, delta_dot: Array, accel: Array, p: Any, xp: Any) -> Rates:
    """Rates of a car that rolls without slip, and whose wheels return to that; also in reverse.

    Args:
        x: states ``delta, v, psi_dot, beta, omega_f, omega_r``.
        delta_dot: steering rate in rad/s.
        accel: acceleration in m/s^2.
        p: parameters ``lf, lr, R_w``.
        xp: array namespace.
    """
    psi_ddot, beta_dot = bicycle.rolling_rates(x, delta_dot, accel, p, xp)
    hub_front, hub_rear = hub_accelerations(x, delta_dot, accel, psi_ddot, beta_dot, p, xp)
    along_front = x.v * xp.cos(x.delta - x.beta) + p.lf * x.psi_dot * xp.sin(x.delta)
    along_rear = x.v * xp.cos(x.beta)
    return Rates(
        v=accel,
        psi_dot=psi_ddot,
        beta=beta_dot,
        omega_f=hub_front / p.R_w + (along_front / p.R_w - x.omega_f) / bicycle.RELAXATION_TIME,
        omega_r=hub_rear / p.R_w + (along_rear / p.R_w - x.omega_r) / bicycle.RELAXATION_TIME,
    )


def hub_accelerations(
    x: Any, delta_dot: Array, v_dot: Array, psi_ddot: Array, beta_dot: Array, p: Any, xp: Any
) -> tuple[Array, Array]:
    """Rates in m/s^2 of the speeds of the front and rear wheels' hubs along the wheels.

    These speeds are ``v cos(delta - beta) + lf psi_dot sin(delta)`` and ``v cos(beta)``.
    """
    course, course_dot = x.delta - x.beta, delta_dot - beta_dot
    front = v_dot * xp.cos(course) - x.v * xp.sin(course) * course_dot
    front = front + p.lf * (psi_ddot * xp.sin(x.delta) + x.psi_dot * xp.cos(x.delta) * delta_dot)
    rear = v_dot * xp.cos(x.beta) - x.v * xp.sin(x.beta) * beta_dot
    return front, rear


SHARED = {row.name: row for row in bicycle.SINGLE_TRACK}

CAR = (
    dataclasses.replace(
        SHARED["mu"], doc="friction across the wheels; it bounds the forces, not their slopes"
    ),
    dataclasses.replace(SHARED["m"], doc="mass"),
    dataclasses.replace(SHARED["I"], doc="yaw inertia"),
    *(SHARED[name] for name in ("lf", "lr", "h", "v_blend_low", "v_blend_high")),
)
"""What it shares with the other single-track models."""

WHEELS = (
    Parameter(
        "R_w", "R_w", "m", 0.005, 0.6, 0.049, "rolling radius of the wheels", scope="fixed", role="wheels",
    ),
    Parameter(
        "I_y_w", "I_{y,w}", "kg m^2", 1e-8, 10.0, 3.4e-4, "inertia of an axle's wheels about it",
        scope="fixed", role="wheels",
    ),
    *bicycle.TORQUE_SPLIT,
    Parameter(
        "tau_w", r"\tau_w", "s", 0.0, 0.2, 0.02, "slows the settling of slip by this", scope="fixed",
        role="wheels",
    ),
)  # fmt: skip
"""Wheels of the 1:10 car: radius 49 mm, two discs of 107.5 g an axle (the figures of Gym-Khana's STD car,
https://github.com/TeoIlie/Gym-Khana), driven and braked alike in front and rear."""

SINGLETRACK_DRIFT = register_model_spec(
    define_model(
        "singletrack-drift",
        states=(*channels.SINGLE_TRACK_STATES, channels.OMEGA_F, channels.OMEGA_R),
        controls=channels.STEERING_AND_DRIVE,
        parameters=(*CAR, *COMBINED_SLIP, *WHEELS, *LIMITS),
        derivative=derivative,
        side_force=side_force,
        limits=limits,
    )
)
