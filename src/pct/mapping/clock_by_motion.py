"""What speed and yaw rate tell of a clock: one factor in both is the clock's.

Where the vehicle goes v·t along its path and turns r·t in a row, both tell t itself, whatever the clock says.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np

from pct.logs.readers.base import AnyColumn, RawLog
from pct.logs.units import USUAL_UNITS
from pct.mapping.names import means, words
from pct.recordings.time_steps import LEAST
from pct.types import Bool

# Rows over which motion and readings are compared, more where noise is large; how many of these are needed.
SPANS, FEWEST = (10, 40), 40
# Both must tell the same within this.
SAME = 0.06
# Columns of one name that are tried.
MOST = 3
# Larger angles are degrees.
LARGEST_RADIANS = 7.0
SPEEDS = (1.0, USUAL_UNITS["m/s"]["km/h"], USUAL_UNITS["m/s"]["mph"])
LENGTHS = {"mm": 1e-3, "cm": 1e-2}
TURNS = (1.0, math.degrees(1.0), math.radians(1.0))


def true_seconds(raw: RawLog, seconds: AnyColumn) -> float | None:
    """How many true seconds one of ``seconds`` is, as speed and yaw rate both tell; None where they do not.

    Args:
        raw: columns, of which positions, heading, speed and yaw rate are known by their names.
        seconds: the clock that is looked at, shape (N,); rows that it does not go on over are left out.
    """
    names = {
        channel: [n for n, c in raw.columns.items() if means(n, channel) and len(c) == len(seconds)][:MOST]
        for channel in ("x", "y", "psi", "psi_dot", "v", "vx")
    }
    if not (names["x"] and names["y"] and names["psi"]):
        return None
    found = (_told(raw, seconds, names, span) for span in SPANS if span < len(seconds))
    return next((told for told in found if told is not None), None)


def _told(raw: RawLog, seconds: AnyColumn, names: Mapping[str, Sequence[str]], span: int) -> float | None:
    """The same from the motion over some rows."""
    x, y, psi = (raw.columns[names[channel][0]] for channel in ("x", "y", "psi"))
    ending = words(names["x"][0]).rpartition("_")[2]
    length = LENGTHS.get(raw.units.get(names["x"][0], ""), LENGTHS.get(ending, 1.0))
    last = np.arange(span, len(seconds))
    passed = seconds[last] - seconds[last - span]
    # Neither a gap nor a clock that is set.
    usual = np.nanmedian(passed) if len(passed) else math.nan
    sound = (passed > LEAST) & (passed < 2 * usual)
    degrees = np.nanmax(np.abs(psi), initial=0.0) > LARGEST_RADIANS
    heading = np.unwrap(np.nan_to_num(psi), period=360.0 if degrees else 2 * math.pi)
    turned = heading[last] - heading[last - span]
    angle = np.abs(np.radians(turned) if degrees else turned)
    arc = np.where(angle > 1e-6, (angle / 2) / np.maximum(np.sin(np.minimum(angle, 3.0) / 2), 1e-9), 1.0)
    moved = (
        length
        * np.hypot(x[last] - x[last - span], y[last] - y[last - span])
        * np.where(angle < 2.0, arc, math.nan)
    )
    for speed, rate in itertools.product((*names["v"], *names["vx"]), names["psi_dot"]):
        by_speed = _ratio(moved, np.abs(_mean(raw.columns[speed], span)) * passed, sound)
        by_turn = abs(_ratio(turned, _mean(raw.columns[rate], span) * passed, sound))
        for a, b in itertools.product(SPEEDS, TURNS):
            if abs(by_speed * a / (by_turn * b or math.nan) - 1) < SAME:
                return math.sqrt(by_speed * a * by_turn * b)
    return None


def _mean(column: AnyColumn, span: int) -> AnyColumn:
    """Mean of a column over each span."""
    sums = np.concatenate([[0.0], np.cumsum(np.nan_to_num((column[1:] + column[:-1]) / 2))])
    return (sums[span:] - sums[:-span]) / span


def _ratio(moved: AnyColumn, read: AnyColumn, sound: Bool[np.ndarray, " _"]) -> float:
    """The factor from readings to motion over the spans where much happens; NaN where these differ."""
    both = sound & np.isfinite(moved) & np.isfinite(read)
    moved, read = moved[both], read[both]
    if len(moved) < FEWEST:
        return math.nan
    much = np.abs(moved) > 0.3 * np.quantile(np.abs(moved), 0.9)
    much &= np.abs(read) > LEAST**2
    if np.count_nonzero(much) < FEWEST / 2:
        return math.nan
    ratios = moved[much] / read[much]
    low, middle, high = np.quantile(ratios, (0.25, 0.5, 0.75))
    return float(middle) if middle and abs((high - low) / middle) < 0.3 else math.nan
