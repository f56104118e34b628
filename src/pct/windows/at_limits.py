"""Which rows of a log are at a limit of the model's actuators, by limit, and what a reader is told of it."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from pct.dynamics.core import ModelSpec
from pct.measurement.chain import vehicle_motion
from pct.types import Array
from pct.windows.store import WindowStore

# Roles of parameters that limit controls, beside friction; loosened by this factor to see whether they do.
ROLES, FRICTION = ("steering stop", "steering speed", "power"), "mu"
LOOSE = 1e3
# A control that a limit moves by less than this share of its typical size is not at it.
MOVED = 1e-6


class AtLimit(NamedTuple):
    """Rows at one limit of one control.

    Attributes:
        limit: name of the parameter.
        control: name of the vehicle's control.
        rows: which rows, (N,).
        acts: whether the limit acts on it, or would if the control were a command.
    """

    limit: str
    control: str
    rows: np.ndarray
    acts: bool


def at_limits(spec: ModelSpec, store: WindowStore, values: Mapping[str, Any] | None = None) -> list[AtLimit]:
    """Rows at each limit of the model, those that act and those that do not.

    Args:
        spec: the model, its inputs as they act.
        store: rows of the model's channels.
        values: parameters in place of the defaults, one value each.

    Returns:
        Empty for a model without limits.
    """
    if spec.limits is None:
        return []
    params = {**spec.default_params, **(values or {})}
    columns = dict(zip(spec.state_names, store.states.T.astype(float), strict=True))
    columns |= dict(zip(spec.control_names, store.controls.T.astype(float), strict=True))
    motion = vehicle_motion(spec, SimpleNamespace(**params), columns, np)

    # A named tuple, as the equations get.
    names = namedtuple("Motion", motion)(**motion)

    def within(changed: Mapping[str, Any]) -> Mapping[str, Array]:
        with np.errstate(all="ignore"):
            return spec.limits(names, names, SimpleNamespace(**changed), np)  # type: ignore[misc]

    bound = within(params)
    found = []
    for name in (row.name for row in spec.parameters if row.role in ROLES or row.name == FRICTION):
        loose = within({**params, name: LOOSE * params[name]})
        for control, value in bound.items():
            size = max(float(np.abs(motion[control]).max()), 1e-9)
            cut = np.abs(value - motion[control]) > MOVED * size
            rows = cut & (np.abs(loose[control] - value) > MOVED * size)
            found.append(AtLimit(name, control, rows, control in spec.limited))
    return found


def limit_lines(spec: ModelSpec, store: WindowStore, values: Mapping[str, Any] | None = None) -> list[str]:
    """The shares of rows at a limit in sentences; arguments as of `at_limits`."""
    found = at_limits(spec, store, values)
    lines = []
    if acting := [item for item in found if item.acts]:
        reached = _listed(acting)
        lines.append(f"Limits: {reached} of the rows." if reached else "Limits: no row is at a limit.")
    if cut := _listed([item for item in found if not item.acts]):
        lines.append(f"Limits do not act on measured or derived inputs; they would cut {cut} of the rows.")
    return lines


def _listed(found: list[AtLimit]) -> str:
    return ", ".join(
        f"{item.control} at {item.limit} in {100 * item.rows.mean():.2g} %"
        for item in found
        if item.rows.any()
    )
