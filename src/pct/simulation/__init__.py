"""Drives a registered model with known parameters and records what sensors would have shown.

`simulate` draws the roads (friction by surface, roughness) and the manoeuvres, lets a driver follow
them in closed loop through the model's own equations, and adds sensor noise. The result is a list of
trajectories with the truth beside the measurements, ready for `write_dataset`. NumPy draws everything
at random; JAX integrates, all recordings in one scan, in double precision.

The driver is a program, not a person: it knows the surface under the car and asks for no more than a
share of the grip there. The linear tyre of the single-track models has no saturation, so that beyond
that share they would show forces that no tyre gives. A model without a friction ``mu`` has the tyres of its
parameters everywhere; there, friction is what the driver counts on, and no truth.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pct.dynamics.core import MODEL_SPECS, ModelSpec
from pct.errors import DivergedError, UsageError
from pct.recordings.trajectory import Trajectory
from pct.rollout.integration import integrate_rk4
from pct.simulation.manoeuvres import Manoeuvres, draw_manoeuvres
from pct.types import Array, Float

GRAVITY = 9.81
SUBSTEP = 0.0025

# A reading is rounded to this part of its noise, the resolution of the sensor.
RESOLUTION = 0.2

# What a command can ask for where the model has no such limit, in rad, rad/s and m: a 1:10 car's.
MAX_STEER, MAX_STEER_RATE, WHEELBASE = 0.4, 3.0, 0.33
# Time constants of the driver in s.
STEERING_TIME, SPEED_TIME = 0.1, 0.3


@dataclasses.dataclass(frozen=True)
class Roads:
    """What each recording drives on, by logging step.

    Attributes:
        mu: friction coefficient, shape (R, N).
        vibration: root mean square of the vertical acceleration at 1 m/s, in m/s^2, shape (R, N).
        temperature: surface temperature in K, shape (R, N).
    """

    mu: Float[np.ndarray, "R N"]
    vibration: Float[np.ndarray, "R N"]
    temperature: Float[np.ndarray, "R N"]


class Column(NamedTuple):
    """Values of one channel, shape (N,), its unit and its origin."""

    values: np.ndarray
    unit: str
    origin: str


def simulate(
    spec: ModelSpec,
    *,
    recordings: int,
    duration: float,
    dt: float,
    mu: Sequence[float] = (0.4, 1.0),
    surfaces: int = 1,
    speed: tuple[float, float] = (2.5, 7.0),
    grip: float = 0.8,
    launches: float = 0.0,
    fixed: Mapping[str, float] | None = None,
    vary: Mapping[str, tuple[float, float]] | None = None,
    noise: float = 1.0,
    seed: int = 0,
) -> list[Trajectory]:
    """Drive a model along random manoeuvres and record it.

    Row k holds the state measured at its time and the command that is held from there to row k + 1.
    The same arguments give the same numbers.

    Args:
        spec: a model that is steered by ``delta_dot`` or ``psi_dot`` and driven by ``accel`` or ``drive``.
        recordings: number of recordings R.
        duration: length of each in s.
        dt: logging step in s.
        mu: friction: one value; the low and high end of a range that the surfaces share out evenly;
            or three and more values, one a surface in random order.
        surfaces: recordings take turns in driving over 1, 2, ... up to this many surfaces.
        speed: lowest and highest speed aimed at in m/s.
        grip: largest share of the surface's friction that the driver asks for, within (0, 1].
        launches: share of the recordings that start at standstill.
        fixed: value by parameter name, in place of the default.
        vary: range by parameter name, one value a recording. With the mass ``m`` the yaw inertia ``I``
            changes in proportion, unless it is named itself.
        noise: multiplier of each channel's usual sensor noise; 0 records the exact state.
        seed: seed of everything random.

    Returns:
        R trajectories with the state (measured), the controls (command), two ``feature.*`` channels,
        ``truth.mu`` where the model has it, and ``truth.*`` for each varied parameter.

    Raises:
        UsageError: a model that the driver cannot drive, an unknown parameter, a value out of range.
        DivergedError: a state that is not finite.
    """
    fixed, vary = dict(fixed or {}), dict(vary or {})
    _check_model(spec)
    _check_settings(recordings, duration, dt, mu, surfaces, speed, grip, launches, noise)
    steps = round(duration / dt)
    road_rng, vehicle_rng, driver_rng, sensor_rng = np.random.default_rng(seed).spawn(4)

    roads = _draw_roads(road_rng, recordings, steps, dt, mu, surfaces)
    params = _draw_params(vehicle_rng, spec, recordings, fixed, vary)
    manoeuvres = draw_manoeuvres(driver_rng, recordings, steps, dt, speed, grip, launches)
    states, commands = _drive(spec, params, roads.mu, manoeuvres, dt, grip)
    _check_finite(spec, states, dt)
    truth = {"mu": roads.mu} if "mu" in params else {}
    truth |= {
        name: np.broadcast_to(values[:, None], roads.mu.shape)
        for name, values in params.items()
        if np.ndim(values) == 1 and not spec.parameter(name).shape
    }
    trajectories = []
    for i in range(recordings):
        columns = {
            **_readings(sensor_rng, spec, states[i], noise),
            **_commands(spec, commands[i]),
            **_features(sensor_rng, spec, states[i], roads.vibration[i], roads.temperature[i], noise),
            **_truth(spec, {name: values[i] for name, values in truth.items()}),
        }
        trajectories.append(
            Trajectory(
                name=f"recording_{i:02d}",
                dt=dt,
                channels={name: column.values for name, column in columns.items()},
                units={name: column.unit for name, column in columns.items()},
                origins={name: column.origin for name, column in columns.items()},
                source=f"simulated with {spec.name}, seed {seed}",
            )
        )
    return trajectories


def _draw_roads(
    rng: np.random.Generator, recordings: int, steps: int, dt: float, mu: Sequence[float], surfaces: int
) -> Roads:
    """Lay the surfaces of each recording.

    Slippery surfaces tend to be smooth, but the roughness scatters along the road by a factor of 1.5 in
    either direction, more than friction moves it, so that no reading of it
    names the recording. Temperature has nothing to do with friction.
    """
    counts = [1 + i % surfaces for i in range(recordings)]
    values = _friction_values(rng, mu, sum(counts))
    friction = np.empty((recordings, steps))
    for row, count in zip(friction, counts, strict=True):
        lengths = rng.uniform(0.5, 1.0, count)
        ends = np.round(np.cumsum(lengths) / lengths.sum() * steps).astype(int)
        for start, end in zip([0, *ends[:-1]], ends, strict=True):
            row[start:end] = values.pop()
    rough = 0.6 * np.exp(0.7 * (friction - 0.7) + 0.4 * _wander(rng, friction.shape, 1.0 / dt))
    return Roads(friction, rough, 298.0 + 6.0 * _wander(rng, friction.shape, 3.0 / dt))


def _drive(
    spec: ModelSpec,
    params: Mapping[str, Any],
    mu: Float[np.ndarray, "R N"],
    manoeuvres: Manoeuvres,
    dt: float,
    grip: float,
) -> tuple[Float[np.ndarray, "R N S"], Float[np.ndarray, "R N C"]]:
    """States at each logging step and the commands that are held from there."""
    initial = np.zeros((len(mu), len(spec.states)))
    initial[:, spec.state_indices[_speed(spec)]] = manoeuvres.speed[:, 0]
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
    v = state[:, spec.state_indices[_speed(spec)]]
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
    left = mu * GRAVITY * jnp.sqrt(grip**2 - lateral**2)
    accel = jnp.clip((speed - v) / max(dt, SPEED_TIME), -left, left)
    pedal = accel if spec.control_names[1] == "accel" else _drive_command(params, v, accel)
    # A command has the resolution of its bus, and the log holds exactly what acted.
    return jnp.stack([jnp.round(steering, 2), jnp.round(pedal, 2)], axis=-1)


def _drive_command(params: Mapping[str, Any], v: Float[Array, " R"], accel: Float[Array, " R"]) -> Array:
    """Drive command of `pct.dynamics.singletrack_pacejka` for an acceleration, as far as the motor goes."""
    force = params["m"] * accel + params["C_r0"] + params["C_r2"] * v**2
    motor = params["C_m1"] - params["C_m2"] * v
    return jnp.clip(force / jnp.where(force > 0, motor, params["k_b"] * motor + params["C_b"]), -1.0, 1.0)


def _readings(
    rng: np.random.Generator, spec: ModelSpec, states: Float[np.ndarray, "N S"], noise: float
) -> dict[str, Column]:
    return {
        channel.name: Column(_read(rng, values, noise * channel.noise), channel.unit, "measured")
        for channel, values in zip(spec.states, states.T, strict=True)
    }


def _commands(spec: ModelSpec, commands: Float[np.ndarray, "N C"]) -> dict[str, Column]:
    return {
        channel.name: Column(values, channel.unit, "command")
        for channel, values in zip(spec.controls, commands.T, strict=True)
    }


def _features(
    rng: np.random.Generator,
    spec: ModelSpec,
    states: Float[np.ndarray, "N S"],
    vibration: Float[np.ndarray, " N"],
    temperature: Float[np.ndarray, " N"],
    noise: float,
) -> dict[str, Column]:
    """Exogenous channels: vibration grows with speed and scatters from row to row."""
    speed = np.abs(states[:, spec.state_indices[_speed(spec)]])
    shaken = vibration * speed**0.8 * np.exp(0.25 * noise * rng.standard_normal(len(speed)))
    return {
        "feature.vibration": Column(_read(rng, shaken, 0.05 * noise), "m/s^2", "measured"),
        "feature.surface_temperature": Column(_read(rng, temperature, 0.5 * noise), "K", "measured"),
    }


def _truth(spec: ModelSpec, truth: Mapping[str, np.ndarray]) -> dict[str, Column]:
    return {
        f"truth.{name}": Column(values, "1" if name == "mu" else spec.parameter(name).unit, "truth")
        for name, values in truth.items()
    }


def _read(rng: np.random.Generator, values: np.ndarray, deviation: float) -> np.ndarray:
    """Values with white noise, rounded to the sensor's resolution."""
    if deviation == 0.0:
        return values
    noisy = values + deviation * rng.standard_normal(values.shape)
    return RESOLUTION * deviation * np.round(noisy / (RESOLUTION * deviation))


