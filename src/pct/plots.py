"""Every figure that PCT draws: plain arrays in, one PNG out, labels and bounds from the model's tables.

A ``plot_*`` function takes the path first, then what its ``draw_*`` function takes; the latter returns the
figure for whoever wants to place it elsewhere. Truth is black, the trained network blue and the baseline
dashed vermilion everywhere (Okabe and Ito's colours, which the colour-blind tell apart as well).
"""

from __future__ import annotations

import functools
import io
import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogFormatter, MaxNLocator

from pct.dynamics.core import Channel, ModelSpec
from pct.files import write_output
from pct.types import Bool, Float, Shaped

DPI = 120
TRUTH, PREDICTED, BASELINE, CONTROL = "#000000", "#0072B2", "#D55E00", "#009E73"
MUTED = "#7F7F7F"
ROUND = (1, 2, 2.5, 5, 10)  # steps between ticks
STYLE: dict[str, Any] = {
    "font.size": 9.0,
    "axes.titlesize": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.35,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "axes.formatter.limits": (-3, 4),
    "axes.formatter.use_mathtext": True,
    "figure.titlesize": 12.0,
    "figure.titleweight": "bold",
    "legend.frameon": False,
    "lines.linewidth": 1.5,
}

P = ParamSpec("P")


def _plot(draw: Callable[P, Figure]) -> Callable[Concatenate[Path, P], None]:
    """The function that draws a figure in PCT's style and writes it, whole or not at all."""

    # matplotlib.figure.Figure, not pyplot: no window, no backend and no list of open figures to spoil.
    @functools.wraps(draw)
    def plot(path: Path, /, *args: P.args, **kwargs: P.kwargs) -> None:
        with matplotlib.style.context(["default", STYLE]):
            figure = draw(*args, **kwargs)
            write_output(path, lambda file: figure.savefig(file, format="png", dpi=DPI))

    return plot


# --- Loss curves


def draw_losses(
    *,
    train_steps: Shaped[np.ndarray, " K"],
    train_loss: Shaped[np.ndarray, " K"],
    val_steps: Shaped[np.ndarray, " E"] | None = None,
    val_loss: Shaped[np.ndarray, " E"] | None = None,
    learning_rate: Shaped[np.ndarray, " K"] | None = None,
    horizon: Shaped[np.ndarray, " K"] | None = None,
    best_step: int | None = None,
) -> Figure:
    """Training and validation loss over the steps, with the schedule that they saw.

    Args:
        train_steps, train_loss: loss of each step, shape (K,); smoothed by a running median.
        val_steps, val_loss: step after which an epoch was validated and its loss, shape (E,).
        learning_rate, horizon: rate and time steps of the rollout at each step, shape (K,).
        best_step: the step whose parameters were kept as the best.

    A loss that is zero or not finite leaves a gap: the axis is logarithmic.
    """
    extra = [
        (label, values)
        for label, values in (("learning rate", learning_rate), ("horizon [steps]", horizon))
        if values is not None
    ]
    figure = Figure(figsize=(12, 5 + 1.2 * len(extra)), layout="constrained")
    axes = figure.subplots(
        1 + len(extra), 1, sharex=True, squeeze=False, height_ratios=[4.5] + [1] * len(extra)
    )[:, 0]
    main = axes[0]
    many = len(train_loss) >= 10
    main.plot(
        train_steps,
        train_loss,
        ".-",
        color=PREDICTED,
        alpha=0.3 if many else 1.0,
        linewidth=0.7,
        markersize=3 if many else 8,
        label="training",
    )
    if many:
        centres, medians = _running_median(train_steps, train_loss)
        main.plot(centres, medians, color=PREDICTED, linewidth=2.2, label="training, running median")
    if val_steps is not None and val_loss is not None and len(val_steps):
        main.plot(val_steps, val_loss, "o-", color=BASELINE, markersize=4, label="validation")
        if best_step in val_steps:
            best = val_loss[list(val_steps).index(best_step)]
            main.plot(
                best_step,
                best,
                "*",
                color=TRUTH,
                markersize=14,
                label=f"best: {best:.3g} at step {best_step}",
            )
    _set_log(main, np.concatenate([train_loss, [] if val_loss is None else val_loss]))
    main.set_ylabel("loss [–]")
    main.set_title("Loss of the network", loc="left", fontsize=12, fontweight="bold")
    for ax, (label, values) in zip(axes[1:], extra, strict=True):
        ax.plot(train_steps, values, ".-", color=CONTROL, markersize=2, drawstyle="steps-post")
        ax.set_ylabel(label)
    if learning_rate is not None:
        _set_log(axes[1], learning_rate)
        drops = train_steps[1:][learning_rate[1:] < learning_rate[:-1]]
        # A rate that falls at every step (a decay) is told by its own panel.
        for number, step in enumerate(drops if len(drops) <= 12 else []):
            label = "_" if number else "learning rate drops"
            main.axvline(step, color=MUTED, linestyle=":", linewidth=1.2, label=label)
    if horizon is not None:
        axes[-1].yaxis.set_major_locator(MaxNLocator(3, integer=True, steps=ROUND))
        axes[-1].set_ylim(0, 1.15 * max(horizon))
        if horizon[0] < max(horizon):
            full = train_steps[np.argmax(horizon == max(horizon))]
            main.axvline(full, color=CONTROL, linestyle="--", linewidth=1.2, label="curriculum ends")
    margin = max(1.0, 0.02 * float(train_steps[-1] - train_steps[0]))
    main.set_xlim(train_steps[0] - margin, train_steps[-1] + margin)
    axes[-1].set_xlabel("training step")
    axes[-1].xaxis.set_major_locator(MaxNLocator(10, integer=True, steps=ROUND))
    figure.legend(*main.get_legend_handles_labels(), loc="outside lower left", ncols=6)
    figure.align_ylabels()
    return figure


