"""A model with options, with held parameters, or with parameters of another scope."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np

from pct.dynamics.core import ModelSpec, unknown_name
from pct.errors import UsageError
from pct.within import FINITE, check_number

OF_EQUATIONS = (
    "states", "controls", "derivative", "pose", "pose_invariant", "side_force", "drive_force", "physical",
    "options", "limits",
)  # fmt: skip
"""Fields of a model that options leave as they are."""


def with_options(spec: ModelSpec, names: Iterable[str]) -> ModelSpec:
    """A model as it was defined, with options: their rows in its table, their names behind its own.

    Args:
        spec: a model without options, vehicle and measurement.
        names: of options, in any order; none gives the model itself.

    Raises:
        UsageError: an unknown option, or one twice.
    """
    names = list(names)
    for name in names:
        if name not in spec.options:
            raise unknown_name("option", name, spec.options, of=f"model '{spec.name}'")
        if names.count(name) > 1:
            raise UsageError(f"`model={'+'.join([spec.name, *names])}`: expected each option once")
    if not names:
        return spec
    chosen = [name for name in spec.options if name in names]
    added = {row.name: row for name in chosen for row in spec.options[name].parameters}
    rows = {row.name: row for row in spec.parameters} | added
    return ModelSpec(
        **{field: getattr(spec, field) for field in OF_EQUATIONS},
        name="+".join([spec.name, *chosen]),
        parameters=tuple(rows.values()),
    )


def with_fixed(spec: ModelSpec, fixed: Mapping[str, float | None]) -> ModelSpec:
    """Hold parameters: the network no longer predicts them.

    Args:
        spec: the model.
        fixed: value by name, in the parameter's unit; None holds the default.

    Raises:
        UsageError: an unknown name, a value out of bounds, or nothing left to learn.
    """
    for name, value in fixed.items():
        row = spec.parameter(name)
        if value is None:
            continue
        check_number(f"fixed={name}", value, FINITE)
        low, high = spec.param_bounds[name]
        if not (np.all(np.asarray(low) <= value) and np.all(value <= np.asarray(high))):
            raise UsageError(f"`fixed={name}={value}`: expected a value within [{low}, {high}] {row.unit}")
    values = {name: value for name, value in fixed.items() if value is not None}
    keys = tuple(key for key in spec.param_keys if key not in fixed)
    if not keys:
        raise UsageError(f"`fixed`: holds every parameter of '{spec.name}': nothing is left to learn")
    return dataclasses.replace(
        spec,
        param_keys=keys,
        default_params={
            name: np.full(np.shape(old), values[name])
            if name in values and np.shape(old)
            else values.get(name, old)
            for name, old in spec.default_params.items()
        },
    )


def with_scope(spec: ModelSpec, names: Sequence[str], scope: Literal["global", "context"]) -> ModelSpec:
    """Learn parameters as one constant for all windows, or with the context of each; also held ones.

    Raises:
        UsageError: an unknown name.
    """
    for name in names:
        spec.parameter(name)
    learned = {*spec.param_keys, *names}
    constants = {*spec.global_keys, *names} if scope == "global" else {*spec.global_keys} - {*names}
    return dataclasses.replace(
        spec,
        param_keys=tuple(row.name for row in spec.parameters if row.name in learned),
        global_keys=tuple(row.name for row in spec.parameters if row.name in constants),
    )
