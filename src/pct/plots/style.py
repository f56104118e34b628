"""Style, colours and axis labels of all figures, and how a figure becomes a file.

Truth is black, the model blue and the baseline dashed vermilion everywhere (Okabe and Ito's colours, safe for
colour-blind readers).
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, TypeAlias

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from pct.files import write_output

DPI = 120
TRUTH, PREDICTED, BASELINE, CONTROL = "#000000", "#0072B2", "#D55E00", "#009E73"
MUTED = "#7F7F7F"
ROUND = (1, 2, 2.5, 5, 10)  # steps between ticks
STYLE: dict[str, Any] = {
    "font.size": 9.0,
    "axes.titlesize": 9.0,
    # Where it is anyhow, without a look at what is around it.
    "axes.titley": 1.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.35,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "axes.formatter.limits": (-4, 5),
    # Numbers set as formulas take a third of a figure's time.
    "axes.formatter.use_mathtext": False,
    "figure.titlesize": 12.0,
    "figure.titleweight": "bold",
    "legend.frameon": False,
    "lines.linewidth": 1.5,
}

P = ParamSpec("P")
# A function that draws a figure, with its arguments.
Drawing: TypeAlias = partial[Figure]


def in_style(draw: Callable[P, Figure], /, *args: P.args, **kwargs: P.kwargs) -> Figure:
    """A figure in PCT's style."""
    # matplotlib.figure.Figure, not pyplot: no window, no backend and no list of open figures to spoil.
    with matplotlib.style.context(["default", STYLE]):
        return draw(*args, **kwargs)


def to_png(path: Path, draw: Callable[P, Figure], /, *args: P.args, **kwargs: P.kwargs) -> None:
    """Write a figure in PCT's style, whole or not at all."""
    write_output(path, as_png(draw, *args, **kwargs))


def as_png(draw: Callable[P, Figure], /, *args: P.args, **kwargs: P.kwargs) -> bytes:
    """A figure in PCT's style as PNG."""
    file = io.BytesIO()
    with matplotlib.style.context(["default", STYLE]):
        # The canvas itself, and not `savefig`, which goes through each figure once more to measure it.
        canvas = FigureCanvasAgg(draw(*args, **kwargs))
        canvas.figure.set_dpi(DPI)
        canvas.print_png(file)
    return file.getvalue()


def to_svg(draw: Callable[P, Figure], /, *args: P.args, **kwargs: P.kwargs) -> bytes:
    """A figure in PCT's style as SVG, the same bytes for the same figure."""
    file = io.BytesIO()
    with matplotlib.style.context(["default", STYLE, {"svg.hashsalt": "pct"}]):
        FigureCanvasSVG(draw(*args, **kwargs)).print_svg(file, metadata={"Date": None})
    return file.getvalue()


def label_of(symbol: str, unit: str) -> str:
    """Axis label, e.g. ``$\\dot{\\psi}$ [rad/s]``; a ratio has the unit ``–``.

    Examples:
        >>> label_of("a", "m/s^2"), label_of("\\\\mu", "1")
        ('$a$ [m/s$^{2}$]', '$\\\\mu$ [–]')
    """
    return f"${symbol}$ [{unit_of(unit)}]"


def plain(text: str) -> str:
    """Text from elsewhere, such as a name of a file: no formula, and its control characters visible.

    Examples:
        >>> print(plain("costs $5 or $6"))
        costs \\$5 or \\$6
    """
    shown = "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)
    return shown.replace("$", r"\$")


def unit_of(unit: str) -> str:
    """A unit with its powers raised."""
    return "–" if unit == "1" else re.sub(r"\^(-?[0-9]+)", r"$^{\1}$", unit)


def set_log(ax: Axes, values: np.ndarray, which: str = "y") -> None:
    """Make an axis logarithmic, with numbers instead of powers, where that shows any of the values."""
    if np.any(values[np.isfinite(values)] > 0):
        (ax.set_yscale if which == "y" else ax.set_xscale)("log", nonpositive="mask")
        axis = ax.yaxis if which == "y" else ax.xaxis
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(_Plain(minor_thresholds=(1.0, 0.4)))


class _Plain(LogFormatter):
    """The ticks that Matplotlib would label, without powers of ten."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{x:g}" if super().__call__(x, pos) else ""


def finite(values: np.ndarray) -> np.ndarray:
    """The values in double precision with NaN from where they cannot be drawn or squared."""
    return np.where(np.abs(values) < 1e30, values, np.nan).astype(float)
