"""Positions in a grid such as UTM: eastings and northings, and how far its north is off true north there."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import numpy as np

from pct.logs.readers.base import AnyColumn, RawLog
from pct.logs.readers.computed import RADIUS
from pct.logs.units import USUAL_UNITS
from pct.mapping.names import OTHER_THAN_A_PLACE, UNITS, words

# The end of an easting's name, and how the one of its northing ends.
EASTING = re.compile(r"(?:^|_|utm)(easting|east|e|x)(?:_?utm)?$")
NORTHING = {"easting": "northing", "east": "north", "e": "n", "x": "y"}
# Ranges in m: of a zone's own eastings, and of those with a zone ahead, as 32512000.
LEAST_EASTING, MOST_EASTING, MOST_NORTHING = 1e5, 6.1e7, 1e7
# Of UTM: easting of the central meridian and northing of the equator in the south, in m, and the scale there.
MIDDLE, SOUTH, SCALE = 5e5, 1e7, 0.9996
# Radius of the sphere on which a degree of latitude is as long as on the mean meridian of WGS 84, in m.
MERIDIAN = 6_367_449.0
ZONE = re.compile(r"(\d{1,2}) ?([C-HJ-NP-Xc-hj-np-x])")
ZONE_NAME = re.compile(r"(^|_)(utm_?)?zone(_|$)")
# Northings in m of the band S, 32 to 40 degrees north; south of the equator no road has them.
BAND_S = (3.5e6, 4.5e6)


def grid_positions(raw: RawLog) -> Iterator[tuple[str, str]]:
    """Easting and northing, by name and range."""
    by_words = {UNITS.sub("", words(name)): name for name in reversed(list(raw.columns))}
    for name in raw.columns:
        text = UNITS.sub("", words(name))
        match = EASTING.search(text)
        if not match or OTHER_THAN_A_PLACE.search(text[: match.start(1)]):
            continue
        # One letter alone is the axis of any frame.
        if len(match[1]) == 1 and "utm" not in text:
            continue
        partner = by_words.get(text[: match.start(1)] + NORTHING[match[1]] + text[match.end(1) :])
        if partner is None or len(raw.columns[name]) != len(raw.columns[partner]):
            continue
        unit = USUAL_UNITS["m"].get(raw.units.get(name, ""), 1.0)
        if _within(raw.columns[name] / unit, LEAST_EASTING, MOST_EASTING) and _within(
            raw.columns[partner] / unit, 0.0, MOST_NORTHING
        ):
            yield name, partner


def _within(column: AnyColumn, least: float, most: float) -> bool:
    """Whether nearly all fixes lie between two limits."""
    known = column[np.isfinite(column) & (column != 0)]
    if not len(known):
        return False
    low, high = np.quantile(known, [0.01, 0.99])
    return bool(least <= low < high <= most)


def convergence(easting: float, northing: float, *, southern: bool = False) -> float:
    """Meridian convergence of UTM in rad: by how much grid north lies clockwise of true north.

    Args:
        easting, northing: in m.
        southern: whether the northing counts from 10,000 km at the equator.

    The latitude is that of a sphere: the result is right to 1 part in 100.

    Examples:
        >>> round(math.degrees(convergence(649_000.0, 5_318_000.0)), 2)
        1.48
    """
    latitude = (northing - SOUTH * southern) / SCALE / MERIDIAN
    off = (easting - MIDDLE) / SCALE / RADIUS / math.cos(latitude)
    return math.atan(math.tan(off) * math.sin(latitude))
