"""`pct data open`: the columns of logs, before any map."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from pct.cli.console import command, print_table, say, say_json, sparkline
from pct.cli.flags import DebugFlags, parse

if TYPE_CHECKING:
    from pct.mapping.columns import ColumnView, LogView

# Characters of the small plot of a column, and of a cell of texts that is shown.
PLOT, CELL = 16, 40


@dataclasses.dataclass(frozen=True)
class OpenConfig:
    """Show every column of logs, before any map: unit, rate, range, what is missing, a small plot.

    A unit is shown where the file states one. The rate counts the rows that hold a value; repeated is the
    share of values that equal the one before, high where a slow sensor was written at a fast rate.

    Example: pct data open logs/lap1.csv --figure columns.png
    """

    logs: tyro.conf.Positional[tuple[Path, ...]]
    """Logs: files, or folders of ROS 2 bags."""
    figure: Path | None = None
    """PNG file with a small plot of each column; of one log."""
    json: bool = False
    """Print one JSON object instead of tables."""
    msg_path: Path | None = None
    """Folder of .msg files, for messages in ROS bags that do not describe themselves."""
    common: tyro.conf.OmitArgPrefixes[DebugFlags] = dataclasses.field(default_factory=DebugFlags)


CONFIG = OpenConfig


def main(argv: Sequence[str] | None = None) -> None:
    """Read the flags, read the logs, and print a table of each."""
    args = parse(OpenConfig, argv, prog="pct data open")
    from pct.api.log_columns import columns_of_logs
    from pct.errors import UsageError

    if args.figure is not None and len(args.logs) > 1:
        raise UsageError(f"`figure`: expected one log, got {len(args.logs)}: draw them one by one")
    views = columns_of_logs(args.logs, msg_path=args.msg_path)
    if args.json:
        say_json({"logs": [view.to_dict() for view in views]})
    else:
        for view in views:
            _print(view)
    if args.figure is not None:
        _draw(args.figure, views[0])
        say(f"Figure: {args.figure}", error=args.json)
    if not args.json:
        say(f"Next: {command('data map', *args.logs)}")


def _print(view: LogView) -> None:
    count = len(view.columns)
    rows = max((len(column.values) for column in view.columns), default=0)
    title = f"{view.path.name}: {count} column{'s' * (count != 1)} of numbers, {rows} rows"
    head = ("column", "unit", "rate [Hz]", "lowest", "highest", "missing", "repeated", "plot")
    print_table(title, head, map(_cells, view.columns), texts=(0, 1, 7), unbroken=(2, 3, 4, 7))
    if view.time is not None:
        say(f"Time: {view.time.column} ({view.time.sure}: {view.time.reason})")
    say(*(f"Text, no numbers: {name}, such as {cell[:CELL]!r}" for name, cell in view.texts.items()))
    say(*(f"Note: {line}" for note in view.notes for line in note.split("\n")))


def _cells(column: ColumnView) -> tuple[str, ...]:
    numbers = (column.rate, column.low, column.high)
    return (
        column.name,
        column.unit,
        *("-" if number is None else f"{number:.4g}" for number in numbers),
        *(_share(share) for share in (column.missing, column.repeated)),
        sparkline(column.levels(PLOT)),
    )


def _share(share: float) -> str:
    """In percent; what is not quite none or all is not rounded to it."""
    if 0 < share < 0.001:
        return "<0.1 %"
    return ">99.9 %" if 0.999 < share < 1 else f"{100 * share:.3g} %"


def _draw(path: Path, view: LogView) -> None:
    from pct.plots import Curve, draw_columns, to_png

    curves = [Curve(column.name, column.unit, column.values, column.seconds) for column in view.columns]
    to_png(path, partial(draw_columns, title=view.path.name, curves=curves))
