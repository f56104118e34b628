"""Channels of a model that a log does not hold and that nothing gives: what stands in their place.

Most logs hold no position. The models move by their pose all the same, and no equation reads it, so that a
pose which is reckoned from speed and yaw rate serves as well; nothing is compared with it. A sideways
velocity that no sensor shows begins as that of a car whose rear axle rolls without slip, and an observer lets
the model find it over the rows before a window. A log without steering and yaw rate is taken to go straight
ahead. Every such channel has the origin `ASSUMED`, and `assumed_lines` says what was put in its place.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Mapping
from typing import TYPE_CHECKING

import numpy as np

from pct.dynamics.channels import known_channels
from pct.recordings.derive import derive, follows_from, smooth_derivative
from pct.recordings.relations import slip_angle
from pct.recordings.trajectory import Trajectory
from pct.types import Column

if TYPE_CHECKING:
    from pct.dynamics.core import ModelSpec

ASSUMED = "assumed"
# Origin of an acceleration that is the smoothed rate of a logged speed.
SMOOTHED = "smoothed"
# A log with none of these goes straight ahead.
TURNING = ("psi_dot", "delta")
PEDALS = ("throttle", "brake")


def complete(trajectory: Trajectory, spec: ModelSpec) -> Trajectory:
    """The recording with the channels of a model that it lacks and that can be assumed, of origin `ASSUMED`.

    What cannot be is left out: `pct.recordings.derive.with_channels` says that it is missing. A heading that
    is the integral of a measured yaw rate counts as derived where the model has no yaw rate to compare.

    Args:
        trajectory: the recording.
        spec: the model.
    """
    names = [channel.name for channel in (*spec.states, *spec.controls)]
    missing = [name for name in names if not has(name, trajectory.channels)]
    if not missing:
        return trajectory
    return _Filling(trajectory, spec, frozenset(missing)).filled()


def has(name: str, logged: Container[str]) -> bool:
    """Whether a log holds a channel or others that it follows from."""
    return name in logged or follows_from(name, logged) is not None


def goes_straight(logged: Container[str]) -> bool:
    """Whether a log tells nothing of turning."""
    return not any(has(name, logged) for name in TURNING)


def assumed_lines(spec: ModelSpec, origins: Mapping[str, str]) -> list[str]:
    """What stands in place of channels that logs do not hold, in sentences.

    Args:
        spec: the model.
        origins: of its channels by name, from `pct.windows.inputs.origins_of`.
    """
    names = {name for name, origin in origins.items() if origin == ASSUMED}
    lines = []
    pose = [name for name in spec.pose if name in names]
    if pose:
        lines.append(f"Not logged: {', '.join(pose)}; reckoned from the motion, and not compared.")
    if "delta" in names:
        lines.append(
            "Neither steering nor yaw rate is logged: the car is taken to go straight ahead, so that only "
            "what acts along it shows."
        )
    elif sideways := [name for name in spec.state_names if name in names and name not in spec.pose]:
        start = "the observer lets the model find it over the rows before a window"
        if spec.measurement is None or not spec.measurement.observer:
            start = "there is no observer, so it stays so at each window's start"
        lines.append(
            f"Not logged: {', '.join(sideways)}; it begins as that of wheels that roll without slip, "
            f"{start}, and it is not compared."
        )
    lines += [f"Not logged: {name}; taken as never pressed." for name in PEDALS if name in names]
    return lines


class _Filling:
    """One recording and what is added to it."""

    def __init__(self, trajectory: Trajectory, spec: ModelSpec, missing: frozenset[str]) -> None:
        self.trajectory, self.spec, self.missing = trajectory, spec, missing
        self.added: dict[str, Column] = {}
        self.derived: set[str] = set()

    def filled(self) -> Trajectory:
        """The recording with all that can be assumed."""
        self.add_pedals()
        logged = self.trajectory.channels
        forward = logged.get("vx", self.get("v"))
        if forward is not None:
            if goes_straight(logged):
                for name in TURNING:
                    self.add(name, np.zeros(len(self.trajectory)))
            self.add_yaw_rate(forward)
            self.add_sideways(forward)
            self.add_pose()
            self.add_acceleration()
        known = known_channels()
        rows = {c.name: c for c in (*self.spec.states, *self.spec.controls)}
        units = {name: (rows.get(name) or known[name]).unit for name in self.added}
        origins = {name: "derived" if name in self.derived else ASSUMED for name in self.added}
        origins |= dict.fromkeys({*self.added} & {"accel"}, SMOOTHED)
        trajectory = self.trajectory
        return dataclasses.replace(
            trajectory,
            channels={**logged, **self.added},
            units={**trajectory.units, **units},
            origins={**trajectory.origins, **origins},
        )

    def get(self, name: str) -> Column | None:
        """A channel, logged, derived or assumed."""
        return derive(name, {**self.trajectory.channels, **self.added}, self.trajectory.dt)

    def add(self, name: str, column: Column) -> None:
        """A channel that the model lacks."""
        if name in self.missing:
            self.added[name] = column

    def add_pedals(self) -> None:
        """A pedal that no column shows was not pressed, where the other one is logged."""
        logged = self.trajectory.channels
        if {"drive", *PEDALS} & self.missing and {*PEDALS} & set(logged):
            still = np.zeros(len(self.trajectory))
            self.added |= {name: still for name in PEDALS if name not in logged}

    def add_yaw_rate(self, forward: Column) -> None:
        """That of wheels which roll where they are steered to; no such thing for a model that it drives."""
        length = sum(float(np.mean(self.spec.default_params.get(key, 0.0))) for key in ("lf", "lr"))
        steered = self.get("delta")
        wanted = "psi_dot" in self.missing - {*self.added} and "psi_dot" in self.spec.state_indices
        if wanted and length > 0 and steered is not None:
            self.added["psi_dot"] = forward * np.tan(steered) / length

    def add_sideways(self, forward: Column) -> None:
        """The sideways velocity of a rear axle that rolls without slip."""
        rate = self.get("psi_dot")
        if rate is None or has("vy", self.trajectory.channels):
            return
        across = float(np.mean(self.spec.default_params.get("lr", 0.0))) * rate
        slip = slip_angle(forward, across)
        for name, column in (("vy", across), ("beta", slip)):
            self.add(name, column)
        logged = self.trajectory.channels
        others = (
            {"v": forward / np.cos(slip), "vx": forward} if "vx" in logged else {"vx": forward * np.cos(slip)}
        )
        for name, column in others.items():
            self.add(name, column)
            self.derived.add(name)

    def add_pose(self) -> None:
        """The pose that speed and yaw rate lead to; a position without a heading serves for nothing."""
        spec, dt = self.spec, self.trajectory.dt
        x, y, heading = spec.pose
        rate = self.get("psi_dot")
        if not spec.pose_invariant or rate is None or not {x, y, heading} & self.missing:
            return
        turned = self.get(heading)
        if heading in self.missing:
            turned = self.added[heading] = _integral(rate, dt)
            if "psi_dot" not in {*spec.state_names, *spec.control_names} and "psi_dot" not in self.added:
                self.derived.add(heading)
        assert turned is not None
        ahead, across = self.get("vx"), self.get("vy")
        if ahead is None:
            ahead = self.get("v")
        across = np.zeros_like(rate) if across is None else across
        cos, sin = np.cos(turned), np.sin(turned)
        assert ahead is not None
        self.added[x] = _integral(cos * ahead - sin * across, dt)
        self.added[y] = _integral(sin * ahead + cos * across, dt)

    def add_acceleration(self) -> None:
        """The rate of the speed, smoothed.

        Its plain differences lead to the next position, where there is one; here their noise, which is far
        larger than that of the speed, would only shift the loads of tyres.
        """
        spec = self.spec
        wanted = "accel" in spec.control_names and "accel" not in self.trajectory.channels
        compared = "psi_dot" in spec.state_indices and "psi_dot" not in self.added
        speed = self.get("v")
        if wanted and compared and spec.pose[0] in self.added and speed is not None:
            self.added["accel"] = smooth_derivative(speed, self.trajectory.dt)


def _integral(rate: Column, dt: float) -> Column:
    """Integral from the first row on, zero there, by the trapezoidal rule."""
    return np.append(0.0, np.cumsum(0.5 * dt * (rate[1:] + rate[:-1])))
