"""Vehicles with published parameters, one TOML file each in the folder ``library``.

A file holds what is published and where. What is not is that of a vehicle like it, brought to its size and
mass, so that a fit has a start and bounds; it is no figure of the car.
"""

from __future__ import annotations

import importlib.resources
import tomllib
from collections.abc import Mapping
from typing import Any

import numpy as np

from pct.dynamics.bicycle import straight_line_range
from pct.dynamics.core import MODEL_SPECS
from pct.dynamics.limits import GRAVITY
from pct.dynamics.tires import stiffness_factor
from pct.dynamics.vehicles import av_21 as av_21  # These four are what others are like.
from pct.dynamics.vehicles import bmw_320i as bmw_320i
from pct.dynamics.vehicles import f1tenth as f1tenth
from pct.dynamics.vehicles import orca as orca
from pct.dynamics.vehicles.vehicle import VEHICLES, Vehicle, register_vehicle

# Powers of length and of mass by which a number grows from one car to another like it, by unit.
POWERS = {
    "m": (1, 0), "kg": (0, 1), "kg m^2": (2, 1), "N": (0, 1), "1/N": (0, -1), "N s/m": (0, 1),
    "N s^2/m^2": (0, 1),
}  # fmt: skip
# What a file may say beside parameters of our models: of the car itself.
OF_THE_CAR = ("wheelbase", "steering_ratio", "length", "width")
# Models whose parameters a vehicle has.
MODELS = ("singletrack", "singletrack-pacejka", "singletrack-drift")


def _register_library() -> None:
    """Register every file of the folder, by its name."""
    folder = importlib.resources.files("pct.dynamics.vehicles") / "library"
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        name, _, ending = file.name.rpartition(".")
        if ending == "toml":
            register_vehicle(name, vehicle_of(tomllib.loads(file.read_text(encoding="utf-8"))))


def vehicle_of(table: Mapping[str, Any]) -> Vehicle:
    """The vehicle of a file.

    Args:
        table: ``doc``, ``source``, ``where``, ``like``, ``published``: value by name of a parameter, or of
            `OF_THE_CAR`.

    Raises:
        ValueError: it says nothing of the size, or both axle distances and another wheelbase.
    """
    published = {name: float(value) for name, value in table["published"].items()}
    lf, lr = published.get("lf"), published.get("lr")
    length = published.get("wheelbase", None if lf is None or lr is None else lf + lr)
    if length is None or (lf is not None and lr is not None and abs(lf + lr - length) > 1e-3 * length):
        raise ValueError(f"{table['doc']}: expected lf and lr, or a wheelbase that is their sum")
    like = _complete(table["like"])
    front = _middle(like["lf"]) / (_middle(like["lf"]) + _middle(like["lr"]))
    own = {name: value for name, value in published.items() if name not in OF_THE_CAR}
    # A centre of gravity that nobody publishes is where that of a car like it is.
    own.setdefault("lf", length * front if lr is None else length - lr)
    own.setdefault("lr", length - own["lf"])
    values = _brought_to(like, own, length)
    return Vehicle(
        table["doc"],
        values,
        source=table["source"],
        url=table["where"],
        published={"wheelbase": length, **published},
        like=table["like"],
    )


def _complete(name: str) -> dict[str, Any]:
    """Values of a vehicle with those that it leaves to the models."""
    return {**_table(), **VEHICLES[name].values}


def _table() -> dict[str, Any]:
    """Values of the models, which a vehicle need not say."""
    rows = {row.name: row for model in MODELS for row in MODEL_SPECS[model].parameters}
    return {name: (row.low, row.default, row.high) for name, row in rows.items()}


def _brought_to(like: Mapping[str, Any], own: Mapping[str, float], length: float) -> dict[str, Any]:
    """All values of a car like another one: its own where it has them, bounds about them."""
    units = {row.name: row.unit for model in MODELS for row in MODEL_SPECS[model].parameters}
    longer = length / (_middle(like["lf"]) + _middle(like["lr"]))
    heavier = own.get("m", _middle(like["m"]) * longer**3) / _middle(like["m"])
    values: dict[str, Any] = {}
    for name, value in like.items():
        if name in units:
            by_length, by_mass = POWERS.get(units[name], (0, 0))
            values[name] = _times(value, longer**by_length * heavier**by_mass)
    values |= {name: _about(values[name], own[name]) for name in own}
    values |= _tyres(values, own)
    table = _table()
    values = {name: value for name, value in values.items() if value != table[name]}
    v = float(np.asarray(_middle(like["A"]))[1, 4])
    return {**values, **straight_line_range(v, lf=own["lf"], lr=own["lr"])}


def _tyres(values: Mapping[str, Any], own: Mapping[str, float]) -> dict[str, Any]:
    """Magic Formulas of both axles: what is published, the rest from friction and stiffness under load."""
    mu = _middle(values["mu"])
    found: dict[str, Any] = {}
    for axle, other, stiffness in (("f", "lr", "C_Sf"), ("r", "lf", "C_Sr")):
        load = _middle(values["m"]) * GRAVITY * own[other] / (own["lf"] + own["lr"])
        D = own.get(f"D_{axle}", mu * load)
        C = own.get(f"C_{axle}", _middle(values[f"C_{axle}"]))
        B = own.get(f"B_{axle}", stiffness_factor(_middle(values[stiffness]) * mu * load, C, D))
        E = own.get(f"E_{axle}", _middle(values[f"E_{axle}"]))
        found |= {
            f"B_{axle}": (min(1.0, B / 2), B, max(40.0, 2 * B)),
            f"C_{axle}": (min(0.8, 0.8 * C), C, max(2.0, 1.2 * C)),
            f"D_{axle}": (D / 5, D, D * 5),
            f"E_{axle}": (min(-2.0, E - 1.0), E, 0.9),
            f"S_v{axle}": (-0.1 * D, 0.0, 0.1 * D),
        }
    return found


def _middle(value: Any) -> Any:
    """The value of a triple, or the value."""
    return value[1] if isinstance(value, tuple) else value


def _times(value: Any, factor: float) -> Any:
    return tuple(part * factor for part in value) if isinstance(value, tuple) else value * factor


def _about(bounds: Any, value: float) -> Any:
    """A value with bounds that leave it as much room as another's, by factors."""
    if not isinstance(bounds, tuple):
        return value
    low, middle, high = bounds
    if middle and value / middle > 0:
        return low * value / middle, value, high * value / middle
    return min(low, value), value, max(high, value)


_register_library()
