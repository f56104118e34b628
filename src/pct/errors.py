"""The errors that a user can cause or must know of, each with the exit code of the command line.

Every message is one or two lines: what was expected, what was found and where, the likely fix.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

# Characters that are shown of a line: of names and lists in a file, some may be without end.
LONGEST = 1200


class PctError(Exception):
    """Base of the errors that are reported without a traceback."""

    exit_code = 1

    def __str__(self) -> str:
        """The message, in which lines that nobody would read to their end lack their middle."""
        return "\n".join(map(_ends, super().__str__().split("\n")))


def _ends(line: str) -> str:
    if len(line) <= LONGEST:
        return line
    begins, ends = line[: 2 * LONGEST // 3], line[-LONGEST // 3 :]
    return f"{begins} … {len(line) - LONGEST:,} characters … {ends}"


class UsageError(PctError, ValueError):
    """An argument, a name or a value that cannot be used."""

    exit_code = 2


class DataError(PctError, ValueError):
    """A log, dataset folder, cache or run folder that cannot be used."""

    exit_code = 3


class LogError(DataError):
    """A log, or the map of one, that cannot be read as what it should be.

    Attributes:
        file: the log or the map.
        column: the raw column that is to blame; None where none is.
        row: the line or row of the file where it fails first; None where it fails as a whole.
    """

    def __init__(
        self, file: Path | str, what: str, *, column: str | None = None, row: int | None = None
    ) -> None:
        """``what`` was expected, what was found, and the cure; the message begins with the file."""
        super().__init__(f"{file}: {what}")
        self.file, self.what, self.column, self.row = Path(file), what, column, row

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), column=self.column, row=self.row), (self.file, self.what)


class DamagedLogError(LogError):
    """A log whose content is not that of its format, or breaks off."""


class LogValueError(LogError):
    """A column that is missing, or holds values that it cannot hold."""


class LogTimeError(LogError):
    """Times that do not go on, or clocks that do not fit."""


class NoTimeError(LogTimeError):
    """No column can be the time; `column` and `row` tell the one that comes closest and where it fails."""


class NoMotionError(LogError):
    """Neither positions nor a speed are among the columns."""


class DivergedError(PctError, ArithmeticError):
    """A loss, state or parameter that stopped being finite."""

    exit_code = 4
