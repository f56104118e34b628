"""Cars that follow references in closed loop, all at once: K references by D cars.

Steering is the path's curvature a moment ahead, what brings the car back, and what the reference adds:

    delta = atan(L kappa) + k_c (course error) - atan(k_e (offset) / (v + v_0)) + k_r (yaw rate error)
            + k_s (slip angle of the rear beyond a part of its limit) + extra

The law of [1] with the course in place of the heading, since a car that slips does not point where it goes,
and with a gyroscope's help: where the rear steps out, the yaw rate leaves that of the path, ``v kappa``. A
slide is caught by steering into it.
Off the path the car slows down, as any driver would. It is what a car's own follower may do, too: gains are
in `GAINS`.

References:
    [1] G. Hoffmann, C. Tomlin, M. Montemerlo, S. Thrun, "Autonomous Automobile Trajectory Tracking for
        Off-Road Driving", American Control Conference 2007, eq. (5).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pct.designing.reference import Reference
from pct.dynamics.core import ModelSpec
from pct.errors import UsageError
from pct.rollout.fastmath import xp
from pct.rollout.integration import RK4, choose_substeps, explicit_step
from pct.rollout.kernels import one_kernel, unknown_one
from pct.rollout.lanes import make_rates
from pct.simulation.driver import WHEELBASE, drive_command, is_drivable, speed_name
from pct.types import Array, Float, Int


class Gains(NamedTuple):
    """Of the follower.

    Attributes:
        course: steering in rad by course error in rad.
        offset: steering by offset over speed, in 1/s.
        yaw_rate: steering by yaw rate error, in s.
        preview: time ahead at which the curvature is read, in s.
        speed: time constant of the speed in s, also its preview.
        steering: time constant of the steering in s.
        slow: offset in m at which the car goes at half its speed.
        guard: share of the slip limit from which the driver steers into a slide of the rear.
        catch: steering by what the rear's slip angle is beyond that.
    """

    course: float = 0.5
    offset: float = 1.0
    yaw_rate: float = 0.1
    preview: float = 0.08
    speed: float = 0.3
    steering: float = 0.04
    slow: float = 1.0
    guard: float = 0.5
    catch: float = 4.0


class Driven(NamedTuple):
    """Drives of K references by D cars, N rows each.

    Attributes:
        states: (K, D, N, S).
        controls: held from each row to the next, (K, D, N, C).
        offset: of the car to the left of its path in m, (K, D, N).
        place: number of the path's point, (K, D, N).
    """

    states: np.ndarray
    controls: np.ndarray
    offset: np.ndarray
    place: np.ndarray


@dataclasses.dataclass(frozen=True)
class Hands:
    """What the follower may ask for.

    Attributes:
        steering, steering_rate: in rad and rad/s.
        acceleration: along the car in m/s^2.
        slip: slip angle of the rear axle in rad.
    """

    steering: float
    steering_rate: float
    acceleration: float
    slip: float


def require_drivable(spec: ModelSpec) -> None:
    """Raise UsageError for a model that no follower can steer."""
    if not is_drivable(spec):
        raise UsageError(
            f"`model={spec.name}`: expected a model that is steered by delta_dot or psi_dot and driven by "
            f"accel or drive, found the controls {', '.join(spec.control_names)}"
        )


def make_follower(
    spec: ModelSpec, steps: int, dt: float, hands: Hands, gains: Gains, lanes: int, references: int
) -> Callable[[Reference, Mapping[str, Any]], Driven]:
    """``follow(references, params)``: drives from standstill of a model that `require_drivable` accepts.

    ``params`` has every parameter by name, a number or one value a car, (D,). Compiled once for references
    of as many points: so many drives, of so many references at most, are computed at once.
    """
    compiled = jax.jit(partial(_follow, spec, steps, dt, hands, gains))
    keys = spec.param_keys

    def follow(reference: Reference, params: Mapping[str, Any]) -> Driven:
        columns = (*reference.path[:5], reference.speed, reference.extra)
        table = np.stack(columns, axis=-1).astype(np.float32)
        cars = max(np.size(value) for name, value in params.items() if name in keys)
        learned = {name: np.broadcast_to(params[name], (cars,)).astype(np.float32) for name in keys}
        pairs = np.stack(np.meshgrid(np.arange(len(table)), np.arange(cars), indexing="ij"), axis=-1)
        of, car = pairs.reshape(-1, 2).T
        parts = []
        for begin in range(0, len(of), lanes):
            some = np.minimum(np.arange(begin, begin + lanes), len(of) - 1)
            numbers, local = np.unique(of[some], return_inverse=True)
            rows = table[np.resize(numbers, min(references, lanes))]
            parts.append(
                compiled(rows, local.astype(np.int32), {k: v[car[some]] for k, v in learned.items()})
            )
        states, controls, offset, place = (
            np.concatenate([np.asarray(part[i]) for part in parts], axis=-1)[..., : len(of)] for i in range(4)
        )
        shape = len(table), cars
        return Driven(
            np.moveaxis(states, (2, 0, 1), (0, 1, 2)).reshape(*shape, steps, -1),
            np.moveaxis(controls, (2, 0, 1), (0, 1, 2)).reshape(*shape, steps, -1),
            offset.T.reshape(*shape, steps),
            place.T.reshape(*shape, steps),
        )

    return follow


def _follow(
    spec: ModelSpec,
    steps: int,
    dt: float,
    hands: Hands,
    gains: Gains,
    table: Float[Array, "K M F"],
    of: Int[Array, " L"],
    learned: Mapping[str, Float[Array, " L"]],
) -> tuple[Array, Array, Array, Array]:
    """States (N, S, L), controls (N, C, L), offsets and places (N, L) of drives of references ``of``."""
    points = table.shape[1]
    rows = table.reshape(-1, table.shape[2])
    substeps = choose_substeps(dt)
    rates = make_rates(spec, spec.base_params(dt))
    advance = one_kernel(
        lambda x, u, learned: explicit_step(RK4, lambda x: rates(x, u, learned), x, dt / substeps)
    )
    one = unknown_one(learned[spec.param_keys[0]])
    zero = jnp.zeros(of.shape, table.dtype)
    constants = {name: value for name, value in spec.default_params.items() if name not in learned}

    def read(place: Array) -> tuple[Array, ...]:
        return tuple(rows[of * points + jnp.floor(place).astype(jnp.int32) % points].T)

    def step(carry: Any, _: None) -> Any:
        state, at = carry
        x = dict(zip(spec.state_names, state, strict=True))
        here, offset, error = _beside(spec, x, at, read(at))
        v = x[speed_name(spec)]
        ahead = read(here + v * gains.preview / read(at)[2]), read(here + v * gains.speed / read(at)[2])
        controls = _command(spec, {**constants, **learned}, x, (offset, error, *ahead), dt, hands, gains)
        after = state
        for _part in range(substeps):
            after = advance(one, after, controls, learned)
        return (after, here % points), (jnp.stack(state), jnp.stack(controls), offset, at)

    begin = read(zero)
    first = dict(zip(spec.pose, (begin[0], begin[1], begin[3]), strict=True))
    start = tuple(first.get(name, zero) for name in spec.state_names)
    result: tuple[Array, Array, Array, Array] = jax.lax.scan(step, (start, zero), None, length=steps)[1]
    return result


def _beside(
    spec: ModelSpec, x: Mapping[str, Array], at: Array, point: tuple[Array, ...]
) -> tuple[Array, Array, Array]:
    """Place of the path beside the car, its offset to the left in m, and the course error in rad."""
    px, py, along, course, *_ = point
    sin, cos = xp.sin(course), xp.cos(course)
    dx, dy = x[spec.pose[0]] - px, x[spec.pose[1]] - py
    # Seldom more than a few points on, so one step finds it.
    here = jnp.floor(at) + jnp.clip((cos * dx + sin * dy) / along, -40.0, 40.0)
    error = course - x[spec.pose[2]] - slip_angle(x, x[speed_name(spec)])
    return here, cos * dy - sin * dx, xp.arctan2(xp.sin(error), xp.cos(error))


def _command(
    spec: ModelSpec,
    params: Mapping[str, Any],
    x: Mapping[str, Array],
    seen: tuple[Any, ...],
    dt: float,
    hands: Hands,
    gains: Gains,
) -> tuple[Array, Array]:
    """Controls by what the follower sees: offset, course error, the points of the path ahead."""
    offset, error, turn, pace = seen
    v, (curvature, extra) = x[speed_name(spec)], (turn[4], turn[6])
    wheelbase = params["lf"] + params["lr"] if "lf" in params else WHEELBASE
    wanted = xp.arctan(wheelbase * curvature) + extra
    back = gains.course * error - xp.arctan(gains.offset * offset / (jnp.abs(v) + 1.0))
    if "psi_dot" in x:
        back = back + gains.yaw_rate * (v * xp.tan(wanted) / wheelbase - x["psi_dot"])
    speed = pace[5] / (1.0 + (offset / gains.slow) ** 2)
    if "lr" in params and "psi_dot" in x:
        rear = slip_angle(x, v) - params["lr"] * x["psi_dot"] / jnp.maximum(jnp.abs(v), 1.0)
        beyond = rear - jnp.clip(rear, -gains.guard * hands.slip, gains.guard * hands.slip)
        back = back + gains.catch * beyond
        speed = speed / (1.0 + (beyond / hands.slip) ** 2)
    wheel = jnp.clip(wanted + back, -hands.steering, hands.steering)
    if spec.control_names[0] == "delta_dot":
        rate = (wheel - x["delta"]) / max(dt, gains.steering)
        steer = jnp.clip(rate, -hands.steering_rate, hands.steering_rate)
    else:
        steer = v * xp.tan(wheel) / wheelbase
    accel = jnp.clip((speed - v) / gains.speed, -hands.acceleration, hands.acceleration)
    pedal = accel if spec.control_names[1] == "accel" else drive_command(params, v, accel)
    return steer, pedal


def slip_angle(x: Mapping[str, Any], v: Any) -> Any:
    """Angle from the car's axis to its motion in rad, of states by name."""
    if "beta" in x:
        return x["beta"]
    if "vy" in x:
        return xp.arctan2(x["vy"], jnp.maximum(jnp.abs(v), 0.3))
    return jnp.zeros_like(v)