def _draw_params(
    rng: np.random.Generator,
    spec: ModelSpec,
    recordings: int,
    fixed: Mapping[str, float],
    vary: Mapping[str, tuple[float, float]],
) -> dict[str, Any]:
    """Every parameter in force: defaults, fixed values, and one value a recording for the varied ones."""
    params = dict(spec.default_params)
    for name, ends in [*((name, (value,)) for name, value in fixed.items()), *vary.items()]:
        row = spec.parameter(name)
        low, high = spec.param_bounds[name]
        if name == "mu" or row.shape:
            hint = "friction has its own option" if name == "mu" else "arrays keep their defaults"
            raise UsageError(f"Parameter '{name}' cannot be set here: {hint}")
        if min(ends) < low or max(ends) > high or ends[0] > ends[-1]:
            found = ":".join(str(end) for end in ends)
            raise UsageError(
                f"Parameter {name}={found}: expected within [{low}, {high}] {row.unit}, low first"
            )
        params[name] = rng.uniform(ends[0], ends[-1], recordings) if name in vary else ends[0]
    if "m" in vary and "I" in params and "I" not in {*fixed, *vary}:
        params["I"] = spec.default_params["I"] * params["m"] / spec.default_params["m"]
    return params


def _friction_values(rng: np.random.Generator, mu: Sequence[float], count: int) -> list[float]:
    """Friction of each surface, spread evenly over the range or the list, in random order."""
    if len(mu) <= 2:
        low, high = mu[0], mu[-1]
        values = low + (high - low) * (np.arange(count) + rng.random(count)) / count
    else:
        values = np.resize(rng.permutation(mu), count)
    return list(rng.permutation(np.round(values, 3)))


