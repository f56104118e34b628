"""Correlations between the errors of fitted parameters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from pct.plots.layout import HEAD, add_panels, make_figure, width_of
from pct.types import Float

# From this size on a correlation is written into its cell.
WRITTEN = 0.5
# Side of a cell in inches.
CELL = 0.34


def draw_correlations(*, names: Sequence[str], correlation: Float[np.ndarray, "N N"], title: str) -> Figure:
    """The matrix of correlations, strong ones as numbers.

    Args:
        names: of the parameters.
        correlation: between -1 and 1.
        title: names the fit.
    """
    count = len(names)
    side, text = max(CELL * count, 2.0), 0.25 + width_of(names, 9.0)
    width, height = text + side + 1.2, HEAD + 0.1 + side + text
    figure = make_figure(title, max(width, width_of([title], 13.0)), height)
    (ax,) = add_panels(
        figure,
        1,
        1,
        left=text,
        right=figure.get_figwidth() - text - side,
        above=0.1,
        below=text,
    )
    image = ax.imshow(correlation, cmap="PuOr", vmin=-1, vmax=1)
    scale = ax.inset_axes((1 + 0.15 / side, 0.15, 0.15 / side, 0.7))
    figure.colorbar(image, cax=scale, label="correlation of the errors [–]")
    ax.set_xticks(range(count), names, rotation=90)
    ax.set_yticks(range(count), names)
    ax.grid(visible=False)
    for i in range(count):
        for j in range(count):
            value = correlation[i, j]
            if i != j and abs(value) >= WRITTEN:
                color = "white" if abs(value) > 0.7 else "black"
                ax.text(j, i, f"{value:.1f}", ha="center", va="center", color=color, fontsize=6)
    return figure
