"""Columns that are worked out of several others: the heading of a quaternion, metres of a geodetic position.

A map names such a column by a formula: ``yaw(qx, qy, qz, qw)`` in rad; ``east(latitude, longitude)`` and
``north(latitude, longitude)`` in m from the first fix of the file.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from pct.logs.readers.base import AnyColumn, RawLog

# How many columns each formula takes.
INPUTS = {"yaw": 4, "east": 2, "north": 2}
FORMULA = re.compile(rf"({'|'.join(INPUTS)})\((.+)\)")
# Semi-major axis in m and squared eccentricity of WGS 84 (NIMA TR8350.2, table 3.1).
RADIUS, ECCENTRICITY = 6_378_137.0, 6.694_379_990_14e-3
# Receivers that log integers count in this many degrees; degrees have no such values.
INTEGERS, MOST_DEGREES = 1e-7, 1e3


class Formula(NamedTuple):
    """A formula and the raw columns that it takes."""

    kind: str
    inputs: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.kind}({', '.join(self.inputs)})"


def formula_of(name: str) -> Formula | None:
    """The formula that a column's name stands for; None for a plain column.

    Examples:
        >>> formula_of("yaw(q.x, q.y, q.z, q.w)")
        Formula(kind='yaw', inputs=('q.x', 'q.y', 'q.z', 'q.w'))
        >>> formula_of("yaw(rad)"), formula_of("yaw")
        (None, None)
    """
    match = FORMULA.fullmatch(name)
    inputs = tuple(part.strip() for part in match[2].split(", ")) if match else ()
    return Formula(match[1], inputs) if match and len(inputs) == INPUTS[match[1]] else None


def inputs_of(names: Iterable[str]) -> list[str]:
    """The raw columns behind some names: those of a formula in its place."""
    behind = ((formula.inputs if (formula := formula_of(name)) else (name,)) for name in names)
    return list(dict.fromkeys(name for group in behind for name in group))


def with_computed(raw: RawLog, names: Iterable[str]) -> RawLog:
    """The log with the columns that some of the names stand for, on the clock of what they are made of."""
    formulas = [formula for name in names if (formula := formula_of(name))]
    if not formulas:
        return raw
    columns, clocks = raw.columns, dict(raw.clocks)
    added: dict[str, AnyColumn] = {}
    for formula in formulas:
        inputs = [columns[name] for name in formula.inputs]
        rows = min(map(len, inputs))
        inputs = [column[:rows] for column in inputs]
        if formula.kind == "yaw":
            added[str(formula)] = heading_of(*inputs)
        else:
            units = [raw.units.get(name, "") for name in formula.inputs]
            east, north = local_metres(inputs[0], inputs[1], units)
            added[str(formula)] = east if formula.kind == "east" else north
        if clock := clocks.get(formula.inputs[0]):
            clocks[str(formula)] = clock
    if isinstance(columns, dict):
        columns = {**columns, **added}
    else:
        for name, column in added.items():
            columns[name] = column  # type: ignore[index]  # a spool keeps them in files
    return dataclasses.replace(raw, columns=columns, clocks=clocks)


def heading_of(x: AnyColumn, y: AnyColumn, z: AnyColumn, w: AnyColumn) -> AnyColumn:
    """Heading of a unit quaternion in rad, of shape (N,): the yaw of yaw, pitch and roll.

    Examples:
        >>> half = np.array([0.0, 0.5])
        >>> print(heading_of(0 * half, 0 * half, np.sin(half), np.cos(half)))
        [0. 1.]
    """
    return np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))


def local_metres(
    latitude: AnyColumn, longitude: AnyColumn, units: Sequence[str] = ("", "")
) -> tuple[AnyColumn, AnyColumn]:
    """Metres east and north of the first fix, (N,) each; NaN where there is no fix.

    Args:
        latitude, longitude: in degrees, in 1e-7 degrees as integers, or in rad where the file says so.
        units: that the file states.

    Within 10 km of the first fix the plane differs from the ellipsoid by less than 1 part in 1000.
    """
    fixed = np.isfinite(latitude) & np.isfinite(longitude) & ~((latitude == 0) & (longitude == 0))
    if not fixed.any():
        return np.full(len(latitude), np.nan), np.full(len(latitude), np.nan)
    angles = []
    for column, unit in zip((latitude, longitude), units, strict=True):
        known = np.where(fixed, column, np.nan)
        degrees = known * INTEGERS if np.nanmax(np.abs(known)) > MOST_DEGREES else known
        angles.append(degrees if unit == "rad" else np.radians(degrees))
    phi, lam = angles
    first = int(np.argmax(fixed))
    # Radii of curvature of the ellipsoid along the meridian and across it.
    root = np.sqrt(1 - ECCENTRICITY * np.sin(phi[first]) ** 2)
    along, across = RADIUS * (1 - ECCENTRICITY) / root**3, RADIUS / root
    turned = np.angle(np.exp(1j * (lam - lam[first])))
    return across * np.cos(phi[first]) * turned, along * (phi - phi[first])
