"""The figures of driven data: where, how fast, and what it asked of the tyres."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.ticker import MaxNLocator

from pct.plots.layout import make_figure, place_labels
from pct.plots.style import PREDICTED, ROUND, TRUTH
from pct.types import Column, Float

SIZE = (6.7, 4.8)  # 800 pixels wide
COLORS = "viridis"
GRAVITY = 9.81
ANGLES = {"beta": r"slip angle $\beta$ [rad]", "delta": r"steering angle $\delta$ [rad]"}
CELLS, BARS, SHADES = 60, 40, 32
# An axis goes beyond all but this share of the values, at either end, by half of the range between,
RARE, ROOM = 0.01, 0.5
# and that of the accelerations beyond all but this.
RAREST = 5e-4

Samples: TypeAlias = Mapping[str, Column]


def card_figures(samples: Samples) -> dict[str, tuple[str, Callable[[], Figure]]]:
    """The figures that the samples allow.

    Args:
        samples: as `importing.card.collect` gives them: ``x``, ``y`` in m, ``v`` in m/s, ``ax``, ``ay`` in
            m/s^2, ``beta``, ``delta`` in rad, as far as they are known; ``recording`` and ``seconds``.

    Returns:
        Title and drawing function by file name, without ending.
    """
    has = set(samples)
    rows: list[tuple[bool, str, str, Callable[..., Figure]]] = [
        ({"x", "y", "v"} <= has, "path", "Path, coloured by speed", draw_driven_path),
        ("v" in has, "speed", "Time at each speed", draw_speeds),
        ({"ax", "ay"} <= has, "accelerations", "Accelerations (g-g diagram)", draw_accelerations),
        ({"v", "beta"} <= has, "slip", "Slip angle by speed", partial(draw_by_speed, name="beta")),
        ({"v", "delta"} <= has, "steering", "Steering angle by speed", partial(draw_by_speed, name="delta")),
    ]
    return {
        name: (title, partial(draw, samples=samples, title=title))
        for known, name, title, draw in rows
        if known
    }


def draw_driven_path(*, samples: Samples, title: str) -> Figure:
    """The paths of all recordings in the plane; where they cross, the fastest is on top."""
    figure, ax = _start(title, "$x$ [m]", "$y$ [m]")
    points = np.stack([samples["x"], samples["y"]], axis=-1)
    joined = np.diff(samples["recording"]) == 0
    speed = 0.5 * (samples["v"][1:] + samples["v"][:-1])
    norm = Normalize(*_ends(speed[joined]))
    # A broken line for each shade: tens of thousands of lines take longer to draw than the log to scan.
    pieces = np.stack([points[:-1], points[1:], np.full_like(points[1:], np.nan)], axis=1)[joined]
    shade = np.floor(SHADES * np.clip(norm(speed[joined]), 0.0, 0.999))
    shades = [k for k in range(SHADES) if (shade == k).any()]
    drawn = LineCollection(
        [pieces[shade == k].reshape(-1, 2) for k in shades],
        array=norm.inverse((np.array(shades) + 0.5) / SHADES),
        cmap=COLORS,
        norm=norm,
        linewidths=1.2,
        rasterized=True,
    )
    ax.add_collection(drawn)
    ax.autoscale_view()
    ax.set_aspect("equal", adjustable="datalim")
    figure.colorbar(ScalarMappable(norm, COLORS), ax=ax, label="speed $v$ [m/s]")
    return figure


def draw_speeds(*, samples: Samples, title: str) -> Figure:
    """How long which speed was driven."""
    longest = float(samples["seconds"].sum())
    unit, size = ("h", 3600.0) if longest > 36000 else ("min", 60.0) if longest > 600 else ("s", 1.0)
    figure, ax = _start(title, "speed $v$ [m/s]", f"time [{unit}]")
    known = np.isfinite(samples["v"])
    speed, seconds = samples["v"][known], samples["seconds"][known]
    ax.hist(speed, BARS, range=_ends(speed), weights=seconds / size, color=PREDICTED, edgecolor="white")
    return figure


def draw_accelerations(*, samples: Samples, title: str) -> Figure:
    """Acceleration across over that along the vehicle, with circles of constant size."""
    figure, ax = _start(title, "along $a_x$ [m/s$^{2}$]", "across $a_y$ [m/s$^{2}$], positive left")
    x, y = samples["ax"], samples["ay"]
    known = np.isfinite(x) & np.isfinite(y)
    reach = 1.1 * float(np.quantile(np.abs(np.concatenate([x[known], y[known]])), 1 - RAREST)) + 1e-3
    _draw_density(figure, ax, x, y, samples["seconds"], (-reach, reach, -reach, reach))
    step = next(
        size for size in (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, np.inf) if 3.5 * size * GRAVITY > reach
    )
    for size in np.arange(1, 4) * (step if np.isfinite(step) else 10.0):
        ax.add_patch(Circle((0, 0), size * GRAVITY, fill=False, color=TRUTH, linewidth=0.8, linestyle="--"))
        at = size * GRAVITY * np.sqrt(0.5)
        if at < 0.85 * reach:
            ax.text(at, -at, f"{size:g} g", fontsize=8, bbox={"color": "white", "alpha": 0.8, "pad": 1})
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    return figure


def draw_by_speed(*, samples: Samples, name: str, title: str) -> Figure:
    """An angle over the speed, as the time that was spent there."""
    figure, ax = _start(title, "speed $v$ [m/s]", ANGLES[name])
    speed, angle = samples["v"], samples[name]
    known = np.isfinite(speed) & np.isfinite(angle)
    _draw_density(figure, ax, speed, angle, samples["seconds"], (*_ends(speed[known]), *_ends(angle[known])))
    ax.axhline(0.0, color=TRUTH, linewidth=0.8)
    return figure


def _start(title: str, xlabel: str, ylabel: str) -> tuple[Figure, Axes]:
    figure = make_figure(title, *SIZE)
    figure.subplots_adjust(left=0.14, right=0.94, bottom=0.12, top=0.88)
    ax = figure.add_subplot()
    place_labels(ax)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(8, steps=ROUND))
    return figure, ax


def _draw_density(
    figure: Figure, ax: Axes, x: Column, y: Column, seconds: Column, extent: tuple[float, float, float, float]
) -> None:
    left, right, low, high = extent
    shown = (x >= left) & (x <= right) & (y >= low) & (y <= high)
    cells = ax.hexbin(
        x[shown],
        y[shown],
        C=seconds[shown],
        reduce_C_function=np.sum,
        gridsize=CELLS,
        extent=extent,
        cmap=COLORS,
        norm=LogNorm(),
        linewidths=0.2,
        rasterized=True,
    )
    figure.colorbar(cells, ax=ax, label="time [s]", format="{x:g}")
    known = np.isfinite(x) & np.isfinite(y)
    outside = seconds[known & ~shown].sum() / seconds[known].sum()
    if outside > 0:
        ax.set_title(f"{100 * outside:.2g} % of the time outside", loc="right", fontsize=8)


def _ends(values: Float[np.ndarray, " _"]) -> tuple[float, float]:
    """Limits of an axis on which what is usual is seen."""
    low, high = np.nanquantile(values, [RARE, 1 - RARE])
    room = ROOM * (high - low)
    least, most = max(low - room, np.nanmin(values)), min(high + room, np.nanmax(values))
    margin = 0.03 * (most - least) + 1e-3
    return float(least - margin), float(most + margin)
