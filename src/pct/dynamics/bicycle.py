r"""Single-track equations at the centre of gravity, and the parameters that they share.

A single-track model merges the wheels of an axle into one. The kinematic one rolls without slip, the
dynamic one has tyres whose side force grows linearly with their slip angle. `blended_single_track`
joins them: kinematic at low speed and in reverse, dynamic above.

The states are [x, y, delta, v, psi, psi_dot, beta]: v is the speed of the centre of gravity, signed, and
beta the angle from the car's axis to its velocity. So position and heading follow from the states by
definition, at every speed,

    d/dt (x, y, psi) = (v cos(psi + beta), v sin(psi + beta), psi_dot)

and the models differ in the rates of psi_dot and beta only.

References:
    M. Althoff, G. Würsching, "CommonRoad: Vehicle Models", TU Munich, 2020, sections 5 (kinematic
    single-track) and 6 (single-track with slip). https://gitlab.lrz.de/tum-cps/commonroad-vehicle-models
    R. Rajamani, "Vehicle Dynamics and Control", 2nd ed., Springer, 2012, chapters 2.2 and 2.3.
"""

from typing import Any

import numpy as np

from pct.dynamics.core import Parameter
from pct.dynamics.limits import GRAVITY, limit_acceleration, limit_steering_rate
from pct.types import Array

RELAXATION_TIME = 0.1
"""Time in s in which yaw rate and slip angle return to rolling without slip, in the kinematic range.

A linear tyre pulls them back ever faster towards standstill, with time constants proportional to v. That
is too stiff to integrate, and only its limit matters: the car rolls. 0.1 s is below what a car's motion
shows and above the usual time steps. Without it a state that is off (noise, a slide that ended) would
stay off for ever.
"""


def blended_single_track(x: Any, u: Any, p: Any, xp: Any) -> Any:
    """Time derivative of the single-track model under the controls that act.

    Kinematic below ``v_blend_low`` and in reverse, dynamic above ``v_blend_high``, exactly; in between the
    rates of yaw rate and slip angle are mixed with a twice differentiable weight.

    Args:
        x: states ``x, y, delta, v, psi, psi_dot, beta`` as a named tuple; each of shape (...).
        u: controls ``delta_dot`` and ``accel``.
        p: parameters, `SINGLE_TRACK`.
        xp: array namespace.

    Returns:
        The named tuple of states with the time derivatives.
    """
    weight = smoothstep((x.v - p.v_blend_low) / (p.v_blend_high - p.v_blend_low), xp)
    # Below v_blend_low the dynamic rates have weight zero; their v is held there so that they stay finite.
    dynamic = dynamic_rates(x.delta, xp.maximum(x.v, p.v_blend_low), x.psi_dot, x.beta, u.accel, p)
    rolling = rolling_rates(x, u.delta_dot, u.accel, p, xp)
    # This form, unlike rolling + weight * (dynamic - rolling), is exact to the last digit at weight one.
    psi_ddot, beta_dot = (weight * d + (1.0 - weight) * r for d, r in zip(dynamic, rolling, strict=True))
    return x._replace(**pose_rates(x, xp), delta=u.delta_dot, v=u.accel, psi_dot=psi_ddot, beta=beta_dot)


def single_track_limits(x: Any, u: Any, p: Any, xp: Any) -> dict[str, Array]:
    """Limits of the single-track model: steering, drive, and the friction of the road."""
    return {
        "delta_dot": limit_steering_rate(x.delta, u.delta_dot, p, xp),
        "accel": limit_acceleration(x.v, u.accel, p, xp, p.mu),
    }


def pose_rates(x: Any, xp: Any) -> dict[str, Array]:
    """Rates of x and y in m/s and of psi in rad/s, from the states ``v, psi, psi_dot, beta``."""
    course = x.psi + x.beta
    return {"x": x.v * xp.cos(course), "y": x.v * xp.sin(course), "psi": x.psi_dot}


