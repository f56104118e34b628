"""Figures of a run beside its baselines: by channel, by how it was driven, and by time."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pct.pages.figures import (
    BAND,
    BASELINE,
    COLORS,
    DASHES,
    MUTED,
    SIMULATED,
    Figure,
    axis_title,
    band,
    line,
    numbers,
    single,
    stacked,
    text,
)
from pct.types import Float, Rows


def ladder_figure(
    labels: Sequence[str], intervals: Float[np.ndarray, "R 3"], apart: Rows, title: str, says: str
) -> Figure:
    """Error of the run and its baselines in one channel, with 95 % intervals.

    Args:
        labels: of the rows, the run first.
        intervals: value, low and high of each; NaN where the row does not predict it.
        apart: numbers of the rows that are not compared with the run.
        title: of the axis.
        says: the figure in words.
    """
    data = []
    rows = np.arange(len(labels))
    with np.errstate(invalid="ignore"):
        finite = np.isfinite(intervals[:, 0]) & (intervals[:, 0] < 1e30)
    groups = {
        "this run": (rows == 0, SIMULATED, "circle"),
        "baseline": ((rows > 0) & ~np.isin(rows, apart), BASELINE, "circle"),
        "not compared": (np.isin(rows, apart), MUTED, "circle-open"),
    }
    for name, (chosen, color, symbol) in groups.items():
        chosen = chosen & finite
        if not chosen.any():
            continue
        value, low, high = intervals[chosen].T
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": numbers(value),
                "y": [text(label) for label, one in zip(labels, chosen, strict=True) if one],
                "marker": {"color": color, "size": 9, "symbol": symbol},
                "error_x": _whiskers(value, low, high),
            }
        )
    layout = single(title, "", 110 + 26 * len(labels))
    order = [text(label) for label in labels]
    layout["yaxis"] = {"type": "category", "categoryorder": "array", "categoryarray": order[::-1]}
    positive = intervals[finite, 0]
    if positive.size and positive.min() > 0 and positive.max() > 20 * positive.min():
        layout["xaxis"] |= {"type": "log", "dtick": "D2", "tickformat": "~g"}
    return Figure(data, layout, says)


def bins_figure(
    name: str,
    unit: str,
    edges: Float[np.ndarray, " E"],
    errors: Mapping[str, Float[np.ndarray, "K 3"]],
    error: str,
) -> Figure:
    """Error of one channel against how the car was driven, with 95 % intervals.

    Args:
        name, unit: of the condition.
        edges: of its bins, (K + 1,).
        errors: value, low and high in each bin by label; the run first.
        error: title of the other axis.
    """
    bins = [text(f"{low:.3g} to {high:.3g}") for low, high in itertools.pairwise(edges)]
    data = []
    for n, (label, values) in enumerate(errors.items()):
        value, low, high = np.where(np.abs(values) < 1e30, values, np.nan).T
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": text(label),
                "x": bins,
                "y": numbers(value),
                "line": {"color": COLORS[n % 5], "dash": DASHES[n % 5], "width": 2.4 if n == 0 else 1.4},
                "marker": {"size": 6},
                "error_y": _whiskers(value, low, high),
            }
        )
    layout = single(axis_title(name, unit), error, 360)
    layout["yaxis"]["type"] = "log"
    return Figure(data, layout, f"{error} of this run and its baselines by {name}.")


def growth_figure(
    dt: float,
    channels: Sequence[tuple[str, str]],
    errors: Mapping[str, Mapping[str, Float[np.ndarray, "T 3"]]],
    says: str,
) -> Figure:
    """RMSE of each channel against the time that a prediction ran, with bands; the run first.

    Args:
        dt: time step in s.
        channels: name and unit, a panel each.
        errors: value, low and high after each step, by label and channel.
        says: the figure in words.
    """
    layout, data = stacked(channels, "horizon [s]", 190), []
    for n, (channel, _) in enumerate(channels, 1):
        for k, (label, by_channel) in enumerate(errors.items()):
            if channel not in by_channel:
                continue
            value, low, high = np.where(np.abs(by_channel[channel]) < 1e30, by_channel[channel], np.nan).T
            seconds = dt * np.arange(1, len(value) + 1)
            if k == 0:
                data.append(band(seconds, low, high, label, BAND, axis=n))
            style: dict[str, Any] = {"dash": DASHES[k % 5], "width": 2.4 if k == 0 else 1.4}
            data.append(line(seconds, value, label, COLORS[k % 5], axis=n, legend=n == 1, **style))
        layout["yaxis" if n == 1 else f"yaxis{n}"]["type"] = "log"
    return Figure(data, layout, says)


def _whiskers(value: np.ndarray, low: np.ndarray, high: np.ndarray) -> dict[str, Any]:
    ends = {"array": numbers(high - value), "arrayminus": numbers(value - low)}
    return {"type": "data", **ends, "thickness": 1.4, "width": 4}
