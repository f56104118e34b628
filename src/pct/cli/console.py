"""Everything that reaches a terminal: lines, tables, JSON, progress bars, warnings and log records.

What is printed holds names that others have chosen: of files, columns, topics, models, in the output of a
compiler. Such a name may hold characters that steer a terminal, or look like markup. Nothing here interprets
markup, and `visible` turns each such character into an escape. A line that is given stays one line. Whatever
the encoding of the terminal, printing never fails because of it.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import re
import shlex
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pct.cli.pieces import pieces_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

# Width of tables with and without lines where standard output is no terminal, and the least where it is one.
WIDTH, PLAIN_WIDTH = 120, 100
NARROW = 40
# C0 and C1 with ESC, newline and tab, DEL; marks that turn the direction of text; separators of lines; what
# stands for the bytes of a name that is not UTF-8.
STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
# What a curve is drawn with, from low to high.
BLOCKS, ASCII_BLOCKS = "▁▂▃▄▅▆▇█", "_.-~=*^#"
# A cell of a table: its text, or text and style.
Cell = str | tuple[str, str]


def visible(text: str) -> str:
    r"""Text with each character that steers a terminal as an escape.

    Examples:
        >>> print(visible("lap\x1b[31m 1\n\udcff.csv"))
        lap\x1b[31m 1\n\xff.csv
    """
    return STEERING.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    # Python reads a byte of a name that is not UTF-8 as U+DC00 and the byte.
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else ascii(match[0])[1:-1]


def say(*lines: str, error: bool = False) -> None:
    """Print lines, each on a line of its own whatever it holds.

    Args:
        lines: what is said.
        error: to standard error, at once; nobody is told where that cannot be written.

    Raises:
        OSError: standard output cannot be written.
    """
    text = "".join(f"{visible(line)}\n" for line in lines)
    if error:
        _Quiet(sys.stderr).write(text)
    else:
        with _named():
            sys.stdout.write(text)


def someone_is_there() -> bool:
    """Whether a person can read a question and answer it."""
    return all(
        stream is not None and not stream.closed and stream.isatty() for stream in (sys.stdin, sys.stderr)
    )


def ask(question: str) -> str:
    """The line that a person answers to a question; empty where they give none."""
    _Quiet(sys.stderr).write(f"{visible(question)} ")
    try:
        return sys.stdin.readline().strip()
    except (OSError, ValueError):  # ValueError: no text
        return ""


def quoted(value: object) -> str:
    r"""A value as one word of a line for the shell; a path is none of a flag.

    Examples:
        >>> print(quoted("my logs"), quoted(Path("-1")), quoted("a\nb"))
        'my logs' ./-1 $'a\nb'
    """
    text = str(value)
    if isinstance(value, Path) and text.startswith("-"):
        text = f"./{text}"
    if visible(text) == text:
        return shlex.quote(text)
    return "$'" + visible(text.replace("\\", r"\\").replace("'", r"\'")) + "'"


def command(name: str, *arguments: object) -> str:
    """A line for the shell that calls a command of ours.

    Examples:
        >>> command("data check", "my logs")
        "pct data check 'my logs'"
    """
    return " ".join([f"pct {name}", *map(quoted, arguments)])


def say_error(what: object) -> None:
    """`say` to standard error, for callbacks."""
    say(str(what), error=True)


def say_json(value: Any) -> None:
    """Print a value as one line of JSON, in ASCII without control characters."""
    say(json.dumps(value).replace("\x7f", "\\u007f"))


def print_table(
    title: str,
    head: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    *,
    texts: Sequence[int] = (0,),
    unbroken: Sequence[int] = (0,),
    boxed: bool = True,
) -> None:
    """Print a table.

    Args:
        title: above the table; none where it is empty.
        head: heading of each column; none is printed where all are empty.
        rows: cells by row.
        texts: columns that are text; the others are numbers, to the right.
        unbroken: columns whose cells stay on one line.
        boxed: draw lines about the cells.
    """
    from rich.table import Table

    cells = list(rows)
    console = _console(sys.stdout, WIDTH if boxed else PLAIN_WIDTH)
    columns = [[heading, *(_plain(row[n]) for row in cells)] for n, heading in enumerate(head)]
    for piece in pieces_of(columns, texts, console.width) if boxed else [dict.fromkeys(range(len(head)))]:
        table = Table(title=_text(title) if title else None, title_justify="left", show_header=any(head))
        title = ""
        if not boxed:
            table.box, table.padding, table.header_style = None, (0, 2, 0, 0), "dim"
        for number, width in piece.items():
            table.add_column(
                _text(head[number]),
                justify="left" if number in texts else "right",
                width=width,
                no_wrap=number in unbroken,
                overflow="ellipsis" if number in unbroken else "fold",
            )
        for row in cells:
            table.add_row(*(_text(row[number]) for number in piece))
        with _named():
            console.print(table)


def _plain(cell: Cell) -> str:
    return cell if isinstance(cell, str) else cell[0]


def sparkline(levels: Sequence[float | None]) -> str:
    """A curve as one line of text, in ASCII where the terminal has no blocks.

    Args:
        levels: from 0 to 1, one a character; None leaves a gap.
    """
    try:
        BLOCKS.encode(sys.stdout.encoding or "utf-8")
        marks = BLOCKS
    except UnicodeEncodeError:
        marks = ASCII_BLOCKS
    top = len(marks) - 1
    return "".join(" " if level is None else marks[round(top * level)] for level in levels)


def progress_bar(before: str, *after: str, own_time: bool = False) -> Progress:
    """A bar on standard error with the time that is left; nothing where that is no terminal.

    Args:
        before: text before the bar, with ``{task...}`` as rich has it.
        after: texts after the bar, likewise.
        own_time: one of the texts says what time is left, and the bar goes when it stops.
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    class Words(TextColumn):
        def render(self, task: Any) -> Any:
            return _text(self.text_format.format(task=task))

    # The text as it is, also while the bar stands in for standard error.
    console = _console(_Quiet(getattr(sys.stderr, "rich_proxied_file", sys.stderr)))
    return Progress(
        Words(before),
        BarColumn(bar_width=24),
        *map(Words, after),
        *(() if own_time else (Words("left"), TimeRemainingColumn(compact=True))),
        console=console,
        transient=own_time,
        disable=not console.is_terminal,
    )


def open_streams() -> None:
    """Make the standard streams of a process of ours sound: open, and able to show any text.

    A stream that was closed is opened to nothing, so that no file that is opened later takes its place and
    is printed into. Writing to a closed standard output remains an error, as the reader gets nothing.
    """
    for number, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            made = os.open(os.devnull, flags)
            if made != number:
                os.dup2(made, number)
                os.close(made)
    if sys.stdin is None:
        sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
    with contextlib.suppress(OSError):  # a stream of our own beside that of the libraries: see `hush`
        own = io.FileIO(os.dup(2), "w")
        sys.stderr = io.TextIOWrapper(own, sys.stderr.encoding, write_through=True)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def hush() -> None:
    """Turn what libraries write to standard error to nothing from now on; what is said by us is still seen.

    A signal may interrupt Python below a library in another language, which then writes of a fault.
    """
    nothing = os.open(os.devnull, os.O_WRONLY)
    if sys.stderr.fileno() != 2:
        os.dup2(nothing, 2)
    os.close(nothing)


def close_output() -> None:
    """Turn standard output to nothing after it failed: what is left in it would fail once more at exit."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    with contextlib.suppress(OSError, ValueError):  # no stream of the system, as in tests
        os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)


def flush() -> None:
    """Have all that was printed written.

    Raises:
        OSError: standard output cannot be written.
    """
    _Quiet(sys.stderr).flush()
    with _named():
        sys.stdout.flush()


@contextlib.contextmanager
def _named() -> Iterator[None]:
    """Name standard output in what the system says of it."""
    try:
        yield
    except OSError as error:
        error.filename = "standard output"
        raise


def report_records() -> None:
    """Have log records and warnings printed as lines of standard error."""
    handler = logging.StreamHandler(_StandardError())
    handler.setFormatter(_Records("%(levelname)s: %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)


def report_warnings() -> None:
    """Have what libraries warn of printed as lines of standard error."""
    warnings.showwarning = lambda message, *_, **__: say(f"warning: {message}", error=True)
    # Of places for files that are not there: matplotlib finds others by itself.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)


class _Records(logging.Formatter):
    """Log records as one line each, tracebacks line by line."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return visible(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:
        return "\n".join(map(visible, super().formatException(ei).split("\n")))


class _Quiet:
    """A stream that nobody misses where it cannot be written: a message is lost, the work is not."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):  # ValueError: closed
            self._stream.write(text)
            self._stream.flush()
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


class _StandardError:
    """Standard error as it is at each line: while a bar stands there, lines go above it."""

    def write(self, text: str) -> int:
        return _Quiet(sys.stderr).write(text)

    def flush(self) -> None:
        _Quiet(sys.stderr).flush()


def _text(cell: Cell) -> Any:
    """A cell as text that is not interpreted."""
    from rich.text import Text

    text, style = (cell, "") if isinstance(cell, str) else cell
    return Text(visible(text), style=style)


def _console(stream: Any, width: int = WIDTH) -> Console:
    from rich.console import Console

    console = Console(file=stream, highlight=False, markup=False, emoji=False)
    console.width = max(console.width, NARROW) if stream.isatty() else width
    return console
