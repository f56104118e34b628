"""Quantities that change along drives: over time with bands, and on the map, one drive at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pct.pages.figures import (
    BAND,
    BANDS,
    BASELINE,
    CONTROL,
    MUTED,
    SIMULATED,
    Figure,
    Step,
    axis_title,
    band,
    line,
    merged,
    numbers,
    single,
    span,
    stacked,
)
from pct.types import Bool, Float

# Rows of all drives and quantities together that a page holds, and of a drive at least.
MOST, LEAST = 12_000, 200


class Known(NamedTuple):
    """A quantity over the N rows of a drive.

    Attributes:
        name, unit: of its table.
        causal: median, low and high of what a car could know at each row, (3, N).
        smoothed: the same with the whole drive.
        untold: rows at which the drive tells nothing, (N,).
    """

    name: str
    unit: str
    causal: Float[np.ndarray, "3 N"]
    smoothed: Float[np.ndarray, "3 N"]
    untold: Bool[np.ndarray, " N"]


class Mark(NamedTuple):
    """A change of a quantity: its name, the time and the ends of its band in s."""

    name: str
    time: float
    low: float
    high: float


class Drive(NamedTuple):
    """A drive of N rows: its name, time in s, place in m, quantities, and changes."""

    name: str
    t: Float[np.ndarray, " N"]
    x: Float[np.ndarray, " N"]
    y: Float[np.ndarray, " N"]
    known: Sequence[Known]
    marks: Sequence[Mark]


def thin(drives: Sequence[Drive]) -> list[Drive]:
    """The same drives with as many rows as a page can hold."""
    most = max(LEAST, MOST // max(1, sum(len(drive.known) for drive in drives)))
    return [_every(drive, -(-len(drive.t) // most)) for drive in drives]


def _every(drive: Drive, step: int) -> Drive:
    known = [
        Known(one.name, one.unit, one.causal[:, ::step], one.smoothed[:, ::step], one.untold[::step])
        for one in drive.known
    ]
    return Drive(drive.name, drive.t[::step], drive.x[::step], drive.y[::step], known, drive.marks)


def course_figure(drives: Sequence[Drive], control: str) -> Figure:
    """Each quantity over time: as a car could know it and with hindsight, with 95 % bands.

    Shaded where the drive tells nothing; a vertical line with its band is a change.

    Args:
        drives: with the same quantities.
        control: name of the choice of a drive.
    """
    traces = [_traces(drive) for drive in drives]
    steps = [
        Step([{"x": one["x"], "y": one["y"]} for one in data], _frame(drive))
        for drive, data in zip(drives, traces, strict=True)
    ]
    layout = stacked([(one.name, one.unit) for one in drives[0].known], "time [s]", 230)
    layout = merged(layout, steps[0].layout)
    names = ", ".join(one.name for one in drives[0].known)
    says = f"{names} over the time of a drive with 95 % bands, as it drives and with the whole drive."
    return Figure(traces[0], layout, says, {control: steps})


def _traces(drive: Drive) -> list[dict[str, Any]]:
    data = []
    for n, one in enumerate(drive.known, 1):
        for values, light, color, name, dash in (
            (one.causal, BANDS[1], BASELINE, "as it drives", "dash"),
            (one.smoothed, BAND, SIMULATED, "with the whole drive", "solid"),
        ):
            data.append(band(drive.t, values[1], values[2], name, light, axis=n))
            data.append(line(drive.t, values[0], name, color, axis=n, legend=n == 1, dash=dash))
    return data


def _frame(drive: Drive) -> dict[str, Any]:
    """What the layout says of one drive: ranges, what is shaded, and changes."""
    layout: dict[str, Any] = {"shapes": []}
    for n, one in enumerate(drive.known, 1):
        key = "" if n == 1 else str(n)
        layout[f"xaxis{key}"] = {"range": [float(drive.t[0]), float(drive.t[-1])]}
        layout[f"yaxis{key}"] = {"range": _ends(one)}
        place = {"xref": f"x{key}", "yref": f"y{key} domain"}
        edges = np.flatnonzero(np.diff(np.concatenate([[False], one.untold, [False]]).astype(int)))
        last = len(drive.t) - 1
        for first, stop in zip(edges[::2], edges[1::2], strict=True):
            layout["shapes"].append({**span(drive.t[first], drive.t[min(stop, last)]), **place})
        for mark in drive.marks:
            if mark.name == one.name:
                light = {"fillcolor": "var(--control-band)"}
                layout["shapes"].append({**span(mark.low, mark.high), **place, **light})
                stroke = {"type": "line", "line": {"color": CONTROL, "width": 2, "dash": "dot"}}
                layout["shapes"].append({**span(mark.time, mark.time), **place, **stroke})
    return layout


def _ends(one: Known) -> list[float]:
    """Ends of an axis that holds what is known with hindsight, and a tenth of the values at least."""
    least, most = (float(np.quantile(one.smoothed[k], q)) for k, q in ((1, 0.02), (2, 0.98)))
    around = max(0.4 * (most - least), 0.1 * abs(least + most) / 2) or 1.0
    return [least - around, most + around]


def course_map(drives: Sequence[Drive], number: int, control: str) -> Figure:
    """The drive from above, coloured by a quantity with hindsight: small dots where nothing is told.

    Args:
        drives: with the same quantities.
        number: of the quantity.
        control: name of the choice of a drive.
    """
    steps = [Step(_map_traces(drive, drive.known[number])) for drive in drives]
    one = drives[0].known[number]
    bar = {"title": {"text": axis_title(one.name, one.unit), "side": "right"}, "thickness": 14}
    # Dots of several sizes are bubbles to plotly: transparent, with an outline.
    plain = {"opacity": 1, "line": {"width": 0}}
    shown: dict[str, Any] = {"colorscale": "Cividis", "showscale": True, "colorbar": bar, **plain}
    ring = {"symbol": "circle-open", "size": 14, "line": {"width": 2.5}, "color": CONTROL}
    data = [
        line([], [], "way", MUTED, width=1, hoverinfo="skip"),
        {**line([], [], one.name, SIMULATED, legend=False, mode="markers"), "marker": shown},
        line([], [], "change", CONTROL, mode="markers", marker=ring),
    ]
    data = [merged(trace, change) for trace, change in zip(data, steps[0].data, strict=True)]
    layout = single("x [m]", "y [m]", 440)
    layout["yaxis"] |= {"scaleanchor": "x", "scaleratio": 1}
    says = f"The drive from above, coloured by {one.name}; a ring where it changed."
    return Figure(data, layout, says, {control: steps})


def _map_traces(drive: Drive, one: Known) -> list[dict[str, Any]]:
    ends = np.quantile(one.smoothed[0], [0.02, 0.98])
    times = [mark.time for mark in drive.marks if mark.name == one.name]
    at = np.clip(np.searchsorted(drive.t, times), 0, len(drive.t) - 1)
    marker = {
        "color": numbers(one.smoothed[0]),
        "size": np.where(one.untold, 2, 6).tolist(),
        "cmin": float(ends[0]),
        "cmax": float(max(ends[1], ends[0] + 1e-9)),
    }
    whole = {"x": numbers(drive.x, 6), "y": numbers(drive.y, 6)}
    rings = {"x": numbers(drive.x[at], 6), "y": numbers(drive.y[at], 6)}
    return [whole, {**whole, "marker": marker}, rings]
