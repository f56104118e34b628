"""Parameters that change along a drive: over time with bands, and where it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from pct.plots.layout import LEFT, RIGHT, add_legend, add_panels, legend_height, make_figure
from pct.plots.style import BASELINE, MUTED, PREDICTED, TRUTH, label_of
from pct.types import Float

COLORS = "viridis"
# Parameter, time, and the ends of its band, s.
Mark = tuple[str, float, float, float]


class Tracking(NamedTuple):
    """A parameter over N rows.

    Attributes:
        name, symbol, unit: of its table.
        causal, smoothed: median, low and high, (N,) each, in this order.
        untold: where the drive tells nothing, (N,).
    """

    name: str
    symbol: str
    unit: str
    causal: Sequence[Float[np.ndarray, " N"]]
    smoothed: Sequence[Float[np.ndarray, " N"]]
    untold: np.ndarray


def draw_track(
    *, t: Float[np.ndarray, " N"], panels: Sequence[Tracking], changes: Sequence[Mark], title: str
) -> Figure:
    """Each parameter over time: as a car could know it and with hindsight, with 95 % bands.

    Grey where the drive tells nothing; a vertical line a change, with its band.
    """
    foot = legend_height(5, 5)
    figure = make_figure(title, 10.0, 0.9 + foot + 2.3 * len(panels))
    axes = add_panels(figure, len(panels), 1, foot=foot, sharex=True)
    for ax, panel in zip(axes, panels, strict=True):
        _shade(ax, t, panel.untold)
        for values, color, label in (
            (panel.causal, BASELINE, "as it drives"),
            (panel.smoothed, PREDICTED, "with the whole drive"),
        ):
            ax.fill_between(t, values[1], values[2], color=color, alpha=0.25, linewidth=0)
            ax.plot(t, values[0], color=color, label=label)
        for number, (_, time, low, high) in enumerate(
            change for change in changes if change[0] == panel.name
        ):
            ax.axvspan(low, high, color=TRUTH, alpha=0.15, linewidth=0)
            ax.axvline(time, color=TRUTH, linestyle=":", label=None if number else "change")
        ax.set_ylim(*_range(panel, 0.4, 1, 2))
        ax.set_ylabel(label_of(panel.symbol, panel.unit))
        ax.set_xlim(t[0], t[-1])
    axes[-1].set_xlabel("time [s]")
    handles: dict[str, Any] = {}
    for ax in axes:
        handles |= {label: handle for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    add_legend(figure, handles.values(), handles, columns=5)
    return figure


def _range(panel: Tracking, room: float, low: int, high: int) -> tuple[float, float]:
    """Ends of an axis that holds what is known with hindsight, and a tenth of the values at least."""
    least = float(np.quantile(panel.smoothed[low], 0.02))
    most = float(np.quantile(panel.smoothed[high], 0.98))
    around = max(room * (most - least), 0.1 * abs(least + most) / 2) or 1.0
    return least - around, most + around


def _shade(ax: Axes, t: np.ndarray, untold: np.ndarray) -> None:
    """Grey where the drive tells nothing."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], untold, [False]]).astype(int)))
    for number, (first, last) in enumerate(zip(edges[::2], edges[1::2], strict=True)):
        label = None if number else "told nothing"
        ax.axvspan(t[first], t[min(last, len(t) - 1)], color=MUTED, alpha=0.2, linewidth=0, label=label)


def draw_track_map(
    *,
    x: Float[np.ndarray, " N"],
    y: Float[np.ndarray, " N"],
    t: Float[np.ndarray, " N"],
    panels: Sequence[Tracking],
    changes: Sequence[Mark],
    title: str,
) -> Figure:
    """The path, coloured by each parameter with hindsight: thin where nothing is told, a ring a change."""
    figure = make_figure(title, 0.6 + 5.4 * len(panels), 5.0)
    axes = add_panels(figure, 1, len(panels), right=RIGHT + 0.95, between=LEFT + RIGHT + 0.95)
    points = np.stack([x, y], axis=-1)
    pieces: Any = np.stack([points[:-1], points[1:]], axis=1)
    for ax, panel in zip(axes, panels, strict=True):
        lines = LineCollection(
            pieces,
            array=panel.smoothed[0][:-1],
            cmap=COLORS,
            linewidths=np.where(panel.untold[:-1], 1.0, 3.5),
            capstyle="round",
        )
        lines.set_clim(*_range(panel, 0.0, 0, 0))
        ax.add_collection(lines)
        ax.autoscale_view()
        for name, time, *_ in changes:
            if name == panel.name:
                at = min(int(np.searchsorted(t, time)), len(t) - 1)
                ax.plot(
                    x[at], y[at], "o", color=TRUTH, markerfacecolor="none", markersize=11, markeredgewidth=1.5
                )
        ax.set_aspect("equal", adjustable="datalim")
        ax.set_xlabel("$x$ [m]")
        ax.set_ylabel("$y$ [m]")
        ax.set_title(panel.name, loc="left")
        inset = ax.inset_axes((1.03, 0.0, 0.04, 1.0))
        figure.colorbar(lines, cax=inset, label=label_of(panel.symbol, panel.unit))
    return figure
