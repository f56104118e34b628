"""What a dataset holds: where it was driven, how fast, and what it asked of the tyres."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from pct.pages.figures import MUTED, SIMULATED, Figure, axis_title, line, numbers, single
from pct.types import Column, Float

# Dots of a path: each is an element of the page.
DOTS = 3000
CELLS, BARS = 60, 40
GRAVITY = 9.81
# Between circles of constant acceleration, in g.
STEPS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0)
ANGLES = {"beta": "slip angle beta", "delta": "steering angle delta"}
# An axis goes beyond all but this share of the values, at either end, by half of the range between,
RARE, ROOM = 0.01, 0.5
# and that of the accelerations beyond all but this.
RAREST = 5e-4

Samples: TypeAlias = Mapping[str, Column]


def driven_figures(samples: Samples) -> dict[str, tuple[str, Figure]]:
    """The figures that the samples allow.

    Args:
        samples: as `importing.card.collect` gives them: ``x``, ``y`` in m, ``v`` in m/s, ``ax``, ``ay`` in
            m/s^2, ``beta``, ``delta`` in rad, as far as they are known; ``recording`` and ``seconds``.

    Returns:
        Title and figure by name.
    """
    has = set(samples)
    slip, steering = (partial(by_speed_figure, name=name) for name in ("beta", "delta"))
    rows: list[tuple[bool, str, str, Callable[[Samples], Figure]]] = [
        ({"x", "y", "v"} <= has, "path", "Path, coloured by speed", path_figure),
        ("v" in has, "speed", "Time at each speed", speed_figure),
        ({"ax", "ay"} <= has, "accelerations", "Accelerations (g-g diagram)", acceleration_figure),
        ({"v", "beta"} <= has, "slip", "Slip angle by speed", slip),
        ({"v", "delta"} <= has, "steering", "Steering angle by speed", steering),
    ]
    return {name: (title, make(samples)) for known, name, title, make in rows if known}


def path_figure(samples: Samples) -> Figure:
    """The paths of all recordings in the plane; where they cross, the fastest is on top."""
    x, y, v = (samples[name] for name in ("x", "y", "v"))
    shown = np.flatnonzero(np.isfinite(x) & np.isfinite(y) & np.isfinite(v))
    shown = shown[:: max(1, -(-len(shown) // DOTS))]
    shown = shown[np.argsort(v[shown], kind="stable")]
    low, high = _ends(v[shown])
    marker = {
        "color": numbers(v[shown]),
        "size": 4,
        "colorscale": "Cividis",
        "showscale": True,
        "cmin": low,
        "cmax": high,
        "colorbar": {"title": {"text": axis_title("speed", "m/s"), "side": "right"}, "thickness": 14},
    }
    dots = line(x[shown], y[shown], "path", SIMULATED, legend=False, mode="markers", marker=marker)
    layout = single("x [m]", "y [m]", 420, showlegend=False)
    layout["yaxis"] |= {"scaleanchor": "x", "scaleratio": 1}
    return Figure([dots], layout, f"Paths in the plane, coloured by speed from {low:.3g} to {high:.3g} m/s.")


def speed_figure(samples: Samples) -> Figure:
    """How long which speed was driven."""
    longest = float(samples["seconds"].sum())
    unit, size = ("h", 3600.0) if longest > 36000 else ("min", 60.0) if longest > 600 else ("s", 1.0)
    known = np.isfinite(samples["v"])
    speed, seconds = samples["v"][known], samples["seconds"][known]
    counts, edges = np.histogram(speed, BARS, range=_ends(speed), weights=seconds / size)
    bar = {
        "type": "bar",
        "name": "time",
        "marker": {"color": SIMULATED},
        "x": numbers((edges[:-1] + edges[1:]) / 2),
        "y": numbers(counts),
    }
    layout = single(axis_title("speed", "m/s"), axis_title("time", unit), bargap=0.05, showlegend=False)
    return Figure([bar], layout, f"Time at each speed; median {np.median(speed):.3g} m/s.")


def acceleration_figure(samples: Samples) -> Figure:
    """Acceleration across over that along the vehicle, with circles of constant size."""
    x, y = samples["ax"], samples["ay"]
    known = np.isfinite(x) & np.isfinite(y)
    reach = 1.1 * float(np.quantile(np.abs(np.concatenate([x[known], y[known]])), 1 - RAREST)) + 1e-3
    data, outside = _density(x, y, samples["seconds"], (-reach, reach, -reach, reach))
    layout = single("along, ax [m/s²]", "across, ay [m/s²], positive left", 440, showlegend=False)
    layout["xaxis"]["range"], layout["yaxis"]["range"] = [-reach, reach], [-reach, reach]
    layout["yaxis"] |= {"scaleanchor": "x", "scaleratio": 1}
    step = next(
        (size for size in (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0) if 3.5 * size * GRAVITY > reach), 10.0
    )
    layout["shapes"], layout["annotations"] = [], []
    for size in np.arange(1, 4) * step:
        radius = float(size * GRAVITY)
        ring = {"type": "circle", "x0": -radius, "x1": radius, "y0": -radius, "y1": radius}
        layout["shapes"].append({**ring, "line": {"color": MUTED, "width": 1, "dash": "dash"}})
        at = radius * math.sqrt(0.5)
        if at < 0.85 * reach:
            place = {"x": at, "y": -at, "showarrow": False, "bgcolor": "var(--page)"}
            layout["annotations"].append({**place, "text": f"{size:g} g"})
    return Figure([data], layout, f"Accelerations along and across, with circles{_said(outside)}.")


def by_speed_figure(samples: Samples, name: str) -> Figure:
    """An angle over the speed, as the time that was spent there."""
    speed, angle = samples["v"], samples[name]
    known = np.isfinite(speed) & np.isfinite(angle)
    extent = (*_ends(speed[known]), *_ends(angle[known]))
    data, outside = _density(speed, angle, samples["seconds"], extent)
    layout = single(axis_title("speed", "m/s"), axis_title(ANGLES[name], "rad"), showlegend=False)
    return Figure([data], layout, f"The {ANGLES[name]} by speed{_said(outside)}.")


def _density(
    x: Column, y: Column, seconds: Column, extent: tuple[float, float, float, float]
) -> tuple[dict[str, Any], float]:
    """Time in each cell as a trace, and the share of the time outside."""
    left, right, low, high = extent
    known = np.isfinite(x) & np.isfinite(y)
    spent, edges, levels = np.histogram2d(
        x[known], y[known], CELLS, ((left, right), (low, high)), weights=seconds[known]
    )
    with np.errstate(divide="ignore"):
        shades = np.log10(np.where(spent > 0, spent, np.nan)).T
    decades = np.arange(math.floor(np.nanmin(shades)), math.ceil(np.nanmax(shades)) + 1)
    trace = {
        "type": "heatmap",
        "colorscale": "Cividis",
        "hovertemplate": "%{text} s<extra></extra>",
        "x": numbers((edges[:-1] + edges[1:]) / 2),
        "y": numbers((levels[:-1] + levels[1:]) / 2),
        "z": numbers(shades, 3),
        "text": [[f"{value:.3g}" if value else "" for value in row] for row in spent.T.tolist()],
        "colorbar": {
            "title": {"text": axis_title("time", "s"), "side": "right"},
            "thickness": 14,
            "tickvals": decades.tolist(),
            "ticktext": [f"{10.0**k:g}" for k in decades],
        },
    }
    return trace, float(1 - spent.sum() / seconds[known].sum())


def _said(outside: float) -> str:
    return f"; {100 * outside:.2g} % of the time outside" if outside > 1e-9 else ""


def _ends(values: Float[np.ndarray, " _"]) -> tuple[float, float]:
    """Limits of an axis on which what is usual is seen."""
    low, high = np.nanquantile(values, [RARE, 1 - RARE])
    room = ROOM * (high - low)
    least, most = max(low - room, np.nanmin(values)), min(high + room, np.nanmax(values))
    margin = 0.03 * (most - least) + 1e-3
    return float(least - margin), float(most + margin)
