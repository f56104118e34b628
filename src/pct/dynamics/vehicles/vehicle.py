"""What a vehicle is: values and bounds by parameter name, and how to put a model on another vehicle.

A parameter that a vehicle does not name has the model's value, which is the 1:10 car's. A number replaces
the value, a triple ``(low, default, high)`` the bounds too. One vehicle is one file of this folder.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from pct.dynamics.core import MODEL_SPECS, ModelSpec, unknown_name


@dataclasses.dataclass(frozen=True, eq=False)
class Vehicle:
    """One vehicle's numbers.

    Attributes:
        doc: one line that says what it is.
        values: a value, or ``(low, default, high)``, by parameter name.
        source, url: where its figures are published.
        published: those figures by name of a parameter, or of ``wheelbase`` in m, ``steering_ratio``,
            ``length`` and ``width`` in m; empty where the file of the vehicle says which they are.
        like: the vehicle that the others are of, brought to this one's size; empty where they are its own.
    """

    doc: str
    values: Mapping[str, Any]
    source: str = ""
    url: str = ""
    published: Mapping[str, float] = dataclasses.field(default_factory=dict)
    like: str = ""


VEHICLES: dict[str, Vehicle] = {}


def register_vehicle(name: str, vehicle: Vehicle) -> Vehicle:
    """File a vehicle under its name in `VEHICLES` and return it; register its models first.

    Raises:
        ValueError: the name is taken.
        UsageError: it names a parameter that no registered model has.
    """
    if name in VEHICLES:
        raise ValueError(f"A vehicle named '{name}' is already registered")
    tables = [
        rows
        for spec in MODEL_SPECS.values()
        for rows in (spec.parameters, *(option.parameters for option in spec.options.values()))
    ]
    known = dict.fromkeys(row.name for rows in tables for row in rows)
    for key in vehicle.values:
        if key not in known:
            raise unknown_name("parameter", key, known, of=f"vehicle '{name}'")
    VEHICLES[name] = vehicle
    return vehicle


def with_vehicle(spec: ModelSpec, name: str) -> ModelSpec:
    """The same model on another vehicle; values of parameters that the model does not have are left out.

    Args:
        spec: any registered model, also one that was patched.
        name: key of `VEHICLES`.

    Raises:
        UsageError: an unknown vehicle, with the nearest and all known ones.

    Examples:
        >>> from pct.dynamics import get_model
        >>> with_vehicle(get_model("singletrack"), "av-21").default_params["m"]
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
