r"""`singletrack-pacejka`: the single-track model with Magic Formula tyres and a drivetrain, for real logs.

Each axle has a tyre of its own, with shifts for what the car and its sensors are off by:

    F_y = D sin(C atan(B s - E (B s - atan(B s)))) + S_v,  s = alpha + S_h
    alpha_f = delta - atan((vy + lf psi_dot) / vx),  alpha_r = atan((lr psi_dot - vy) / vx)

and the drive command d in [-1, 1] moves the car through its motor and brakes, against its resistances:

    F_x = (C_m1 - C_m2 vx) d - C_r0 - C_r2 vx^2             d >= 0
    F_x = (C_m1 - C_m2 vx) k_b d + C_b d - C_r0 - C_r2 vx^2  d < 0

With ``k_b`` = 1 and ``C_b`` = 0, an electric car, that is the model of [1] and [2]; with ``k_b`` = 0 an
engine does not push backwards, and friction brakes stop the car and leave it standing.

Options add to that, see `OPTIONS`; the name of the model says which: ``singletrack-pacejka+combined-slip``.
With ``combined-slip`` motor and brakes act on both axles, by `TORQUE_SPLIT`, and what they ask of a tyre and
its side force lie on a friction ellipse, `pct.dynamics.tires.on_friction_ellipse`. With ``motor-curve`` the
command acts as ``e (1 + c_d (e - 1))``, e = (abs(d) - d_0) / (1 - d_0), with the sign of d, and not at all up
to ``d_0``. With ``load-sensitivity`` the peak of an axle is ``D r (1 - k_d (r - 1))`` under r times its load
at rest.

Slower than ``v_blend_low`` in any direction the car rolls without slip; from ``v_blend_high`` on the
equations are the above, to the last digit. In reverse all that opposes motion turns round with it, and the
slip angles are those of the wheels; the sign of vx fades within ``v_blend_low``. The yaw rate's own time
constant is ``I v / (B_f C_f D_f lf^2 + B_r C_r D_r lr^2)``, v / 113 in s for the 1:10 car's defaults; a
Runge-Kutta step of order 4 is stable up to 2.78 of it, so coarse data at low speed need substeps or a
higher blend.

References:
    [1] A. Liniger, A. Domahidi, M. Morari, "Optimization-based autonomous racing of 1:43 scale RC cars",
        Optimal Control Applications and Methods 36 (2015), eq. (1) to (3).
    [2] J. Chrosniak, J. Ning, M. Behl, "Deep Dynamics: Vehicle Dynamics Modeling with a
        Physics-Constrained Neural Network for Autonomous Racing", arXiv:2312.04374, section III.
    [3] H. Pacejka, "Tire and Vehicle Dynamics", 3rd ed., Butterworth-Heinemann, 2012, section 4.3.
"""

import dataclasses
from typing import Any, NamedTuple

from pct.dynamics import bicycle, channels
from pct.dynamics.core import Option, Parameter, define_model, register_model_spec
from pct.dynamics.limits import GRAVITY, LIMITS, limit_steering_rate
from pct.dynamics.tires import COMBINED_SLIP, magic_formula, on_friction_ellipse, stiffness_factor
from pct.types import Array


def derivative(x: Any, u: Any, p: Any, xp: Any) -> Any:
    """Time derivative of ``[x, y, psi, vx, vy, psi_dot, delta]`` under ``[delta_dot, drive]``."""
    direction = travel_direction(x.vx, p, xp)
    force = longitudinal_force(x.vx, direction, u.drive, p, xp)
    wheels = None
    if hasattr(p, "mu_xy"):
        wheels = wheel_forces(x.vx, direction, u.drive, force, p, xp)
        (front, _), (rear, _) = gripping(wheels, p.D_f, p.D_r, p, xp)
        force = wheels.rest + front + rear
    slipping = slipping_rates(x, direction, force, p, xp, wheels)
    return blended_rates(x, u.delta_dot, slipping, rolling_rates(x, u.delta_dot, force, p, xp), p, xp)


