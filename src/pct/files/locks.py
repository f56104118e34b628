"""Locks on files and folders that end with the process that holds them, however that ends.

They leave nothing on the disk: what is locked is the open file or folder itself (``flock``). Programs that a
process starts do not inherit them.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows, which does without locks
    fcntl = None  # type: ignore[assignment]

# Seconds from one try to the next.
PAUSE = 0.01


class Held(Exception):
    """Another process, or another thread, holds the lock."""


def lock(handle: int) -> bool:
    """Lock an open file or folder until it is closed.

    Returns:
        False where the file system has no locks.

    Raises:
        Held: another holds it.
    """
    if fcntl is None:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Held from None
    except OSError:  # some network file systems
        return False
    return True


def unlock(handle: int) -> None:
    """Close what is locked, also for forked processes that share it."""
    with contextlib.suppress(OSError):
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_UN)
    os.close(handle)


def is_at(handle: int, path: Path) -> bool:
    """Whether the open file or folder still has this path."""
    try:
        return os.path.samestat(os.fstat(handle), os.lstat(path))
    except FileNotFoundError:
        return False


class Lock:
    """The lock on a folder, for as long as somebody writes there; free at first."""

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._handle: int | None = None

    def take(self, folder: Path) -> None:
        """Lock a folder; one that was removed and made anew is locked anew.

        Raises:
            Held: another has locked it.
            OSError: there is no such folder.
        """
        folder = folder.resolve()
        if self._handle is not None and is_at(self._handle, folder):
            return
        self.release()
        handle = os.open(folder, os.O_RDONLY)
        try:
            lock(handle)
        except Held:
            os.close(handle)
            raise
        self._handle = handle

    def release(self) -> None:
        """Free the folder."""
        if self._handle is not None:
            unlock(self._handle)
            self._handle = None


@contextlib.contextmanager
def in_turn(folder: Path, seconds: float) -> Iterator[None]:
    """For what takes a moment: one process after another.

    Args:
        folder: what is locked.
        seconds: most to wait for the lock.

    Raises:
        Held: another does not give it back in that time.
        OSError: there is no such folder.
    """
    held, end = Lock(), time.monotonic() + seconds
    while True:
        try:
            held.take(folder)
            break
        except Held:
            if time.monotonic() > end:
                raise
            time.sleep(PAUSE)
    try:
        yield
    finally:
        held.release()
