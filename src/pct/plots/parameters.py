"""Predicted parameters along the drive."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pct.dynamics.core import ModelSpec
from pct.plots.layout import add_legend, add_panels, legend_height, make_figure
from pct.plots.style import BASELINE, MUTED, PREDICTED, TRUTH, label_of
from pct.types import Bool, Shaped


def draw_parameters(
    *,
    spec: ModelSpec,
    times: Shaped[np.ndarray, " K"],
    values: Mapping[str, Shaped[np.ndarray, "K ..."]],
    truth: Mapping[str, Shaped[np.ndarray, " K"]] | None = None,
    recording: Shaped[np.ndarray, " K"] | None = None,
    title: str,
) -> Figure:
    """Predicted parameters along the drive, within their bounds.

    Args:
        spec: the model, whose tables give symbols, units, bounds and defaults.
        times: time of each prediction in s, shape (K,).
        values: predictions by parameter name, shape (K, *shape). An array parameter is summed up by its
            median over the drive and its range, entry by entry.
        truth: known values by name, shape (K,), NaN where not known.
        recording: number of the recording that each prediction belongs to, shape (K,). Recordings are drawn
            side by side; without it the times stand as they are.
        title: names the data.
    """
    arrays = [name for name, value in values.items() if np.ndim(value) > 1]
    scalars = [name for name in values if name not in arrays]
    cells = 2 * len(arrays) + len(scalars)
    columns = 2 if arrays else min(3, cells)
    rows = math.ceil(cells / columns)
    figure = make_figure(title, 12.0, 0.9 + max(2.1 * rows, 3))
    order, drive, starts = _along_drive(times, recording)
    axes = iter(add_panels(figure, rows, columns, foot=legend_height(4, 4) if scalars else 0.0))
    for name in arrays:
        _draw_entries(figure, next(axes), next(axes), spec, name, values[name])
    along = [next(axes) for _ in scalars]
    for ax, name in zip(along, scalars, strict=True):
        known = None if truth is None or name not in truth else truth[name][order]
        _draw_along(ax, spec, name, drive, values[name][order], known, starts)
    for ax in axes:
        ax.remove()
    for ax in along[-columns:]:
        ax.set_xlabel("time [s]" if recording is None else "driving time, recordings side by side [s]")
    if along:
        handles = {
            label: line for ax in along for line, label in zip(*ax.get_legend_handles_labels(), strict=True)
        }
        add_legend(figure, handles.values(), handles.keys(), columns=4)
    return figure


def _along_drive(
    times: np.ndarray, recording: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, Bool[np.ndarray, " K"]]:
    """Order of the rows, their time on the axis, and which of them begin a new line."""
    group = np.zeros(len(times)) if recording is None else recording
    order = np.lexsort([times, group])
    drive, group = np.asarray(times, float)[order], group[order]
    steps = np.diff(drive, prepend=drive[0])
    begins = np.diff(group, prepend=group[0]) != 0
    within = steps[1:][~begins[1:]]
    usual = float(np.median(within)) if len(within) else 1.0
    if recording is not None:
        gap = max(0.02 * float(np.sum(within)), 2 * usual)
        drive = np.cumsum(np.where(begins, gap, steps))
    return order, drive, begins | (steps > 5 * usual)


def _draw_along(
    ax: Axes,
    spec: ModelSpec,
    name: str,
    drive: np.ndarray,
    values: np.ndarray,
    truth: np.ndarray | None,
    starts: np.ndarray,
) -> None:
    """A scalar parameter along the drive between its bounds."""
    row = spec.parameter(name)
    low, high = (float(bound) for bound in spec.param_bounds[name])
    breaks = np.flatnonzero(starts)
    x, y = np.insert(drive, breaks, np.nan), np.insert(values.astype(float), breaks, np.nan)
    if truth is not None:
        ax.plot(x, np.insert(truth.astype(float), breaks, np.nan), color=TRUTH, linewidth=2.6, label="truth")
    ax.plot(x, y, ".-", color=PREDICTED, linewidth=1, markersize=2.5, label="predicted")
    ax.axhline(float(spec.default_params[name]), color=BASELINE, linestyle=":", label="default")
    if row.log:
        ax.set_yscale("log")
        margin = (high / low) ** 0.06
        bottom, top = low / margin, high * margin
    else:
        margin = 0.06 * (high - low)
        bottom, top = low - margin, high + margin
    for outside, bound in ((bottom, low), (top, high)):
        ax.axhspan(outside, bound, color=MUTED, alpha=0.25, linewidth=0)
        ax.axhline(bound, color=MUTED, linewidth=1, label="bounds")
    for at in map(int, breaks):
        ax.axvline((drive[at - 1] + drive[at]) / 2, color=MUTED, linewidth=0.6, alpha=0.6)
    ax.set_ylim(bottom, top)
    ax.set_ylabel(label_of(row.symbol, row.unit))
    ax.set_title(name, loc="left", fontweight="bold")
    ax.set_title(f"{np.mean(values):.3g} ± {np.std(values):.2g}", loc="right", color=PREDICTED)


def _draw_entries(
    figure: Figure, median_ax: Axes, range_ax: Axes, spec: ModelSpec, name: str, values: np.ndarray
) -> None:
    """An array parameter: median and range of each entry over the drive, as two maps."""
    row = spec.parameter(name)
    median, spread = np.median(values, axis=0), np.ptp(values, axis=0)
    largest = float(np.max(np.abs(median))) or 1.0
    for ax, entries, what, limits, colors in (
        (median_ax, median, "median", (-largest, largest), "PuOr"),
        (range_ax, spread, "range", (0.0, float(np.max(spread)) or 1.0), "cividis"),
    ):
        table = entries.reshape(-1, entries.shape[-1])
        image = ax.imshow(table, cmap=colors, vmin=limits[0], vmax=limits[1], aspect="auto")
        figure.colorbar(image, ax=ax, label=label_of(row.symbol, row.unit))
        ax.grid(visible=False)
        height, width = table.shape
        ax.set_xticks(range(0, width, math.ceil(width / 10)))
        ax.set_yticks(range(0, height, math.ceil(height / 10)))
        ax.set_title(f"{name}: {what} along the drive", loc="left", fontweight="bold")
        if table.size <= 64:
            for (i, j), entry in np.ndenumerate(table):
                r, g, b, _ = image.cmap(image.norm(entry))
                dark = 0.299 * r + 0.587 * g + 0.114 * b < 0.5
                color = "white" if dark else "black"
                ax.text(j, i, f"{entry:.2g}", ha="center", va="center", color=color, fontsize=7)
