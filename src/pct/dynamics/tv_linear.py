"""`tv-linear`: a linear model whose matrices change from window to window.

    d/dt [x, y, delta, v, yaw] = A [x, y, delta, v, yaw] + B [delta_dot, accel]

A linear map cannot look the same from every heading, so it holds in the frame of the window's first pose:
x ahead, y to the left, yaw from zero. The defaults are the 1:10 car that rolls straight ahead at 3 m/s
(`straight_line_range`).
"""

from typing import Any

import numpy as np

from pct.dynamics import channels
from pct.dynamics.bicycle import GEOMETRY, straight_line_range
from pct.dynamics.core import Channel, Parameter, define_model, register_model_spec


def derivative(x: Any, u: Any, p: Any, xp: Any) -> Any:
    """Time derivative of ``[x, y, delta, v, yaw]`` under ``[delta_dot, accel]``; A is (..., 5, 5)."""
    rates = (p.A * xp.stack(x, axis=-1)[..., None, :]).sum(axis=-1)
    rates = rates + (p.B * xp.stack(u, axis=-1)[..., None, :]).sum(axis=-1)
    return type(x)(*(rates[..., i] for i in range(len(x))))


STATES = (channels.X, channels.Y, channels.DELTA, channels.V, channels.YAW)


def _matrix(name: str, columns: tuple[Channel, ...], doc: str) -> Parameter:
    low, default, high = straight_line_range(3.0, *(row.default for row in GEOMETRY))[name]
    odd_columns = np.array([channel.odd for channel in columns])
    return Parameter(
        name,
        name,
        "SI",
        low,
        high,
        default,
        doc,
        shape=(len(STATES), len(columns)),
        odd=np.array([row.odd for row in STATES])[:, None] != odd_columns,
        role="network",
    )


TV_LINEAR = register_model_spec(
    define_model(
        "tv-linear",
        states=STATES,
        controls=channels.STEERING_AND_DRIVE,
        parameters=(
            _matrix("A", STATES, "state matrix: unit of the rate over the state's"),
            _matrix("B", channels.STEERING_AND_DRIVE, "input matrix: unit of the rate over the control's"),
        ),
        derivative=derivative,
        pose=("x", "y", "yaw"),
        pose_invariant=False,
    )
)
