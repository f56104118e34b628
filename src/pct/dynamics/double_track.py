r"""`double-track`: four wheels with load transfer, wings, differential and brake balance.

The tyres, the drivetrain and the rolling at low speed are those of `singletrack-pacejka`; with axles that
share one wheel's place and a car that coasts, the two models are the same. What the four wheels add:

- The load of a wheel is its static share, moved along by ``h a_x`` and across by ``h a_y``, the latter split
  between the axles by their roll stiffness (``roll_f`` is the front's share), and raised by the wings'
  downforce ``C_lf vx^2`` in front and ``C_lr vx^2`` behind [1, 3]. Accelerations are those of the commanded
  force and of ``vx psi_dot``, so no force depends on itself. A wheel that would lift carries nothing.
- The peak force of a wheel grows less than its load: ``D F_z / F_z0 (1 - k_mu (F_z / F_z0 - 1))`` [2].
- Every wheel has a slip angle of its own, from the velocity of its hub [3].
- Force along a wheel takes from its side force by the friction ellipse, sqrt(1 - (F_x / D)^2) [2].
- Motor force is split between the axles by ``T_se``, brake force by ``T_sb`` (the share in front of both).
- The differential of a driven axle gives both wheels the same force (open). Locked, both turn at one speed,
  so that the inner one drives more and the outer one less, by their slip stiffness ``p_kx1``. In between the
  difference is bounded by ``diff_pre + diff_lock abs(F_x)`` (limited slip) [4]: both zero is open, a
  large ``diff_pre`` locked.

There are no wheel speeds among the states, so logs need none: wheels slip along as their force has it.

References:
    [1] W. Milliken, D. Milliken, "Race Car Vehicle Dynamics", SAE, 1995, chapter 18: load transfer.
    [2] H. Pacejka, "Tire and Vehicle Dynamics", 3rd ed., Butterworth-Heinemann, 2012, sections 3.2 and 4.3.
    [3] M. Althoff, G. Würsching, "CommonRoad: Vehicle Models", TU Munich, 2020, section 8, and
        Open-Car-Dynamics, TU Munich, https://github.com/TUMFTM/Open-Car-Dynamics: double-track models.
    [4] M. Guiggiani, "The Science of Vehicle Dynamics", 2nd ed., Springer, 2018, section 3.14: differentials.
"""

import dataclasses
from typing import Any, NamedTuple

from pct.dynamics import bicycle, channels
from pct.dynamics.core import Parameter, define_model, register_model_spec
from pct.dynamics.limits import GRAVITY, LIMITS
from pct.dynamics.singletrack_pacejka import (
    CAR,
    DRIVETRAIN,
    TYRES,
    blended_rates,
    drive_force,
    limits,
    longitudinal_force,
    rolling_rates,
    side_force,
    travel_direction,
)
from pct.dynamics.tires import COMBINED_SLIP, magic_formula
from pct.types import Array

MOST_ALONG = 0.98
"""Share of a wheel's peak that may act along it: a locked wheel still has a direction."""
FAINT = 1e-6
"""Share of the static load that keeps quotients of loads and forces finite."""


class Wheel(NamedTuple):
    """Forces of a wheel on the car, in N along and across it, and where the wheel stands, in m."""

    along: Array
    across: Array
    ahead: Array
    left: Array


def derivative(x: Any, u: Any, p: Any, xp: Any) -> Any:
    """Time derivative of ``[x, y, psi, vx, vy, psi_dot, delta]`` under ``[delta_dot, drive]``."""
    direction = travel_direction(x.vx, p, xp)
    force = longitudinal_force(x.vx, direction, u.drive, p, xp)
    slipping = slipping_rates(x, direction, u.drive, force, p, xp)
    return blended_rates(x, u.delta_dot, slipping, rolling_rates(x, u.delta_dot, force, p, xp), p, xp)