def _wander(rng: np.random.Generator, shape: tuple[int, int], correlation: float) -> np.ndarray:
    """Gaussian noise of unit variance along the last axis, correlated over that many steps."""
    keep = math.exp(-1.0 / correlation)
    values = rng.standard_normal(shape)
    for k in range(1, shape[1]):
        values[:, k] = keep * values[:, k - 1] + math.sqrt(1.0 - keep**2) * values[:, k]
    return values


def _speed(spec: ModelSpec) -> str:
    """Name of the state that the driver reads as speed."""
    return "v" if "v" in spec.state_indices else "vx"


def _drivable(spec: ModelSpec) -> bool:
    steer, drive = (*spec.control_names, "", "")[:2]
    steered = steer == "psi_dot" or (steer == "delta_dot" and "delta" in spec.state_names)
    driven = drive == "accel" or (drive == "drive" and "C_m1" in spec.default_params)
    return steered and driven and _speed(spec) in spec.state_names and spec.pose_invariant


def _check_model(spec: ModelSpec) -> None:
    if not _drivable(spec):
        known = ", ".join(name for name, other in MODEL_SPECS.items() if _drivable(other))
        raise UsageError(
            f"Model '{spec.name}' cannot be simulated: expected a speed, controls (delta_dot or psi_dot, "
            f"accel or drive) and equations that hold everywhere.\nModels that can: {known}"
        )