def _running_median(
    steps: Shaped[np.ndarray, " K"], values: Shaped[np.ndarray, " K"]
) -> tuple[np.ndarray, np.ndarray]:
    """At most 200 medians over a fiftieth of the finite values each: single bad batches do not show."""
    finite = np.isfinite(values)
    steps, values = steps[finite], values[finite]
    half = max(2, len(values) // 100)
    centres = np.unique(np.linspace(0, max(len(values) - 1, 0), min(len(values), 200)).astype(int))
    medians = [np.median(values[max(0, i - half) : i + half + 1]) for i in centres]
    return steps[centres], np.array(medians)


def _set_log(ax: Axes, values: np.ndarray, which: str = "y") -> None:
    """Make an axis logarithmic, with numbers instead of powers, where that shows any of the values."""
    if np.any(values[np.isfinite(values)] > 0):
        (ax.set_yscale if which == "y" else ax.set_xscale)("log", nonpositive="mask")
        axis = ax.yaxis if which == "y" else ax.xaxis
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(LogFormatter(minor_thresholds=(1.0, 0.4)))


# --- One window


def draw_scenario(
    *,
    spec: ModelSpec,
    times: Float[np.ndarray, " K"],
    true_states: Float[np.ndarray, "K S"],
    predicted_states: Float[np.ndarray, "K S"],
    controls: Float[np.ndarray, "T C"],
    title: str,
    baseline_states: Float[np.ndarray, "K S"] | None = None,
    baseline_label: str | None = None,
) -> Figure:
    """One window: the path driven and each state and control over time.

    Above each state stand the RMSE over the window and the error at its end, of the network in blue and
    of the baseline in vermilion. A curve that leaves the truth by several times its range is cut off.

    Args:
        spec: the model, whose tables give symbols, units and angles.
        times: time of each row in s, shape (K,); the first row is the start of the window.
        true_states, predicted_states, baseline_states: states in the model's units, shape (K, S).
        controls: control held from each row to the next, shape (T, C), T >= K - 1.
        title: says which window of what it is.
        baseline_label: what the baseline is.
    """
    curves = [(_finite(predicted_states), PREDICTED, "-", "trained network")]
    if baseline_states is not None:
        curves.append((_finite(baseline_states), BASELINE, "--", baseline_label or "baseline"))
    panels = len(spec.states) + len(spec.controls)
    rows, columns = 3, math.ceil(panels / 3)
    figure = Figure(figsize=(4.6 + 3 * columns, 7.4), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    grid = figure.add_gridspec(rows, 1 + columns, width_ratios=[1.7] + [1] * columns)
    path = figure.add_subplot(grid[:, 0])
    _draw_path(path, spec, true_states, curves)
    axes = [figure.add_subplot(grid[i // columns, 1 + i % columns]) for i in range(panels)]
    for i, (ax, channel) in enumerate(zip(axes, spec.states, strict=False)):
        _draw_state(ax, channel, times, true_states[:, i], [(c[0][:, i], *c[1:3]) for c in curves])
    for i, (ax, channel) in enumerate(zip(axes[len(spec.states) :], spec.controls, strict=True)):
        ax.stairs(controls[: len(times) - 1, i], times, baseline=None, color=CONTROL, linewidth=1.5)
        ax.set_ylabel(_label(channel.symbol, channel.unit))
        ax.set_title("control", loc="left", color=CONTROL)
    for i, ax in enumerate(axes):
        ax.set_xlim(times[0], times[-1])
        if i + columns >= panels:
            ax.set_xlabel("time [s]")
    figure.align_ylabels(axes)
    figure.legend(*path.get_legend_handles_labels(), loc="outside lower left", ncols=4)
    return figure


def _draw_path(ax: Axes, spec: ModelSpec, true_states: np.ndarray, curves: Sequence[Any]) -> None:
    """The path in the plane, with equal axes, start and driving direction."""
    i, j, _ = spec.pose_indices
    x, y = true_states[:, i], true_states[:, j]
    ax.plot(x, y, color=TRUTH, linewidth=2.6, label="driven")
    for states, color, line, label in curves:
        ax.plot(
            states[:, i],
            states[:, j],
            line,
            color=color,
            marker="o",
            markevery=[-1],
            markersize=5,
            label=label,
        )
    ax.plot(x[0], y[0], "o", color=TRUTH, markersize=9, markerfacecolor="white", label="start", linestyle="")
    driven = np.cumsum(np.hypot(np.diff(x), np.diff(y)))
    if driven[-1] > 0:
        middle = int(np.searchsorted(driven, 0.5 * driven[-1])) + 1
        before = max(0, middle - 1 - len(x) // 20)  # a chord, for a measured path is too rough to point
        ax.annotate(
            "",
            xy=(x[middle], y[middle]),
            xytext=(x[before], y[before]),
            arrowprops={
                "arrowstyle": "-|>",
                "color": TRUTH,
                "mutation_scale": 22,
                "shrinkA": 0,
                "shrinkB": 0,
            },
        )
    least = 1.0  # m
    ax.set_xlim(_limits(x, [c[0][:, i] for c in curves], least), auto=True)
    ax.set_ylim(_limits(y, [c[0][:, j] for c in curves], least), auto=True)
    ax.set_aspect("equal", adjustable="datalim")
    for axis, channel in ((ax.xaxis, spec.states[i]), (ax.yaxis, spec.states[j])):
        axis.set_label_text(_label(channel.symbol, channel.unit))
        axis.set_major_locator(MaxNLocator(6, steps=ROUND))


def _draw_state(
    ax: Axes, channel: Channel, times: np.ndarray, truth: np.ndarray, curves: Sequence[Any]
) -> None:
    """One state over time; angles are drawn without their jumps, and their errors are wrapped."""
    if channel.angle:
        truth = np.unwrap(truth)
    ax.plot(times, truth, color=TRUTH, linewidth=2.6)
    shown: list[np.ndarray] = []
    for values, color, line in curves:
        error = values - truth
        if channel.angle:
            error = (error + np.pi) % (2 * np.pi) - np.pi
            values = np.unwrap(values) + 2 * np.pi * np.round((truth[0] - values[0]) / (2 * np.pi))
        ax.plot(times, values, line, color=color)
        rmse = math.sqrt(np.mean(error**2))
        ax.annotate(
            f"RMSE {rmse:.2g}, at the end {abs(error[-1]):.2g}",
            xy=(0, 1),
            xycoords="axes fraction",
            xytext=(0, 3 + 10 * (len(curves) - 1 - len(shown))),
            textcoords="offset points",
            color=color,
            fontsize=8,
        )
        shown.append(values)
    ax.set_ylim(_limits(truth, shown, channel.scale))
    ax.set_ylabel(_label(channel.symbol, channel.unit))
    ax.yaxis.set_major_locator(MaxNLocator(5, steps=ROUND))


def _finite(values: np.ndarray) -> np.ndarray:
    """The values in double precision with NaN from where they cannot be drawn or squared."""
    return np.where(np.abs(values) < 1e30, values, np.nan).astype(float)


def _limits(truth: np.ndarray, others: Sequence[np.ndarray], least: float) -> tuple[float, float]:
    """Axis limits around all curves, but not further from the truth than three times its range.

    ``least`` is the smallest range that is worth a full axis.
    """
    low, high = float(np.min(truth)), float(np.max(truth))
    reach = 3 * max(high - low, least)
    drawn = np.concatenate([truth, *others])
    drawn = np.clip(drawn[np.isfinite(drawn)], low - reach, high + reach)
    low, high = float(drawn.min()), float(drawn.max())
    margin = max(0.06 * (high - low), 0.5 * (least - (high - low)))
    return low - margin, high + margin


# --- Parameters along the drive


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
        title: says what was predicted on.
    """
    arrays = [name for name, value in values.items() if np.ndim(value) > 1]
    scalars = [name for name in values if name not in arrays]
    cells = 2 * len(arrays) + len(scalars)
    columns = 2 if arrays else min(3, cells)
    rows = math.ceil(cells / columns)
    figure = Figure(figsize=(12, 0.9 + max(2.1 * rows, 3)), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    order, drive, starts = _along_drive(times, recording)
    axes = iter(figure.subplots(rows, columns, squeeze=False).flat)
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
        figure.align_ylabels(along)
        handles = {
            label: line for ax in along for line, label in zip(*ax.get_legend_handles_labels(), strict=True)
        }
        figure.legend(handles.values(), handles.keys(), loc="outside lower left", ncols=4)
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
    ax.set_ylabel(_label(row.symbol, row.unit))
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
        figure.colorbar(image, ax=ax, label=_label(row.symbol, row.unit))
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


# --- Error against horizon


def draw_error_growth(
    *, spec: ModelSpec, dt: float, errors: Mapping[str, Shaped[np.ndarray, "T S"]], title: str
) -> Figure:
    """RMSE of each state against the time that the model ran open loop.

    Args:
        spec: the model.
        dt: time step in s.
        errors: RMSE after each step in the state's unit by label, shape (T, S); the trained network first.
        title: says what was predicted on.
    """
    columns = min(4, len(spec.states))
    rows = math.ceil(len(spec.states) / columns)
    figure = Figure(figsize=(12, 1.0 + 2.6 * rows), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    styles = [(PREDICTED, "-"), (BASELINE, "--"), (CONTROL, "-."), ("#CC79A7", ":"), ("#E69F00", "-")]
    for i, (ax, channel) in enumerate(zip(axes, spec.states, strict=False)):
        for (label, values), (color, line) in zip(errors.items(), styles, strict=False):
            seconds = dt * np.arange(len(values) + 1)
            ax.plot(seconds, np.concatenate([[0.0], values[:, i]]), line, color=color, label=label)
        finals = [float(np.max(v[:, i][np.isfinite(v[:, i])], initial=0.0)) for v in errors.values()]
        # One that blows up must not press the others onto the axis.
        top = min(max(finals), 10 * min(finals)) or max(finals) or channel.scale
        ax.set_ylim(0, 1.08 * top)
        ax.set_xlim(0, seconds[-1])
        ax.set_ylabel(f"RMSE of {_label(channel.symbol, channel.unit)}")
        if i + columns >= len(spec.states):
            ax.set_xlabel("horizon [s]")
    for ax in axes[len(spec.states) :]:
        ax.remove()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower left", ncols=5)
    return figure


# --- A run beside its baselines


def draw_growth_bands(
    *,
    dt: float,
    channels: Sequence[Channel],
    errors: Mapping[str, Mapping[str, Shaped[np.ndarray, "T 3"]]],
    title: str,
) -> Figure:
    """RMSE of each channel against the time that the prediction ran, with its interval as a band.

    Args:
        dt: time step in s.
        channels: one panel each.
        errors: value, low and high after each step, (T, 3), by label and channel name; the run first. A
            label without a channel has no line there.
        title: says what was predicted on.
    """
    rows, columns = _panels(len(channels))
    figure = Figure(figsize=(12, 1.0 + 2.6 * rows), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    styles = _styles(errors)
    for i, (ax, channel) in enumerate(zip(axes, channels, strict=False)):
        drawn: list[np.ndarray] = []
        for label, by_channel in errors.items():
            if channel.name not in by_channel:
                continue
            value, low, high = _finite(by_channel[channel.name]).T
            seconds = dt * np.arange(1, len(value) + 1)
            ax.plot(seconds, value, **styles[label])
            ax.fill_between(seconds, low, high, color=styles[label]["color"], alpha=0.25, linewidth=0)
            drawn.append(value)
        _set_log(ax, np.concatenate(drawn))
        ax.set_xlim(0, seconds[-1])
        ax.set_ylabel(f"RMSE of {_label(channel.symbol, channel.unit)}")
        if i + columns >= len(channels):
            ax.set_xlabel("horizon [s]")
    for ax in axes[len(channels) :]:
        ax.remove()
    _legend(figure, styles)
    return figure


def draw_ladder(
    *,
    channels: Sequence[Channel],
    errors: Mapping[str, Mapping[str, Sequence[float]]],
    title: str,
) -> Figure:
    """Error of each channel by baseline, with its interval.

    Args:
        channels: one panel each.
        errors: value, low and high by label and channel name; the run first.
        title: says which error of what.
    """
    rows, columns = _panels(len(channels))
    figure = Figure(figsize=(12, 0.9 + (0.6 + 0.24 * len(errors)) * rows), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    axes = list(figure.subplots(rows, columns, squeeze=False, sharey=True).flat)
    styles = _styles(errors)
    for ax, channel in zip(axes, channels, strict=False):
        for place, (label, by_channel) in enumerate(errors.items()):
            value, low, high = by_channel.get(channel.name, (math.nan,) * 3)
            color = styles[label]["color"]
            if math.isfinite(value):
                ax.plot([low, high], [place, place], color=color, linewidth=3, alpha=0.5)
                ax.plot(value, place, "o", color=color, markersize=6)
                ax.annotate(f"{value:.3g}", (value, place), (5, 4), textcoords="offset points", fontsize=7)
            else:
                what = "diverged" if math.isinf(value) else "–"
                where = ax.get_yaxis_transform()
                ax.text(0.03, place, what, transform=where, va="center", color=MUTED, fontsize=8)
        known = [by_channel[channel.name][0] for by_channel in errors.values() if channel.name in by_channel]
        _set_log(ax, np.array(known), "x")
        ax.margins(x=0.25)
        ax.set_xlabel(_label(channel.symbol, channel.unit))
        ax.tick_params(axis="x", which="both", labelsize=7)
    axes[0].set_yticks(range(len(errors)), list(errors))
    axes[0].set_ylim(len(errors) - 0.4, -0.8)
    for ax in axes[len(channels) :]:
        ax.remove()
    return figure


def draw_bins(
    *,
    channel: Channel,
    conditions: Sequence[tuple[str, str, Shaped[np.ndarray, " E"]]],
    errors: Sequence[Mapping[str, Shaped[np.ndarray, "K 3"]]],
    title: str,
) -> Figure:
    """Error of one channel against how the car was driven.

    Args:
        channel: whose error it is.
        conditions: name, unit and edges of the bins, (K + 1,); one panel each.
        errors: of each condition, value, low and high of each bin by label, (K, 3); the run first.
        title: says which error of what.
    """
    figure = Figure(figsize=(12, 4.2), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    axes = figure.subplots(1, len(conditions), squeeze=False, sharey=True)[0]
    styles = _styles(errors[0])
    for ax, (name, unit, edges), by_label in zip(axes, conditions, errors, strict=True):
        middle, width = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
        for place, (label, values) in enumerate(by_label.items()):
            shift = width * 0.06 * (place - (len(by_label) - 1) / 2)  # whiskers side by side
            value, low, high = _finite(values).T
            ax.plot(middle + shift, value, **styles[label], marker="o", markersize=4)
            ax.vlines(middle + shift, low, high, color=styles[label]["color"], linewidth=2.5, alpha=0.5)
        for edge in edges:
            ax.axvline(edge, color=MUTED, linewidth=0.6, alpha=0.6)
        ax.grid(visible=False, axis="x")
        _set_log(ax, np.concatenate([values[:, 0] for values in by_label.values()]))
        ax.set_xlabel(f"{name} [{_unit(unit)}]")
    axes[0].set_ylabel(f"RMSE of {_label(channel.symbol, channel.unit)}")
    _legend(figure, styles)
    return figure


def _panels(count: int) -> tuple[int, int]:
    """Rows and columns of so many panels, at most four side by side.

    Examples:
        >>> _panels(3), _panels(6), _panels(8)
        ((1, 3), (2, 3), (2, 4))
    """
    rows = math.ceil(count / 4)
    return rows, math.ceil(count / rows)


def _styles(labels: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Colour and line of each label; the first is the run."""
    colors = [PREDICTED, MUTED, "#E69F00", "#CC79A7", CONTROL, BASELINE, "#56B4E9"]
    lines = ["-", ":", "-.", "-", "-.", "--", "--"]
    return {
        label: {"color": color, "linestyle": line, "linewidth": 2.4 if label == next(iter(labels)) else 1.4}
        for label, color, line in zip(labels, itertools.cycle(colors), itertools.cycle(lines), strict=False)
    }


def _legend(figure: Figure, styles: Mapping[str, dict[str, Any]]) -> None:
    handles = [Line2D([], [], **style) for style in styles.values()]
    figure.legend(handles, list(styles), loc="outside lower left", ncols=7)


def to_svg(draw: Callable[P, Figure], /, *args: P.args, **kwargs: P.kwargs) -> bytes:
    """A figure in PCT's style as SVG, the same bytes for the same figure."""
    file = io.BytesIO()
    with matplotlib.style.context(["default", STYLE, {"svg.hashsalt": "pct"}]):
        draw(*args, **kwargs).savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def _label(symbol: str, unit: str) -> str:
    """Axis label, e.g. ``$\\dot{\\psi}$ [rad/s]``; a ratio has the unit ``–``.

    Examples:
        >>> _label("a", "m/s^2"), _label("\\\\mu", "1")
        ('$a$ [m/s$^{2}$]', '$\\\\mu$ [–]')
    """
    return f"${symbol}$ [{_unit(unit)}]"


def _unit(unit: str) -> str:
    return "–" if unit == "1" else re.sub(r"\^(-?[0-9]+)", r"$^{\1}$", unit)


plot_losses = _plot(draw_losses)
plot_scenario = _plot(draw_scenario)
plot_parameters = _plot(draw_parameters)
plot_error_growth = _plot(draw_error_growth)
