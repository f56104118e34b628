"""The evidence of one finding about a log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pct.plots.layout import HEAD, LINE, add_panels, make_figure
from pct.plots.style import BASELINE, CONTROL, PREDICTED, TRUTH, finite

# Columns of a panel: labels of both axes, abscissa and ordinate by label, whether to draw points.
Panel = tuple[str, str, Mapping[str, tuple[np.ndarray, np.ndarray]], bool]
MOST_POINTS = 20_000


def draw_finding(*, title: str, message: str, panels: Sequence[Panel]) -> Figure:
    """Panels side by side, the message above.

    Args:
        title: the check and the file.
        message: of the finding.
        panels: at least one; a curve called ``fault`` is drawn as marks.
    """
    wrapped = _wrapped(message, 75 * len(panels))
    figure = make_figure(f"{title}\n{wrapped}", 6.0 * len(panels), 4.2, size=9.0)
    axes = add_panels(figure, 1, len(panels), head=HEAD + LINE * (1 + wrapped.count("\n")), above=0.06)
    for ax, (xlabel, ylabel, curves, points) in zip(axes, panels, strict=True):
        for (label, (x, y)), color in zip(
            curves.items(), (TRUTH, BASELINE, PREDICTED, CONTROL), strict=False
        ):
            step = max(1, len(x) // MOST_POINTS)
            if label == "fault":
                ax.plot(x, finite(y), "x", color=color, label=label, markersize=5)
            else:
                style: dict[str, Any] = (
                    {"marker": ".", "linestyle": "none", "markersize": 2} if points else {}
                )
                ax.plot(x[::step], finite(y[::step]), color=color, label=label, **style)
        ax.set_xlabel(xlabel)
        ax.set_ylabel(ylabel)
        if len(curves) > 1:
            ax.legend(loc="best")
    return figure


def _wrapped(text: str, width: int) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, width))
