"""Residuals of a fit along the drive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pct.dynamics.core import Channel
from pct.plots.layout import NOTHING, add_legend, add_panels, legend_height, make_figure
from pct.plots.style import BASELINE, MUTED, PREDICTED, finite, label_of
from pct.types import Bool, Float


def draw_residuals(
    *,
    channels: Sequence[Channel],
    times: Float[np.ndarray, " B"],
    errors: Float[np.ndarray, "B C"],
    accepted: Bool[np.ndarray, " B"],
    breaks: Sequence[float] = (),
    title: str,
) -> Figure:
    """Error of each window at its end, over the driving time at its start.

    Args:
        channels: one panel each.
        times: of the windows in s, increasing.
        errors: in the channels' units.
        accepted: which windows the fit did not reject.
        breaks: times at which another recording begins.
        title: names the fit.
    """
    foot = legend_height(1, 2)
    figure = make_figure(title, 12.0, 1.0 + 1.3 * len(channels))
    axes = add_panels(figure, len(channels), 1, foot=foot, above=0.18, inner=NOTHING, sharex=True)
    for ax, channel, column in zip(axes, channels, finite(errors).T, strict=True):
        ax.axhline(0.0, color=MUTED, linewidth=0.8)
        style: dict[str, Any] = {"linestyle": "none", "marker": ".", "color": PREDICTED, "markersize": 3}
        ax.plot(times[accepted], column[accepted], **style, label="error at the horizon")
        if not accepted.all():
            style |= {"marker": "x", "color": BASELINE, "markersize": 5}
            ax.plot(times[~accepted], column[~accepted], **style, label="rejected window")
        for at in breaks:
            ax.axvline(at, color=MUTED, linewidth=0.6, alpha=0.6)
        # A rejected window must not compress the others.
        shown = column[accepted & np.isfinite(column)]
        most = 1.15 * float(np.abs(shown).max(initial=0.0)) or channel.scale
        ax.set_ylim(-most, most)
        ax.set_ylabel(label_of(channel.symbol, channel.unit))
    axes[-1].set_xlabel("driving time [s]")
    add_legend(figure, *axes[0].get_legend_handles_labels(), columns=2)
    return figure
