"""Cars that are driven: CommonRoad's multi-body and drift models, which are nobody's own equations here.

M. Althoff, G. Würsching, "CommonRoad: Vehicle Models", TU Munich, 2020; the package
``commonroad-vehicle-models`` computes them.
"""

from __future__ import annotations

import copy
import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from pct.errors import UsageError
from pct.types import Float

# Seconds of an integration step: half of it changes half a second of hard driving by less than 1e-3.
STEP = 0.005
BODIES = {"multi-body": "mb", "drift": "std"}
VEHICLES = {"ford-escort": 1, "bmw-320i": 2, "vw-vanagon": 3}


class CommonRoad:
    """One car on one road.

    Examples:
        >>> try:
        ...     car = CommonRoad("drift", "bmw-320i", grip=0.5)
        ...     car.reset(0.0, 0.0, 0.0, 20.0)
        ...     car.advance((0.0, -8.0), 1.0)
        ...     print(car.readings()["v"] > 14)  # the road gives 5 m/s^2 at most
        ... except UsageError:  # the package is not installed
        ...     print(True)
        True
    """

    def __init__(
        self, body: str = "multi-body", vehicle: str = "bmw-320i", *, grip: float = 1.0, load: float = 1.0
    ):
        """Take the published parameters, changed.

        Args:
            body: ``multi-body`` (29 states) or ``drift`` (9 states).
            vehicle: ``ford-escort``, ``bmw-320i`` or ``vw-vanagon``.
            grip: share of the tyres' friction that the road gives.
            load: factor of the mass and of all moments of inertia.

        Raises:
            UsageError: the package is missing, an unknown body or vehicle.
        """
        if body not in BODIES or vehicle not in VEHICLES:
            raise UsageError(
                f"`plant={body}:{vehicle}`: expected one of {', '.join(BODIES)}, and of {', '.join(VEHICLES)}"
            )
        number, kind = VEHICLES[vehicle], BODIES[body]
        try:
            made = importlib.import_module(f"vehiclemodels.parameters_vehicle{number}")
            start = importlib.import_module(f"vehiclemodels.init_{kind}")
            rates = importlib.import_module(f"vehiclemodels.vehicle_dynamics_{kind}")
        except ImportError:
            raise UsageError(
                "`plant`: expected the package commonroad-vehicle-models, found none: "
                'pip install "pct-vehicle[race]"'
            ) from None
        self.params: Any = copy.deepcopy(getattr(made, f"parameters_vehicle{number}")())
        self._friction = {name: getattr(self.params.tire, name) for name in ("p_dx1", "p_dy1")}
        self.set_grip(grip)
        for name in ("m", "m_s", "m_uf", "m_ur", "I_z", "I_Phi_s", "I_y_s", "I_xz_s", "I_uf", "I_ur"):
            if getattr(self.params, name, None) is not None:
                setattr(self.params, name, load * getattr(self.params, name))
        self._start = getattr(start, f"init_{kind}")
        self._rates = getattr(rates, f"vehicle_dynamics_{kind}")
        self._wheels = slice(23, 27) if kind == "mb" else slice(7, 9)
        self._state: Float[np.ndarray, " X"] = np.zeros(0)

    def set_grip(self, grip: float) -> None:
        """Change the road under the car.

        Args:
            grip: share of the tyres' friction that it gives from now on.
        """
        for name, value in self._friction.items():
            setattr(self.params.tire, name, grip * value)

    def reset(self, x: float, y: float, heading: float, speed: float) -> None:
        """Put the car on the road, rolling straight on."""
        self._state = np.array(self._start([x, y, 0.0, speed, heading, 0.0, 0.0], self.params), dtype=float)

    def advance(self, controls: tuple[float, float], duration: float) -> None:
        """Drive for some seconds under a steering rate in rad/s and an acceleration in m/s^2 (RK4)."""
        state, steps = self._state, max(1, round(duration / STEP))
        h = duration / steps
        with np.errstate(all="ignore"):  # of a car that spins
            self._state = self._integrated(state, controls, h, steps)

    def _integrated(
        self, state: Float[np.ndarray, " X"], controls: tuple[float, float], h: float, steps: int
    ) -> Float[np.ndarray, " X"]:
        for _ in range(steps):
            k1 = self._slope(state, controls)
            k2 = self._slope(state + h / 2 * k1, controls)
            k3 = self._slope(state + h / 2 * k2, controls)
            k4 = self._slope(state + h * k3, controls)
            state = state + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return state

    def readings(self) -> Mapping[str, float]:
        """What sensors without errors show: the channels of `singletrack-drift`."""
        x = self._state
        wheels = x[self._wheels]
        if len(wheels) == 4:
            side = x[10]  # of the multi-body model: velocity to the left
            speed, beta = float(np.hypot(x[3], side)), float(np.arctan2(side, x[3]))
            front, rear = float(wheels[:2].mean()), float(wheels[2:].mean())
        else:
            speed, beta, (front, rear) = float(x[3]), float(x[6]), map(float, wheels)
        names = ("x", "y", "delta", "v", "psi", "psi_dot", "beta", "omega_f", "omega_r")
        return dict(
            zip(names, (*map(float, x[:3]), speed, *map(float, x[4:6]), beta, front, rear), strict=True)
        )

    def _slope(
        self, state: Float[np.ndarray, " X"], controls: tuple[float, float]
    ) -> Float[np.ndarray, " X"]:
        return np.array(self._rates(state, controls, self.params))
