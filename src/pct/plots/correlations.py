"""Correlations between the errors of fitted parameters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from pct.plots.style import plain
from pct.types import Float

# From this size on a correlation is written into its cell.
WRITTEN = 0.5


def draw_correlations(*, names: Sequence[str], correlation: Float[np.ndarray, "N N"], title: str) -> Figure:
    """The matrix of correlations, strong ones as numbers.

    Args:
        names: of the parameters.
        correlation: between -1 and 1.
        title: names the fit.
    """
    count = len(names)
    side = 2.2 + 0.34 * count
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    figure.suptitle(plain(title), x=0.01, ha="left")
    ax = figure.subplots()
    image = ax.imshow(correlation, cmap="PuOr", vmin=-1, vmax=1)
    figure.colorbar(image, ax=ax, label="correlation of the errors [–]", shrink=0.7)
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
