"""Curves of a model at its default values."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from matplotlib.figure import Figure

from pct.dynamics import ModelSpec
from pct.plots.layout import add_legend, add_panels, legend_height, make_figure
from pct.plots.style import BASELINE, PREDICTED, as_png

SLIP = np.linspace(-0.5, 0.5, 201)
AXLES = {"front": (PREDICTED, "-"), "rear": (BASELINE, "--")}


def draw_tyres(spec: ModelSpec) -> bytes | None:
    """Side force of both axles over the slip angle, as PNG; None for a model without tyres."""
    return None if spec.side_force is None else as_png(_tyres, spec)


def _tyres(spec: ModelSpec) -> Figure:
    figure = make_figure(f"{spec.name}: side force at the default values", 6.7, 4.2)
    (ax,) = add_panels(figure, 1, 1, foot=legend_height(2, 2))
    p = SimpleNamespace(**spec.default_params)
    for axle, (color, line) in AXLES.items():
        ax.plot(SLIP, spec.side_force(axle, SLIP, p, np), line, color=color, label=axle)
    ax.set_xlabel("slip angle [rad]")
    ax.set_ylabel("side force [N]")
    add_legend(figure, ax.lines, list(AXLES), columns=2)
    return figure
