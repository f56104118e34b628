"""The figures of pages: curves, residuals, maps, forests, ladders, each of plain arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pct.pages.figures import (
    BAND,
    BANDS,
    BASELINE,
    COLORS,
    DASHES,
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
    text,
)
from pct.types import Bool, Float

if TYPE_CHECKING:  # they live beside what draws them by Matplotlib
    from pct.plots import Forest, Panel

# Marks of a figure: each is an element of the page, and more make it slow.
MARKS = 3000
# Outliers among them that are shown in any case.
LARGEST = 20
# Standard deviations to each end of 95 % of a normal distribution.
NORMAL_95 = 1.96


def curve_figure(panel: Panel) -> Figure:
    """Curves with 95 % bands; what the drive did not reach is shaded."""
    data, reached = [], [one.reached for one in panel.bands.values()]
    low, high = min(ends[0] for ends in reached), max(ends[1] for ends in reached)
    for n, (label, one) in enumerate(panel.bands.items()):
        color, light, dash = COLORS[n % 3], BANDS[n % 3], DASHES[n % 3]
        data.append(band(one.x, one.low, one.high, "95 % band", light, legend=n == 0))
        data.append(line(one.x, one.value, label, color, dash=dash))
    left, right = (end(end(one.x) for one in panel.bands.values()) for end in (min, max))
    bottom, top = _inside(panel, low, high)
    layout = single(axis_title(*panel.x), axis_title(*panel.y))
    layout["title"], layout["margin"] = {"text": text(panel.title)}, {"t": 62}
    layout["xaxis"]["range"], layout["yaxis"]["range"] = numbers(np.array([left, right])), [bottom, top]
    layout["shapes"] = [span(start, stop) for start, stop in ((left, low), (high, right)) if stop > start]
    return Figure(
        data,
        layout,
        f"{panel.title}: {panel.y[0]} over {panel.x[0]} with 95 % bands; driven from {low:.3g} to {high:.3g} "
        f"{panel.x[1]}, the rest is shaded.",
    )


def _inside(panel: Panel, low: float, high: float) -> tuple[float, float]:
    """Ends of the y axis: outside the driven range a band may grow without limit."""
    ends = [one.value for one in panel.bands.values()]
    for one in panel.bands.values():
        inside = (one.x >= low) & (one.x <= high)
        ends += [one.low[inside], one.high[inside]]
    values = np.concatenate(ends)
    values = values[np.isfinite(values)]
    bottom, top = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    margin = 0.08 * (top - bottom) or 1.0
    return bottom - margin, top + margin


def residual_figure(
    channels: Sequence[tuple[str, str]],
    times: Float[np.ndarray, " B"],
    errors: Float[np.ndarray, "B C"],
    accepted: Bool[np.ndarray, " B"],
    breaks: Sequence[float],
    says: str,
) -> Figure:
    """Errors along the drives, one panel a channel.

    Args:
        channels: name and unit.
        times: driving time in s.
        errors: in each channel's unit.
        accepted: those that the fit did not reject.
        breaks: times in s at which another recording begins.
        says: the figure in words.
    """
    layout = stacked(channels, "driving time [s]")
    data, most = [], max(MARKS // max(len(channels), 1), 100)
    for n in range(len(channels)):
        for chosen, name, color in ((accepted, "used", SIMULATED), (~accepted, "rejected", BASELINE)):
            if n == 0 or np.isfinite(errors[chosen, n]).any():
                marks: dict[str, Any] = {
                    "mode": "markers",
                    "marker": {"color": color, "size": 4, "opacity": 0.7},
                }
                shown = n == 0 and bool(np.isfinite(errors[chosen, n]).any())
                rows = _some(np.flatnonzero(chosen), errors[:, n], most)
                data.append(
                    line(times[rows], errors[rows, n], name, color, axis=n + 1, legend=shown, **marks)
                )
    layout["shapes"] = [
        {
            "type": "line",
            "yref": "paper",
            "x0": at,
            "x1": at,
            "y0": 0,
            "y1": 1,
            "line": {"color": MUTED, "width": 1},
        }
        for at in breaks[:200]
    ]
    return Figure(data, layout, says)


def _some(rows: np.ndarray, values: np.ndarray, most: int) -> np.ndarray:
    """At most about so many rows, evenly spread, and those of the largest values."""
    if len(rows) <= most:
        return rows
    largest = rows[np.argsort(-np.abs(np.nan_to_num(values[rows])))[:LARGEST]]
    return np.union1d(rows[:: math.ceil(len(rows) / most)], largest)


def correlogram(
    channels: Sequence[str],
    lags: Float[np.ndarray, " L"],
    values: Float[np.ndarray, "C L"],
    noise: float,
    overlap: float,
    says: str,
) -> Figure:
    """Autocorrelation of residuals over the time between them.

    Args:
        channels: names.
        lags: in s.
        values: correlation of each channel at each lag.
        noise: 95 % of uncorrelated residuals lie within plus and minus this.
        overlap: windows less far apart in s share rows.
        says: the figure in words.
    """
    data = [
        line(
            lags,
            row,
            name,
            COLORS[n % 5],
            dash=DASHES[(n + n // 5) % 5],
            mode="lines+markers",
            marker={"size": 4},
        )
        for n, (name, row) in enumerate(zip(channels, values, strict=True))
    ]
    layout = single("time between windows [s]", "autocorrelation", 300)
    layout["yaxis"]["range"] = [min(-0.4, float(np.nanmin(values, initial=0)) - 0.05), 1.05]
    within = {**span(0.0, 1.0), "xref": "paper", "yref": "y", "y0": -noise, "y1": noise}
    layout["shapes"] = [within, span(0.0, overlap)] if overlap > 0 else [within]
    return Figure(data, layout, says)


def correlation_figure(names: Sequence[str], correlation: Float[np.ndarray, "N N"], says: str) -> Figure:
    """Correlations of errors of parameters, as a matrix."""
    shown = [text(name) for name in names]
    trace = {
        "type": "heatmap",
        "x": shown,
        "y": shown,
        "z": numbers(correlation, 3),
        "zmin": -1,
        "zmax": 1,
        "colorscale": "RdBu",
        "hovertemplate": "%{y} and %{x}: %{z:.2f}<extra></extra>",
        "colorbar": {"thickness": 12},
    }
    layout: dict[str, Any] = {"height": 180 + 22 * len(names), "showlegend": False}
    layout["yaxis"] = {"autorange": "reversed", "showgrid": False}
    layout["xaxis"] = {"showgrid": False}
    return Figure([trace], layout, says)


def forest_figure(names: Sequence[str], forests: Sequence[Forest], control: str) -> Figure:
    """The values of single drives, one quantity at a time, which a control chooses.

    Args:
        names: of the drives.
        forests: the quantities.
        control: its name.
    """
    steps = [_forest_step(one) for one in forests]
    rows = [text(name[-40:]) for name in names]
    base: dict[str, Any] = {"type": "scatter", "mode": "markers", "y": rows}
    data = [
        {**base, "name": "counts", "marker": {"color": SIMULATED, "size": 8}},
        {**base, "name": "does not count", "marker": {"color": MUTED, "size": 8, "symbol": "circle-open"}},
    ]
    data = [{**trace, **change} for trace, change in zip(data, steps[0].data, strict=True)]
    layout = single("", "", 140 + 26 * len(names))
    layout["yaxis"] = {"autorange": "reversed", "type": "category"}
    says = f"Value and 95 % interval of each of {len(names)} drives, with the bands of the mean and the next."
    return Figure(data, merged(layout, steps[0].layout), says, {control: steps})


def _forest_step(one: Forest) -> Step:
    data = []
    for chosen in (one.used, ~one.used):
        widths = np.where(chosen, 1.96 * one.errors, np.nan)
        data.append(
            {
                "x": numbers(np.where(chosen, one.values, np.nan)),
                "error_x": {"type": "data", "array": numbers(widths), "thickness": 1.4, "width": 4},
            }
        )
    shapes = [
        {**span(*ends), "fillcolor": color}
        for ends, color in ((one.next, "var(--muted-band)"), (one.mean, BAND))
        if ends is not None
    ]
    if one.pooled is not None:
        at = {"x0": one.pooled, "x1": one.pooled, "line": {"color": BASELINE, "width": 1.5, "dash": "dash"}}
        shapes.append({**span(0.0, 0.0), "type": "line", **at})
    axis: dict[str, Any] = {"title": {"text": axis_title(one.title, one.unit)}, "autorange": True}
    if one.flat is not None:
        axis |= {"range": list(one.flat), "autorange": False}
    return Step(data, {"shapes": shapes, "xaxis": axis})


def profile_figure(
    name: str,
    unit: str,
    values: Float[np.ndarray, " K"],
    excess: Float[np.ndarray, " K"],
    limit: float,
    marks: Mapping[str, float],
) -> Figure:
    """Cost of a fit over one held parameter, over that of the best.

    Args:
        name, unit: of the parameter.
        values, excess: (K,) each.
        limit: the excess that bounds a 95 % interval.
        marks: values to mark, by what they are.
    """
    data = [line(values, excess, "cost", SIMULATED, mode="lines+markers")]
    ends = np.array([np.nanmin(values), np.nanmax(values)])
    data.append(line(ends, [limit, limit], "95 % limit", MUTED, dash="dash"))
    for n, (what, value) in enumerate(marks.items()):
        data.append(line([value, value], [0, limit], what, COLORS[1 + n], dash=DASHES[2 + n]))
    layout = single(axis_title(name, unit), "cost above the best")
    return Figure(data, layout, f"Profile of {name}: cost of the fit where {name} is held at a value.")


def posterior_figure(
    names: Sequence[str],
    units: Sequence[str],
    draws: Float[np.ndarray, "D N"],
    interval: Float[np.ndarray, "N 2"],
    normal: Float[np.ndarray, "N 2"],
    control: str,
    bins: int = 50,
) -> Figure:
    """Draws of one parameter at a time, which a control chooses, beside a normal distribution.

    Args:
        names, units: of the parameters.
        draws: of each, in its unit.
        interval: ends of 95 % of the draws.
        normal: ends of 95 % of a normal distribution.
        control: its name.
        bins: of the histogram.
    """
    steps = []
    for n, (name, unit) in enumerate(zip(names, units, strict=True)):
        density, edges = np.histogram(draws[:, n], bins, density=True)
        middle, deviation = normal[n].mean(), np.diff(normal[n])[0] / (2 * NORMAL_95)
        x = np.linspace(min(edges[0], middle - 3 * deviation), max(edges[-1], middle + 3 * deviation), 150)
        bell = np.exp(-0.5 * ((x - middle) / deviation) ** 2) / (deviation * math.sqrt(2 * math.pi))
        top = float(max(density.max(), bell.max()))
        ends = ({"x": [float(end)] * 2, "y": [0.0, top]} for end in interval[n])
        bars = {"x": numbers((edges[:-1] + edges[1:]) / 2, 6), "y": numbers(density)}
        data = [bars, {"x": numbers(x, 6), "y": numbers(bell)}, *ends]
        steps.append(Step(data, {"xaxis": {"title": {"text": axis_title(name, unit)}}}))
    first, normally, low, high = steps[0].data
    dashed: dict[str, Any] = {"dash": "dash"}
    shown: list[Mapping[str, Any]] = [
        {"type": "bar", "marker": {"color": SIMULATED}, "name": "draws", **first},
        line(normally["x"], normally["y"], "normal, by the standard error", COLORS[1]),
        line(low["x"], low["y"], "95 % of the draws", COLORS[2], **dashed),
        line(high["x"], high["y"], "95 % of the draws", COLORS[2], legend=False, **dashed),
    ]
    layout = merged(single("", "density", bargap=0), steps[0].layout)
    says = "Histogram of the draws of a parameter, with ends of 95 % of them, beside a normal distribution."
    return Figure(shown, layout, says, {control: steps})


def map_figure(
    x: Float[np.ndarray, " B"],
    y: Float[np.ndarray, " B"],
    colors: Mapping[str, tuple[str, Float[np.ndarray, " B"]]],
    way: tuple[Float[np.ndarray, " N"], Float[np.ndarray, " N"]],
    control: str,
    **more: Any,
) -> Figure:
    """The drive from above, coloured by a quantity, which a control chooses.

    Args:
        x, y: places of the coloured points in m.
        colors: unit and values of each quantity.
        way: the whole way in m, NaN between drives; drawn behind.
        control: its name.
        more: of the layout.
    """
    steps = []
    for name, (unit, values) in colors.items():
        finite = values[np.isfinite(values)]
        # One outlier must not leave everything else in one colour.
        ends = np.quantile(finite, [0.02, 0.98]) if finite.size else np.array([0.0, 1.0])
        marker = {
            "color": numbers(values),
            "cmin": float(ends[0]),
            "cmax": float(ends[1]) if ends[1] > ends[0] else float(ends[0]) + 1e-9,
            "colorbar": {"title": {"text": axis_title(name, unit), "side": "right"}, "thickness": 14},
        }
        steps.append(Step([{}, {"marker": marker}]))
    dots: dict[str, Any] = {
        "mode": "markers",
        "marker": {"size": 5, "colorscale": "Cividis", "showscale": True},
    }
    data = [
        line(*way, "way", MUTED, width=1, hoverinfo="skip"),
        {**line(x, y, "drive", SIMULATED, **dots), "line": {}},
    ]
    data[1] = merged(data[1], steps[0].data[1])
    layout = single("x [m]", "y [m]", 460, showlegend=False, **more)
    layout["yaxis"] |= {"scaleanchor": "x", "scaleratio": 1}
    quantities = ", ".join(colors)
    return Figure(data, layout, f"The drive from above, coloured by one of: {quantities}.", {control: steps})
