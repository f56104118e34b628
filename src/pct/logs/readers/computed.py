"""Columns that are worked out of others: the heading of a quaternion, metres from the first fix.

A map names such a column by a formula: ``yaw(qx, qy, qz, qw)`` in rad; ``east(latitude, longitude)`` and
``north(latitude, longitude)`` in m from the first fix of the file; ``grid_east(easting)``
and ``grid_north(northing)`` of coordinates in a grid such as UTM, in their own unit from the first fix;
``hhmmss(UTC)``, ``hhmmsscc(UTC)`` and ``hhmmssmmm(UTC)`` are times in s of hours, minutes and seconds whose
digits stand side by side.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pct.errors import LogValueError
from pct.logs.readers.base import AnyColumn, RawLog
from pct.logs.readers.packed import CLOCKS, degrees_of_minutes, holds_minutes, seconds_of_day
from pct.logs.units import USUAL_UNITS

# How many columns each formula takes.
GRID = ("grid_east", "grid_north")
INPUTS = {"yaw": 4, "east": 2, "north": 2, **dict.fromkeys((*GRID, *CLOCKS), 1)}
FORMULA = re.compile(rf"({'|'.join(INPUTS)})\((.+)\)")
# Semi-major axis in m and squared eccentricity of WGS 84 (NIMA TR8350.2, table 3.1).
RADIUS, ECCENTRICITY = 6_378_137.0, 6.694_379_990_14e-3
# Receivers that log integers count in this many degrees; degrees have no such values.
INTEGERS, MOST_DEGREES = 1e-7, 1e3
# From zone to zone the same place is further apart, in m, up to 80 degrees north; no vehicle drives so far
# from fix to fix. Single fixes that are wrong are no change of zone.
ZONE_STEP, FIXES = 1e5, 5


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
        >>> formula_of("grid_east(utm_x)"), formula_of("grid_east(m)")
        (Formula(kind='grid_east', inputs=('utm_x',)), None)
    """
    match = FORMULA.fullmatch(name)
    inputs = tuple(part.strip() for part in match[2].split(", ")) if match else ()
    # A unit in brackets is no column.
    if not match or len(inputs) != INPUTS[match[1]] or inputs[0] in ("m", *USUAL_UNITS["m"]):
        return None
    return Formula(match[1], inputs)


def inputs_of(names: Iterable[str]) -> list[str]:
    """The raw columns behind some names: those of a formula in its place."""
    behind = ((formula.inputs if (formula := formula_of(name)) else (name,)) for name in names)
    return list(dict.fromkeys(name for group in behind for name in group))


def with_computed(raw: RawLog, names: Iterable[str]) -> RawLog:
    """The log with the columns that some of the names stand for, on the clock of what they are made of."""
    formulas = [formula for name in names if (formula := formula_of(name))]
    if not formulas:
        return raw
    columns, clocks, stated = raw.columns, dict(raw.clocks), dict(raw.units)
    added: dict[str, AnyColumn] = {}
    zones: set[int] = set()
    for formula in formulas:
        inputs = [columns[name] for name in formula.inputs]
        rows = min(map(len, inputs))
        inputs = [column[:rows] for column in inputs]
        if formula.kind == "yaw":
            added[str(formula)] = heading_of(*inputs)
        elif formula.kind in CLOCKS:
            added[str(formula)] = seconds_of_day(inputs[0], formula.kind)
        elif formula.kind in GRID:
            added[str(formula)] = from_first(inputs[0])
            if unit := stated.get(formula.inputs[0]):
                stated[str(formula)] = unit
            if len(inputs[0]) == len(raw.rows):
                zones |= {int(raw.rows[row]) for _, row in zone_changes(inputs[0], unit or "")}
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
    raw = dataclasses.replace(raw, columns=columns, clocks=clocks, units=stated)
    if zones:
        note = f"positions go on in another zone of their grid in {raw.place} {min(zones)}"
        restarts = sorted({*raw.restarts, *zones})
        raw = dataclasses.replace(raw, restarts=restarts, notes=[*raw.notes, f"{note}: they are cut there"])
    return raw


