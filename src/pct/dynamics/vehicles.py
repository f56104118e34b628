"""Named vehicles: values and bounds by parameter name, and how to put a model on another vehicle.

A parameter that a vehicle does not name has the model's value, which is the 1:10 car's. A number replaces
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
    [5] A. Liniger, A. Domahidi, M. Morari, "Optimization-based autonomous racing of 1:43 scale RC cars",
        Optimal Control Applications and Methods 36 (2015): the ORCA car. Figures of the BayesRace simulator,
        A. Jain, M. O'Kelly, P. Chaudhari, M. Morari, "BayesRace: Learning to race autonomously using prior
        experience", CoRL 2020; bounds of [3] for it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from pct.dynamics.bicycle import GEOMETRY, SINGLE_TRACK, straight_line_range
from pct.dynamics.core import ModelSpec, unknown_name
from pct.dynamics.limits import GRAVITY, LIMITS
from pct.dynamics.tires import stiffness_factor

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
        raise unknown_name("vehicle", name, VEHICLES)
    bounds, defaults = dict(spec.param_bounds), dict(spec.default_params)
    named = {key for vehicle in VEHICLES.values() for key in vehicle.values}
    # What another vehicle had set does not stay behind.
    table = {row.name: (row.low, row.default, row.high) for row in spec.parameters if row.name in named}
    for key, value in {**table, **VEHICLES[name].values}.items():
        if key not in defaults:
            continue
        if isinstance(value, tuple):
            low, value, high = value
            bounds[key] = (low, high)
        defaults[key] = value
    return dataclasses.replace(spec, param_bounds=bounds, default_params=defaults)


def _around(value: float, factor: float) -> tuple[float, float, float]:
    return value / factor, value, value * factor


def _tyre(axle: str, B: float, C: float, D: float, E: float = 0.0) -> dict[str, tuple[float, float, float]]:
    """Magic Formula of an axle, its peak D in N; room for other tyres, and for shifts of a tenth of D."""
    return {
        f"B_{axle}": (1.0, B, 40.0),
        f"C_{axle}": (0.8, C, 2.0),
        f"D_{axle}": _around(D, 5.0),
        f"E_{axle}": (-2.0, E, 0.9),
        f"S_v{axle}": (-0.1 * D, 0.0, 0.1 * D),
    }


def _tyres(
    mu: float, C_S: float, m: float, lf: float, lr: float, C: float, E: float
) -> dict[str, tuple[float, float, float]]:
    """Magic Formulas of both axles from friction and normalised cornering stiffness, at rest."""
    values: dict[str, tuple[float, float, float]] = {}
    for axle, share in (("f", lr / (lf + lr)), ("r", lf / (lf + lr))):
        D = mu * m * GRAVITY * share
        values |= _tyre(axle, stiffness_factor(C_S * D, C, D), C, D, E)
    return values


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
            # The tyre of the drift model, read as one of pure slip.
            **_tyres(
                1.0489, 21.92 / 1.0489, SLUG * 74.91452, FOOT * 3.793293, FOOT * 4.667707, 1.3507, -0.0074722
            ),
            # Not published: a drivetrain that reaches the top speed, and brakes as strong as the tyres.
            "C_m1": (1000.0, 5000.0, 15000.0),
            "C_m2": (0.0, 72.0, 300.0),
            "C_r0": (0.0, 160.0, 1000.0),
            "C_r2": (0.0, 0.45, 3.0),
            "C_b": (1000.0, 11000.0, 30000.0),
            "k_b": 0.0,
            "p_kx1": 22.303,
            "p_ky1": -21.92,
            "R_w": 0.344,
            "I_y_w": 1.7,
            "T_sb": 0.66,
            "T_se": 0.0,
            "tau_w": 0.0,
        },
    ),
    # Not published, and set from what such cars are like: friction and cornering stiffness of slicks, the
    # height of the centre of gravity, where acceleration and speed end, drivetrain, brakes and wheels.
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
            **_tyres(1.4, 20.0, 790.0, 1.248, 1.7328, 1.35, 0.0),
            "C_m1": (1000.0, 6000.0, 20000.0),
            "C_m2": (0.0, 10.0, 300.0),
            "C_r0": (0.0, 116.0, 3000.0),  # with the drag of an engine in gear
            "C_r2": (0.0, 0.7, 3.0),
            "C_b": (1000.0, 9000.0, 30000.0),
            "k_b": 0.0,
            "p_kx1": 28.5,
            "p_ky1": -28.0,
            "R_w": 0.31,
            "I_y_w": 2.0,
            "T_sb": 0.6,
            "T_se": 0.0,
        },
    ),
    # BayesRace has one tyre formula an axle: friction and stiffness follow from it under the static load. It
    # limits neither steering nor its rate. Not published: what the wheels are like, and speeds beyond 4 m/s.
    "orca": Vehicle(
        "1:43 race car of ETH Zurich (ORCA), as in BayesRace [5]",
        {
            **_tyre("f", 2.579, 1.2, 0.192),
            **_tyre("r", 3.3852, 1.2691, 0.1737),
            "C_m1": _around(0.287, 2.0),
            "C_m2": _around(0.0545, 2.0),
            "C_r0": _around(0.0518, 2.0),
            "C_r2": _around(0.00035, 2.0),
            "C_b": (0.0, 0.0, 0.5),
            "mu": 0.91,
            "C_Sf": 2.579 * 1.2,
            "C_Sr": 3.3852 * 1.2691,
            "lf": (0.015, 0.029, 0.06),
            "lr": (0.015, 0.033, 0.06),
            "h": 0.0,
            "m": _around(0.041, 2.0),
            "I": _around(27.8e-6, 2.0),
            "s_min": -0.6,
            "s_max": 0.6,
            "sv_min": -60.0,
            "sv_max": 60.0,
            "v_switch": 5.0,
            "a_max": 5.0,
            "v_min": -1.0,
            "v_max": 5.0,
            "v_blend_low": (0.01, 0.05, 1.0),
            "v_blend_high": (0.02, 0.1, 2.0),
            **straight_line_range(1.5, lf=0.029, lr=0.033),
            "p_kx1": 3.4,
            "p_ky1": -3.4,
            "R_w": 0.0125,
            "I_y_w": 1.5e-7,
            "T_sb": 0.0,
            "T_se": 0.0,
        },
    ),
}
