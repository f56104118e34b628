"""Sentences and tables of an evaluation, for console and report."""

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


def facts(result: Evaluation) -> list[str]:
    """The windows of the result, and how the intervals are made."""
    return [
        f"{result.spec.name}: {result.windows} windows of {len(result.recordings)} recordings, "
        f"{result.horizon} steps of {result.dt:g} s after {result.history} of history, a window every "
        f"{result.stride * result.dt:g} s",
        f"Intervals: 95 %, block bootstrap over {result.blocks} blocks of {result.block_rows} rows "
        f"({result.block_rows * result.dt:g} s) or more.",
        *result.notes,
    ]


def verdicts(result: Evaluation) -> list[str]:
    """The run against each baseline by the position over the longest horizon, from the same draws."""
    lines = []
    seconds = max(result.at)
    for name, row in result.rows.items():
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


def number(interval: Interval | float | None) -> str:
    """Three digits; a dash where nothing is predicted.

    Examples:
        >>> number(Interval(0.012345, 0.01, 0.02)), number(None), number(math.inf)
        ('0.0123', '–', 'diverged')
    """
    if interval is None:
        return "–"
    value = interval.value if isinstance(interval, Interval) else interval
    if math.isinf(value):
        return "diverged"
    return "–" if math.isnan(value) else f"{value:.3g}"


def with_interval(interval: Interval | None) -> str:
    """Value and interval.

    Examples:
        >>> with_interval(Interval(0.5, 0.25, 0.75)), with_interval(Interval(0.5, math.nan, math.nan))
        ('0.5 [0.25, 0.75]', '0.5')
    """
    if interval is None or np.isnan(interval.low):
        return number(interval)
    return f"{number(interval)} [{number(interval.low)}, {number(interval.high)}]"


def percent(interval: Interval) -> str:
    """A ratio in percent with its interval.

    Examples:
        >>> percent(Interval(0.5, 0.25, 0.75))
        '50 % [25, 75]'
    """
    value = f"{100 * interval.value:.3g} %"
    if np.isnan(interval.low):
        return value
    return f"{value} [{100 * interval.low:.3g}, {100 * interval.high:.3g}]"


Form = Callable[[Any], str]


def channels_of(result: Evaluation) -> list[Channel]:
    """The position, and every state but x and y."""
    return [
        DISTANCE,
        *(channel for channel in result.spec.states if channel.name not in result.spec.pose[:2]),
    ]


def ladder_cells(result: Evaluation, seconds: float, form: Form) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the ladder over a horizon in s; ``form`` formats an interval."""
    channels = channels_of(result)
    head = ["", "ADE [m]", "FDE [m]", *(f"{c.name} path RMSE [{c.unit}]" for c in channels), "run / row"]
    rows = []
    for name, row in result.rows.items():
        scores = row.scores[seconds]
        position = scores.get(POSITION)
        cells = [position and position.mean_path, position and position.mean_final]
        cells += [scores[c.name].path_rmse if c.name in scores else None for c in channels]
        ratio = row.ratios[seconds].get(POSITION)
        rows.append([name, *map(form, cells), percent(ratio) if ratio and name != RUN else "–"])
    return head, rows


def run_cells(result: Evaluation, seconds: float) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the run's own errors by channel over a horizon in s."""
    head = ["channel", "final RMSE", "path RMSE", "median path RMSE", "max", "unit"]
    units = {channel.name: channel.unit for channel in (*result.spec.states, DISTANCE)}
    rows = []
    for name, s in result.rows[RUN].scores[seconds].items():
        intervals = s.final_rmse, s.path_rmse, s.median_path_rmse
        rows.append([name, *map(with_interval, intervals), number(s.max), units[name]])
    return head, rows


def bin_cells(result: Evaluation, condition: Condition, form: Form) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the position's path RMSE by the bins of a condition; ``form`` formats an interval."""
    edges = zip(condition.edges, condition.edges[1:], condition.inside, strict=False)
    head = [f"position path RMSE [m] by {condition.name} [{condition.unit}]"]
    head += [f"{low:.3g} to {high:.3g} ({inside.sum()} windows)" for low, high, inside in edges]
    return head, [
        [name, *(form(scores.get(POSITION)) for scores in row.bins[condition.name])]
        for name, row in result.rows.items()
    ]
