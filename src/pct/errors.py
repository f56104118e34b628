"""The errors that a user can cause or must know of, each with the exit code of the command line.

Every message is one or two lines: what was expected, what was found and where, the likely fix.
"""

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


class DivergedError(PctError, ArithmeticError):
    """A loss, state or parameter that stopped being finite."""

    exit_code = 4
