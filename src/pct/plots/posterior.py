"""Draws of a posterior, one panel a parameter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from pct.plots.layout import add_legend, add_panels, legend_height, make_figure
from pct.plots.style import CONTROL, PREDICTED, TRUTH, label_of
from pct.types import Float

COLUMNS, BINS = 3, 40
# Draws beyond so many half widths of the interval are not shown.
ROOM = 2.2


def draw_posterior(
    *,
    labels: Sequence[tuple[str, str]],
    draws: Float[np.ndarray, "K N"],
    interval: Float[np.ndarray, "N 2"],
    normal: Float[np.ndarray, "N 2"],
    title: str,
) -> Figure:
    """Histograms of draws over the normal distribution of the standard error.

    Args:
        labels: symbol and unit of each parameter.
        draws: of each parameter, in its unit.
        interval: 95 % interval of the draws.
        normal: that of the normal distribution.
        title: of the figure.
    """
    columns = min(COLUMNS, len(labels))
    rows = -(-len(labels) // columns)
    figure = make_figure(title, max(3.3 * columns, 5.5), 0.7 + 2.1 * rows)
    panels = add_panels(figure, rows, columns, foot=legend_height(3, 3), above=0.1, inner=0.5)
    for ax, label, own, (low, high), (left, right) in zip(
        panels, labels, draws.T, interval, normal, strict=False
    ):
        middle, half = (left + right) / 2, (right - left) / 2
        begin = min(low, middle - ROOM / 2 * half * 1.3)
        end = max(high, middle + ROOM / 2 * half * 1.3)
        room = 0.15 * (end - begin)
        begin, end = begin - room, end + room
        ax.hist(own, BINS, range=(begin, end), density=True, color=PREDICTED, alpha=0.45, label="draws")
        x, deviation = np.linspace(begin, end, 200), half / 1.96
        bell = np.exp(-0.5 * ((x - middle) / deviation) ** 2) / (deviation * np.sqrt(2 * np.pi))
        ax.plot(x, bell, color=TRUTH, label="normal, by the standard error")
        for end_of in (low, high):
            ax.axvline(end_of, color=CONTROL, linestyle="--", label="95 % interval of the draws")
        ax.set_xlim(begin, end)
        ax.set_yticks([])
        ax.set_xlabel(label_of(*label))
    for ax in panels[len(labels) :]:
        ax.set_axis_off()
    named = dict(zip(*reversed(panels[0].get_legend_handles_labels()), strict=True))
    add_legend(figure, named.values(), named, columns=3)
    return figure
