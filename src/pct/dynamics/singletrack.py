"""`singletrack`: the single-track model with linear tyres, kinematic at low speed.

Its equations are `pct.dynamics.bicycle.blended_single_track`; above ``v_blend_high`` they are the
CommonRoad single-track model digit for digit.
"""

from typing import Any

from pct.dynamics import bicycle, channels
from pct.dynamics.core import define_model, register_model_spec
from pct.dynamics.limits import LIMITS


def derivative(x: Any, u: Any, p: Any, xp: Any) -> Any:
    """Time derivative of ``[x, y, delta, v, psi, psi_dot, beta]`` under ``[delta_dot, accel]``."""
    return bicycle.blended_single_track(x, u, p, xp)


SINGLETRACK = register_model_spec(
    define_model(
        "singletrack",
        states=channels.SINGLE_TRACK_STATES,
        controls=channels.STEERING_AND_DRIVE,
        parameters=(*bicycle.SINGLE_TRACK, *LIMITS),
        derivative=derivative,
        side_force=bicycle.linear_side_force,
        limits=bicycle.single_track_limits,
    )
)
