"""A designed drive: the way with its speed and cones, and curves against their limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pct.pages.figures import (
    BASELINE,
    COLORS,
    MEASURED,
    MUTED,
    Figure,
    axis_title,
    line,
    numbers,
    single,
    stacked,
)
from pct.types import Float

# Seconds from one arrow along the way to the next.
MARK = 2.0
# Pixels from the head of an arrow to its time.
LABEL = 20.0
# Length of an arrow, of the extent of the way.
ARROW = 0.04


class Limited(NamedTuple):
    """A curve of N values, its unit, and the limit that it keeps, at either side where it has a sign."""

    name: str
    unit: str
    values: Float[np.ndarray, " N"]
    limit: float
    signed: bool


def plan_figure(
    *,
    edges: Sequence[Float[np.ndarray, "E 2"]],
    times: Float[np.ndarray, " N"],
    place: Float[np.ndarray, "N 2"],
    speed: Float[np.ndarray, " N"],
    cones: Float[np.ndarray, "C 2"],
) -> Figure:
    """The way from above, coloured by speed, with edges, cones, and an arrow each few seconds.

    Args:
        edges: closed lines that the car must not cross, in m.
        times: of the rows in s.
        place: of the car in m.
        speed: in m/s.
        cones: where they stand, in m.
    """
    data: list[dict[str, Any]] = []
    for n, edge in enumerate(edges):
        x, y = np.concatenate([edge, edge[:1]]).T
        data.append(line(x, y, "edge", MUTED, legend=n == 0, hoverinfo="skip"))
    bar = {"title": {"text": axis_title("speed", "m/s"), "side": "right"}, "thickness": 14}
    dots = {"color": numbers(speed), "size": 5, "colorscale": "Cividis", "showscale": True, "colorbar": bar}
    said: dict[str, Any] = {
        "mode": "markers",
        "customdata": np.round(times, 2).tolist(),
        "hovertemplate": "%{customdata} s<extra></extra>",
    }
    data.append({**line(place[:, 0], place[:, 1], "way", MEASURED, legend=False, **said), "marker": dots})
    if len(cones):
        marker = {"symbol": "triangle-up", "size": 10, "color": BASELINE}
        data.append(line(cones[:, 0], cones[:, 1], "cone", BASELINE, mode="markers", marker=marker))
    start = {"symbol": "circle-open", "size": 13, "color": MEASURED, "line": {"width": 2}}
    data.append(line(place[:1, 0], place[:1, 1], "start", MEASURED, mode="markers", marker=start))
    layout = single("x [m]", "y [m]", 520)
    layout["yaxis"] |= {"scaleanchor": "x", "scaleratio": 1}
    layout["annotations"] = _arrows(times, place)
    return Figure(data, layout, "The way from above, coloured by speed, with cones and an arrow each 2 s.")


def _arrows(times: np.ndarray, place: np.ndarray) -> list[dict[str, Any]]:
    """Arrows along the way, and the time at each."""
    rows = max(1, round(MARK / (times[1] - times[0])))
    length = ARROW * float(np.ptp(place, axis=0).max())
    marks: list[dict[str, Any]] = []
    for row in range(rows, len(place) - 1, rows):
        (before,) = np.nonzero(np.hypot(*(place[:row] - place[row]).T) >= length)
        if not len(before):
            continue
        x, y = map(float, place[row])
        tail = dict(zip(("ax", "ay"), map(float, place[before[-1]]), strict=True))
        arrow = {"showarrow": True, "arrowhead": 2, "arrowwidth": 2.5, "arrowcolor": MEASURED, "text": ""}
        marks.append({"x": x, "y": y, **tail, "axref": "x", "ayref": "y", **arrow})
        ahead = place[row] - place[before[-1]]
        side = np.array([ahead[1], -ahead[0]]) / np.hypot(*ahead)
        # On the side where the way is further off, so that neither it nor the arrow is in front.
        away = [np.hypot(*(place - place[row] - way * length * side).T).min() for way in (1, -1)]
        right, up = map(float, LABEL * (side if away[0] >= away[1] else -side))
        label = {"showarrow": False, "xshift": right, "yshift": up, "text": f"{times[row]:.0f} s"}
        marks.append({"x": x, "y": y, **label})
    return marks


def limited_figure(times: Float[np.ndarray, " N"], curves: Sequence[Limited]) -> Figure:
    """Curves over time in s, one panel each, with their limits dashed."""
    data = []
    ends = np.array([times[0], times[-1]])
    for n, curve in enumerate(curves, 1):
        data.append(line(times, curve.values, curve.name, COLORS[(n - 1) % 3], axis=n, legend=False))
        for k, level in enumerate((curve.limit, -curve.limit) if curve.signed else (curve.limit,)):
            if np.isfinite(level):
                shown = n == 1 and k == 0
                data.append(
                    line(ends, [level, level], "limit", MUTED, axis=n, legend=shown, dash="dash", width=1.2)
                )
    layout = stacked([(curve.name, curve.unit) for curve in curves], "time [s]", 190)
    names = ", ".join(curve.name for curve in curves)
    return Figure(data, layout, f"{names} of the guessed car over time, with their limits.")
