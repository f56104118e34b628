"""The driver of a simulation, in closed loop with the model's equations.

The driver is a program, not a person: it knows the surface under the car and asks for no more than a
share of the grip there. The linear tyre of the single-track models has no saturation, so that beyond
that share they would show forces that no tyre gives.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pct.dynamics.core import ModelSpec
from pct.rollout.integration import integrate_rk4
from pct.simulation.manoeuvres import Manoeuvres
from pct.types import Array, Float

GRAVITY = 9.81
SUBSTEP = 0.0025
# What a command can ask for where the model has no such limit, in rad, rad/s and m: a 1:10 car's.
MAX_STEER, MAX_STEER_RATE, WHEELBASE = 0.4, 3.0, 0.33
# Time constants of the driver in s.
STEERING_TIME, SPEED_TIME = 0.1, 0.3


def is_drivable(spec: ModelSpec) -> bool:
    """Whether the driver can steer a model and hold its speed."""
    steer, drive = (*spec.control_names, "", "")[:2]
    steered = steer == "psi_dot" or (steer == "delta_dot" and "delta" in spec.state_names)
    driven = drive == "accel" or (drive == "drive" and "C_m1" in spec.default_params)
    return steered and driven and speed_name(spec) in spec.state_names and spec.pose_invariant


def follow(
    spec: ModelSpec,
    params: Mapping[str, Any],
    mu: Float[np.ndarray, "R N"],
    manoeuvres: Manoeuvres,
    dt: float,
    grip: float,
) -> tuple[Float[np.ndarray, "R N S"], Float[np.ndarray, "R N C"]]:
    """States at each logging step and the commands that are held from there."""
    initial = np.zeros((len(mu), len(spec.states)))
    initial[:, spec.state_indices[speed_name(spec)]] = manoeuvres.speed[:, 0]
    for name in ("omega_f", "omega_r"):
        if name in spec.state_indices:  # wheels roll
            initial[:, spec.state_indices[name]] = manoeuvres.speed[:, 0] / params["R_w"]
    # In double precision the readings, once rounded, are the same on every machine.
    with jax.enable_x64(True):
        states, commands = _follow(
            spec, dt, params, initial, mu.T, manoeuvres.lateral.T, manoeuvres.speed.T, grip
        )
        return np.moveaxis(np.asarray(states), 0, 1), np.moveaxis(np.asarray(commands), 0, 1)


@partial(jax.jit, static_argnames=("spec", "dt", "grip"))
def _follow(
    spec: ModelSpec,
    dt: float,
    params: Mapping[str, Any],
    initial: Float[Array, "R S"],
    mu: Float[Array, "N R"],
    lateral: Float[Array, "N R"],
    speed: Float[Array, "N R"],
    grip: float,
) -> tuple[Float[Array, "N R S"], Float[Array, "N R C"]]:
    """Follow the manoeuvres through the model, the driver in the loop, command by command."""
    substeps = math.ceil(dt / SUBSTEP)

    def step(state: Array, row: tuple[Array, Array, Array]) -> tuple[Array, tuple[Array, Array]]:
        mu, lateral, speed = row
        command = _command(spec, params, state, mu, lateral, speed, dt, grip)
        here = {**params, "mu": mu}
        after = jax.lax.fori_loop(
            0,
            substeps,
            lambda _, x_and_u: integrate_rk4(spec.dynamics_fn, x_and_u, here, dt / substeps),
            jnp.concatenate([state, command], axis=-1),
        )
        return after[:, : state.shape[1]], (state, command)

    _, logged = jax.lax.scan(step, initial, (mu, lateral, speed))
    return logged


def _command(
    spec: ModelSpec,
    params: Mapping[str, Any],
    state: Float[Array, "R S"],
    mu: Float[Array, " R"],
    lateral: Float[Array, " R"],
    speed: Float[Array, " R"],
    dt: float,
    grip: float,
) -> Float[Array, "R C"]:
    """What the driver asks for: steering for the lateral acceleration, throttle with the grip left."""
    v = state[:, spec.state_indices[speed_name(spec)]]
    wheelbase = params["lf"] + params["lr"] if "lf" in params else WHEELBASE
    tightest = jnp.tan(params.get("s_max", MAX_STEER)) / wheelbase
    # At walking speed the steering stop is the limit; the floor only keeps the division finite.
    curvature = jnp.clip(lateral * mu * GRAVITY / jnp.maximum(v, 0.5) ** 2, -tightest, tightest)
    if spec.control_names[0] == "delta_dot":
        fastest = params.get("sv_max", MAX_STEER_RATE)
        error = jnp.arctan(curvature * wheelbase) - state[:, spec.state_indices["delta"]]
        steering = jnp.clip(error / max(dt, STEERING_TIME), -fastest, fastest)
    else:
        steering = curvature * v
    available = mu * GRAVITY * jnp.sqrt(grip**2 - lateral**2)
    accel = jnp.clip((speed - v) / max(dt, SPEED_TIME), -available, available)
    pedal = accel if spec.control_names[1] == "accel" else drive_command(params, v, accel)
    # A command has the resolution of its bus, and the log holds exactly what acted.
    return jnp.stack([jnp.round(steering, 2), jnp.round(pedal, 2)], axis=-1)


def drive_command(params: Mapping[str, Any], v: Float[Array, " R"], accel: Float[Array, " R"]) -> Array:
    """Drive command of `pct.dynamics.singletrack_pacejka` for an acceleration, as far as the motor goes."""
    force = params["m"] * accel + params["C_r0"] + params["C_r2"] * v**2
    motor = params["C_m1"] - params["C_m2"] * v
    return jnp.clip(force / jnp.where(force > 0, motor, params["k_b"] * motor + params["C_b"]), -1.0, 1.0)


def speed_name(spec: ModelSpec) -> str:
    """Name of the state that the driver reads as speed."""
    return "v" if "v" in spec.state_indices else "vx"
