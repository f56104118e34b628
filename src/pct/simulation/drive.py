"""Drives a registered model with known parameters and records what sensors would have shown.

`simulate` draws the roads (friction by surface, roughness) and the manoeuvres, lets a driver follow
them in closed loop through the model's own equations, and adds sensor noise. The result is a list of
trajectories with the truth beside the measurements, ready for `write_dataset`. NumPy draws everything
at random; JAX integrates, all recordings in one scan, in double precision. A model without a friction ``mu``
has the tyres of its parameters everywhere; there, friction is what the driver counts on, and no truth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pct.dynamics.core import MODEL_SPECS, ModelSpec
from pct.errors import DivergedError, UsageError
from pct.recordings.trajectory import Trajectory
from pct.simulation.driver import follow, is_drivable
from pct.simulation.manoeuvres import draw_manoeuvres
from pct.simulation.open_loop import draw_controls, play
from pct.simulation.roads import draw_roads
from pct.simulation.sensors import commanded, features, known_truth, readings
from pct.simulation.settings import SimulationSettings
from pct.types import Float
from pct.within import FINITE, check_numbers, check_ranges


def simulate(
    spec: ModelSpec,
    *,
    recordings: int,
    duration: float,
    dt: float,
    mu: float | Sequence[float] = (0.4, 1.0),
    surfaces: int = 1,
    speed: float | tuple[float, float] = (2.5, 7.0),
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
        spec: a model whose equations hold everywhere. One that is steered by ``delta_dot`` or ``psi_dot`` and
            driven by ``accel`` or ``drive`` follows manoeuvres. The controls of any other are smooth random
            signals up to their typical size, `pct.simulation.open_loop`; friction, speed and grip do not
            matter there, and it has no features.
        recordings: number of recordings R.
        duration: length of each in s.
        dt: logging step in s.
        mu: friction: one value; the low and high end of a range that the surfaces share out evenly;
            or three and more values, one a surface in random order.
        surfaces: recordings take turns in driving over 1, 2, ... up to this many surfaces.
        speed: lowest and highest speed aimed at in m/s, or one for both.
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
    mu = (mu,) if isinstance(mu, float | int) else mu
    speed = (speed, speed) if isinstance(speed, float | int) else speed
    _check_model(spec)
    settings = SimulationSettings(
        recordings, duration, dt, tuple(mu), surfaces, tuple(speed), grip, launches, noise, seed
    )
    check_ranges(settings)
    settings.validate()
    steps = settings.steps
    road_rng, vehicle_rng, driver_rng, sensor_rng = np.random.default_rng(seed).spawn(4)

    roads = draw_roads(road_rng, recordings, steps, dt, mu, surfaces)
    params = _draw_params(vehicle_rng, spec, recordings, fixed, vary)
    if is_drivable(spec):
        manoeuvres = draw_manoeuvres(driver_rng, recordings, steps, dt, speed, grip, launches)
        states, commands = follow(spec, params, roads.mu, manoeuvres, dt, grip)
    else:
        commands = draw_controls(driver_rng, spec, recordings, steps, dt)
        states = play(spec, params, commands, dt)
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
            **readings(sensor_rng, spec, states[i], noise),
            **commanded(spec, commands[i]),
            **features(sensor_rng, spec, states[i], roads.vibration[i], roads.temperature[i], noise),
            **known_truth(spec, {name: values[i] for name, values in truth.items()}),
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
        check_numbers(name, ends, FINITE)
        if not low <= ends[0] <= ends[-1] <= high:
            values = ":".join(str(end) for end in ends)
            raise UsageError(
                f"Parameter {name}={values}: expected within [{low}, {high}] {row.unit}, low first"
            )
        params[name] = rng.uniform(ends[0], ends[-1], recordings) if name in vary else ends[0]
    if "m" in vary and "I" in params and "I" not in {*fixed, *vary}:
        params["I"] = spec.default_params["I"] * params["m"] / spec.default_params["m"]
    return params


def _check_model(spec: ModelSpec) -> None:
    if not spec.pose_invariant:
        known = ", ".join(name for name, other in MODEL_SPECS.items() if other.pose_invariant)
        raise UsageError(
            f"Model '{spec.name}' cannot be simulated: its equations hold in the frame of a window alone. "
            f"Models that can: {known}"
        )


def _check_finite(spec: ModelSpec, states: Float[np.ndarray, "R N S"], dt: float) -> None:
    bad = np.argwhere(~np.isfinite(states))
    if len(bad):
        recording, row, channel = bad[np.argmin(bad[:, 1])]
        raise DivergedError(
            f"{spec.name}: {spec.state_names[channel]} of recording {recording} is not finite at "
            f"{row * dt:.2f} s: choose a narrower range of parameters or a lower speed"
        )
