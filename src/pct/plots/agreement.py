"""The values of single drives beside each other: one forest plot a quantity."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pct.plots.layout import BELOW, add_legend, add_panels, legend_height, make_figure, width_of
from pct.plots.style import BASELINE, CONTROL, MUTED, PREDICTED, ROUND, label_of, plain
from pct.types import Bool, Float

# Panels side by side, and the most rows that carry a name.
COLUMNS, NAMED = 4, 40
# Less than this share of their size apart, values differ by rounding alone.
FLAT = 1e-5


class Forest(NamedTuple):
    """One quantity over M drives; in its unit.

    Attributes:
        symbol, unit: of the axis.
        title: above the panel.
        values, errors: of each drive and its standard error, (M,); NaN where it is not known.
        used: which of them count for the mean, (M,).
        pooled: value of the fit to all; None where there is none.
        mean: 95 % interval of the mean; None where there is none.
        next: 95 % interval of the next drive; None where there is none.
        varies: whether the drives differ.
    """

    symbol: str
    unit: str
    title: str
    values: Float[np.ndarray, " M"]
    errors: Float[np.ndarray, " M"]
    used: Bool[np.ndarray, " M"]
    pooled: float | None
    mean: tuple[float, float] | None = None
    next: tuple[float, float] | None = None
    varies: bool = False

    @property
    def flat(self) -> tuple[float, float] | None:
        """Ends of an axis for drives that are equal but for rounding, as at a bound; else None."""
        known = np.isfinite(self.values) & np.isfinite(self.errors)
        if not known.any():
            return None
        reach = 1.96 * self.errors[known]
        bands = [*(self.mean or ()), *(self.next or ()), *([] if self.pooled is None else [self.pooled])]
        low = min(float((self.values[known] - reach).min()), *bands, math.inf)
        high = max(float((self.values[known] + reach).max()), *bands, -math.inf)
        size = max(abs(low), abs(high))
        return (low - 0.01 * size, high + 0.01 * size) if high - low < FLAT * size else None


def draw_agreement(
    *,
    names: Sequence[str],
    forests: Sequence[Forest],
    title: str,
    what: str = "drive alone",
    next: str = "next drive",
) -> Figure:
    """Value and 95 % interval of each drive, with the bands of the mean and of the next drive.

    Args:
        names: of the M drives.
        forests: one panel each.
        title: names the fit.
        what: a value is of.
        next: whose interval is drawn.
    """
    columns = min(COLUMNS, len(forests)) or 1
    rows = max(1, math.ceil(len(forests) / columns))
    shown = [plain(name[-28:]) for name in names] if len(names) <= NAMED else []
    figure = make_figure(title, 12.0, 1.1 + rows * (0.9 + 0.17 * len(names)))
    axes = add_panels(
        figure,
        rows,
        columns,
        foot=legend_height(5, 5),
        begin=width_of(shown, 7.0),
        left=0.15,
        inner=BELOW,
        between=0.35,
    )
    places = np.arange(len(names))
    for ax, forest in zip(axes, forests, strict=False):
        if forest.next is not None:
            ax.axvspan(*forest.next, color=MUTED, alpha=0.18, linewidth=0, label=f"{next}, 95 %")
        if forest.mean is not None:
            ax.axvspan(*forest.mean, color=PREDICTED, alpha=0.25, linewidth=0, label="mean, 95 %")
        if forest.pooled is not None:
            ax.axvline(forest.pooled, color=CONTROL, label="fit to all")
        for use, color, label in (
            (forest.used, PREDICTED, f"{what}, 95 %"),
            (~forest.used, MUTED, "says too little"),
        ):
            known = use & np.isfinite(forest.values) & np.isfinite(forest.errors)
            if known.any():
                ax.errorbar(
                    forest.values[known],
                    places[known],
                    xerr=1.96 * forest.errors[known],
                    fmt="o",
                    markersize=4,
                    color=color,
                    label=label,
                )
        ax.set_title(
            forest.title, loc="left", fontweight="bold", color=BASELINE if forest.varies else "black"
        )
        ax.set_xlabel(label_of(forest.symbol, forest.unit))
        _limit(ax, forest)
        ax.xaxis.set_major_locator(MaxNLocator(4, steps=ROUND))
        ax.set_ylim(len(names) - 0.4, -0.6)
        ax.set_yticks(places if shown else [])
        ax.set_yticklabels([])
    for ax in axes[::columns] if shown else []:
        ax.set_yticklabels(shown, fontsize=7)
    for ax in axes[len(forests) :]:
        ax.remove()
    handles = {
        label: handle
        for ax in axes[: len(forests)]
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    add_legend(figure, handles.values(), handles.keys(), columns=5)
    return figure


def _limit(ax: object, forest: Forest) -> None:
    """An axis over what matters: a drive that says too little must not make the others a line."""
    shown = forest.used & np.isfinite(forest.values) & np.isfinite(forest.errors)
    ends = [*([] if forest.pooled is None else [forest.pooled]), *(forest.mean or ()), *(forest.next or ())]
    if shown.any():
        reach = 1.96 * forest.errors[shown]
        ends += [float((forest.values[shown] - reach).min()), float((forest.values[shown] + reach).max())]
    low, high = min(ends, default=0.0), max(ends, default=0.0)
    if forest.flat is not None:
        ax.set_xlim(*forest.flat)  # type: ignore[attr-defined]
    elif high > low:
        room = 0.05 * (high - low)
        ax.set_xlim(low - room, high + room)  # type: ignore[attr-defined]
