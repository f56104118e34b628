"""Residuals of a fit along the drive."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from pct.dynamics.core import Channel
from pct.plots.style import BASELINE, MUTED, PREDICTED, finite, label_of, plain
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
    figure = Figure(figsize=(12, 1.0 + 1.3 * len(channels)), layout="constrained")
    figure.suptitle(plain(title), x=0.01, ha="left")
    axes = list(figure.subplots(len(channels), 1, squeeze=False, sharex=True)[:, 0])
    for ax, channel, column in zip(axes, channels, finite(errors).T, strict=True):
        ax.axhline(0.0, color=MUTED, linewidth=0.8)
        style = {"linestyle": "none", "marker": ".", "color": PREDICTED, "markersize": 3}
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
    figure.align_ylabels(axes)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower left", ncols=2)
    return figure
