"""The profile likelihood of one parameter."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from pct.plots.style import BASELINE, CONTROL, MUTED, PREDICTED, label_of, plain
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
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    figure.suptitle(plain(title), x=0.01, ha="left")
    ax = figure.subplots()
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
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower left", ncols=5, fontsize=8)
    return figure