def _check_settings(
    recordings: int,
    duration: float,
    dt: float,
    mu: Sequence[float],
    surfaces: int,
    speed: tuple[float, float],
    grip: float,
    launches: float,
    noise: float,
) -> None:
    checks = (
        (recordings >= 1, f"recordings: expected at least 1, got {recordings}"),
        (0.0 < dt <= 1.0, f"time step: expected within (0, 1] s, got {dt}"),
        (duration >= 2 * dt, f"duration: expected at least two time steps of {dt} s, got {duration}"),
        (
            len(mu) >= 1 and all(0.05 <= value <= 1.5 for value in mu),
            f"friction: expected values within [0.05, 1.5], got {list(mu)}",
        ),
        (
            len(mu) != 2 or mu[0] <= mu[1],
            f"friction: expected the low end of the range first, got {list(mu)}",
        ),
        (surfaces >= 1, f"surfaces: expected at least 1, got {surfaces}"),
        (0.0 < speed[0] <= speed[1], f"speed: expected 0 < low <= high in m/s, got {list(speed)}"),
        (0.0 < grip <= 1.0, f"grip: expected within (0, 1], got {grip}"),
        (0.0 <= launches <= 1.0, f"launches: expected within [0, 1], got {launches}"),
        (noise >= 0.0, f"noise: expected 0 or more, got {noise}"),
    )
    for holds, message in checks:
        if not holds:
            raise UsageError(message)


def _check_finite(spec: ModelSpec, states: Float[np.ndarray, "R N S"], dt: float) -> None:
    bad = np.argwhere(~np.isfinite(states))
    if len(bad):
        recording, row, channel = bad[np.argmin(bad[:, 1])]
        raise DivergedError(
            f"{spec.name}: {spec.state_names[channel]} of recording {recording} is not finite at "
            f"{row * dt:.2f} s: choose a narrower range of parameters or a lower speed"
        )
