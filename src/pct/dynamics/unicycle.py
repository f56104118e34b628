"""`unicycle`: a point with a heading, driven by yaw rate and acceleration through gains and biases.

The simplest model that moves like a vehicle: no slip, no geometry, no limits. What it fits are the sensors
of the two controls.
"""

from typing import Any

from pct.dynamics import channels
from pct.dynamics.core import Parameter, define_model, register_model_spec


def derivative(x: Any, u: Any, p: Any, xp: Any) -> Any:
    """Time derivative of ``[x, y, psi, v]`` under ``[psi_dot, accel]``."""
    return x._replace(
        x=x.v * xp.cos(x.psi),
        y=x.v * xp.sin(x.psi),
        psi=p.alpha_psi_dot * u.psi_dot + p.beta_psi_dot,
        v=p.alpha_accel * u.accel + p.beta_accel,
    )


UNICYCLE = register_model_spec(
    define_model(
        "unicycle",
        states=(channels.X, channels.Y, channels.PSI, channels.V),
        controls=(channels.PSI_DOT, channels.ACCEL),
        parameters=(
            Parameter(
                "alpha_psi_dot", r"\alpha_{\dot{\psi}}", "1", 0.5, 1.5, 1.0, "gain on yaw rate",
                role="yaw gain",
            ),
            Parameter(
                "beta_psi_dot", r"\beta_{\dot{\psi}}", "rad/s", -0.3, 0.3, 0.0, "bias on yaw rate", odd=True,
                role="yaw bias",
            ),
            Parameter(
                "alpha_accel", r"\alpha_a", "1", 0.0, 2.0, 1.0, "gain on acceleration", role="drive gain",
            ),
            Parameter(
                "beta_accel", r"\beta_a", "m/s^2", -3.0, 3.0, 0.0, "bias on acceleration, as drag",
                role="drive bias",
            ),
        ),
        derivative=derivative,
    )
)  # fmt: skip