def slipping_rates(
    x: Any, direction: Array, drive: Array, force: Array, p: Any, xp: Any
) -> tuple[Array, Array, Array]:
    """Rates of vx and vy in m/s^2 and of the yaw rate in rad/s^2 from the forces of the wheels.

    Args:
        x: states ``vx, vy, psi_dot, delta``; see `pct.dynamics.singletrack_pacejka.slipping_rates`.
        direction: sign of vx.
        drive: drive command.
        force: sum of motor, brakes and resistances along the car in N.
        p: parameters.
        xp: array namespace.
    """
    loads = wheel_loads(x.vx, x.psi_dot, force, p, xp)
    motor, brake = wheel_forces(x.vx, direction, drive, p, xp)
    along = p.T_se * motor + p.T_sb * brake, (1.0 - p.T_se) * motor + (1.0 - p.T_sb) * brake
    # What no wheel transmits: air drag and rolling resistance.
    total_x, total_y, moment = force - motor - brake, 0.0, 0.0
    for axle, place, width, share in (
        ("front", p.lf, p.track_f, p.T_se),
        ("rear", -p.lr, p.track_r, 1.0 - p.T_se),
    ):
        force_x = along[axle == "rear"]
        difference = locked_difference(x, axle, width, share * motor, share, p, xp)
        for side in (1.0, -1.0):
            load = loads[axle][side < 0]
            wheel = _wheel(x, direction, axle, place, side * 0.5 * width, load, p, xp)(
                0.5 * (force_x + side * difference)
            )
            total_x = total_x + wheel.along
            total_y = total_y + wheel.across
            moment = moment + wheel.ahead * wheel.across - wheel.left * wheel.along
    return (
        total_x / p.m + x.vy * x.psi_dot,
        total_y / p.m - x.vx * x.psi_dot,
        moment / p.I,
    )


def wheel_loads(vx: Array, psi_dot: Array, force: Array, p: Any, xp: Any) -> dict[str, tuple[Array, Array]]:
    """Vertical load of the left and right wheel of each axle in N; what would be negative is zero.

    Args:
        vx: velocity along the car in m/s.
        psi_dot: yaw rate in rad/s.
        force: along the car in N.
        p: parameters ``lf, lr, h, m, track_f, track_r, roll_f, C_lf, C_lr``.
        xp: array namespace.
    """
    wheelbase = p.lf + p.lr
    # An axle cannot carry less than nothing.
    shift = xp.clip(p.h / GRAVITY * force / p.m, -p.lf, p.lr)
    across = p.m * p.h * vx * psi_dot
    axles = {
        "front": (p.lr - shift, p.C_lf, p.roll_f, p.track_f),
        "rear": (p.lf + shift, p.C_lr, 1.0 - p.roll_f, p.track_r),
    }
    loads = {}
    for axle, (arm, lift, roll, width) in axles.items():
        middle = 0.5 * xp.maximum(p.m * GRAVITY * arm / wheelbase + lift * vx**2, 0.0)
        # Beyond what the inner wheel has, it has left the ground, and the outer one carries all.
        moved = xp.clip(roll * across / width, -middle, middle)
        loads[axle] = middle - moved, middle + moved
    return loads


def wheel_forces(vx: Array, direction: Array, drive: Array, p: Any, xp: Any) -> tuple[Array, Array]:
    """Forces along the car in N that the wheels transmit: of the motor, and of the brakes."""
    push, pull = xp.maximum(drive, 0.0), xp.minimum(drive, 0.0)
    motor = (p.C_m1 - p.C_m2 * vx * direction) * (push + p.k_b * pull)
    return motor, direction * p.C_b * pull


def locked_difference(x: Any, axle: str, width: Array, force: Array, driven: Array, p: Any, xp: Any) -> Array:
    """Force in N along the left wheel of a driven axle less that along its right one.

    Were the axle rigid, the hubs' speeds ``vx -+ psi_dot width / 2`` would make the slips of the wheels
    differ by ``psi_dot width / abs(vx)``; the clutches give way at their bound.

    Args:
        x: states ``vx, psi_dot``.
        axle: ``front`` or ``rear``.
        width: track in m.
        force: of the motor on the axle in N.
        driven: share of the motor on the axle; an axle without has no differential.
        p: parameters ``p_kx1, diff_pre, diff_lock``.
        xp: array namespace.
    """
    slip = x.psi_dot * width / xp.maximum(xp.abs(x.vx), p.v_blend_low)
    load = bicycle.static_load(axle, p)
    most = driven * p.diff_pre + p.diff_lock * xp.abs(force)
    # Open, nothing is left of it, nor of its slope where the car drives straight.
    return most * xp.tanh(0.5 * p.p_kx1 * load * slip / (most + FAINT * load))


