"""The errors that a user can cause or must know of, each with the exit code of the command line.

Every message is one or two lines: what was expected, what was found and where, the likely fix.
"""

import re

# Characters beyond which a word of a message, such as a name in a file, is shown by its beginning.
LONGEST_WORD = 1000


class PctError(Exception):
    """Base of the errors that are reported without a traceback."""

    exit_code = 1

    def __str__(self) -> str:
        """The message, with the beginnings of words that nobody would read to their end."""
        return re.sub(rf"\S{{{LONGEST_WORD + 1},}}", _beginning, super().__str__())


class UsageError(PctError, ValueError):
    """An argument, a name or a value that cannot be used."""

    exit_code = 2


class DataError(PctError, ValueError):
    """A log, dataset folder, cache or run folder that cannot be used."""

    exit_code = 3


class DivergedError(PctError, ArithmeticError):
    """A loss, state or parameter that stopped being finite."""

    exit_code = 4


def _beginning(word: re.Match[str]) -> str:
    return f"{word[0][:40]}… ({len(word[0]):,} characters)"
