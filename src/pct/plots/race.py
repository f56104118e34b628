"""Laps of several drivers: lines on the map, and speed, slip angle and belief along the track."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pct.plots.layout import make_figure
from pct.types import Float

# Inches of the figure, and of one chart beside the map.
WIDTH, CHART = 10.0, 2.0


def draw_race(
    *,
    track: Any,
    drives: Mapping[str, Mapping[str, Float[np.ndarray, " _"]]],
    beliefs: Mapping[str, Float[np.ndarray, " _"]],
) -> Figure:
    """Where the drivers drove, how fast and how far sideways, and what they believed in where that changed.

    Args:
        track: has ``x, y, heading, left, right, length`` and ``locate``.
        drives: positions in m, speeds in m/s and slip angles in rad by channel, by driver; the last place of
            one who left the track is marked.
        beliefs: friction of each row, by driver.
    """
    changed = any(len(course) and np.ptp(course) > 0 for course in beliefs.values())
    labels = ["speed [m/s]", "slip angle [rad]", *(["believed mu"] if changed else [])]
    height = 1.2 + CHART * len(labels)
    figure = make_figure(f"Laps on {track.name}, {track.length:.0f} m", WIDTH, height)
    foot, top = 0.95 / height, 1.0 - 0.45 / height
    chart = figure.add_axes((0.06, foot, 0.42, top - foot))
    share = (top - foot) / len(labels)
    charts = [
        figure.add_axes((0.57, foot + share * place, 0.41, 0.88 * share))
        for place in reversed(range(len(labels)))
    ]
    for side, width in ((1.0, track.left), (-1.0, track.right)):
        edge = track.x - side * width * np.sin(track.heading), track.y + side * width * np.cos(track.heading)
        chart.plot(*(np.append(part, part[0]) for part in edge), color="0.6", linewidth=0.8)
    for name, true in drives.items():
        (line,) = chart.plot(true["x"], true["y"], linewidth=1.2, label=name)
        way = way_of(track, true)
        for axes, values in zip(charts, (true["v"], true["beta"], beliefs[name]), strict=False):
            axes.plot(way, values, linewidth=1.2, label=name)
        _, offset = track.locate(true["x"][-1], true["y"][-1])
        if abs(offset) > 0.8 * min(track.left.min(), track.right.min()):
            chart.plot(
                true["x"][-1], true["y"][-1], "x", color=line.get_color(), markersize=9, markeredgewidth=2
            )
    chart.set_aspect("equal")
    chart.set_xlabel("x [m]")
    chart.set_ylabel("y [m]")
    _label(charts, labels)
    handles = charts[0].get_legend_handles_labels()
    figure.legend(*handles, loc="lower center", ncols=len(drives), frameon=False)
    return figure


def way_of(track: Any, true: Mapping[str, Float[np.ndarray, " _"]]) -> Float[np.ndarray, " _"]:
    """Distance driven along the track in m, over several laps."""
    way = np.array([track.locate(x, y)[0] for x, y in zip(true["x"], true["y"], strict=True)])
    rounds = np.cumsum(np.diff(way, prepend=way[0]) < -0.5 * track.length)
    return way + rounds * track.length


def _label(charts: list[Axes], labels: list[str]) -> None:
    """Labels of charts above each other that share their distance."""
    for axes, label in zip(charts, labels, strict=True):
        axes.set_ylabel(label)
        axes.sharex(charts[0])
        if axes is not charts[-1]:
            axes.tick_params(labelbottom=False)
    charts[-1].set_xlabel("distance along the track [m]")
    charts[-1].figure.align_ylabels(charts)
