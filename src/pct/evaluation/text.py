"""The sentences and tables that console and report have in common."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pct.dynamics.core import Channel
from pct.evaluation.bootstrap import Interval
from pct.evaluation.conditions import Condition
from pct.evaluation.evaluate import RUN, Evaluation
from pct.evaluation.scores import POSITION

DISTANCE = Channel(POSITION, r"\mathrm{position}", "m")


def facts(found: Evaluation) -> list[str]:
    """What was judged on, and how the intervals were made."""
    return [
        f"{found.spec.name}: {found.windows} windows of {len(found.recordings)} recordings, "
        f"{found.horizon} steps of {found.dt:g} s after {found.history} of history, a window every "
        f"{found.stride * found.dt:g} s",
        f"Intervals: 95 %, block bootstrap over {found.blocks} blocks of {found.block_rows} rows "
        f"({found.block_rows * found.dt:g} s) or more.",
        *found.notes,
    ]


def verdicts(found: Evaluation) -> list[str]:
    """The run against each baseline by the position over the longest horizon, from the same draws."""
    lines = []
    seconds = max(found.at)
    for name, row in found.rows.items():
        ratio = row.ratios[seconds].get(POSITION)
        if name == RUN or ratio is None:
            continue
        if not math.isfinite(ratio.value):
            lines.append(f"The run DIVERGED in a window, so that it cannot be compared with {name}")
            continue
        if ratio.value == 0:  # over an infinite error
            lines.append(f"The run beats {name}, which diverged in a window")
            continue
        if ratio.high < 1:
            verdict = "beats"
        elif ratio.low > 1:
            verdict = "is WORSE than"
        else:
            verdict = "cannot be told from"
        lines.append(
            f"The run {verdict} {name}: {percent(ratio)} of its position path RMSE over {seconds:g} s"
        )
    return lines


def number(estimate: Interval | float | None) -> str:
    """Three digits; a dash where nothing is predicted.

    Examples:
        >>> number(Interval(0.012345, 0.01, 0.02)), number(None), number(math.inf)
        ('0.0123', '–', 'diverged')
    """
    if estimate is None:
        return "–"
    value = estimate.value if isinstance(estimate, Interval) else estimate
    if math.isinf(value):
        return "diverged"
    return "–" if math.isnan(value) else f"{value:.3g}"


def with_interval(estimate: Interval | None) -> str:
    """Value and interval.

    Examples:
        >>> with_interval(Interval(0.5, 0.25, 0.75)), with_interval(Interval(0.5, math.nan, math.nan))
        ('0.5 [0.25, 0.75]', '0.5')
    """
    if estimate is None or np.isnan(estimate.low):
        return number(estimate)
    return f"{number(estimate)} [{number(estimate.low)}, {number(estimate.high)}]"


def percent(estimate: Interval) -> str:
    """A ratio in percent with its interval.

    Examples:
        >>> percent(Interval(0.5, 0.25, 0.75))
        '50 % [25, 75]'
    """
    value = f"{100 * estimate.value:.3g} %"
    if np.isnan(estimate.low):
        return value
    return f"{value} [{100 * estimate.low:.3g}, {100 * estimate.high:.3g}]"


Form = Callable[[Any], str]


def channels_of(found: Evaluation) -> list[Channel]:
    """The position, and every state but x and y."""
    return [DISTANCE, *(channel for channel in found.spec.states if channel.name not in found.spec.pose[:2])]


def ladder_cells(found: Evaluation, seconds: float, form: Form) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the ladder over a horizon in s; ``form`` writes an estimate."""
    channels = channels_of(found)
    head = ["", "ADE [m]", "FDE [m]", *(f"{c.name} path RMSE [{c.unit}]" for c in channels), "run / row"]
    rows = []
    for name, row in found.rows.items():
        scores = row.scores[seconds]
        position = scores.get(POSITION)
        cells = [position and position.mean_path, position and position.mean_final]
        cells += [scores[c.name].path_rmse if c.name in scores else None for c in channels]
        ratio = row.ratios[seconds].get(POSITION)
        rows.append([name, *map(form, cells), percent(ratio) if ratio and name != RUN else "–"])
    return head, rows


def run_cells(found: Evaluation, seconds: float) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the run's own errors by channel over a horizon in s."""
    head = ["channel", "final RMSE", "path RMSE", "median path RMSE", "max", "unit"]
    units = {channel.name: channel.unit for channel in (*found.spec.states, DISTANCE)}
    rows = []
    for name, s in found.rows[RUN].scores[seconds].items():
        estimates = s.final_rmse, s.path_rmse, s.median_path_rmse
        rows.append([name, *map(with_interval, estimates), number(s.max), units[name]])
    return head, rows


def bin_cells(found: Evaluation, condition: Condition, form: Form) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the position's path RMSE by the bins of a condition; ``form`` writes an estimate."""
    edges = zip(condition.edges, condition.edges[1:], condition.inside, strict=False)
    head = [f"position path RMSE [m] by {condition.name} [{condition.unit}]"]
    head += [f"{low:.3g} to {high:.3g} ({inside.sum()} windows)" for low, high, inside in edges]
    return head, [
        [name, *(form(scores.get(POSITION)) for scores in row.bins[condition.name])]
        for name, row in found.rows.items()
    ]
