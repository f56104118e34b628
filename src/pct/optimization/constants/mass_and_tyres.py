"""What two fits say of a changed mass and of changed tyres, as far as motion can tell.

Motion shows forces over mass. A fit holds the mass at one value, so a car that is heavier by a factor shows
drive and brake forces that are all smaller by it, and side forces, which grow with the load on the tyres,
that stay as they are. Other tyres change side forces alone. A weaker motor looks like a heavier car: then the
sentence says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pct.dynamics.core import ModelSpec

# Roles of the parameters that push and brake the car.
DRIVING, DRAG = ("motor", "brake"), ("drag",)
SIDE = "side force"
NORMAL_95 = 1.96


class Factor(NamedTuple):
    """By how much forces over mass changed, as a logarithm, and its standard error."""

    log: float
    error: float

    @property
    def changed(self) -> bool:
        """Whether the 95 % interval excludes no change."""
        return abs(self.log) > NORMAL_95 * self.error

    def of(self, sign: int = 1) -> str:
        """The factor, or its inverse, with its 95 % interval."""
        ends = sorted(sign * self.log + side * NORMAL_95 * self.error for side in (-1, 1))
        value, low, high = (float(np.exp(x)) for x in (sign * self.log, *ends))
        return f"{value:.3g} [{low:.3g}, {high:.3g}]"


def mass_and_tyres(specs: Sequence[ModelSpec], rows: Mapping[str, Any]) -> list[str]:
    """What two fits of a model with tyres say of mass and tyres, in sentences; nothing of others.

    Args:
        specs: the models of first and last, both with the mass held at one value.
        rows: every quantity of their comparison by name, `pct.optimization.constants.comparison.Compared`.
    """
    spec = specs[0]
    masses = {float(one.default_params.get("m", np.nan)) for one in specs}
    held = all("m" in one.default_params and "m" not in one.param_keys for one in specs)
    if len(specs) != 2 or not held or len(masses) > 1 or spec.side_force is None:
        return []
    side = _common([row for name, row in rows.items() if name.startswith(SIDE)])
    drive, drag = (
        _common([rows[name] for name in _of_roles(spec, rows, roles)]) for roles in (DRIVING, DRAG)
    )
    if drive is None:
        driven = "is in this model, which is driven by accelerations"
        why = "is known in both" if spec.drive_force is not None else driven
        return [
            "Nothing tells of the mass: motion shows forces over mass only, and no drive or brake force "
            f"{why}. Log pedals or a drive command, and accelerate and brake."
        ]
    said = [f"drive and brake forces over mass changed by the factor {drive.of()}"]
    if side is not None:
        said.append(f"side forces by {side.of()}")
    if drag is not None:
        said.append(f"air drag by {drag.of()}")
    return [f"Forces: {', '.join(said)}. {_reading(drive, side, drag)}"]


def _of_roles(spec: ModelSpec, rows: Mapping[str, Any], roles: Sequence[str]) -> list[str]:
    """Names of the compared parameters with these roles; of the motor and brakes only what is a force."""
    names = [row.name for row in spec.parameters if row.role in roles and (row.unit == "N" or roles == DRAG)]
    return [name for name in names if name in rows]


def _reading(drive: Factor, side: Factor | None, drag: Factor | None) -> str:
    """What the factors may mean."""
    heavier, cause = f"a mass {drive.of(-1)} times that before", _cause(drive, drag)
    if side is None:
        changed = f"As by {heavier}: {cause}." if drive.changed else "The mass is the same."
        return f"{changed} Nothing is known of the tyres."
    if drive.changed and side.changed:
        if abs(drive.log - side.log) < NORMAL_95 * np.hypot(drive.error, side.error):
            return f"All forces changed alike, as by {heavier} whose tyres grip no better for it: {cause}."
        return f"Tyres changed, and the drive as by {heavier}: {cause}."
    if drive.changed:
        return f"As by {heavier}, whose tyres grip in proportion to their load: {cause}."
    if side.changed:
        return "The mass is the same within these errors, and the tyres or the floor are others."
    return "Neither mass nor tyres changed beyond these errors."


def _cause(drive: Factor, drag: Factor | None) -> str:
    """Whether it is the mass that changed or the motor: no motor changes the drag of the air."""
    unknown = "motion cannot tell it from another motor and brake: weigh the car, or coast from top speed"
    if drag is None:
        return unknown
    as_mass = abs(drag.log - drive.log) < NORMAL_95 * np.hypot(drag.error, drive.error)
    if as_mass and drag.changed:
        return "the air drag over mass changed alike, which no motor does"
    if not as_mass and not drag.changed:
        return "but the air drag over mass did not change, so that it is motor and brakes that did"
    return unknown


def _common(rows: Sequence[Any]) -> Factor | None:
    """The factor by which quantities changed; their errors count as one, since they share their drives."""
    logs, errors = [], []
    for row in rows:
        if bool(row.known.all()) and np.all(row.values > 0):
            logs.append(float(np.log(row.values[1] / row.values[0])))
            errors.append(float(np.hypot(*(row.errors / row.values))))
    if not logs:
        return None
    weights = 1 / np.square(errors)
    weights /= weights.sum()
    return Factor(float(weights @ logs), float(weights @ errors))
