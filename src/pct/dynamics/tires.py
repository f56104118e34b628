r"""Tyre forces of the Magic Formula: pure functions, and the parameters of the combined-slip tyre.

    F = D sin(C atan(B s - E (B s - atan(B s))))

B C D is the slope at zero slip, D the peak (reached for C >= 1), C the shape, E <= 1 the curvature beyond
the peak. Units follow D: newtons where D is a force, nothing where it is a friction coefficient.

Two conventions of sign occur, and the functions keep the one of their source. `magic_formula` with
positive B takes a slip angle that is positive where the side force is to the left. The combined-slip tyre
takes CommonRoad's: the slip angle of the wheel's velocity, positive to the left, so that its cornering
stiffness ``p_ky1`` is negative, and the slip 1 - R omega / u, positive in braking.

References:
    [1] H. Pacejka, "Tire and Vehicle Dynamics", 3rd ed., Butterworth-Heinemann, 2012, section 4.3.
    [2] M. Althoff, G. Würsching, "CommonRoad: Vehicle Models", TU Munich, 2020, section 7, and the
        parameters of its tyre in version 3.0.2 of commonroad-vehicle-models.
        https://gitlab.lrz.de/tum-cps/commonroad-vehicle-models
    [3] K. Berntorp, B. Olofsson, K. Lundahl, L. Nielsen, "Models and methodology for optimal trajectory
        generation in safety-critical road-vehicle manoeuvres", Vehicle System Dynamics 52 (2014): the
        friction ellipse.
"""

from typing import Any

from pct.dynamics.core import Parameter
from pct.types import Array


def magic_formula(slip: Array, B: Array, C: Array, D: Array, E: Array, xp: Any) -> Array:
    """Tyre force in the unit of D at a slip; the slip's unit is one over that of B.

    Examples:
        >>> import numpy as np
        >>> print(magic_formula(np.array([-1e9, 0.0, 1e9]), 10.0, 1.0, 7.0, 0.0, np))
        [-7.  0.  7.]
    """
    return D * xp.sin(magic_angle(slip, B, C, E, xp))


def magic_angle(slip: Array, B: Array, C: Array, E: Array, xp: Any) -> Array:
    """Angle in rad, within (-C pi / 2, C pi / 2) for E <= 1, whose sine is the force over its peak."""
    scaled = B * slip
    return C * xp.arctan(scaled - E * (scaled - xp.arctan(scaled)))


def on_friction_ellipse(demand: Array, most: Array, xp: Any) -> tuple[Array, Array]:
    """Force of a wheel that is driven or braked, and what that leaves of its side force.

    Force and side force lie on the friction ellipse of [1] and [3]: ``F_x`` over ``most`` and
    the share, squared, make one. With ``u = demand / most`` the force is ``demand / (1 + u^4)^(1/4)``, smooth
    everywhere: what is asked for up to half of ``most``, but for 1.5 %, and never more than ``most``, where
    the wheel spins or locks.

    Args:
        demand: force along the wheel that motor and brakes ask for, in N.
        most: largest force along it, in N, above zero.
        xp: array namespace.

    Returns:
        The force along the wheel in N, and the share of the side force that is left.

    Examples:
        >>> import numpy as np
        >>> force, share = on_friction_ellipse(np.array([0.0, 4.0, 1e3]), 10.0, np)
        >>> print(force.round(2), share.round(2))
        [ 0.    3.97 10.  ] [1.   0.92 0.  ]
    """
    square = (demand / most) ** 2
    root = xp.sqrt(1.0 + square**2)
    return demand / xp.sqrt(root), 1.0 / xp.sqrt(root * (root + square))


def stiffness_factor(stiffness: float, C: float, D: float) -> float:
    """B of a tyre whose force has this slope at zero slip.

    Args:
        stiffness: slope in the unit of D per unit of slip, e.g. N/rad. The gym's ``C_Sf`` is the slope over
            friction times load: with D = mu F_z in N it is ``C_Sf * D``.
        C: shape factor.
        D: peak.

    Examples:
        >>> stiffness_factor(90.0, C=1.5, D=20.0)
        3.0
    """
    return stiffness / (C * D)


def combined_slip_forces(slip: Array, alpha: Array, load: Array, p: Any, xp: Any) -> tuple[Array, Array]:
    """Forces of a tyre that slips along and across.

    Each is the force of pure slip times a weight, which falls with the other slip; slip along also induces
    a side force.

    Args:
        slip: longitudinal slip 1 - R omega / u, positive in braking.
        alpha: slip angle in rad, positive where the wheel moves to its left.
        load: vertical load in N.
        p: parameters ``mu`` and `COMBINED_SLIP`.
        xp: array namespace.

    Returns:
        Force along the wheel, positive ahead, and across it, positive to the left, in N. The weights are
        the published ones; beyond some 30 degrees of slip angle that of the force along turns slightly
        negative.
    """
    along = longitudinal_force(slip, load, p, xp) * longitudinal_weight(slip, alpha, p, xp)
    across = lateral_force(alpha, load, p, xp) * lateral_weight(slip, alpha, p, xp)
    return along, across + induced_side_force(slip, alpha, load, p, xp)


def longitudinal_force(slip: Array, load: Array, p: Any, xp: Any) -> Array:
    """Force in N along a wheel that slips along only.

    CommonRoad's implementation has the vertical shift ``p_vx1 load`` inside the sine, where [1] adds it
    afterwards. Its published values contain that, so it is kept; its unit is therefore 1/N.
    """
    friction = p.mu * p.mu_xy
    stiffness = p.p_kx1 / (p.p_cx1 * friction)
    angle = magic_angle(p.p_hx1 - slip, stiffness, p.p_cx1, p.p_ex1, xp)
    return friction * load * xp.sin(angle + load * p.p_vx1)


