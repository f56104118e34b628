"""Named vehicles: values and bounds by parameter name, and how to put a model on another vehicle.

A parameter that a vehicle does not name keeps the model's value, which is the 1:10 car's. A number replaces
the value, a triple ``(low, default, high)`` the bounds too.

References:
    [1] M. O'Kelly et al., "F1TENTH: An Open-source Evaluation Environment for Continuous Control and
        Reinforcement Learning", PMLR 123 (2020); default parameters of f1tenth_gym.
    [2] M. Althoff, G. Würsching, "CommonRoad: Vehicle Models", TU Munich, 2020, vehicle 2 (BMW 320i), with
        the unit conversions of its implementation.
    [3] J. Chrosniak, J. Ning, M. Behl, "Deep Dynamics: Vehicle Dynamics Modeling with a
        Physics-Constrained Neural Network for Autonomous Racing", arXiv:2312.04374; configuration for
        the Indy Autonomous Challenge: axle distances, mass, bounds of the yaw inertia.
    [4] "Vehicle Dynamics" of the AWSIM racing simulator, Dallara AV-21R: yaw inertia, steering.
        https://autonomalabs.github.io/AWSIM/RacingSim/VehicleDynamics/
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from pct.dynamics.bicycle import GEOMETRY, SINGLE_TRACK, straight_line_range
from pct.dynamics.core import ModelSpec
from pct.dynamics.limits import LIMITS
from pct.errors import UsageError

FOOT = 0.3048
POUND_FORCE = 4.4482216152605
SLUG = POUND_FORCE / FOOT
"""Foot, pound-force and their mass (lbf s^2/ft) in m, N and kg."""


@dataclasses.dataclass(frozen=True, eq=False)
class Vehicle:
    """One vehicle's numbers.

    Attributes:
        doc: one line that says what it is, with its references.
        values: a value, or ``(low, default, high)``, by parameter name.
    """

    doc: str
    values: Mapping[str, Any]


def with_vehicle(spec: ModelSpec, name: str) -> ModelSpec:
    """The same model on another vehicle; parameters that the model does not have are ignored.

    Args:
        spec: any registered model, also one that was patched.
        name: key of `VEHICLES`.

    Raises:
        UsageError: an unknown vehicle, with the known ones.

    Examples:
        >>> from pct.dynamics import MODEL_SPECS
        >>> with_vehicle(MODEL_SPECS["singletrack"], "av-21").default_params["m"]
        790.0
    """
    if name not in VEHICLES:
        raise UsageError(f"Unknown vehicle '{name}'. Known vehicles: {', '.join(VEHICLES)}")
    bounds, defaults = dict(spec.param_bounds), dict(spec.default_params)
    for key, value in VEHICLES[name].values.items():
        if key not in defaults:
            continue
        if isinstance(value, tuple):
            low, value, high = value
            bounds[key] = (low, high)
        defaults[key] = value
    return dataclasses.replace(spec, param_bounds=bounds, default_params=defaults)


def _around(value: float, factor: float) -> tuple[float, float, float]:
    return value / factor, value, value * factor


VEHICLES: dict[str, Vehicle] = {
    "f1tenth": Vehicle(
        "1:10 race car of the f1tenth gym [1]; the models' defaults",
        {
            **{row.name: (row.low, row.default, row.high) for row in (*SINGLE_TRACK, *LIMITS)},
            **straight_line_range(3.0, *(row.default for row in GEOMETRY)),
        },
    ),
    "bmw-320i": Vehicle(
        "BMW 320i, vehicle 2 of CommonRoad [2]",
        {
            "mu": 1.0489,
            "C_Sf": (5.0, 21.92 / 1.0489, 40.0),
            "C_Sr": (5.0, 21.92 / 1.0489, 40.0),
            "lf": (0.8, FOOT * 3.793293, 1.8),
            "lr": (0.8, FOOT * 4.667707, 1.8),
            "h": FOOT * 2.01355,
            "m": _around(SLUG * 74.91452, 2.0),
            "I": _around(POUND_FORCE * FOOT * 1321.416, 2.0),
            "s_min": -1.066,
            "s_max": 1.066,
            "sv_min": -0.4,
            "sv_max": 0.4,
            "v_switch": 7.319,
            "a_max": 11.5,
            "v_min": -13.6,
            "v_max": 50.8,
            "v_blend_low": 2.0,
            "v_blend_high": 5.0,
            **straight_line_range(15.0, lf=FOOT * 3.793293, lr=FOOT * 4.667707),
        },
    ),
    # Not published, and set from what such cars are like: friction and cornering stiffness of slicks, the
    # height of the centre of gravity, and where acceleration and speed end.
    "av-21": Vehicle(
        "Dallara AV-21, full-size race car of the Indy Autonomous Challenge [3, 4]",
        {
            "mu": (0.2, 1.4, 2.5),
            "C_Sf": (5.0, 20.0, 40.0),
            "C_Sr": (5.0, 20.0, 40.0),
            "lf": (0.8, 1.248, 2.2),
            "lr": (0.8, 1.7328, 2.2),
            "h": 0.3,
            "m": (600.0, 790.0, 1000.0),
            "I": (500.0, 800.0, 2000.0),
            "s_min": -math.radians(240.0 / 15.0),
            "s_max": math.radians(240.0 / 15.0),
            "sv_min": -math.radians(500.0 / 15.0),
            "sv_max": math.radians(500.0 / 15.0),
            "v_switch": 30.0,
            "a_max": 15.0,
            "v_min": -5.0,
            "v_max": 90.0,
            "v_blend_low": 2.0,
            "v_blend_high": 5.0,
            **straight_line_range(25.0, lf=1.248, lr=1.7328),
        },
    ),
}
