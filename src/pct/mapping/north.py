"""Positions that count from one north and a heading from another: grid north is off true north.

Where a log tells by how much, the path shows which of the two the heading counts from.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import numpy as np

from pct.logs.readers.base import RawLog
from pct.logs.readers.computed import GRID, angles_of, formula_of, local_metres
from pct.logs.readers.packed import degrees_of_minutes, holds_minutes
from pct.logs.units import USUAL_UNITS
from pct.mapping.composed import fixes
from pct.mapping.evidence import WINDOWS
from pct.mapping.grid_positions import BAND_S, ZONE, ZONE_NAME, convergence
from pct.mapping.log_motion import Log
from pct.mapping.names import words
from pct.mapping.proposal import Line, factor
from pct.mapping.relate import sign_of
from pct.types import Column

# Less is nothing beside a slip angle; more is another grid than one of a zone of 6 degrees. In rad.
LEAST, MOST = math.radians(0.05), math.radians(4.0)
# The path decides where the two are so many of its standard errors apart, and it is nearer to one of them
# than this share of the way.
CLEAR, NEAR = 6.0, 0.3
# Slip angles of driving in rad; a spin tells no zero.
DRIVING = 0.3
# Degrees of longitude of a zone.
ZONE_WIDTH = 6.0
# Fixes and grid coordinates of the same places are alike but for so much, as a share of their extent.
ALIKE = 0.02


def with_north(raw: RawLog, log: Log, lines: dict[str, Line]) -> tuple[dict[str, Line], list[str]]:
    """The lines with the heading from the north of the positions, and a note where the path leaves it open.

    Args:
        raw: the log with its texts and all columns.
        log: its positions and heading have been placed.
        lines: of the pose.
    """
    line = lines.get("psi")
    told = None if line is None else _north(raw, lines)
    if line is None or told is None or not LEAST < abs(told[0]) < MOST:
        return lines, []
    off, how = told
    # A heading that counts from true north beside positions in a grid, or the other way round.
    beside = off if _is_grid(lines) else -off
    # `place` took what the line says already.
    zero, error = _zero(log)
    unit = factor(line)
    turned = sign_of(line) * beside / unit
    if CLEAR * error < abs(off) and abs(zero - beside) < NEAR * abs(off):
        names = ("true", "grid") if _is_grid(lines) else ("grid", "true")
        reason = (
            f"{line.reason}; straight on the path is {math.degrees(zero):+.2f} ± "
            f"{math.degrees(error):.2f} deg off it: it counts from {names[0]} north and the positions from "
            f"{names[1]} north, {math.degrees(beside):+.2f} deg by {how}"
        )
        offset = float(f"{float(line.keys.get('offset', 0.0)) + turned:.6g}")
        lines = {
            **lines,
            "psi": dataclasses.replace(line, reason=reason, keys={**line.keys, "offset": offset}),
        }
        log.place(lines)
        return lines, []
    if not _is_grid(lines) or (CLEAR * error < abs(off) and abs(zero) < NEAR * abs(off)):
        return lines, []
    return lines, [
        f"{how}: grid north is {math.degrees(off):+.2f} deg (clockwise) off true north here: where "
        f"'{line.column}' counts from true north, as a compass or GNSS does, add {turned:+.3g} to its offset"
    ]


def _zero(log: Log) -> tuple[float, float]:
    """By how much the path is off the heading where the vehicle goes straight on, in rad, and its standard
    error: tyres slip with the curvature, and with it times the speed squared."""
    speed = np.where(np.abs(log.speed) > 1e-6, log.speed, np.nan)
    bend = log.turning / speed
    used = log.moving & np.isfinite(bend) & (np.abs(log.slip) < DRIVING)
    at = np.flatnonzero(used)[:: log.windows.rows]
    if len(at) < WINDOWS:
        return 0.0, math.inf
    unknowns = np.stack([np.ones(len(at)), bend[at], bend[at] * speed[at] ** 2], axis=-1)
    solution, *_ = np.linalg.lstsq(unknowns, log.slip[at], rcond=None)
    left = log.slip[at] - unknowns @ solution
    error = math.sqrt(float(np.mean(left**2)) * float(np.linalg.pinv(unknowns.T @ unknowns)[0, 0]))
    return float(solution[0]), error


def _is_grid(lines: Mapping[str, Line]) -> bool:
    formula = formula_of(lines["x"].column)
    return formula is not None and formula.kind in GRID


def _north(raw: RawLog, lines: Mapping[str, Line]) -> tuple[float, str] | None:
    """By how much grid north lies clockwise of true north, in rad, and what tells it."""
    east, north = (formula_of(lines[name].column) for name in ("x", "y"))
    if east is None or north is None:
        return None
    if len(east.inputs) == 2:
        return _by_longitude(raw, east.inputs)
    grid = east.inputs[0], north.inputs[0]
    return _by_both(raw, grid) or _by_zone(raw, grid)


def _by_zone(raw: RawLog, grid: tuple[str, str]) -> tuple[float, str] | None:
    """By the zone that a column of texts names."""
    cells = [
        ZONE.fullmatch(cell.strip()) for name, cell in raw.texts.items() if ZONE_NAME.search(words(name))
    ]
    zone = next((cell for cell in cells if cell), None)
    if zone is None:
        return None
    easting, northing = (_middle(raw, name) for name in grid)
    letter = zone[2].upper()
    southern = letter < "N" or (letter == "S" and not BAND_S[0] < northing < BAND_S[1])
    return convergence(easting, northing, southern=southern), f"zone {zone[1]}{letter}"


def _by_longitude(raw: RawLog, pair: tuple[str, ...]) -> tuple[float, str]:
    """By latitude and longitude, for the zone of UTM that they lie in."""
    columns = [raw.columns[name] for name in pair]
    if holds_minutes(*columns):
        columns = [degrees_of_minutes(column) for column in columns]
    radians = [angles_of(column, raw.units.get(name, "")) for column, name in zip(columns, pair, strict=True)]
    latitude, longitude = (float(np.median(c[np.isfinite(c) & (c != 0)])) for c in radians)
    width = math.radians(ZONE_WIDTH)
    east = longitude % width - width / 2
    return math.atan(math.tan(east) * math.sin(latitude)), "the zone of UTM of these longitudes"


def _by_both(raw: RawLog, grid: tuple[str, str]) -> tuple[float, str] | None:
    """By latitudes and longitudes of the same places."""
    for pair in fixes(raw):
        told = _turned(raw, pair, grid)
        if told is not None:
            return told, "latitude and longitude beside the grid"
    return None


def _turned(raw: RawLog, pair: tuple[str, ...], grid: tuple[str, str]) -> float | None:
    """How far the grid's north is clockwise of that of fixes; None where these are other places."""
    east, north = local_metres(
        raw.columns[pair[0]], raw.columns[pair[1]], [raw.units.get(n, "") for n in pair]
    )
    columns = [raw.columns[name] / USUAL_UNITS["m"].get(raw.units.get(name, ""), 1.0) for name in grid]
    if len({len(east), *map(len, columns)}) != 1:
        return None
    known = np.isfinite(east) & np.isfinite(columns[0] + columns[1]) & (columns[0] != 0)
    if np.count_nonzero(known) < WINDOWS:
        return None
    true, flat = (_about(x[known], y[known]) for x, y in ((east, north), (columns[0], columns[1])))
    size = float(np.vdot(true, true).real)
    ratio = np.vdot(true, flat) / size if size else 0.0
    left = float(np.vdot(flat - ratio * true, flat - ratio * true).real)
    if not abs(abs(ratio) - 1) < ALIKE or left > ALIKE**2 * size:
        return None
    # What is turned to the left in the grid has its north turned to the right.
    return float(np.angle(ratio))


def _about(x: Column, y: Column) -> np.ndarray:
    places = x + 1j * y
    return places - places.mean()


def _middle(raw: RawLog, name: str) -> float:
    """The median of a grid coordinate in m."""
    column = raw.columns[name]
    unit = USUAL_UNITS["m"].get(raw.units.get(name, ""), 1.0)
    return float(np.median(column[np.isfinite(column) & (column != 0)])) / unit