def blended_rates(
    x: Any,
    delta_dot: Array,
    slipping: tuple[Array, Array, Array],
    rolling: tuple[Array, Array, Array],
    p: Any,
    xp: Any,
) -> Any:
    """All rates, from those of a car that rolls below ``v_blend_low`` and slips above ``v_blend_high``.

    Args:
        x: states.
        delta_dot: steering rate in rad/s.
        slipping: rates of vx and vy in m/s^2 and of the yaw rate in rad/s^2, of shape (...) each.
        rolling: likewise.
        p: parameters.
        xp: array namespace.
    """
    # Below v_blend_low the weight is zero; the speed is held there so that its square root stays smooth.
    speed = xp.sqrt(xp.maximum(x.vx**2 + x.vy**2, p.v_blend_low**2))
    weight = bicycle.smoothstep((speed - p.v_blend_low) / (p.v_blend_high - p.v_blend_low), xp)
    vx_dot, vy_dot, psi_ddot = (
        weight * s + (1.0 - weight) * r for s, r in zip(slipping, rolling, strict=True)
    )
    sin, cos = xp.sin(x.psi), xp.cos(x.psi)
    return x._replace(
        x=x.vx * cos - x.vy * sin,
        y=x.vx * sin + x.vy * cos,
        psi=x.psi_dot,
        vx=vx_dot,
        vy=vy_dot,
        psi_dot=psi_ddot,
        delta=delta_dot,
    )


def limits(x: Any, u: Any, p: Any, xp: Any) -> dict[str, Array]:
    """Limits of the steering; the drive's are those of its force."""
    return {"delta_dot": limit_steering_rate(x.delta, u.delta_dot, p, xp)}


def travel_direction(vx: Array, p: Any, xp: Any) -> Array:
    """1 forward and -1 in reverse, exactly, from ``v_blend_low`` on; twice differentiable in between."""
    return 2.0 * bicycle.smoothstep(0.5 + 0.5 * vx / p.v_blend_low, xp) - 1.0


def longitudinal_force(vx: Array, direction: Array, drive: Array, p: Any, xp: Any) -> Array:
    """Force of motor, brakes and resistances along the car in N, where all wheels grip.

    Args:
        vx: velocity along the car in m/s.
        direction: its sign, see `travel_direction`; motor braking is the same either way round.
        drive: drive command, negative to brake.
        p: parameters, `DRIVETRAIN`.
        xp: array namespace.
    """
    speed = vx * direction
    pull = xp.minimum(drive, 0.0)
    return motor_force(speed, drive, p, xp) - direction * (p.C_r0 + p.C_r2 * speed**2 - p.C_b * pull)


def motor_force(speed: Array, drive: Array, p: Any, xp: Any) -> Array:
    """Force of the motor in N at a speed in m/s that is not negative."""
    if hasattr(p, "d_0"):
        beyond = xp.maximum(xp.abs(drive) - p.d_0, 0.0) / (1.0 - p.d_0)
        drive = xp.sign(drive) * beyond * (1.0 + p.c_d * (beyond - 1.0))
    push, pull = xp.maximum(drive, 0.0), xp.minimum(drive, 0.0)
    return (p.C_m1 - p.C_m2 * speed) * (push + p.k_b * pull)


class Wheels(NamedTuple):
    """Forces along the car in N: what is asked of the wheels of each axle, and the rest, the resistances."""

    front: Array
    rear: Array
    rest: Array


def wheel_forces(vx: Array, direction: Array, drive: Array, force: Array, p: Any, xp: Any) -> Wheels:
    """`longitudinal_force`, here ``force``, by what brings it to the road."""
    motor = motor_force(vx * direction, drive, p, xp)
    brake = direction * p.C_b * xp.minimum(drive, 0.0)
    return Wheels(
        p.T_se * motor + p.T_sb * brake,
        (1.0 - p.T_se) * motor + (1.0 - p.T_sb) * brake,
        force - motor - brake,
    )