def dynamic_rates(
    delta: Array, v: Array, psi_dot: Array, beta: Array, accel: Array, p: Any
) -> tuple[Array, Array]:
    """Rates of yaw rate and slip angle with linear tyres and longitudinal load transfer.

    Each axle's side force is ``mu C_S F_z alpha`` with its slip angle alpha; acceleration moves the load
    ``m a h / (lf + lr)`` to the rear.

    The yaw rate's own time constant is ``I (lf + lr) v / (mu m g (lf^2 C_Sf lr + lr^2 C_Sr lf))``, v / 113
    in s for the 1:10 car's defaults. A Runge-Kutta step of order 4 is stable up to 2.78 of it: 0.037 s at
    1.5 m/s, and 14 times less in the stiffest corner of the bounds. Coarser data need substeps.

    Args:
        delta: steering angle in rad.
        v: speed in m/s, positive.
        psi_dot: yaw rate in rad/s.
        beta: slip angle in rad.
        accel: longitudinal acceleration in m/s^2.
        p: parameters ``mu, C_Sf, C_Sr, lf, lr, h, m, I``.

    Returns:
        Yaw acceleration in rad/s^2 and slip angle's rate in rad/s.
    """
    wheelbase = p.lf + p.lr
    load_front = (GRAVITY * p.lr - accel * p.h) / wheelbase
    load_rear = (GRAVITY * p.lf + accel * p.h) / wheelbase
    # Forces and loads are divided by the car's mass.
    front = p.mu * p.C_Sf * load_front * (delta - beta - p.lf * psi_dot / v)
    rear = p.mu * p.C_Sr * load_rear * (-beta + p.lr * psi_dot / v)
    return p.m / p.I * (p.lf * front - p.lr * rear), (front + rear) / v - psi_dot


def rolling_rates(x: Any, delta_dot: Array, accel: Array, p: Any, xp: Any) -> tuple[Array, Array]:
    """Rates of yaw rate and slip angle of a car that rolls without slip, and returns to it.

    They are the exact time derivatives of the slip angle and yaw rate of pure rolling, and a pull towards
    these values with `RELAXATION_TIME`.

    Args:
        x: states ``delta, v, psi_dot, beta``.
        delta_dot: steering rate in rad/s.
        accel: longitudinal acceleration in m/s^2.
        p: parameters ``lf, lr``.
        xp: array namespace.

    Returns:
        Yaw acceleration in rad/s^2 and slip angle's rate in rad/s.
    """
    tan_delta = xp.tan(x.delta)
    beta = rolling_slip_angle(tan_delta, p, xp)
    cosine, wheelbase = xp.cos(beta), p.lf + p.lr
    tan_delta_dot = delta_dot * (1.0 + tan_delta**2)
    beta_dot = p.lr / wheelbase * tan_delta_dot * cosine**2
    # With tan(beta) = lr tan(delta) / (lf + lr), the rate of cos(beta) tan(delta) is this one.
    curvature, curvature_dot = cosine * tan_delta / wheelbase, cosine**3 * tan_delta_dot / wheelbase
    return (
        accel * curvature + x.v * curvature_dot + (x.v * curvature - x.psi_dot) / RELAXATION_TIME,
        beta_dot + (beta - x.beta) / RELAXATION_TIME,
    )


def rolling_slip_angle(tan_delta: Array, p: Any, xp: Any) -> Array:
    """Slip angle in rad at the centre of gravity of a car that rolls without slip."""
    return xp.arctan(p.lr * tan_delta / (p.lf + p.lr))


def linear_side_force(axle: str, slip: Array, p: Any, xp: Any) -> Array:
    """Side force of an axle's linear tyres in N under its static load."""
    return p.mu * (p.C_Sf if axle == "front" else p.C_Sr) * static_load(axle, p) * slip


def static_load(axle: str, p: Any) -> Array:
    """Load of an axle at rest in N."""
    return p.m * GRAVITY * (p.lr if axle == "front" else p.lf) / (p.lf + p.lr)