def check_zones(path: Path, raw: RawLog, names: Iterable[str], *, cut: bool) -> None:
    """Refuse grid coordinates that go on in another zone.

    Args:
        path: the file, for messages.
        raw: with the raw columns of the formulas.
        names: of columns, formulas among them.
        cut: whether a recording is split there, which takes a fix in the row before.

    Raises:
        DataError: a column of a formula of one column steps by more than 100 km and stays there.
    """
    for formula in (formula_of(name) for name in names):
        if formula is None or formula.kind not in GRID:
            continue
        name = formula.inputs[0]
        column = raw.columns[name]
        known = len(column) == len(raw.rows)
        for before, row in zone_changes(column, raw.units.get(name, "")):
            whole = known and row == before + 1
            if cut and whole:
                continue
            place = f"{raw.place} {raw.rows[row]}" if known else f"sample {row}"
            split = 'write faults = "cut" in signals.toml to split the recording there, or ' if whole else ""
            raise LogValueError(
                path,
                f"expected '{name}' in one zone of its grid, found a step of more than 100 km in {place}: "
                f"{split}log it in one zone",
                column=name,
                row=int(raw.rows[row]) if known else None,
            )


def zone_changes(column: AnyColumn, unit: str = "") -> list[tuple[int, int]]:
    """Where a coordinate goes on in another zone of its grid: the last row in the one, the first in the next.

    Args:
        column: easting or northing, (N,).
        unit: that the file states; m when left out.
    """
    from scipy.ndimage import median_filter

    rows = np.flatnonzero(np.isfinite(column) & (column != 0))
    if not len(rows):
        return []
    fixes = median_filter(column[rows], FIXES, mode="nearest")
    steps = np.flatnonzero(np.abs(np.diff(fixes)) > ZONE_STEP * USUAL_UNITS["m"].get(unit, 1.0))
    return [(int(rows[step]), int(rows[step + 1])) for step in steps]


def from_first(column: AnyColumn) -> AnyColumn:
    """A coordinate from its first fix on, (N,); NaN where it is zero: no grid has a zero where cars drive.

    Examples:
        >>> print(from_first(np.array([0.0, 512_000.5, 512_003.0])))
        [nan 0.  2.5]
    """
    known = np.where(np.isfinite(column) & (column != 0), column, np.nan)
    first = known[np.isfinite(known)][:1]
    return known - first if len(first) else known


def heading_of(x: AnyColumn, y: AnyColumn, z: AnyColumn, w: AnyColumn) -> AnyColumn:
    """Heading of a unit quaternion in rad, of shape (N,): the yaw of yaw, pitch and roll.

    Examples:
        >>> half = np.array([0.0, 0.5])
        >>> print(heading_of(0 * half, 0 * half, np.sin(half), np.cos(half)))
        [0. 1.]
    """
    return np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))


def angles_of(column: AnyColumn, unit: str = "") -> AnyColumn:
    """Latitudes or longitudes in rad, (N,): of degrees, of 1e-7 degrees as integers, or of rad where the file
    says so."""
    degrees = column * INTEGERS if np.nanmax(np.abs(column)) > MOST_DEGREES else column
    return degrees if unit == "rad" else np.radians(degrees)


def local_metres(
    latitude: AnyColumn, longitude: AnyColumn, units: Sequence[str] = ("", "")
) -> tuple[AnyColumn, AnyColumn]:
    """Metres east and north of the first fix, (N,) each; NaN where there is no fix.

    Args:
        latitude, longitude: in degrees, in 1e-7 degrees as integers, in ddmm.mmmm as NMEA 0183 has them, or
            in rad where the file says so.
        units: that the file states.

    Within 10 km of the first fix the plane differs from the ellipsoid by less than 1 part in 1000.
    """
    if holds_minutes(latitude, longitude):
        latitude, longitude = degrees_of_minutes(latitude), degrees_of_minutes(longitude)
    fixed = np.isfinite(latitude) & np.isfinite(longitude) & ~((latitude == 0) & (longitude == 0))
    if not fixed.any():
        return np.full(len(latitude), np.nan), np.full(len(latitude), np.nan)
    phi, lam = (
        angles_of(np.where(fixed, column, np.nan), unit)
        for column, unit in zip((latitude, longitude), units, strict=True)
    )
    first = int(np.argmax(fixed))
    # Radii of curvature of the ellipsoid along the meridian and across it.
    root = np.sqrt(1 - ECCENTRICITY * np.sin(phi[first]) ** 2)
    along, across = RADIUS * (1 - ECCENTRICITY) / root**3, RADIUS / root
    turned = np.angle(np.exp(1j * (lam - lam[first])))
    return across * np.cos(phi[first]) * turned, along * (phi - phi[first])
