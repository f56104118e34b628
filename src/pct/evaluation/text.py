"""Sentences and tables of an evaluation, for console and report."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pct.dynamics.core import Channel
from pct.evaluation.conditions import Condition
from pct.evaluation.evaluate import RUN, Evaluation, Row
from pct.evaluation.explosions import explosion_lines
from pct.evaluation.scores import DISTANCE, POSITION, headline
from pct.windows.bootstrap import Interval, difference

# The run against another row in one channel.
BETTER, WORSE, SAME = "better", "worse", "no difference shown"
# Behind the name of a row that is told what the run is not.
MARK = "†"


def facts(result: Evaluation) -> list[str]:
    """The windows of the result, how the intervals are made, and which windows explode."""
    run, longest = result.rows[RUN], max(result.at)
    return [
        f"{result.spec.name}: {result.windows} windows of {len(result.recordings)} recordings, "
        f"{result.horizon} steps of {result.dt:g} s after {result.history} of history, a window every "
        f"{result.stride * result.dt:g} s",
        f"Intervals: 95 %, block bootstrap over {result.blocks} blocks of {result.block_rows} rows "
        f"({result.block_rows * result.dt:g} s) or more.",
        *result.notes,
        *explosion_lines(run.exploded[longest], result.windows, run.explosions, "this run"),
    ]


def verdicts(result: Evaluation) -> list[str]:
    """The run against each row that can be compared with it, over each horizon and by channel, from the same
    draws; then who is ahead of it, and what was not compared.
    """
    return [*comparisons(result), *rows_ahead(result), *not_compared(result)]


def comparisons(result: Evaluation) -> list[str]:
    """The run against each row, a sentence a row and horizon."""
    lines = []
    for seconds in result.at:
        for name, channels in comparison(result, seconds).items():
            better, worse, same = (
                [channel for channel, verdict in channels.items() if verdict == which]
                for which in (BETTER, WORSE, SAME)
            )
            row = result.rows[name]
            parts = [
                f"{what} {name}: {', '.join(f'{c} {_against(row, seconds, c)}' for c in listed)}"
                for what, listed in (("beats", better), ("is WORSE than", worse))
                if listed
            ]
            if same:
                parts.append(f"no difference to {name} shown: {', '.join(same)}")
            if parts:
                lines.append(f"Over {seconds:g} s this run {'; '.join(parts)}.")
    return lines


def comparison_cells(result: Evaluation, seconds: float) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the run against each baseline over a horizon in s, by channel."""
    channels = [channel.name for channel in channels_of(result)]
    rows = []
    for name, found in comparison(result, seconds).items():
        row = result.rows[name]
        against = {
            channel: "no difference shown" if verdict == SAME else _against(row, seconds, channel)
            for channel, verdict in found.items()
        }
        rows.append([name, *(against.get(channel, "–") for channel in channels)])
    return ["this run beside", *channels], rows


def rows_ahead(result: Evaluation) -> list[str]:
    """Which rows are ahead of the run in some channel, a sentence a horizon."""
    lines = []
    for seconds in result.at:
        ahead = []
        for name, channels in comparison(result, seconds).items():
            if worse := [channel for channel, verdict in channels.items() if verdict == WORSE]:
                ahead.append(f"{name} ({', '.join(worse)})")
        said = f"AHEAD of this run: {', '.join(ahead)}." if ahead else "no row is ahead of this run."
        lines.append(f"Over {seconds:g} s {said}")
    return lines


def comparison(result: Evaluation, seconds: float) -> dict[str, dict[str, str]]:
    """The run against each row that can be compared with it over a horizon in s: `BETTER`, `WORSE` or `SAME`
    by channel, where the interval of the ratio of their path RMSEs decides.

    Channels that a derived control drives directly are left out: they are no prediction.
    """
    told = result.rows[RUN].told
    driven = {control.rate_of for control in result.spec.controls if control.name in told}
    return {
        name: {
            channel.name: _verdict(row.ratios[seconds][channel.name])
            for channel in channels_of(result)
            if channel.name in row.ratios[seconds] and channel.name not in driven
        }
        for name, row in result.rows.items()
        if name != RUN and row.comparable
    }


def not_compared(result: Evaluation) -> list[str]:
    """Which rows are told what the run is not."""
    return [
        f"{MARK} {name} is told {', '.join(row.told)} over the horizon, derived from what is predicted, and "
        "this run is not: not compared."
        for name, row in result.rows.items()
        if not row.comparable
    ]


def label(result: Evaluation, name: str) -> str:
    """Name of a row, marked where it cannot be compared with the run."""
    return name if result.rows[name].comparable else f"{name} {MARK}"


def row_docs(result: Evaluation) -> list[str]:
    """What each row is, and what it is told."""
    lines = []
    for name, row in result.rows.items():
        told = f" Is told: derived {', '.join(row.told)}." if row.told else ""
        lines.append(f"{label(result, name)}: {row.doc}{told}")
    return lines


def _against(row: Row, seconds: float, channel: str) -> str:
    """How much lower or higher the run's error is than that of a row."""
    if math.isinf(row.scores[seconds][channel].path_rmse.value):
        return "finite with this run alone"
    return difference(row.ratios[seconds][channel])


def _verdict(ratio: Interval) -> str:
    if ratio.high < 1 or ratio.value == 0:  # over an infinite error
        return BETTER
    return WORSE if ratio.low > 1 or math.isinf(ratio.value) else SAME


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


Form = Callable[[Any], str]


def channels_of(result: Evaluation) -> list[Channel]:
    """The position, and every state but x and y; of these what the drives hold."""
    spec = result.spec
    hidden = {*spec.pose[:2], *spec.unlogged}
    position = [] if {*spec.pose[:2]} & {*spec.unlogged} else [DISTANCE]
    return [*position, *(channel for channel in spec.states if channel.name not in hidden)]


def ladder_cells(result: Evaluation, seconds: float, form: Form) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the ladder over a horizon in s: windows that explode, ADE and FDE of the position if
    the drives hold one, and path RMSE by channel; ``form`` formats an interval.
    """
    channels = channels_of(result)
    placed = DISTANCE in channels
    head = ["", "exploded", *(["ADE [m]", "FDE [m]"] if placed else []), *(_heading(c) for c in channels)]
    rows = []
    for name, row in result.rows.items():
        scores = row.scores[seconds]
        position = scores.get(POSITION)
        cells = [position and position.mean_path, position and position.mean_final] if placed else []
        cells += [scores[c.name].path_rmse if c.name in scores else None for c in channels]
        rows.append([label(result, name), str(row.exploded[seconds]), *map(form, cells)])
    return head, rows


def _heading(channel: Channel) -> str:
    return f"{channel.name} [{channel.unit}]"


def ladder_title(result: Evaluation) -> str:
    """What `ladder_cells` shows."""
    errors = "ADE and FDE of the position, path RMSE" if DISTANCE in channels_of(result) else "path RMSE"
    return f"Windows that explode, {errors} by channel"


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
    """Head and rows of the path RMSE of the position, or what stands for it, by the bins of a condition;
    ``form`` formats an interval.
    """
    shown = headline(result.spec)
    edges = zip(condition.edges, condition.edges[1:], condition.inside, strict=False)
    head = [f"{shown.name} path RMSE [{shown.unit}] by {condition.name} [{condition.unit}]"]
    head += [f"{low:.3g} to {high:.3g} ({inside.sum()} windows)" for low, high, inside in edges]
    return head, [
        [label(result, name), *(form(scores.get(shown.name)) for scores in row.bins[condition.name])]
        for name, row in result.rows.items()
    ]
