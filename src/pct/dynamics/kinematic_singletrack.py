"""`kinematic-singletrack`: a car that rolls without slip, at the centre of gravity.

With ``lr = 0`` and ``lf`` the wheelbase the reference point is the rear axle.

References:
    M. Althoff, G. Würsching, "CommonRoad: Vehicle Models", TU Munich, 2020, section 5.
"""

import dataclasses
from typing import Any

from pct.dynamics import bicycle, channels
from pct.dynamics.core import define_model, register_model_spec
from pct.dynamics.limits import LIMITS, limit_steering_and_drive


def derivative(x: Any, u: Any, p: Any, xp: Any) -> Any:
    """Time derivative of ``[x, y, delta, v, psi]`` under ``[delta_dot, accel]``."""
    tan_delta = xp.tan(x.delta)
    beta = bicycle.rolling_slip_angle(tan_delta, p, xp)
    return x._replace(
        x=x.v * xp.cos(x.psi + beta),
        y=x.v * xp.sin(x.psi + beta),
        delta=u.delta_dot,
        v=u.accel,
        psi=x.v * xp.cos(beta) * tan_delta / (p.lf + p.lr),
    )


KINEMATIC_SINGLETRACK = register_model_spec(
    define_model(
        "kinematic-singletrack",
        states=channels.SINGLE_TRACK_STATES[:5],
        controls=channels.STEERING_AND_DRIVE,
        # The only parameters that shape its path, so they are what a network can predict.
        parameters=(
            *(dataclasses.replace(row, scope="context") for row in bicycle.GEOMETRY),
            *LIMITS,
        ),
        derivative=derivative,
        limits=limit_steering_and_drive,
    )
)
