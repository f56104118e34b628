"""Tables and sentences on the console."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

# Width where standard output is no terminal.
WIDTH = 120


def print_table(
    title: str, head: Sequence[str], rows: Iterable[Sequence[str]], texts: Sequence[int] = (0,)
) -> None:
    """Print a table.

    Args:
        title: above the table.
        head: heading of each column.
        rows: cells by row.
        texts: columns that are text; the others are numbers, to the right.
    """
    table = Table(title=escape(title), title_justify="left")
    for number, heading in enumerate(head):
        justify = "left" if number in texts else "right"
        table.add_column(escape(heading), justify=justify, no_wrap=number == 0)  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*map(escape, row))
    _console().print(table)


def print_lines(lines: Iterable[str]) -> None:
    """Print sentences, one a line."""
    console = _console()
    for line in lines:
        console.print(escape(line), soft_wrap=True)


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)
