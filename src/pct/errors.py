"""The errors that a user can cause or must know of, each with the exit code of the command line.

Every message is one or two lines: what was expected, what was found and where, the likely fix.
"""


class PctError(Exception):
    """Base of the errors that are reported without a traceback."""

    exit_code = 1


class UsageError(PctError, ValueError):
    """An argument, a name or a value that cannot be used."""

    exit_code = 2


class DataError(PctError, ValueError):
    """A log, dataset folder, cache or run folder that cannot be used."""

    exit_code = 3


class DivergedError(PctError, ArithmeticError):
    """A loss, state or parameter that stopped being finite."""

    exit_code = 4