def gripping(
    wheels: Wheels, front: Array, rear: Array, p: Any, xp: Any
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """What the tyres hold of `wheel_forces` in N, and what it leaves of their side force; by axle.

    Args:
        wheels: forces that are asked for.
        front, rear: peaks of the side force in N.
        p: parameters.
        xp: array namespace.
    """
    # An axle without load holds next to nothing, and the quotient stays finite.
    most = (xp.maximum(front, LEAST_GRIP * p.D_f), xp.maximum(rear, LEAST_GRIP * p.D_r))
    return (
        on_friction_ellipse(wheels.front, p.mu_xy * most[0], xp),
        on_friction_ellipse(wheels.rear, p.mu_xy * most[1], xp),
    )


def drive_force(vx: Array, drive: Array, p: Any, xp: Any) -> Array:
    """`longitudinal_force` on the way forward."""
    return longitudinal_force(vx, 1.0, drive, p, xp)


def side_force(axle: str, slip: Array, p: Any, xp: Any) -> Array:
    """Side force of an axle in N under its static load."""
    B, C, D, E, S_h, S_v = (getattr(p, f"{name}{axle[0]}") for name in ("B_", "C_", "D_", "E_", "S_h", "S_v"))
    return magic_formula(slip + S_h, B, C, D, E, xp) + S_v


def slipping_rates(
    x: Any, direction: Array, force: Array, p: Any, xp: Any, wheels: Wheels | None = None
) -> tuple[Array, Array, Array]:
    """Rates of vx and vy in m/s^2 and of the yaw rate in rad/s^2 with slipping tyres.

    Args:
        x: states ``vx, vy, psi_dot, delta``. A car that slides sideways, abs(vx) below ``v_blend_low``, has
            the slip angles of one at ``v_blend_low``.
        direction: sign of vx.
        force: longitudinal force in N; it moves load to the rear axle, and acts there without ``wheels``.
        p: parameters.
        xp: array namespace.
        wheels: what is asked of the wheels, with ``combined-slip``.
    """
    along = xp.maximum(xp.abs(x.vx), p.v_blend_low)
    alpha_front = direction * x.delta - xp.arctan((x.vy + p.lf * x.psi_dot) / along)
    alpha_rear = xp.arctan((p.lr * x.psi_dot - x.vy) / along)
    # An axle cannot carry less than nothing.
    shift = xp.clip(p.h / GRAVITY * force / p.m, -p.lf, p.lr)
    peak_front = p.D_f * friction((p.lr - shift) / p.lr, p, xp)
    peak_rear = p.D_r * friction((p.lf + shift) / p.lf, p, xp)
    front = magic_formula(alpha_front + p.S_hf, p.B_f, p.C_f, peak_front, p.E_f, xp) + p.S_vf
    rear = magic_formula(alpha_rear + p.S_hr, p.B_r, p.C_r, peak_rear, p.E_r, xp) + p.S_vr
    sin, cos = xp.sin(x.delta), xp.cos(x.delta)
    if wheels is None:
        return (
            (force - front * sin) / p.m + x.vy * x.psi_dot,
            (rear + front * cos) / p.m - x.vx * x.psi_dot,
            (front * p.lf * cos - rear * p.lr) / p.I,
        )
    (pull, front_share), (push, rear_share) = gripping(wheels, peak_front, peak_rear, p, xp)
    front, rear = front_share * front, rear_share * rear
    across = pull * sin + front * cos
    return (
        (wheels.rest + push + pull * cos - front * sin) / p.m + x.vy * x.psi_dot,
        (rear + across) / p.m - x.vx * x.psi_dot,
        (across * p.lf - rear * p.lr) / p.I,
    )


def friction(load: Array, p: Any, xp: Any) -> Array:
    """Peak side force of an axle over that at rest, at a load over that at rest.

    With ``load-sensitivity`` the friction coefficient falls with the load in a straight line, [3], ``p_Dy2``
    of section 4.3.2 over ``p_Dy1``; it ends at zero.
    """
    if not hasattr(p, "k_d"):
        return load
    return load * xp.maximum(1.0 - p.k_d * (load - 1.0), 0.0)


def rolling_rates(x: Any, delta_dot: Array, force: Array, p: Any, xp: Any) -> tuple[Array, Array, Array]:
    """The same rates of a car that rolls without slip, and returns to it.

    They are the exact time derivatives of ``psi_dot = vx tan(delta) / (lf + lr)`` and ``vy = lr psi_dot``,
    and a pull towards these values with `pct.dynamics.bicycle.RELAXATION_TIME`.
    """
    curvature = xp.tan(x.delta) / (p.lf + p.lr)
    curvature_dot = delta_dot * (1.0 + xp.tan(x.delta) ** 2) / (p.lf + p.lr)
    vx_dot = force / p.m
    yaw_rate = x.vx * curvature
    yaw_acceleration = vx_dot * curvature + x.vx * curvature_dot
    return (
        vx_dot,
        p.lr * yaw_acceleration + (p.lr * yaw_rate - x.vy) / bicycle.RELAXATION_TIME,
        yaw_acceleration + (yaw_rate - x.psi_dot) / bicycle.RELAXATION_TIME,
    )


LEAST_GRIP = 1e-3
"""Force along that an axle without load still holds, over its peak at rest."""

SHARED = {row.name: row for row in bicycle.SINGLE_TRACK}
SHAPE = 1.3507
"""Shape factor of CommonRoad's tyre, ``p_cy1``."""


def _axle(axle: str, where: str, other: str) -> tuple[Parameter, ...]:
    """Rows of an axle's tyre; ``other`` names the distance to the other axle, which shares the load."""
    load = (
        SHARED["m"].default * GRAVITY * SHARED[other].default / sum(row.default for row in bicycle.GEOMETRY)
    )
    D = SHARED["mu"].default * load
    B = stiffness_factor(SHARED[f"C_S{axle}"].default * D, SHAPE, D)

    def row(
        name: str, unit: str, low: float, default: float, high: float, doc: str, role: str, odd: bool = False
    ) -> Parameter:
        symbol = f"{name[0]}_{{{name[2:]}{axle}}}"
        doc = f"{doc}, {where}"
        return Parameter(f"{name}{axle}", symbol, unit, low, high, default, doc, odd=odd, role=role)

    return (
        row("B_", "1/rad", 1.0, B, 40.0, "stiffness factor", "stiffness"),
        row("C_", "1", 0.8, SHAPE, 2.0, "shape factor", "shape"),
        row("D_", "N", 4.0, D, 100.0, "peak side force", "peak" if axle == "f" else "rear peak"),
        row("E_", "1", -2.0, 0.0, 0.9, "curvature factor", "curvature"),
        row("S_h", "rad", -0.05, 0.0, 0.05, "shift in slip angle", "shift", True),
        row("S_v", "N", -2.0, 0.0, 2.0, "shift in side force", "shift", True),
    )


TYRES = (*_axle("f", "front", "lr"), *_axle("r", "rear", "lf"))
"""Both axles' tyres; defaults have the f1tenth gym's slope at zero slip, and its friction as their peak."""

DRIVETRAIN = (
    Parameter("C_m1", "C_{m1}", "N", 4.0, 80.0, 35.6, "motor force at full drive, standing", role="motor"),
    Parameter(
        "C_m2", "C_{m2}", "N s/m", 0.0, 8.0, 1.43, "motor force lost per speed at full drive",
        role="motor fade",
    ),
    Parameter("C_r0", "C_{r0}", "N", 0.0, 10.0, 1.0, "rolling resistance", role="rolling"),
    Parameter("C_r2", "C_{r2}", "N s^2/m^2", 0.0, 0.3, 0.015, "air drag", role="drag"),
    Parameter("C_b", "C_b", "N", 0.0, 80.0, 0.0, "brake gain: friction brakes at drive -1", role="brake"),
    Parameter(
        "k_b", "k_b", "1", 0.0, 1.0, 1.0, "motor's part in braking: 1 electric, 0 engine", scope="fixed",
        role="motor brake",
    ),
)  # fmt: skip
"""Defaults reach the f1tenth gym's largest acceleration and top speed, with usual resistances for 1:10."""

CAR = (
    dataclasses.replace(SHARED["I"], doc="yaw inertia"),
    dataclasses.replace(SHARED["m"], doc="mass; only forces over mass show in motion", scope="fixed"),
    *bicycle.GEOMETRY,
    dataclasses.replace(SHARED["h"], doc="height of the centre of gravity; 0: no load transfer"),
    *(SHARED[name] for name in ("v_blend_low", "v_blend_high")),
)

OPTIONS = {
    "combined-slip": Option(
        "forces along and across a tyre share a friction ellipse",
        (
            dataclasses.replace(
                next(row for row in COMBINED_SLIP if row.name == "mu_xy"),
                scope="context",
                role="friction ellipse",
            ),
            *bicycle.TORQUE_SPLIT,
        ),
    ),
    "load-transfer": Option(
        "the height of the centre of gravity is learned, not held",
        (dataclasses.replace(SHARED["h"], scope="context"),),
    ),
    "load-sensitivity": Option(
        "friction falls with the load of an axle",
        (
            Parameter(
                "k_d", "k_D", "1", 0.0, 0.5, 0.1, "fall of friction with the load, over load at rest",
                role="load sensitivity",
            ),
        ),
    ),
    "motor-curve": Option(
        "the motor's force is not in proportion to the command",
        (
            Parameter(
                "d_0", "d_0", "1", 0.0, 0.5, 0.02, "drive command up to which the motor gives no force",
                role="motor curve",
            ),
            Parameter(
                "c_d", "c_d", "1", -0.9, 0.9, 0.0, "bend of the motor's force over the command",
                role="motor curve",
            ),
        ),
    ),
}  # fmt: skip
"""What can be added, each with its parameters.

The default of ``k_d`` is that of Open-Car-Dynamics, ``PDY2`` of its extended tyre,
https://github.com/TUMFTM/Open-Car-Dynamics.
"""

SINGLETRACK_PACEJKA = register_model_spec(
    define_model(
        "singletrack-pacejka",
        states=(
            channels.X, channels.Y, channels.PSI, channels.VX, channels.VY, channels.PSI_DOT, channels.DELTA,
        ),
        controls=(channels.DELTA_DOT, channels.DRIVE),
        parameters=(*TYRES, *DRIVETRAIN, *CAR, *LIMITS[:4]),
        derivative=derivative,
        side_force=side_force,
        drive_force=drive_force,
        limits=limits,
        options=OPTIONS,
    )
)  # fmt: skip
