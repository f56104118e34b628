"""The profile likelihood of one parameter."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from pct.plots.layout import add_legend, add_panels, legend_height, make_figure
from pct.plots.style import BASELINE, CONTROL, MUTED, PREDICTED, label_of
from pct.types import Float


def draw_profile(
    *,
    symbol: str,
    unit: str,
    values: Float[np.ndarray, " K"],
    excess: Float[np.ndarray, " K"],
    limit: float,
    interval: tuple[float | None, float | None],
    best: float,
    default: float,
    title: str,
) -> Figure:
    """A profile likelihood.

    Args:
        symbol, unit: of the parameter.
        values: at which it was held, increasing.
        excess: twice the log likelihood lost there.
        limit: of the excess, at the ends of the interval.
        interval: its ends; None where the profile stays below the limit.
        best, default: value of the fit, and before it.
        title: names parameter and fit.
    """
    figure = make_figure(title, 7.0, 4.2)
    (ax,) = add_panels(figure, 1, 1, foot=legend_height(5, 5), above=0.1)
    ax.plot(values, excess, "o-", color=PREDICTED, label="profile, all others refitted")
    ax.axhline(limit, color=MUTED, linestyle="--", label="95 % limit")
    ax.axvline(best, color=CONTROL, label="fit")
    if values[0] <= default <= values[-1]:
        ax.axvline(default, color=BASELINE, linestyle=":", label="default")
    low, high = (values[k] if end is None else end for k, end in zip((0, -1), interval, strict=True))
    ax.axvspan(low, high, color=PREDICTED, alpha=0.15, linewidth=0, label="95 % interval")
    ax.set_ylim(-0.3, max(2.5 * limit, min(1.1 * float(excess.max()), 6 * limit)))
    ax.set_xlabel(label_of(symbol, unit))
    ax.set_ylabel("twice the log likelihood lost [–]")
    add_legend(figure, *ax.get_legend_handles_labels(), columns=5)
    return figure
