"""The channels that the models share, each row written once.

Scales are the errors that matter in a rollout of about a second and weight the loss against each other:
0.1 m in position is what a controller notices, 0.1 m/s is 0.1 m after a second, and 0.05 rad of heading
or slip angle moves a car at 2 m/s by 0.1 m in that second. Yaw rate is noisier and is given 0.2 rad/s.

Limits are beyond any road vehicle, from a 1:43 model to a race car; they are there to refuse degrees for
radians and km/h for m/s. Positions and heading have none: map coordinates and unwrapped headings grow.
"""

import functools
from collections.abc import Mapping

import numpy as np

from pct.dynamics.core import MODEL_SPECS, Channel, ModelSpec

X = Channel("x", "x", "m", scale=0.1, noise=0.01, typical=50.0)
Y = Channel("y", "y", "m", scale=0.1, odd=True, noise=0.01, typical=50.0)
DELTA = Channel("delta", r"\delta", "rad", scale=0.05, odd=True, limit=1.3, noise=0.002, typical=0.5)
V = Channel("v", "v", "m/s", scale=0.1, limit=120.0, noise=0.03, typical=20.0)
PSI = Channel("psi", r"\psi", "rad", angle=True, scale=0.05, odd=True, noise=0.005, typical=4.0)
YAW = Channel("yaw", r"\psi", "rad", angle=True, scale=0.05, odd=True, noise=0.005, typical=4.0)
PSI_DOT = Channel(
    "psi_dot", r"\dot{\psi}", "rad/s", scale=0.2, odd=True, limit=20.0, noise=0.02, typical=5.0, rate_of="psi"
)
# A spinning car shows any slip angle; one given in degrees goes beyond half a turn.
BETA = Channel("beta", r"\beta", "rad", angle=True, scale=0.05, odd=True, limit=3.2, noise=0.005, typical=1.0)
VX = Channel("vx", "v_x", "m/s", scale=0.1, limit=120.0, noise=0.03, typical=20.0)
VY = Channel("vy", "v_y", "m/s", scale=0.1, odd=True, limit=120.0, noise=0.03, typical=8.0)
# A 1:10 wheel at 1 rad/s too much slips at 0.05 m/s, a full-size one at 0.3 m/s.
OMEGA_F = Channel("omega_f", r"\omega_f", "rad/s", limit=2000.0, typical=400.0)
OMEGA_R = Channel("omega_r", r"\omega_r", "rad/s", limit=2000.0, typical=400.0)

DELTA_DOT = Channel(
    "delta_dot", r"\dot{\delta}", "rad/s", scale=0.5, odd=True, limit=60.0, typical=5.0, held=True,
    rate_of="delta",
)  # fmt: skip
ACCEL = Channel("accel", "a", "m/s^2", scale=0.5, limit=100.0, typical=15.0, held=True, rate_of="v")
# Throttle up to 1, brake down to -1; beyond 1.5 it is in percent.
DRIVE = Channel("drive", "d", "1", scale=0.1, limit=1.5, typical=1.2, held=True)
# The same as two pedals.
PEDALS = (
    Channel("throttle", "u_t", "1", scale=0.1, limit=1.5, typical=1.2, held=True),
    Channel("brake", "u_b", "1", scale=0.1, limit=1.5, typical=1.2, held=True),
)

SINGLE_TRACK_STATES = (X, Y, DELTA, V, PSI, PSI_DOT, BETA)
"""States of the single-track model in CommonRoad's order; the kinematic one has the first five."""

STEERING_AND_DRIVE = (DELTA_DOT, ACCEL)

# What an accelerometer shows, along and across the vehicle.
ACCELERATIONS = (
    Channel("ax", "a_x", "m/s^2", limit=100.0, noise=0.15),
    Channel("ay", "a_y", "m/s^2", odd=True, limit=100.0, noise=0.15),
)

# Beside the channels of the models, what logs hold and derivations take.
LOGGED = (
    VX,
    VY,
    *ACCELERATIONS,
    # Direction of travel of the reference point: heading plus slip angle.
    Channel("course", r"\chi", "rad", angle=True, odd=True),
    *PEDALS,
)


def known_channels() -> Mapping[str, Channel]:
    """Every channel that a model reads or a derivation takes, by name."""
    return _channels_of(tuple(MODEL_SPECS.values()))


def is_heading(name: str) -> bool:
    """Whether a column of a log is an angle that grows from turn to turn."""
    channel = known_channels().get(name)
    return channel is not None and channel.heading


def grows(name: str) -> bool:
    """Whether a column of a log has no limit, as positions and headings have none."""
    channel = known_channels().get(name)
    return channel is not None and not np.isfinite(channel.limit)


def is_held(name: str) -> bool:
    """Whether a column of a log is held over a time step, as commands are."""
    channel = known_channels().get(name)
    return channel is not None and channel.held


@functools.lru_cache(maxsize=8)
def _channels_of(specs: tuple[ModelSpec, ...]) -> Mapping[str, Channel]:
    models = (channel for spec in specs for channel in (*spec.states, *spec.controls))
    return {channel.name: channel for channel in (*models, *LOGGED)}
