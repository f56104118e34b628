"""A drive that was logged at another point of the car, seen at the centre of gravity."""

from __future__ import annotations

import dataclasses
from collections.abc import MutableMapping

import numpy as np

from pct.dynamics.channels import known_channels
from pct.errors import DataError
from pct.logs.signals import SignalMap
from pct.recordings.derive import derive
from pct.recordings.trajectory import Trajectory
from pct.types import Column


def move_to_centre(
    trajectory: Trajectory, columns: MutableMapping[str, Column], signals: SignalMap
) -> Trajectory:
    """The same drive seen at the centre of gravity; what a rigid body shares at all points stays.

    Args:
        trajectory: at the logged point.
        columns: its channels, changed in place.
        signals: the map, for the distance and messages.
    """
    ahead = signals.reference_ahead
    psi, psi_dot, vx, vy = (derive(name, columns, trajectory.dt) for name in ("psi", "psi_dot", "vx", "vy"))
    if psi is None or psi_dot is None:
        raise DataError(
            f"{signals.path}: expected the heading 'psi' to move by reference_ahead = {ahead}, found "
            f"{', '.join(columns)}: map it"
        )
    if "x" in columns and "y" in columns:
        columns["x"], columns["y"] = columns["x"] - ahead * np.cos(psi), columns["y"] - ahead * np.sin(psi)
    if {"vx", "vy", "v"} & set(columns) and vx is not None and vy is not None:
        columns["vx"], columns["vy"] = vx, vy - ahead * psi_dot
    if "course" in columns:
        columns["psi"] = psi
    for name in {"v", "beta", "course"} & set(columns):
        del columns[name]
    return dataclasses.replace(
        trajectory,
        units={name: trajectory.units.get(name) or known_channels()[name].unit for name in columns},
        origins={name: trajectory.origins.get(name, "derived") for name in columns},
    )
