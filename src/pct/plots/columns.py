"""A small plot of each column of a log, over its time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pct.plots.layout import HEAD, add_panels, make_figure
from pct.plots.style import PREDICTED, finite, plain
from pct.types import Column

ACROSS, WIDTH, HEIGHT = 4, 3.1, 1.35
# Stretches of a curve, of each of which the lowest and the highest value are drawn.
STRETCHES = 400
# Panels of one figure, and characters of the name above each.
MOST, LONGEST = 120, 38


class Curve(NamedTuple):
    """A column: its name and unit, its values, and their time in s or None where it is not known."""

    name: str
    unit: str
    values: Column
    seconds: Column | None


def draw_columns(*, title: str, curves: Sequence[Curve]) -> Figure:
    """A panel each, four in a row; the first 120 of more.

    Args:
        title: of the figure.
        curves: at least one.
    """
    if len(curves) > MOST:
        title = f"{title}: the first {MOST} of {len(curves)} columns"
    shown = curves[:MOST]
    across = min(ACROSS, len(shown))
    rows = math.ceil(len(shown) / across)
    figure = make_figure(title, WIDTH * across, HEIGHT * rows + HEAD + 0.25)
    axes = add_panels(figure, rows, across, left=0.75)
    for ax, curve in zip(axes, shown, strict=False):
        timed = curve.seconds is not None
        x = curve.seconds if curve.seconds is not None else np.arange(len(curve.values), dtype=float)
        ax.plot(*_thinned(finite(x), finite(curve.values)), color=PREDICTED, linewidth=0.9)
        stated = {f"[{curve.unit}]", f"({curve.unit})"}
        unit = f" [{curve.unit}]" if curve.unit and not any(text in curve.name for text in stated) else ""
        name = curve.name if len(curve.name) <= LONGEST else f"…{curve.name[1 - LONGEST :]}"
        ax.set_title(plain(f"{name}{unit}"), fontsize=8, loc="left")
        ax.yaxis.set_major_locator(MaxNLocator(3))
        # A power of ten above the axis would stand in the title.
        ax.yaxis.set_major_formatter("{x:.4g}")
        ax.xaxis.set_major_locator(MaxNLocator(4))
        ax.tick_params(labelsize=7)
        if ax in axes[len(shown) - across : len(shown)]:
            ax.set_xlabel("time [s]" if timed else "row", fontsize=8)
    for ax in axes[len(shown) :]:
        ax.set_axis_off()
    return figure


def _thinned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A curve of at most twice `STRETCHES` points that keeps every spike."""
    if len(y) <= 2 * STRETCHES:
        return x, y
    kept = []
    edges = np.linspace(0, len(y), STRETCHES + 1).astype(int)
    for begin, end in itertools.pairwise(edges):
        part = y[begin:end]
        if np.isfinite(part).any():
            kept += sorted({begin + int(np.nanargmin(part)), begin + int(np.nanargmax(part))})
        else:
            kept.append(int(begin))
    return x[kept], y[kept]
