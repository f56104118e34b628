"""Laps of several drivers: lines on the map, and speed along the track."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pct.plots.layout import make_figure
from pct.types import Float


def draw_race(*, track: Any, drives: Mapping[str, Mapping[str, Float[np.ndarray, " _"]]]) -> Figure:
    """Where the drivers drove and how fast.

    Args:
        track: has ``x, y, heading, left, right, length`` and ``locate``.
        drives: positions in m and speeds in m/s by channel, by driver; the last place of one who left the
            track is marked.
    """
    figure = make_figure(f"Laps on {track.name}, {track.length:.0f} m", 10.0, 4.6)
    chart = figure.add_axes((0.06, 0.2, 0.42, 0.68))
    speed = figure.add_axes((0.57, 0.2, 0.41, 0.68))
    for side, width in ((1.0, track.left), (-1.0, track.right)):
        edge = track.x - side * width * np.sin(track.heading), track.y + side * width * np.cos(track.heading)
        chart.plot(*(np.append(part, part[0]) for part in edge), color="0.6", linewidth=0.8)
    for name, true in drives.items():
        (line,) = chart.plot(true["x"], true["y"], linewidth=1.2, label=name)
        way = [track.locate(x, y)[0] for x, y in zip(true["x"], true["y"], strict=True)]
        rounds = np.cumsum(np.diff(way, prepend=way[0]) < -0.5 * track.length)
        speed.plot(np.array(way) + rounds * track.length, true["v"], linewidth=1.2, label=name)
        _, offset = track.locate(true["x"][-1], true["y"][-1])
        if abs(offset) > 0.8 * min(track.left.min(), track.right.min()):
            chart.plot(
                true["x"][-1], true["y"][-1], "x", color=line.get_color(), markersize=9, markeredgewidth=2
            )
    chart.set_aspect("equal")
    chart.set_xlabel("x [m]")
    chart.set_ylabel("y [m]")
    speed.set_xlabel("distance along the track [m]")
    speed.set_ylabel("speed [m/s]")
    figure.legend(*speed.get_legend_handles_labels(), loc="lower center", ncols=len(drives), frameon=False)
    return figure
