"""Curves of a fit with bands; shaded where the drive did not reach."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pct.plots.layout import BELOW, add_legend, add_panels, legend_height, make_figure
from pct.plots.style import BASELINE, CONTROL, MUTED, PREDICTED, unit_of
from pct.types import Float

COLORS = (PREDICTED, BASELINE, CONTROL)
LINES = ("-", "--", "-.")


class Band(NamedTuple):
    """A curve to draw.

    Attributes:
        x, value, low, high: (K,) each.
        reached: lowest and highest x of the drive.
    """

    x: Float[np.ndarray, " K"]
    value: Float[np.ndarray, " K"]
    low: Float[np.ndarray, " K"]
    high: Float[np.ndarray, " K"]
    reached: tuple[float, float]


class Panel(NamedTuple):
    """Curves that share their axes.

    Attributes:
        title: above the panel.
        x, y: name and unit of each axis.
        bands: the curves by label, at most three.
    """

    title: str
    x: tuple[str, str]
    y: tuple[str, str]
    bands: Mapping[str, Band]


def draw_curves(*, panels: list[Panel], title: str) -> Figure:
    """Curves with 95 % bands, one panel each.

    Args:
        panels: two a row.
        title: names the fit.
    """
    rows = math.ceil(len(panels) / 2)
    figure = make_figure(title, 12.0, 1.0 + 3.4 * rows)
    axes = add_panels(figure, rows, 2, foot=legend_height(3, 3), inner=BELOW)
    for ax, panel in zip(axes, panels, strict=False):
        _draw_panel(ax, panel)
    for ax in axes[len(panels) :]:
        ax.remove()
    first = axes[0]
    add_legend(
        figure,
        [first.lines[0], first.collections[0], first.patches[0]],
        ["fit", "95 % band", "not reached by the drive"],
        columns=3,
    )
    return figure


def _draw_panel(ax: Axes, panel: Panel) -> None:
    reached = [band.reached for band in panel.bands.values()]
    low, high = min(ends[0] for ends in reached), max(ends[1] for ends in reached)
    for (label, band), color, line in zip(panel.bands.items(), COLORS, LINES, strict=False):
        ax.fill_between(band.x, band.low, band.high, color=color, alpha=0.25, linewidth=0)
        ax.plot(band.x, band.value, line, color=color, label=label)
    left, right = (end(end(band.x) for band in panel.bands.values()) for end in (min, max))
    for start, stop in ((left, max(left, low)), (min(right, high), right)):
        ax.axvspan(start, stop, color=MUTED, alpha=0.3, linewidth=0)
    ax.set_xlim(left, right)
    # Outside the driven range a band may grow without limit: the axis follows the bands inside it.
    inside = [(band.x >= low) & (band.x <= high) for band in panel.bands.values()]
    ends = [
        (b.low[i].min(), b.high[i].max())
        for b, i in zip(panel.bands.values(), inside, strict=True)
        if i.any()
    ]
    curves = np.concatenate([band.value for band in panel.bands.values()])
    bottom, top = (float(end([*(pair[k] for pair in ends), end(curves)])) for k, end in ((0, min), (1, max)))
    margin = 0.08 * (top - bottom) or 1.0
    ax.set_ylim(bottom - margin, top + margin)
    ax.set_xlabel(f"{panel.x[0]} [{unit_of(panel.x[1])}]")
    ax.set_ylabel(f"{panel.y[0]} [{unit_of(panel.y[1])}]")
    ax.set_title(panel.title, loc="left")
    if len(panel.bands) > 1:
        ax.legend(loc="best", fontsize=8)
