"""A run beside its baselines: growth of the error, the ladder, and the error by driving condition."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pct.dynamics.core import Channel
from pct.plots.layout import BELOW, add_legend, add_panels, legend_height, make_figure, width_of
from pct.plots.style import BASELINE, CONTROL, MUTED, PREDICTED, finite, label_of, set_log, unit_of
from pct.types import Shaped

# Entries of a legend side by side.
LEGEND = 7


def draw_growth_bands(
    *,
    dt: float,
    channels: Sequence[Channel],
    errors: Mapping[str, Mapping[str, Shaped[np.ndarray, "T 3"]]],
    title: str,
) -> Figure:
    """RMSE of each channel against the time that the prediction ran, with its interval as a band.

    Args:
        dt: time step in s.
        channels: one panel each.
        errors: value, low and high after each step, (T, 3), by label and channel name; the run first. A
            label without a channel has no line there.
        title: names the data.
    """
    rows, columns = panels(len(channels))
    figure = make_figure(title, 12.0, 1.0 + 2.6 * rows)
    styles = styles_of(errors)
    axes = add_panels(figure, rows, columns, foot=legend_height(len(styles), LEGEND), above=0.14)
    for i, (ax, channel) in enumerate(zip(axes, channels, strict=False)):
        drawn: list[np.ndarray] = []
        for label, by_channel in errors.items():
            if channel.name not in by_channel:
                continue
            value, low, high = finite(by_channel[channel.name]).T
            seconds = dt * np.arange(1, len(value) + 1)
            ax.plot(seconds, value, **styles[label])
            ax.fill_between(seconds, low, high, color=styles[label]["color"], alpha=0.25, linewidth=0)
            drawn.append(value)
        set_log(ax, np.concatenate(drawn))
        ax.set_xlim(0, seconds[-1])
        ax.set_ylabel(f"RMSE of {label_of(channel.symbol, channel.unit)}")
        if i + columns >= len(channels):
            ax.set_xlabel("horizon [s]")
    for ax in axes[len(channels) :]:
        ax.remove()
    legend_below(figure, styles)
    return figure


def draw_ladder(
    *,
    channels: Sequence[Channel],
    errors: Mapping[str, Mapping[str, Sequence[float]]],
    apart: Collection[str] = (),
    title: str,
) -> Figure:
    """Error of each channel by baseline, with its interval.

    Args:
        channels: one panel each.
        errors: value, low and high by label and channel name; the run first.
        apart: labels that are not compared with the run: hollow points.
        title: names the error.
    """
    rows, columns = panels(len(channels))
    figure = make_figure(title, 12.0, 0.9 + (0.6 + 0.24 * len(errors)) * rows)
    begin, inner = width_of(list(errors), 9.0), BELOW
    axes = add_panels(
        figure, rows, columns, begin=begin, left=0.16, above=0.04, inner=inner, between=0.3, sharey=True
    )
    styles = styles_of(errors)
    for ax, channel in zip(axes, channels, strict=False):
        for place, (label, by_channel) in enumerate(errors.items()):
            value, low, high = by_channel.get(channel.name, (math.nan,) * 3)
            color = styles[label]["color"]
            if math.isfinite(value):
                ax.plot([low, high], [place, place], color=color, linewidth=3, alpha=0.5)
                face = "white" if label in apart else color
                ax.plot(value, place, "o", color=color, markerfacecolor=face, markersize=6)
                ax.annotate(f"{value:.3g}", (value, place), (5, 4), textcoords="offset points", fontsize=7)
            else:
                what = "diverged" if math.isinf(value) else "–"
                where = ax.get_yaxis_transform()
                ax.text(0.03, place, what, transform=where, va="center", color=MUTED, fontsize=8)
        known = [by_channel[channel.name][0] for by_channel in errors.values() if channel.name in by_channel]
        set_log(ax, np.array(known), "x")
        ax.margins(x=0.25)
        ax.set_xlabel(label_of(channel.symbol, channel.unit))
        ax.tick_params(axis="x", which="both", labelsize=7)
    axes[0].set_yticks(range(len(errors)), list(errors))
    axes[0].set_ylim(len(errors) - 0.4, -0.8)
    for ax in axes[len(channels) :]:
        ax.remove()
    return figure


def draw_bins(
    *,
    channel: Channel,
    conditions: Sequence[tuple[str, str, Shaped[np.ndarray, " E"]]],
    errors: Sequence[Mapping[str, Shaped[np.ndarray, "K 3"]]],
    title: str,
) -> Figure:
    """Error of one channel against how the car was driven.

    Args:
        channel: whose error it is.
        conditions: name, unit and edges of the bins, (K + 1,); one panel each.
        errors: of each condition, value, low and high of each bin by label, (K, 3); the run first.
        title: names the error.
    """
    figure = make_figure(title, 12.0, 4.2)
    styles = styles_of(errors[0])
    foot = legend_height(len(styles), LEGEND)
    axes = add_panels(figure, 1, len(conditions), foot=foot, above=0.1, between=0.3, sharey=True)
    for ax, (name, unit, edges), by_label in zip(axes, conditions, errors, strict=True):
        middle, width = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
        for place, (label, values) in enumerate(by_label.items()):
            shift = width * 0.06 * (place - (len(by_label) - 1) / 2)  # whiskers side by side
            value, low, high = finite(values).T
            ax.plot(middle + shift, value, **styles[label], marker="o", markersize=4)
            ax.vlines(middle + shift, low, high, color=styles[label]["color"], linewidth=2.5, alpha=0.5)
        for edge in edges:
            ax.axvline(edge, color=MUTED, linewidth=0.6, alpha=0.6)
        ax.grid(visible=False, axis="x")
        set_log(ax, np.concatenate([values[:, 0] for values in by_label.values()]))
        ax.set_xlabel(f"{name} [{unit_of(unit)}]")
    axes[0].set_ylabel(f"RMSE of {label_of(channel.symbol, channel.unit)}")
    legend_below(figure, styles)
    return figure


def panels(count: int) -> tuple[int, int]:
    """Rows and columns of so many panels, at most four side by side.

    Examples:
        >>> panels(3), panels(6), panels(8)
        ((1, 3), (2, 3), (2, 4))
    """
    rows = math.ceil(count / 4)
    return rows, math.ceil(count / rows)


def styles_of(labels: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Colour and line of each label; the first is the run."""
    colors = [PREDICTED, MUTED, "#E69F00", "#CC79A7", CONTROL, BASELINE, "#56B4E9"]
    lines = ["-", ":", "-.", "-", "-.", "--", "--"]
    return {
        label: {"color": color, "linestyle": line, "linewidth": 2.4 if label == next(iter(labels)) else 1.4}
        for label, color, line in zip(labels, itertools.cycle(colors), itertools.cycle(lines), strict=False)
    }


def legend_below(figure: Figure, styles: Mapping[str, dict[str, Any]]) -> None:
    """One legend for all panels, below them."""
    handles = [Line2D([], [], **style) for style in styles.values()]
    add_legend(figure, handles, styles, LEGEND)
