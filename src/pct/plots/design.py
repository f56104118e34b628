"""A designed drive as its driver sees it: the path with its speed, cones, and what hands and pedals do."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from pct.plots.layout import RIGHT, add_panels, make_figure
from pct.plots.style import BASELINE, CONTROL, MUTED, PREDICTED, TRUTH
from pct.types import Float

# Width of the map and of the panels beside it in inches, and height of all.
MAP, SIDE, HEIGHT = 7.6, 5.0, 6.6
# Seconds from one mark along the path to the next.
MARK = 2.0


def draw_design(
    *,
    title: str,
    edges: list[Float[np.ndarray, "E 2"]],
    times: Float[np.ndarray, " N"],
    place: Float[np.ndarray, "N 2"],
    speed: Float[np.ndarray, " N"],
    steering: Float[np.ndarray, " N"],
    slip: Float[np.ndarray, " N"],
    cones: Float[np.ndarray, "C 2"],
    limits: tuple[float, float, float],
) -> Figure:
    """A drive on its area.

    Args:
        title: names it.
        edges: closed lines that the car must not cross, in m.
        times: of the rows in s.
        place: of the car in m.
        speed: in m/s.
        steering: angle in rad.
        slip: angle of the rear axle in rad.
        cones: where they stand, in m.
        limits: of speed, steering and slip.
    """
    figure = make_figure(title, MAP + SIDE, HEIGHT)
    (plan,) = add_panels(figure, 1, 1, right=RIGHT + SIDE + 0.75)
    line = _draw_map(plan, edges, place, speed, cones, times)
    box = plan.get_position()
    width = figure.get_size_inches()[0]
    bar = figure.add_axes((box.x1 + 0.12 / width, box.y0, 0.14 / width, box.height))
    figure.colorbar(line, cax=bar, label="speed [m/s]")
    axes = add_panels(figure, 3, 1, begin=MAP + 0.35, sharex=True)
    curves = (
        (speed, "speed [m/s]", PREDICTED, limits[0], False),
        (steering, "steering angle [rad]", CONTROL, limits[1], True),
        (slip, "slip angle, rear [rad]", BASELINE, limits[2], True),
    )
    for ax, (values, label, color, limit, both) in zip(axes, curves, strict=True):
        ax.plot(times, values, color=color)
        for level in (limit, -limit) if both else (limit,):
            ax.axhline(level, color=MUTED, linestyle="--", linewidth=1)
        ax.set_ylabel(label)
    axes[0].set_title("the guessed car; dashed: limits", loc="left")
    axes[-1].set_xlabel("time [s]")
    axes[-1].set_xlim(times[0], times[-1])
    return figure


def _draw_map(
    ax: Axes,
    edges: list[np.ndarray],
    place: np.ndarray,
    speed: np.ndarray,
    cones: np.ndarray,
    times: np.ndarray,
) -> LineCollection:
    """Path, edges, cones, and a mark each few seconds."""
    for edge in edges:
        ax.plot(*np.concatenate([edge, edge[:1]]).T, color=MUTED, linewidth=1.5)
    line = LineCollection(list(np.stack([place[:-1], place[1:]], axis=1)), cmap="viridis", linewidth=2.5)
    line.set_array(speed[:-1])
    ax.add_collection(line)
    ax.plot(*cones.T, "^", color=BASELINE, markersize=7)
    step = max(1, round(MARK / (times[1] - times[0])))
    for row in range(0, len(place) - 1, step):
        ax.annotate(f"{times[row]:.0f} s", place[row], xytext=(4, 4), textcoords="offset points", fontsize=7)
        ahead = place[min(row + 3, len(place) - 1)] - place[row]
        if row and np.hypot(*ahead) > 0:
            ax.annotate(
                "", place[row] + ahead, xytext=place[row], arrowprops={"arrowstyle": "->", "color": TRUTH}
            )
    ax.plot(*place[0], "o", color=TRUTH)
    ax.set_aspect("equal", adjustable="datalim")
    ax.autoscale_view()
    ax.set_xlabel("x [m]")
    ax.set_ylabel("y [m]")
    return line