def straight_line_range(v: float, lf: float, lr: float) -> dict[str, tuple[Any, Any, Any]]:
    """Matrices of the rolling car linearised about straight driving, with bounds.

    Args:
        v: speed in m/s, positive.
        lf, lr: distances in m from the centre of gravity to the axles.

    Returns:
        ``(low, default, high)`` of ``A``, shape (5, 5), and ``B``, shape (5, 2), for the states
        [x, y, delta, v, yaw] and controls [delta_dot, accel]. The bounds leave room for speeds up to 5 v,
        and let the entries that are zero here be learned.
    """
    wheelbase = lf + lr
    A, B = np.zeros((5, 5)), np.zeros((5, 2))
    A[0, 3] = 1.0
    A[1, 2] = v * lr / wheelbase
    A[1, 4] = v
    A[4, 2] = v / wheelbase
    B[2, 0] = B[3, 1] = 1.0
    room = np.ones((5, 5))
    room[:, [2, 4]] = 4.0
    room[[0, 1, 3]] *= [1.0, 1.0, v, 1.0, v]
    room[4, 2] *= v / wheelbase
    return {"A": (A - room, A, A + room), "B": (B - 1.0, B, B + 1.0)}


def smoothstep(s: Array, xp: Any) -> Array:
    """Zero for s <= 0, one for s >= 1, a twice differentiable step in between.

    Examples:
        >>> import numpy as np
        >>> print(smoothstep(np.array([-1.0, 0.0, 0.5, 1.0, 2.0]), np))
        [0.  0.  0.5 1.  1. ]
    """
    s = xp.clip(s, 0.0, 1.0)
    return s**3 * (10.0 - 15.0 * s + 6.0 * s**2)


TYRES_AND_MASS = (
    Parameter(
        "mu", r"\mu", "1", 0.1, 1.6, 1.0489,
        "friction; side forces depend on mu C_Sf and mu C_Sr only, so it is identified where both are held",
        role="peak",
    ),
    Parameter(
        "C_Sf", "C_{Sf}", "1/rad", 1.0, 12.0, 4.718, "front cornering stiffness over mu times load",
        role="stiffness",
    ),
    Parameter(
        "C_Sr", "C_{Sr}", "1/rad", 1.0, 12.0, 5.4562, "rear cornering stiffness over mu times load",
        role="stiffness",
    ),
    Parameter("m", "m", "kg", 1.87, 7.48, 3.74, "mass; lateral motion depends on m / I only", role="mass"),
    Parameter(
        "I", "I_z", "kg m^2", 0.0236, 0.0942, 0.04712, "yaw inertia; lateral motion: m / I only",
        role="yaw inertia",
    ),
)  # fmt: skip
"""What the tyres and the load decide; bounds suit the 1:10 car."""

GEOMETRY = (
    Parameter(
        "lf", "l_f", "m", 0.08, 0.32, 0.15875, "centre of gravity to front axle", scope="fixed",
        role="geometry",
    ),
    Parameter(
        "lr", "l_r", "m", 0.08, 0.32, 0.17145, "centre of gravity to rear axle", scope="fixed",
        role="geometry",
    ),
)  # fmt: skip

TORQUE_SPLIT = (
    Parameter(
        "T_sb", "T_{sb}", "1", 0.0, 1.0, 0.5, "share of the brake torque in front", scope="fixed",
        role="torque split",
    ),
    Parameter(
        "T_se", "T_{se}", "1", 0.0, 1.0, 0.5, "share of the drive torque in front", scope="fixed",
        role="torque split",
    ),
)  # fmt: skip
"""How drive and brakes are shared between the axles, where a tyre's force along the car counts."""

SINGLE_TRACK = (
    *TYRES_AND_MASS,
    *GEOMETRY,
    Parameter(
        "h", "h", "m", 0.0, 2.0, 0.074, "height of the centre of gravity", scope="fixed", role="height",
    ),
    Parameter(
        "v_blend_low", "v_{lo}", "m/s", 0.1, 10.0, 0.5, "rolls up to this speed", scope="fixed", role="blend",
    ),
    Parameter(
        "v_blend_high", "v_{hi}", "m/s", 0.2, 20.0, 1.5, "slips from this speed", scope="fixed", role="blend",
    ),
)  # fmt: skip
"""Every parameter of the single-track model but its limits; defaults are the f1tenth gym's 1:10 car."""
