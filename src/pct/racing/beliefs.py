"""A driver whose belief in the friction follows something while it drives, such as a tracker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pct.racing.controllers import DT, Controller
from pct.types import Float

# Below so much the drive tells nothing of the friction: what was believed holds.
TELLS = 0.5
# Change of the friction, as a share, from which a new profile is made.
NEWS = 0.02


# An axle whose mean wheel speed is off the road's by this share has a wheel that slides; so much acceleration
# across in m/s^2 takes load from the inner one.
SPIN, ACROSS = 0.05, 1.0
# The friction that is believed in changes by so much a second at most.
FASTEST = 1.0
# Seconds after which a filter takes the states as they are read anew.
RESTART = 0.55


# The friction, of the place along the track, what was read there and what was done.
Belief = Callable[[float, Mapping[str, float], tuple[float, float]], float]


class Following:
    """Drives, and takes a new friction into model and speed profile whenever the belief changes.

    Attributes:
        course: the friction that was believed in at each step.
    """

    def __init__(
        self,
        driver: Controller,
        belief: Belief,
        params: Mapping[str, Any],
        profile: Callable[[float], Float[np.ndarray, " N"]],
    ) -> None:
        """Begin with what the driver believes in.

        Args:
            driver: the controller that drives.
            belief: asked after each step.
            params: of the driver.
            profile: speed along the track of a friction.
        """
        self._driver, self._belief, self._params, self._profile = driver, belief, params, profile
        self._friction = float(params["mu"])
        self.course: list[float] = []

    def control(self, state: Mapping[str, float], s: float) -> tuple[float, float]:
        """The controls of the driver."""
        controls = self._driver.control(state, s)
        self.course.append(self._friction)
        friction = self._belief(s, state, controls)
        if abs(friction - self._friction) > NEWS * self._friction:
            self._friction = friction
            self.believe({**self._params, "mu": friction}, self._profile(friction))
        return controls

    def believe(self, params: Mapping[str, Any], speed: Float[np.ndarray, " N"]) -> None:
        """Hand on what is believed."""
        self._driver.believe(params, speed)


class Tracked:
    """What a tracker says, row by row.

    A friction within the tracker's band stays: a driver who brakes in a bend for a doubt leaves the track for
    it. Otherwise it goes to the nearer end of the band, but no faster than `FASTEST`, so that what a model
    that is wrong says for some rows does no harm. Where the drive tells nothing it stays.
    """

    def __init__(
        self, update: Callable[..., Any], start: float, *, least: float, most: float, radius: float
    ) -> None:
        """Begin with a belief.

        Args:
            update: `pct.Tracker.update` of a tracker of the friction alone.
            start: friction at first.
            least, most: what is believed in at least and at most.
            radius: of the wheels in m.
        """
        self._update, self._friction = update, start
        self._least, self._most, self._radius = least, most, radius
        self._now, self._skipped = -DT, False

    def __call__(self, s: float, state: Mapping[str, float], controls: tuple[float, float]) -> float:
        """Take a row."""
        if slides(state, self._radius):
            self._skipped = True
            return self._friction
        self._now += RESTART if self._skipped else DT
        self._skipped = False
        estimate = self._update(self._now, state, {"delta_dot": controls[0], "accel": controls[1]})
        if estimate.told[0] >= TELLS:
            nearer = max(min(self._friction, estimate.high[0]), estimate.low[0])
            change = max(min(nearer - self._friction, FASTEST * DT), -FASTEST * DT)
            self._friction = max(min(self._friction + change, self._most), self._least)
        return self._friction


def slides(state: Mapping[str, Any], radius: float) -> Any:
    """Whether an inner wheel spins or locks in a bend: a model without it takes that for a slippery road.

    Args:
        state: ``v`` in m/s, ``psi_dot``, ``omega_f`` and ``omega_r`` in rad/s, ``beta`` in rad; numbers or
            arrays.
        radius: of the wheels in m.
    """
    along = state["v"] * np.cos(state["beta"])
    slips = [np.abs(radius * state[name] - along) > SPIN * along for name in ("omega_f", "omega_r")]
    return (slips[0] | slips[1]) & (np.abs(state["v"] * state["psi_dot"]) > ACROSS)


def restarting(t: Float[np.ndarray, " N"], kept: np.ndarray) -> Float[np.ndarray, " N"]:
    """Times of rows such that a filter begins anew where rows before were left out.

    Args:
        t: in s.
        kept: rows that are not left out, (N,) of bool.
    """
    steps = np.diff(t, prepend=t[0])
    before = np.concatenate([[True], kept[:-1]])
    return np.cumsum(np.where(kept, np.where(before, steps, RESTART), 0.0))
