"""One process at a time writes into a run folder; the lock dies with its owner and leaves no file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from pct.errors import DataError
from pct.files import Held, Lock, in_turn

# Most seconds to wait for another process that writes a few files.
PATIENCE = 10.0


class RunLock(Lock):
    """The lock on a run folder; free at first."""

    def take(self, folder: Path) -> None:
        """Lock a folder; one that was removed and made anew is locked anew.

        Raises:
            DataError: another process writes into it, or it is gone.
        """
        try:
            super().take(folder)
        except Held:
            raise _refusal(folder) from None
        except OSError as error:
            raise DataError(f"{folder}: cannot open the folder ({error.strerror}): check the path") from None


@contextlib.contextmanager
def writing(run: Path) -> Iterator[None]:
    """For what writes into a run folder.

    Raises:
        DataError: another process does, or there is no such folder.
    """
    lock = RunLock()
    lock.take(run)
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def writing_in_turn(folder: Path) -> Iterator[None]:
    """For files that belong together and take a moment: one process after another.

    Raises:
        DataError: another process takes too long.
    """
    with contextlib.ExitStack() as turn:
        try:
            turn.enter_context(in_turn(folder, PATIENCE))
        except Held:
            raise _refusal(folder) from None
        yield


def _refusal(folder: Path) -> DataError:
    return DataError(f"{folder}: another process is writing to it: wait for that or choose another folder")
