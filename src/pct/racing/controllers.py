"""Controllers that follow a speed profile along a track: sampling with a learned model, and pure pursuit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

from pct.dynamics.core import ModelSpec
from pct.dynamics.limits import GRAVITY
from pct.racing.tracks import Track
from pct.rollout.native.sampler import Rollout
from pct.types import Float

# Control steps that are looked ahead, rollouts a step, and seconds of a step of a full-size car.
STEPS, SAMPLES, DT = 40, 1024, 0.05
# Shares of the grip that the controller asks for along the car.
BRAKING, DRIVING = 0.6, 0.5
# Deviations that cost one: in m, m/s, rad and rad/s.
SCALES = {"x": 0.7, "y": 0.7, "v": 1.0, "psi": 0.2, "delta": 0.06, "psi_dot": 0.3}
# Spread of the controls that are tried, over what the car can do; steps over which it fades; temperature.
SPREAD, SMOOTH, TEMPERATURE = (0.15, 0.15), 4, 6.0
# Changes of the controls from step to step that cost one: in rad/s and m/s^2.
CHANGES = (0.2, 3.0)
Range = tuple[float, float]


def ranges(p: Mapping[str, Any]) -> tuple[Range, Range]:
    """What is asked for of steering rate in rad/s and acceleration in m/s^2, of a car's parameters."""
    grip = float(p["mu"]) * GRAVITY
    accel = -min(float(p["a_max"]), BRAKING * grip), min(float(p["a_max"]), DRIVING * grip)
    return (float(p["sv_min"]), float(p["sv_max"])), accel


@dataclasses.dataclass(frozen=True)
class Tuning:
    """What sampling depends on the size of the car and its model.

    Attributes:
        dt: seconds of a step.
        scales: deviations that cost one, by state.
        changes: likewise, of the controls from step to step.
        speed: name of the state that is the speed.
        ranges: least and most of both controls, of the parameters.
        push: m/s^2 that one of the second control gives about.
        haste: how much faster than it can the car is wanted to reach the speed of the profile.
    """

    dt: float = DT
    scales: Mapping[str, float] = dataclasses.field(default_factory=lambda: SCALES)
    changes: tuple[float, float] = CHANGES
    speed: str = "v"
    ranges: Callable[[Mapping[str, Any]], tuple[Range, Range]] = ranges
    push: float = 1.0
    haste: float = 2.0


FULL_SIZE = Tuning()


@runtime_checkable  # the annotations are checked while the tests run
class Controller(Protocol):
    """Chooses the controls of a step."""

    def control(self, state: Mapping[str, float], s: float) -> tuple[float, float]:
        """Steering rate in rad/s and acceleration in m/s^2, of the state and the place along the track."""

    def believe(self, params: Mapping[str, Any], speed: Float[np.ndarray, " N"]) -> None:
        """Take what is believed of the car from now on, and the speed that is wanted along the track."""


