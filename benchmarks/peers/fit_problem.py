"""The fit that every solver of `peers_fit.py` makes: 30 s of a simulated 1:10 car, 11 unknowns, free starts.

The drive is that of `on_track.py`; vx, vy and the yaw rate of windows of 50 steps are compared, and their
values at each window's start are unknown as well. Solvers work on `Problem`'s arrays; ours on its windows.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

import pct
from on_track import recorded
from pct.dynamics.bounds import Bounds
from pct.dynamics.core import ModelSpec
from pct.optimization.constants.estimate import raw_values
from pct.optimization.constants.fitting import fit_windows
from pct.optimization.settings import FitSettings
from pct.windows.inputs import with_inputs
from pct.windows.store import make_window_store
from pct.windows.window_set import WindowSet

MODEL, COMPARED, HORIZON = "singletrack-pacejka", ("vx", "vy", "psi_dot"), 50
# The rollouts' own states, in the order of the arrays; the pose does not act on them.
MOVING = (*COMPARED, "delta")
SETTINGS = FitSettings(
    horizon=HORIZON, history=1, stride=HORIZON + 1, free_start=True, compare=COMPARED, substeps=1
)
# Typical errors that weigh one: the noise of the log.
SIGMA = np.array([0.03, 0.03, 0.05])
# Starts are drawn this share of each range inside the bounds.
EDGE = 0.02


@dataclasses.dataclass(frozen=True)
class Problem:
    """What is fitted.

    Attributes:
        spec: the model; its learned parameters are the unknowns.
        windows: of the drive.
        logged: the states `MOVING` of each window, (4, T + 1, W).
        controls: held over each step, (2, T, W).
        low, high: bounds of the unknowns, (P,).
        truth: their true values, (P,).
        centre: their defaults on the unbounded axis, (P,), the centre of a prior of deviation 1.
        constants: all other parameters by name.
    """

    spec: ModelSpec
    windows: WindowSet
    logged: np.ndarray
    controls: np.ndarray
    low: np.ndarray
    high: np.ndarray
    truth: np.ndarray
    centre: np.ndarray
    constants: dict[str, float]

    @property
    def dt(self) -> float:
        """The time step in s."""
        return self.windows.store.dt

    def params(self, raw: Any, xp: Any) -> dict[str, Any]:
        """All parameters by name, the unknowns from the unbounded axis, (P,)."""
        values = self.low + (self.high - self.low) / (1.0 + xp.exp(-raw))
        return {**self.constants, **{name: values[i] for i, name in enumerate(self.spec.param_keys)}}

    def rates(self, x: Any, u: Any, params: Any, xp: Any) -> list[Any]:
        """Time derivatives of `MOVING`, by the model's own equations."""
        place = dict(zip(MOVING, x, strict=True))
        states = tuple(place.get(name, 0.0) for name in self.spec.state_names)
        rates = dict(zip(self.spec.state_names, self.spec.lane_rates(states, u, params, xp), strict=True))
        return [rates[name] for name in MOVING]

    def advance(self, x: Any, u: Any, params: Any, xp: Any) -> list[Any]:
        """A step of the classical Runge-Kutta method."""

        def moved(rates: Any, h: float) -> list[Any]:
            return [a + h * b for a, b in zip(x, rates, strict=True)]

        h = self.dt
        k1 = self.rates(x, u, params, xp)
        k2 = self.rates(moved(k1, h / 2), u, params, xp)
        k3 = self.rates(moved(k2, h / 2), u, params, xp)
        k4 = self.rates(moved(k3, h), u, params, xp)
        return moved([a + 2 * b + 2 * c + d for a, b, c, d in zip(k1, k2, k3, k4, strict=True)], h / 6)


def make_problem(seed: int = 0) -> Problem:
    """The drive of a seed of `on_track.py`."""
    drive, truth = recorded(seed)
    car = pct.model(MODEL).measured(observer=False)
    car = car.hold(*(name for name in car.spec.param_keys if name not in truth))
    store = make_window_store([("drive", drive)], car.spec, dt=None, inputs="auto")
    spec = with_inputs(car.spec, store.origins, "auto")
    windows = fit_windows(spec, store, SETTINGS)
    rows = windows.whole(np.arange(len(windows)))
    bounds = Bounds.of(spec)
    assert not np.any(bounds.log)
    learned = set(spec.param_keys)
    base = {name: value for name, value in spec.base_params(store.dt).items() if name not in learned}
    return Problem(
        spec=spec,
        windows=windows,
        logged=np.array([rows.states[spec.state_indices[name]][1:] for name in MOVING], np.float64),
        controls=np.array([column[1:] for column in rows.controls], np.float64),
        low=np.asarray(bounds.low, np.float64),
        high=np.asarray(bounds.high, np.float64),
        truth=np.array([truth[name] for name in spec.param_keys]),
        centre=raw_values(spec, spec.default_params),
        constants={name: float(value) for name, value in base.items() if name != "dt"},
    )


def draw_starts(problem: Problem, count: int, seed: int = 0) -> np.ndarray:
    """Starts on the unbounded axis, (N, P), evenly within the bounds."""
    share = np.random.default_rng(seed).uniform(EDGE, 1 - EDGE, (count, problem.low.size))
    return np.log(share) - np.log1p(-share)
