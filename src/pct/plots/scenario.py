"""One window: the path driven, and each state and control over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pct.dynamics.core import Channel, ModelSpec
from pct.plots.layout import RIGHT, add_legend, add_panels, legend_height, make_figure
from pct.plots.style import BASELINE, CONTROL, PREDICTED, ROUND, TRUTH, finite, label_of
from pct.types import Float

# Width of the path with its labels in inches.
PATH = 4.6


def draw_scenario(
    *,
    spec: ModelSpec,
    times: Float[np.ndarray, " K"],
    true_states: Float[np.ndarray, "K S"],
    predicted_states: Float[np.ndarray, "K S"],
    controls: Float[np.ndarray, "T C"],
    title: str,
    predicted_label: str = "trained network",
    baseline_states: Float[np.ndarray, "K S"] | None = None,
    baseline_label: str | None = None,
) -> Figure:
    """One window: the path driven and each state and control over time.

    Above each state stand the RMSE over the window and the error at its end, of the prediction in blue and
    of the baseline in vermilion. A curve that leaves the truth by several times its range is cut off. A state
    that the drive does not hold has no truth; the path is then the one that speed and yaw rate lead to.

    Args:
        spec: the model, whose tables give symbols, units and angles.
        times: time of each row in s, shape (K,); the first row is the start of the window.
        true_states, predicted_states, baseline_states: states in the model's units, shape (K, S).
        controls: control held from each row to the next, shape (T, C), T >= K - 1.
        title: names the window.
        predicted_label, baseline_label: names of prediction and baseline in the legend.
    """
    curves = [(finite(predicted_states), PREDICTED, "-", predicted_label)]
    if baseline_states is not None:
        curves.append((finite(baseline_states), BASELINE, "--", baseline_label or "baseline"))
    panels = len(spec.states) + len(spec.controls)
    rows, columns = 3, math.ceil(panels / 3)
    figure = make_figure(title, PATH + 3.0 * columns, 7.4)
    foot = legend_height(4, 4)
    (path,) = add_panels(figure, 1, 1, foot=foot, right=RIGHT + 3 * columns)
    _draw_path(path, spec, true_states, curves)
    axes = add_panels(figure, rows, columns, foot=foot, begin=PATH, above=0.2 + 0.14 * len(curves))
    for ax in axes[panels:]:
        ax.remove()
    axes = axes[:panels]
    for i, (ax, channel) in enumerate(zip(axes, spec.states, strict=False)):
        shown = [(c[0][:, i], *c[1:3]) for c in curves]
        _draw_state(ax, channel, times, true_states[:, i], shown, logged=channel.name not in spec.unlogged)
    for i, (ax, channel) in enumerate(zip(axes[len(spec.states) :], spec.controls, strict=True)):
        ax.stairs(controls[: len(times) - 1, i], times, baseline=None, color=CONTROL, linewidth=1.5)
        ax.set_ylabel(label_of(channel.symbol, channel.unit))
        ax.set_title("control", loc="left", color=CONTROL)
    for i, ax in enumerate(axes):
        ax.set_xlim(times[0], times[-1])
        if i + columns >= panels:
            ax.set_xlabel("time [s]")
    add_legend(figure, *path.get_legend_handles_labels(), columns=4)
    return figure


def _draw_path(ax: Axes, spec: ModelSpec, true_states: np.ndarray, curves: Sequence[Any]) -> None:
    """The path in the plane, with equal axes, start and driving direction."""
    i, j, _ = spec.pose_indices
    x, y = true_states[:, i], true_states[:, j]
    reckoned = bool({*spec.pose} & {*spec.unlogged})
    driven_by = "reckoned from speed and yaw rate" if reckoned else "driven"
    ax.plot(x, y, ":" if reckoned else "-", color=TRUTH, linewidth=2.6, label=driven_by)
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
        axis.set_label_text(label_of(channel.symbol, channel.unit))
        axis.set_major_locator(MaxNLocator(6, steps=ROUND))


def _draw_state(
    ax: Axes, channel: Channel, times: np.ndarray, truth: np.ndarray, curves: Sequence[Any], *, logged: bool
) -> None:
    """One state over time; angles are drawn without their jumps, and their errors are wrapped."""
    if channel.angle:
        truth = np.unwrap(truth)
    if logged:
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
            f"RMSE {rmse:.2g}, at the end {abs(error[-1]):.2g}" if logged else "not logged",
            xy=(0, 1),
            xycoords="axes fraction",
            xytext=(0, 3 + 10 * (len(curves) - 1 - len(shown))),
            textcoords="offset points",
            color=color,
            fontsize=8,
        )
        shown.append(values)
    ax.set_ylim(_limits(truth if logged else shown[0], shown, channel.scale))
    ax.set_ylabel(label_of(channel.symbol, channel.unit))
    ax.yaxis.set_major_locator(MaxNLocator(5, steps=ROUND))


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
