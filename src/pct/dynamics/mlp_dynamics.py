"""`mlp-dynamics`: a car that rolls without slip, and a small network for what that leaves out.

    z = scaled [delta, v, psi_dot, beta, delta_dot, accel]
    rates of [v, psi_dot, beta] = rolling + alpha (W2 tanh(W1 z + b1) + b2)

The network's weights are themselves parameters that the parameter network predicts. It starts at
W2 = 0 and b2 = 0, the rolling car, with gradients to W2 and b2. For another hidden size, patch the spec:

    dataclasses.replace(
        spec,
        param_shapes=mlp_param_shapes(hidden_size),
        param_bounds=mlp_param_bounds(hidden_size),
        default_params=mlp_default_params(hidden_size),
    )

The patch sets every parameter, so choose a vehicle (`pct.dynamics.vehicles.with_vehicle`) after it.
"""

from typing import Any

import numpy as np

from pct.dynamics import bicycle, channels
from pct.dynamics.core import Parameter, Range, Shape, define_model, register_model_spec
from pct.dynamics.limits import LIMITS, limit_steering_and_drive

HIDDEN_SIZE = 8
YAW_RATE_SCALE = 2.0
"""Yaw rate in rad/s that the network reads as one."""
SLIP_ANGLE_SCALE = 0.2
"""Slip angle in rad that the network reads as one."""

INPUTS = (
    channels.DELTA,
    channels.V,
    channels.PSI_DOT,
    channels.BETA,
    channels.DELTA_DOT,
    channels.ACCEL,
)
OUTPUTS = (channels.V, channels.PSI_DOT, channels.BETA)


def derivative(x: Any, u: Any, p: Any, xp: Any) -> Any:
    """Time derivative of ``[x, y, delta, v, psi, psi_dot, beta]`` under ``[delta_dot, accel]``.

    The weights may carry leading batch axes: ``W1`` is (..., H, 6), ``b1`` (..., H), ``W2`` (..., 3, H) and
    ``b2`` (..., 3).
    """
    psi_ddot, beta_dot = bicycle.rolling_rates(x, u.delta_dot, u.accel, p, xp)
    z = xp.stack(
        [
            x.delta / p.s_max,
            x.v / p.v_max,
            x.psi_dot / YAW_RATE_SCALE,
            x.beta / SLIP_ANGLE_SCALE,
            u.delta_dot / p.sv_max,
            u.accel / p.a_max,
        ],
        axis=-1,
    )
    hidden = xp.tanh((p.W1 * z[..., None, :]).sum(axis=-1) + p.b1)
    residual = (p.W2 * hidden[..., None, :]).sum(axis=-1) + p.b2
    return x._replace(
        **bicycle.pose_rates(x, xp),
        delta=u.delta_dot,
        v=u.accel + p.alpha * residual[..., 0],
        psi_dot=psi_ddot + p.alpha * residual[..., 1],
        beta=beta_dot + p.alpha * residual[..., 2],
    )


def mlp_param_shapes(hidden_size: int) -> dict[str, Shape]:
    """Shapes of the array parameters at a hidden size.

    Examples:
        >>> mlp_param_shapes(4)
        {'W1': (4, 6), 'b1': (4,), 'W2': (3, 4), 'b2': (3,)}
    """
    return {row.name: row.shape for row in _parameters(hidden_size) if row.shape}


def mlp_param_bounds(hidden_size: int) -> dict[str, Range]:
    """``(low, high)`` of every parameter at a hidden size, geometry and limits included."""
    return {row.name: (row.low, row.high) for row in _parameters(hidden_size)}


def mlp_default_params(hidden_size: int) -> dict[str, Any]:
    """Default of every parameter at a hidden size, geometry and limits included."""
    return {row.name: row.default for row in _parameters(hidden_size)}


def _parameters(hidden_size: int) -> tuple[Parameter, ...]:
    n_in = len(INPUTS)
    # Sines of the integers spread evenly over their range: hidden units that differ, the same in every run.
    start = 0.5 * np.sin(1.0 + np.arange(hidden_size * n_in)).reshape(hidden_size, n_in)
    # Corrections in m/s^2, rad/s^2 and rad/s that one hidden unit may contribute.
    reach = np.array([5.0, 20.0, 5.0])
    reach_of_weights = np.repeat(reach[:, None], hidden_size, axis=1)
    # Mirrored, inputs and outputs of the network have the odd channels negated.
    odd_in = np.array([channel.odd for channel in INPUTS])
    odd_out = np.array([channel.odd for channel in OUTPUTS])

    def array(name: str, unit: str, reach: Any, default: np.ndarray, doc: str, odd: Any) -> Parameter:
        symbol = f"{name[0]}_{name[1]}"
        return Parameter(
            name, symbol, unit, -reach, reach, default, doc, shape=default.shape, odd=odd, role="network"
        )

    return (
        array("W1", "1", 3.0, start, "first weights", odd_in),
        array("b1", "1", 3.0, np.zeros(hidden_size), "first biases", False),
        array("W2", "SI", reach_of_weights, 0.0 * reach_of_weights, "second weights", odd_out[:, None]),
        array("b2", "SI", reach, 0.0 * reach, "biases of the rates of v, psi_dot, beta", odd_out),
        Parameter(
            "alpha",
            r"\alpha",
            "1",
            0.0,
            2.0,
            1.0,
            "weight of the network; 0 is a car that rolls",
            role="network",
        ),
        *bicycle.GEOMETRY,
        *LIMITS,
    )


MLP_DYNAMICS = register_model_spec(
    define_model(
        "mlp-dynamics",
        states=channels.SINGLE_TRACK_STATES,
        controls=channels.STEERING_AND_DRIVE,
        parameters=_parameters(HIDDEN_SIZE),
        derivative=derivative,
        limits=limit_steering_and_drive,
    )
)
