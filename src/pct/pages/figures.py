"""Interactive figures as plain values of plotly.js: arrays in, one `Figure` out.

Colours are names of the page's style (``var(--measured)``), so that a page is light or dark as its reader
wants. Measured is black or white, the model blue, what it is compared with vermilion, as in `pct.plots`.
Names of files and channels are data: they pass `text` before plotly reads them, which knows some markup.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pct.types import Float

MEASURED, SIMULATED, BASELINE, CONTROL, MUTED = (
    f"var(--{name})" for name in ("measured", "simulated", "baseline", "control", "muted")
)
BAND = "var(--simulated-band)"
COLORS = (SIMULATED, BASELINE, CONTROL, MEASURED, MUTED)
BANDS = (BAND, "var(--baseline-band)", "var(--control-band)")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
# Points of a line: more are not seen.
MOST = 2000
# Height of a panel and of what stands around panels, in pixels.
PANEL, AROUND = 150, 70
# Between panels, of the height of one.
GAP = 0.2


class Step(NamedTuple):
    """What a control changes in a figure; what it does not name stays.

    Attributes:
        data: changes of each trace, in order; may end early.
        layout: changes of the layout.
    """

    data: Sequence[Mapping[str, Any]] = ()
    layout: Mapping[str, Any] = {}


class Figure(NamedTuple):
    """A figure of plotly.js.

    Attributes:
        data, layout: its traces and layout.
        says: what it shows, in words, for who cannot see it.
        by: steps of each control that changes it, by the control's name, see `pct.pages.parts.slider`.
    """

    data: Sequence[Mapping[str, Any]]
    layout: Mapping[str, Any]
    says: str
    by: Mapping[str, Sequence[Step]] = {}

    def as_json(self) -> dict[str, Any]:
        """As the script of the page reads it."""
        by = {name: [step._asdict() for step in steps] for name, steps in self.by.items()}
        return {"data": self.data, "layout": self.layout, "by": by}


def text(value: str) -> str:
    """Text from elsewhere, which plotly is to show as it is.

    Examples:
        >>> text("<b>a</b> & b")
        '&lt;b&gt;a&lt;/b&gt; &amp; b'
    """
    return html.escape("".join(c if c.isprintable() else repr(c)[1:-1] for c in value), quote=False)


def axis_title(name: str, unit: str = "") -> str:
    """Name and unit of an axis.

    Examples:
        >>> axis_title("v", "m/s^2"), axis_title("mu", "1")
        ('v [m/s²]', 'mu')
    """
    unit = unit.replace("^2", "²").replace("^3", "³")
    return text(f"{name} [{unit}]" if unit and unit != "1" else name)


def numbers(values: np.ndarray, digits: int = 4) -> list[Any]:
    """Numbers for a page: so many digits of their range, null where not finite; of any shape.

    Examples:
        >>> numbers(np.array([0.123456, 1.0, np.nan]))
        [0.123, 1.0, None]
    """
    values = np.asarray(values, float)
    finite = np.isfinite(values)
    span = float(np.abs(values[finite]).max()) if finite.any() else 1.0
    decimals = digits - 1 - math.floor(math.log10(span)) if span > 0 else 0
    rounded = np.round(values, min(max(decimals, 0), 300))
    if finite.all():
        return list(rounded.tolist())
    listed = rounded.astype(object)
    listed[~finite] = None
    return list(listed.tolist())


def thinned(
    x: Float[np.ndarray, " N"], y: Float[np.ndarray, " N"], most: int = MOST
) -> tuple[np.ndarray, np.ndarray]:
    """A line of at most so many points that looks the same: lowest and highest value of each stretch.

    Examples:
        >>> thinned(np.arange(6.0), np.array([0.0, 5.0, 1.0, 1.0, -2.0, 0.0]), 4)
        (array([0., 1., 3., 4.]), array([ 0.,  5.,  1., -2.]))
    """
    if len(x) <= most:
        return x, y
    width = math.ceil(2 * len(x) / most)
    rows = np.arange(0, len(x), width)
    filled = np.where(np.isnan(y), 0.0, y)
    ends = [[start + k(filled[start : start + width]) for k in (np.argmin, np.argmax)] for start in rows]
    chosen = np.sort(np.array(ends).ravel())
    return x[chosen], y[chosen]


def line(
    x: Any, y: Any, name: str, color: str, *, axis: int = 1, legend: bool = True, **more: Any
) -> dict[str, Any]:
    """A line over a panel's axes.

    Args:
        x, y: (N,) each.
        name: of its entry in the legend.
        color: of the style, e.g. `MEASURED`.
        axis: number of the panel, from 1.
        legend: whether it has an entry.
        more: of the trace, e.g. ``dash="dot"``, ``mode="markers"``.
    """
    dash, width = more.pop("dash", "solid"), more.pop("width", 1.6)
    return {
        "type": "scatter",
        "mode": "lines",
        "x": numbers(np.asarray(x), 6),
        "y": numbers(np.asarray(y)),
        "name": text(name),
        "legendgroup": text(name),
        "showlegend": legend,
        "line": {"color": color, "width": width, "dash": dash},
        "xaxis": _axis("x", axis),
        "yaxis": _axis("y", axis),
        **more,
    }


def band(
    x: Any, low: Any, high: Any, name: str, color: str, *, axis: int = 1, legend: bool = False
) -> dict[str, Any]:
    """A band between two lines; arguments as of `line`."""
    x, low, high = (np.asarray(values, float) for values in (x, low, high))
    known = np.isfinite(low) & np.isfinite(high)
    x, low, high = x[known], low[known], high[known]
    around = np.concatenate([low, high[::-1]])
    return {
        **line(np.concatenate([x, x[::-1]]), around, name, color, axis=axis, legend=legend, width=0),
        "fill": "toself",
        "fillcolor": color,
        "hoverinfo": "skip",
    }


def stacked(panels: Sequence[tuple[str, str]], x: str, height: int = PANEL) -> dict[str, Any]:
    """Layout of panels one below the other that share their x axis.

    Args:
        panels: name and unit of each y axis.
        x: title of the x axis.
        height: of a panel in pixels.
    """
    count = len(panels)
    layout: dict[str, Any] = {"height": AROUND + height * count, "showlegend": True}
    tall = 1 / (count + GAP * (count - 1))
    for n, (name, unit) in enumerate(panels, 1):
        top = 1 - (n - 1) * tall * (1 + GAP)
        key = "" if n == 1 else str(n)
        layout[f"yaxis{key}"] = {
            "title": {"text": axis_title(name, unit)},
            "domain": [round(max(top - tall, 0), 4), round(top, 4)],
            "anchor": _axis("x", n),
        }
        layout[f"xaxis{key}"] = {"anchor": _axis("y", n)}
        if n > 1:
            layout[f"xaxis{key}"]["matches"] = "x"
        if n == count:
            layout[f"xaxis{key}"]["title"] = {"text": text(x)}
        else:
            layout[f"xaxis{key}"]["showticklabels"] = False
    return layout


def single(x: str, y: str, height: int = 320, **more: Any) -> dict[str, Any]:
    """Layout of one panel with these titles of its axes; ``more`` goes into the layout."""
    return {
        "height": height,
        "showlegend": True,
        "xaxis": {"title": {"text": text(x)}},
        "yaxis": {"title": {"text": text(y)}},
        **more,
    }


def span(start: float, stop: float) -> dict[str, Any]:
    """A shaded stretch of the x axis, for the ``shapes`` of a layout."""
    return {
        "type": "rect",
        "yref": "paper",
        "x0": float(start),
        "x1": float(stop),
        "y0": 0,
        "y1": 1,
        "line": {"width": 0},
        "fillcolor": "var(--muted-band)",
        "layer": "below",
    }


def merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """A value with changes, as the script of the page merges them."""
    out = dict(base)
    for key, value in change.items():
        mergeable = isinstance(value, Mapping) and isinstance(out.get(key), Mapping)
        out[key] = merged(out[key], value) if mergeable else value
    return out


def _axis(letter: str, number: int) -> str:
    return letter if number == 1 else f"{letter}{number}"
