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

    A belief between the lower end of the tracker's band and its median stays; beyond them it goes to the
    nearer one: it falls as soon as the median does, and rises with what is sure, up to what it began with.
    Where the drive tells nothing it stays as well.
    """

    def __init__(self, update: Callable[..., Any], start: float, least: float) -> None:
        """Begin with a belief.

        Args:
            update: `pct.Tracker.update` of a tracker of the friction alone.
            start: friction at first, and at most.
            least: friction that is believed in at least.
        """
        self._update, self._friction, self._rows = update, start, 0
        self._least, self._most = least, start

    def __call__(self, s: float, state: Mapping[str, float], controls: tuple[float, float]) -> float:
        """Take a row."""
        row = {"delta_dot": controls[0], "accel": controls[1]}
        estimate = self._update(DT * self._rows, state, row)
        self._rows += 1
        if estimate.told[0] >= TELLS:
            kept = max(self._friction, estimate.low[0])
            self._friction = max(min(kept, estimate.median[0], self._most), self._least)
        return self._friction
