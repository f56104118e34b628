"""Headings and positions that a log holds in another form: quaternions, latitude and longitude, grids."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from pct.logs.readers.base import AnyColumn, RawLog
from pct.logs.readers.computed import INTEGERS, MOST_DEGREES, Formula, heading_of, with_computed
from pct.logs.readers.packed import degrees_of_minutes, holds_minutes
from pct.mapping.grid_positions import grid_positions
from pct.mapping.names import OTHER_THAN_A_PLACE, means, words
from pct.types import Bool

# Norm of a quaternion, give or take rounding, in this share of the rows.
NORM, MOST = 0.02, 0.98
# Columns about which four names are looked for.
MOST_NAMES = 4000
LATITUDE = re.compile(r"(^|_)(lat(itude)?)(_?(deg|rad|e7))?$")
# No drive goes over as many degrees.
LONGEST = 5.0


def with_composed(raw: RawLog) -> RawLog:
    """The log with a heading for each quaternion, grid coordinates from the first fix, and positions in m
    where it has only geodetic ones."""
    headings = [str(Formula("yaw", parts)) for parts in _quaternions(raw)]
    positions = [
        str(Formula(kind, (name,)))
        for pair in grid_positions(raw)
        for kind, name in zip(("grid_east", "grid_north"), pair, strict=True)
    ]
    if not positions and not (
        any(means(name, "x") for name in raw.columns) and any(means(name, "y") for name in raw.columns)
    ):
        positions = [str(Formula(kind, pair)) for pair in fixes(raw) for kind in ("east", "north")]
    return with_computed(raw, [*headings, *positions])


def _quaternions(raw: RawLog) -> Iterator[tuple[str, str, str, str]]:
    """Columns x, y, z, w of unit quaternions."""
    lower = {name.lower(): name for name in raw.columns}
    for name in list(lower)[:MOST_NAMES]:
        # The last w, in a word of its own or behind a q.
        for place in [match.start() for match in re.finditer("w", name)][-1:]:
            keys = [f"{name[:place]}{axis}{name[place + 1 :]}" for axis in "xyzw"]
            # Readers of bags have added this heading.
            done = f"{name[:place]}yaw{name[place + 1 :]}" in lower
            if not done and all(key in lower for key in keys) and _is_unit(raw, [lower[k] for k in keys]):
                yield tuple(lower[key] for key in keys)  # type: ignore[misc]
        if match := re.fullmatch(r"(.*)0(\]?)", name):
            keys = [f"{match[1]}{index}{match[2]}" for index in range(4)]
            if all(key in lower for key in keys) and f"{match[1]}4{match[2]}" not in lower:
                yield from _in_order(raw, [lower[key] for key in keys])


def _in_order(raw: RawLog, names: list[str]) -> Iterator[tuple[str, str, str, str]]:
    """Four numbered columns as x, y, z, w: a vehicle on its wheels turns about z alone."""
    if not _is_unit(raw, names):
        return
    sizes = [float(np.nanmean(np.abs(raw.columns[name]))) for name in names]
    w, x, y, z = names
    first = sizes[1] + sizes[2] < sizes[0] + sizes[1]
    yield (x, y, z, w) if first else (w, x, y, z)


def _is_unit(raw: RawLog, names: list[str]) -> bool:
    """Whether four columns are a quaternion of norm one that turns."""
    columns = [raw.columns[name] for name in names]
    if len({len(column) for column in columns}) != 1 or not len(columns[0]):
        return False
    norm = np.sqrt(sum(column * column for column in columns))
    known = np.isfinite(norm)
    if known.mean() < 0.5 or np.mean(np.abs(norm[known] - 1) < NORM) < MOST:
        return False
    return len(np.unique(heading_of(*columns)[known])) > 2


def fixes(raw: RawLog) -> Iterator[tuple[str, str]]:
    """Latitude and longitude, by name and range."""
    for name in raw.columns:
        text = words(name)
        match = LATITUDE.search(text)
        if not match or OTHER_THAN_A_PLACE.search(text[: match.start()]):
            continue
        stem, end = text[: match.start(2)], text[match.end(2) :]
        others = {f"{stem}{word}{end}" for word in ("lon", "lng", "long", "longitude")}
        partner = next((other for other in raw.columns if words(other) in others), None)
        if partner is None or len(raw.columns[name]) != len(raw.columns[partner]):
            continue
        pair = raw.columns[name], raw.columns[partner]
        if holds_minutes(*pair):
            pair = degrees_of_minutes(pair[0]), degrees_of_minutes(pair[1])
        if _is_angle(pair[0], 90.0) and _is_angle(pair[1], 180.0):
            yield name, partner


def _is_angle(column: AnyColumn, most: float) -> bool:
    """Whether values are degrees of one region, or integers of 1e-7 degrees."""
    known: Bool[np.ndarray, " _"] = np.isfinite(column) & (column != 0)
    if not known.any():
        return False
    values = column[known]
    values = values * INTEGERS if np.abs(values).max() > MOST_DEGREES else values
    low, high = np.quantile(values, [0.01, 0.99])
    return bool(np.abs(values).max() <= most and 0 < high - low < LONGEST)
