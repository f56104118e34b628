"""Error against horizon."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from pct.dynamics.core import ModelSpec
from pct.plots.layout import add_legend, add_panels, legend_height, make_figure
from pct.plots.style import BASELINE, CONTROL, PREDICTED, label_of
from pct.types import Shaped


def draw_error_growth(
    *, spec: ModelSpec, dt: float, errors: Mapping[str, Shaped[np.ndarray, "T S"]], title: str
) -> Figure:
    """RMSE of each state against the time that the model ran open loop.

    Args:
        spec: the model.
        dt: time step in s.
        errors: RMSE after each step in the state's unit by label, shape (T, S); the trained network first.
        title: names the data.
    """
    states = [(i, channel) for i, channel in enumerate(spec.states) if channel.name not in spec.unlogged]
    columns = min(4, len(states))
    rows = math.ceil(len(states) / columns)
    figure = make_figure(title, 12.0, 1.0 + 2.6 * rows)
    axes = add_panels(figure, rows, columns, foot=legend_height(len(errors), 5), above=0.14)
    styles = [(PREDICTED, "-"), (BASELINE, "--"), (CONTROL, "-."), ("#CC79A7", ":"), ("#E69F00", "-")]
    for place, (ax, (i, channel)) in enumerate(zip(axes, states, strict=False)):
        for (label, values), (color, line) in zip(errors.items(), styles, strict=False):
            seconds = dt * np.arange(len(values) + 1)
            ax.plot(seconds, np.concatenate([[0.0], values[:, i]]), line, color=color, label=label)
        finals = [float(np.max(v[:, i][np.isfinite(v[:, i])], initial=0.0)) for v in errors.values()]
        # A prediction that diverges must not compress the others.
        top = min(max(finals), 10 * min(finals)) or max(finals) or channel.scale
        ax.set_ylim(0, 1.08 * top)
        ax.set_xlim(0, seconds[-1])
        ax.set_ylabel(f"RMSE of {label_of(channel.symbol, channel.unit)}")
        if place + columns >= len(states):
            ax.set_xlabel("horizon [s]")
    for ax in axes[len(states) :]:
        ax.remove()
    add_legend(figure, *axes[0].get_legend_handles_labels(), columns=5)
    return figure