def lateral_force(alpha: Array, load: Array, p: Any, xp: Any) -> Array:
    """Force in N across a wheel that slips across only."""
    stiffness = p.p_ky1 / (p.p_cy1 * p.mu)
    return magic_formula(alpha, stiffness, p.p_cy1, p.mu * load, p.p_ey1, xp)


def longitudinal_weight(slip: Array, alpha: Array, p: Any, xp: Any) -> Array:
    """Share of the longitudinal force that a slip angle leaves."""
    B = p.r_bx1 * xp.cos(xp.arctan(p.r_bx2 * slip))
    return _weight(alpha, p.r_hx1, B, p.r_cx1, p.r_ex1, xp)


def lateral_weight(slip: Array, alpha: Array, p: Any, xp: Any) -> Array:
    """Share of the lateral force that a longitudinal slip leaves."""
    B = p.r_by1 * xp.cos(xp.arctan(p.r_by2 * (alpha - p.r_by3)))
    return _weight(slip, p.r_hy1, B, p.r_cy1, p.r_ey1, xp)


def induced_side_force(slip: Array, alpha: Array, load: Array, p: Any, xp: Any) -> Array:
    """Side force in N that slip along induces in a tyre that is not quite symmetric."""
    peak = p.mu * load * p.r_vy1 * xp.cos(xp.arctan(p.r_vy4 * alpha))
    return peak * xp.sin(p.r_vy5 * xp.arctan(p.r_vy6 * slip))


def _weight(slip: Array, shift: Array, B: Array, C: Array, E: Array, xp: Any) -> Array:
    """The cosine form of the Magic Formula, one at zero slip."""
    return xp.cos(magic_angle(slip + shift, B, C, E, xp)) / xp.cos(magic_angle(shift, B, C, E, xp))


def _shape(
    name: str,
    low: float,
    default: float,
    high: float,
    doc: str,
    *,
    unit: str = "1",
    odd: bool = False,
    role: str = "induced",
) -> Parameter:
    head, tail = name.split("_")
    return Parameter(
        name, f"{head}_{{{tail}}}", unit, low, high, default, doc, scope="fixed", odd=odd, role=role
    )


COMBINED_SLIP = (
    Parameter(
        "p_kx1", "p_{kx1}", "1", 2.0, 80.0, 5.43, "slope of the force along with slip, over load",
        role="slip along",
    ),
    Parameter(
        "p_ky1", "p_{ky1}", "1/rad", -80.0, -1.0, -5.336,
        "slope of the side force with slip angle, over load", role="stiffness",
    ),
    Parameter(
        "mu_xy", r"\mu_x/\mu_y", "1", 0.7, 1.4, 1.1739 / 1.0489, "friction along over across", scope="fixed",
        role="slip along",
    ),
    _shape("p_cx1", 1.0, 1.6411, 2.0, "shape of the force along", role="slip along"),
    _shape("p_ex1", -3.0, 0.46403, 1.0, "curvature of the force along", role="slip along"),
    _shape("p_hx1", -0.05, 0.0012297, 0.05, "shift in slip of the force along", role="slip along"),
    _shape(
        "p_vx1", -1e-3, -8.8098e-6, 1e-3, "shift of the force along, within the sine", unit="1/N",
        role="slip along",
    ),
    _shape("r_bx1", 1.0, 13.276, 40.0, "how fast slip angle takes force along", unit="1/rad"),
    _shape("r_bx2", -40.0, -13.778, 40.0, "effect of slip on r_bx1"),
    _shape("r_cx1", 0.5, 1.2568, 2.0, "shape of the weight of the force along"),
    _shape("r_ex1", -3.0, 0.65225, 1.0, "curvature of the weight of the force along"),
    _shape("r_hx1", -0.05, 0.0050722, 0.05, "shift in slip angle of that weight", unit="rad", odd=True),
    _shape("p_cy1", 1.0, 1.3507, 2.0, "shape of the side force", role="shape"),
    _shape("p_ey1", -3.0, -0.0074722, 1.0, "curvature of the side force", role="shape"),
    _shape("r_by1", 1.0, 7.1433, 40.0, "how fast slip takes side force"),
    _shape("r_by2", -40.0, 9.1916, 40.0, "effect of slip angle on r_by1", unit="1/rad"),
    _shape("r_by3", -0.2, -0.027856, 0.2, "slip angle at which r_by1 is whole", unit="rad", odd=True),
    _shape("r_cy1", 0.5, 1.0719, 2.0, "shape of the weight of the side force"),
    _shape("r_ey1", -3.0, -0.27572, 1.0, "curvature of the weight of the side force"),
    _shape("r_hy1", -0.05, 5.7448e-6, 0.05, "shift in slip of that weight"),
    _shape("r_vy1", -0.2, -0.027825, 0.2, "side force induced by slip, over friction and load", odd=True),
    _shape("r_vy4", -40.0, 12.12, 40.0, "how slip angle takes induced side force", unit="1/rad"),
    _shape("r_vy5", 0.5, 1.9, 3.0, "shape of the induced side force"),
    _shape("r_vy6", -40.0, -10.704, 40.0, "how fast slip induces side force"),
)  # fmt: skip
"""The tyre of `combined_slip_forces` without its friction, which is `mu` as for the other models.

The shape is CommonRoad's tyre (``p_dy1`` there is ``mu`` here, ``p_dx1`` is ``mu mu_xy``; camber is left
out). The slopes are the 1:10 car's: across, the mean of the f1tenth gym's two axles; along, in the ratio of
CommonRoad's tyre.
"""
