"""The tables of `pct evaluate` on the console."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pct.evaluation.conditions import Condition
from pct.evaluation.evaluate import RUN, Evaluation
from pct.evaluation.scores import POSITION
from pct.evaluation.text import facts, number, verdicts, with_interval


def print_evaluation(evaluation: Evaluation, report: Path) -> None:
    """Print facts, the errors of run and baselines at each horizon, the bins and the verdict."""
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    for line in facts(evaluation):
        console.print(line, soft_wrap=True)
    for seconds in evaluation.at:
        console.print(_baseline_table(evaluation, seconds))
        console.print(_run_table(evaluation, seconds))
    for condition in evaluation.conditions:
        console.print(_bin_table(evaluation, condition))
    for name, reason in evaluation.left_out.items():
        console.print(f"Left out: {name}: {reason}", soft_wrap=True)
    for line in verdicts(evaluation):
        console.print(line, soft_wrap=True)
    console.print(f"Report: {report}", soft_wrap=True)


def _baseline_table(evaluation: Evaluation, seconds: float) -> Table:
    names = [
        POSITION,
        *(name for name in evaluation.spec.state_names if name not in evaluation.spec.pose[:2]),
    ]
    units = {POSITION: "m", **{channel.name: channel.unit for channel in evaluation.spec.states}}
    title = f"Path RMSE over {seconds:g} s, and ADE and FDE of the position"
    table = Table(title=title, title_justify="left")
    table.add_column("", no_wrap=True)
    for heading in ("ADE\n\\[m]", "FDE\n\\[m]", *(f"{name}\n\\[{units[name]}]" for name in names)):
        table.add_column(heading, justify="right")
    for label, row in evaluation.rows.items():
        scores = row.scores[seconds]
        position = scores.get(POSITION)
        cells = [position and position.mean_path, position and position.mean_final]
        cells += [scores[name].path_rmse if name in scores else None for name in names]
        table.add_row(label, *map(number, cells))
    return table


def _run_table(evaluation: Evaluation, seconds: float) -> Table:
    table = Table(title=f"This run over {seconds:g} s, with 95 % intervals", title_justify="left")
    for heading in ("channel", "final RMSE", "path RMSE", "median path RMSE", "max", "unit"):
        table.add_column(heading, justify="left" if heading in ("channel", "unit") else "right")
    units = {POSITION: "m", **{channel.name: channel.unit for channel in evaluation.spec.states}}
    for name, score in evaluation.rows[RUN].scores[seconds].items():
        table.add_row(
            name,
            with_interval(score.final_rmse),
            with_interval(score.path_rmse),
            with_interval(score.median_path_rmse),
            f"{score.max:.3g}",
            units[name],
        )
    return table


def _bin_table(evaluation: Evaluation, condition: Condition) -> Table:
    title = f"Position path RMSE over {max(evaluation.at):g} s in m, by {condition.name} \\[{condition.unit}]"
    table = Table(title=title, title_justify="left")
    table.add_column("", no_wrap=True)
    for low, high, inside in zip(condition.edges, condition.edges[1:], condition.inside, strict=False):
        table.add_column(f"{low:.3g} .. {high:.3g}\n{inside.sum()} windows", justify="right")
    for label, row in evaluation.rows.items():
        cells = [scores.get(POSITION) for scores in row.bins[condition.name]]
        table.add_row(label, *map(number, cells))
    return table
