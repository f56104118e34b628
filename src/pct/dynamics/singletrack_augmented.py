"""`singletrack-augmented`: the single-track model seen through sensors with a gain and a bias.

The channels are what the sensors show. The physical value is ``alpha * shown + beta``, for the steering
angle, the longitudinal acceleration, the yaw rate and the slip angle; the equations of the single-track
model run on the physical values. With gains one and biases zero it is `singletrack`, digit for digit.
"""

from collections.abc import Mapping
from typing import Any

from pct.dynamics import bicycle, channels
from pct.dynamics.core import Parameter, define_model, register_model_spec
from pct.dynamics.limits import LIMITS
from pct.types import Array


def derivative(x: Any, u: Any, p: Any, xp: Any) -> Any:
    """Time derivative of the shown ``[x, y, delta, v, psi, psi_dot, beta]``.

    A shown rate is the physical rate over the channel's gain.
    """
    physical = bicycle.blended_single_track(*_behind_sensors(x, u, p), p, xp)
    return physical._replace(
        delta=physical.delta / p.alpha_delta,
        psi_dot=physical.psi_dot / p.alpha_psi_dot,
        beta=physical.beta / p.alpha_beta,
    )


def limits(x: Any, u: Any, p: Any, xp: Any) -> dict[str, Array]:
    """The single-track model's limits, which act on the physical values, as shown controls."""
    within = bicycle.single_track_limits(*_behind_sensors(x, u, p), p, xp)
    return {
        "delta_dot": within["delta_dot"] / p.alpha_delta,
        "accel": (within["accel"] - p.beta_accel) / p.alpha_accel,
    }


def _behind_sensors(x: Any, u: Any, p: Any) -> tuple[Any, Any]:
    """Physical states and controls."""
    return (
        x._replace(
            delta=p.alpha_delta * x.delta + p.beta_delta,
            psi_dot=p.alpha_psi_dot * x.psi_dot + p.beta_psi_dot,
            beta=p.alpha_beta * x.beta + p.beta_beta,
        ),
        u._replace(
            delta_dot=p.alpha_delta * u.delta_dot,
            accel=p.alpha_accel * u.accel + p.beta_accel,
        ),
    )


def physical(states: Mapping[str, Any], p: Any) -> dict[str, Any]:
    """The physical states behind those that the sensors show."""
    return {
        **states,
        **{
            name: float(getattr(p, f"alpha_{name}")) * states[name] + float(getattr(p, f"beta_{name}"))
            for name in ("delta", "psi_dot", "beta")
        },
    }


def _gain(name: str, symbol: str, quantity: str, role: str) -> Parameter:
    doc = f"gain on the {quantity}"
    return Parameter(f"alpha_{name}", rf"\alpha_{{{symbol}}}", "1", 0.7, 1.3, 1.0, doc, role=role)


def _bias(
    name: str, symbol: str, unit: str, size: float, quantity: str, role: str, *, odd: bool
) -> Parameter:
    doc = f"bias on the {quantity}"
    return Parameter(f"beta_{name}", rf"\beta_{{{symbol}}}", unit, -size, size, 0.0, doc, odd=odd, role=role)


SENSORS = (
    _gain("delta", r"\delta", "steering angle", "steering ratio"),
    _bias("delta", r"\delta", "rad", 0.1, "steering angle", "steering offset", odd=True),
    _gain("accel", "a", "longitudinal acceleration", "drive gain"),
    _bias("accel", "a", "m/s^2", 1.0, "longitudinal acceleration", "drive bias", odd=False),
    _gain("psi_dot", r"\dot{\psi}", "yaw rate", "yaw gain"),
    _bias("psi_dot", r"\dot{\psi}", "rad/s", 0.1, "yaw rate", "yaw bias", odd=True),
    _gain("beta", r"\beta", "slip angle", "slip gain"),
    _bias("beta", r"\beta", "rad", 0.1, "slip angle", "slip bias", odd=True),
)

SINGLETRACK_AUGMENTED = register_model_spec(
    define_model(
        "singletrack-augmented",
        states=channels.SINGLE_TRACK_STATES,
        controls=channels.STEERING_AND_DRIVE,
        parameters=(*bicycle.SINGLE_TRACK, *SENSORS, *LIMITS),
        derivative=derivative,
        side_force=bicycle.linear_side_force,
        physical=physical,
        limits=limits,
    )
)