class Mppi:
    """Model predictive path integral control: the mean of many tried controls, weighted by their costs.

    G. Williams, P. Drews, B. Goldfain, J. Rehg, E. Theodorou, "Information-theoretic model predictive
    control", IEEE Transactions on Robotics 34 (2018). The rollouts are `pct.rollout.native.sampler`.
    """

    def __init__(
        self,
        spec: ModelSpec,
        params: Mapping[str, Any],
        track: Track,
        speed: Float[np.ndarray, " N"],
        seed: int = 0,
        tuning: Tuning = FULL_SIZE,
    ) -> None:
        """Compile the model.

        Args:
            spec: a model with the states x, y, delta, psi and a speed; its controls are the steering rate and
                what drives.
            params: what is believed of the car.
            track: to drive on.
            speed: wanted at each point of the centre line in m/s.
            seed: of the tried controls.
            tuning: of a car of another size or model.

        Raises:
            NotSupported, NoCompiler: see `Rollout`.
        """
        self._spec, self._track, self._tuning = spec, track, tuning
        self._car = Rollout(spec, dt=tuning.dt)
        self.believe(params, speed)
        self._plan, self._last = np.zeros((STEPS, 2)), np.zeros(2)
        self._random = np.random.default_rng(seed)
        self._scales = np.array([tuning.scales.get(name, np.inf) for name in spec.state_names])

    def believe(self, params: Mapping[str, Any], speed: Float[np.ndarray, " N"]) -> None:
        """Drive by other parameters and another profile from the next step on."""
        self._car.set(params)
        believed = {**self._spec.default_params, **params}
        self._low, self._high = np.array(self._tuning.ranges(believed)).T
        self._wheelbase, self._speed = believed["lf"] + believed["lr"], speed

    def control(self, state: Mapping[str, float], s: float) -> tuple[float, float]:
        """The first controls of the plan, made anew from where the car is."""
        start = np.array([state[name] for name in self._spec.state_names])
        reference = self._reference(s, state[self._tuning.speed], state["psi"])
        noise = self._random.normal(size=(SAMPLES, STEPS // SMOOTH + 2, 2))
        knots = np.arange(STEPS) / SMOOTH
        whole, rest = knots.astype(int), (knots % 1.0)[:, None]
        noise = (1.0 - rest) * noise[:, whole] + rest * noise[:, whole + 1]
        tried = np.clip(self._plan + SPREAD * (self._high - self._low) / 2 * noise, self._low, self._high)
        tried[0] = self._plan
        costs = self._car.costs(start, tried, reference, self._scales)
        changes = np.diff(tried, axis=1, prepend=np.broadcast_to(self._last, (SAMPLES, 1, 2)))
        costs = np.nan_to_num(costs + ((changes / self._tuning.changes) ** 2).sum(axis=(1, 2)), nan=np.inf)
        if not np.isfinite(costs).any():  # nothing holds: brake straight on
            return 0.0, float(self._low[1])
        weights = np.exp((costs.min() - costs) / TEMPERATURE)
        plan = np.average(tried, axis=0, weights=weights)
        self._last = plan[0]
        self._plan = np.vstack([plan[1:], [0.0, plan[-1, 1]]])
        return float(plan[0, 0]), float(plan[0, 1])

    def _reference(self, s: float, v: float, psi: float) -> Float[np.ndarray, "T S"]:
        """Wanted states after each step: along the line, from the car's speed to that of the profile."""
        places, speeds = np.empty(STEPS), np.empty(STEPS)
        dt, push = self._tuning.dt, self._tuning.haste * self._tuning.push
        for step in range(STEPS):
            target = self._speed[int(s / self._track.step) % len(self._speed)]
            v = v + np.clip(target - v, push * self._low[1] * dt, push * self._high[1] * dt)
            s = s + v * dt
            places[step], speeds[step] = s, v
        line = self._track.at(places)
        line[:, 2] += 2 * np.pi * np.round((psi - line[0, 2]) / (2 * np.pi))
        reference = np.zeros((STEPS, len(self._spec.state_names)))
        bends = self._track.curvature[(places / self._track.step).astype(int) % len(self._track.s)]
        wanted = {"x": line[:, 0], "y": line[:, 1], "psi": line[:, 2]}
        wanted |= {self._tuning.speed: speeds}
        wanted |= {"delta": np.arctan(self._wheelbase * bends), "psi_dot": speeds * bends}
        for name, values in wanted.items():
            if name in self._spec.state_indices:
                reference[:, self._spec.state_indices[name]] = values
        return reference


class PurePursuit:
    """The kinematic baseline: steers at a point ahead on the line, and follows the speed profile.

    R. C. Coulter, "Implementation of the pure pursuit path tracking algorithm", CMU-RI-TR-92-01 (1992).
    """

    def __init__(self, params: Mapping[str, Any], track: Track, speed: Float[np.ndarray, " N"]) -> None:
        """Take what is believed of the car: wheelbase and limits."""
        self._track = track
        self.believe(params, speed)

    def believe(self, params: Mapping[str, Any], speed: Float[np.ndarray, " N"]) -> None:
        """Drive by other limits and another profile from the next step on."""
        self._p, self._speed = params, speed

    def control(self, state: Mapping[str, float], s: float) -> tuple[float, float]:
        """Steering rate and acceleration."""
        p, v = self._p, state["v"]
        ahead = max(0.5 * v, 2.0 * (p["lf"] + p["lr"]))
        (x, y, _), *_ = self._track.at(np.array([s + ahead]))
        bearing = np.arctan2(y - state["y"], x - state["x"]) - state["psi"]
        wanted = np.arctan(2.0 * (p["lf"] + p["lr"]) * np.sin(bearing) / ahead)
        rate, accel = ranges(p)
        turn = np.clip((np.clip(wanted, p["s_min"], p["s_max"]) - state["delta"]) / DT, *rate)
        target = self._speed[int((s + 0.2 * v) / self._track.step) % len(self._speed)]
        return float(turn), float(np.clip((target - v) / 0.2, *accel))