def _wheel(
    x: Any, direction: Array, axle: str, ahead: Array, left: Array, load: Array, p: Any, xp: Any
) -> Any:
    """A wheel's forces as a function of what is asked of it along, in N."""
    hub = xp.maximum(xp.abs(x.vx - left * x.psi_dot), p.v_blend_low)
    turned = x.delta if axle == "front" else 0.0 * x.delta
    alpha = direction * turned - xp.arctan((x.vy + ahead * x.psi_dot) / hub)
    B, C, D, E, S_h, S_v = (getattr(p, f"{name}{axle[0]}") for name in ("B_", "C_", "D_", "E_", "S_h", "S_v"))
    static = 0.5 * bicycle.static_load(axle, p)
    over = load / static
    # Load takes friction away linearly, but never all of it.
    peak = 0.5 * D * over * xp.maximum(1.0 - p.k_mu * (over - 1.0), 0.1)
    pure = magic_formula(alpha + S_h, B, C, peak, E, xp) + 0.5 * S_v

    def forces(wanted: Array) -> Wheel:
        most = peak + FAINT * static
        share = xp.clip(wanted / most, -MOST_ALONG, MOST_ALONG)
        along, across = share * most, pure * xp.sqrt(1.0 - share**2)
        sin, cos = xp.sin(turned), xp.cos(turned)
        return Wheel(along * cos - across * sin, along * sin + across * cos, ahead, left)

    return forces


BODY = (
    Parameter("track_f", "t_f", "m", 0.01, 2.5, 0.2, "track in front", scope="fixed", role="geometry"),
    Parameter("track_r", "t_r", "m", 0.01, 2.5, 0.2, "track behind", scope="fixed", role="geometry"),
    Parameter(
        "roll_f", r"\kappa_f", "1", 0.0, 1.0, 0.5, "front's share of the roll stiffness", scope="fixed",
        role="height",
    ),
    Parameter(
        "k_mu", r"k_\mu", "1", 0.0, 0.6, 0.1, "friction lost where the load of a wheel doubles",
        role="load transfer",
    ),
    Parameter(
        "C_lf", "C_{lf}", "N s^2/m^2", 0.0, 0.05, 0.0, "downforce in front over speed squared", scope="fixed",
        role="downforce",
    ),
    Parameter(
        "C_lr", "C_{lr}", "N s^2/m^2", 0.0, 0.05, 0.0, "downforce behind over speed squared", scope="fixed",
        role="downforce",
    ),
    Parameter(
        "T_sb", "T_{sb}", "1", 0.0, 1.0, 0.5, "share of the brake force in front", scope="fixed",
        role="torque split",
    ),
    Parameter(
        "T_se", "T_{se}", "1", 0.0, 1.0, 0.5, "share of the motor force in front", scope="fixed",
        role="torque split",
    ),
    Parameter(
        "diff_pre", "F_{pre}", "N", 0.0, 100.0, 0.0, "preload of the differential; large: locked",
        scope="fixed", role="differential",
    ),
    Parameter(
        "diff_lock", r"\lambda", "1", 0.0, 1.0, 0.0, "locking of the differential per force of the motor",
        scope="fixed", role="differential",
    ),
)  # fmt: skip
"""What four wheels and wings add; defaults are a 1:10 car without wings and with an open differential."""

SLIP_ALONG = dataclasses.replace(next(row for row in COMBINED_SLIP if row.name == "p_kx1"), scope="fixed")

DOUBLE_TRACK = register_model_spec(
    define_model(
        "double-track",
        states=(
            channels.X, channels.Y, channels.PSI, channels.VX, channels.VY, channels.PSI_DOT, channels.DELTA,
        ),
        controls=(channels.DELTA_DOT, channels.DRIVE),
        parameters=(
            *TYRES, *DRIVETRAIN, *CAR, *BODY, SLIP_ALONG, *LIMITS[:4],
        ),
        derivative=derivative,
        side_force=side_force,
        drive_force=drive_force,
        limits=limits,
    )
)  # fmt: skip
