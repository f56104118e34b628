"""Where title, panels, labels and legend of a figure stand, in inches.

Nothing is measured: a layout that follows the size of every text draws each figure several times over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from pct.plots.style import as_png, plain

# Beside a panel: the numbers and label of its y axis, and half of the last number of its x axis.
LEFT, RIGHT = 0.85, 0.16
# Above and below a panel: its own title, and the numbers and label of its x axis.
ABOVE, BELOW = 0.3, 0.48
# Below a panel whose x axis has numbers only, or neither.
NUMBERS, NOTHING = 0.26, 0.02
# From a panel to the labels of its axes.
TO_LABELS = (0.64, 0.3)
# Title of the figure, and its further lines; a legend, and each of its lines.
HEAD, LINE = 0.32, 0.2
FOOT, ROW = 0.16, 0.19
# Width of a character over the size of its font, on average.
CHARACTER = 0.62


class ShownFigure(Figure):
    """A figure that a notebook shows, also where pyplot has not been imported."""

    def _repr_png_(self) -> bytes:
        return as_png(lambda: self)


def make_figure(title: str, width: float, height: float, *, size: float | None = None) -> Figure:
    """A figure with its title at the top left.

    Args:
        title: may have several lines.
        width, height: in inches.
        size: of the title's font in points; that of the style when left out.
    """
    figure = ShownFigure(figsize=(width, height))
    figure.suptitle(plain(title), x=0.1 / width, y=1 - 0.08 / height, ha="left", va="top", fontsize=size)
    return figure


def add_panels(
    figure: Figure,
    rows: int,
    columns: int,
    *,
    head: float = HEAD,
    foot: float = 0.0,
    left: float = LEFT,
    right: float = RIGHT,
    above: float = ABOVE,
    below: float = BELOW,
    inner: float = NUMBERS,
    between: float | None = None,
    begin: float = 0.0,
    **options: Any,
) -> list[Axes]:
    """Panels of one size in rows and columns, row by row.

    Args:
        figure: to add them to.
        rows, columns: how many.
        head, foot: height of what stands above and below all of them, such as title and legend.
        left, right: of a panel: labels of its axes.
        above, below: of a panel: its title; labels of the axes of the last row.
        inner: below the panels of all other rows.
        between: from one column to the next; that of left and right when left out.
        begin: width of what stands to the left of all panels.
        options: of `matplotlib.figure.Figure.subplots`.
    """
    width, height = figure.get_size_inches()
    gap = left + right if between is None else between
    across = (width - begin - left - right - gap * (columns - 1)) / columns
    along = (height - head - foot - below - above - (above + inner) * (rows - 1)) / rows
    place = {
        "left": (begin + left) / width,
        "right": 1 - right / width,
        "bottom": (foot + below) / height,
        "top": 1 - (head + above) / height,
        "wspace": gap / across,
        "hspace": (above + inner) / along,
    }
    grid = figure.subplots(rows, columns, squeeze=False, gridspec_kw=place, **options)
    axes: list[Axes] = list(grid.flat)
    for ax in axes:
        place_labels(ax)
    return axes


def place_labels(ax: Axes) -> None:
    """Labels of the axes at their usual distance from the panel, in line with those of others."""
    figure = ax.get_figure()
    assert figure is not None
    beside, under = TO_LABELS
    inches = figure.dpi_scale_trans
    ax.yaxis.set_label_coords(0, 0.5, ax.transAxes + ScaledTranslation(-beside, 0, inches))
    ax.xaxis.set_label_coords(0.5, 0, ax.transAxes + ScaledTranslation(0, -under, inches))


def legend_height(count: int, columns: int) -> float:
    """Height of a legend of so many entries below the panels; see `add_legend`."""
    return FOOT + ROW * int(np.ceil(count / columns)) if count else 0.0


def add_legend(figure: Figure, handles: Iterable[Any], labels: Iterable[str], columns: int) -> None:
    """A legend at the bottom left of a figure."""
    figure.legend(list(handles), list(labels), loc="lower left", ncols=columns)


def width_of(texts: Sequence[str], size: float) -> float:
    """About the width of the longest text in inches.

    Args:
        texts: labels.
        size: of their font in points.
    """
    return max(map(len, texts), default=0) * CHARACTER * size / 72
