"""Temporary folders, which go with the last who holds them, or with the next start after a kill.

All of a process lie in one folder of the system's place for temporary files (``TMPDIR``): one lock serves
them, however many there are.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path

from pct.files.leftovers import new_building, sweep_once
from pct.files.locks import unlock


class TemporaryFolder:
    """A new folder that only this user can read; it goes with the last who holds it.

    Attributes:
        path: of the folder.
    """

    def __init__(self) -> None:
        """Make the folder.

        Raises:
            OSError: there is no place for temporary files that can be written.
        """
        self._place = _place()
        self.path = Path(tempfile.mkdtemp(dir=self._place.path))
        self.remove = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A new folder that only this user can read, until the block ends.

    Raises:
        OSError: there is no place for temporary files that can be written.
    """
    folder = TemporaryFolder()
    try:
        yield folder.path
    finally:
        folder.remove()


class _Place:
    """The folder of this process, while it holds any other."""

    def __init__(self, parent: Path) -> None:
        sweep_once(parent)
        self.path, handle = new_building(parent, "pct-", 0o700)
        weakref.finalize(self, _leave, self.path, handle, os.getpid())


def _leave(path: Path, handle: int, owner: int) -> None:
    if os.getpid() == owner:  # not a process that was forked from it
        shutil.rmtree(path, ignore_errors=True)
        unlock(handle)


_places: weakref.WeakValueDictionary[tuple[int, str], _Place] = weakref.WeakValueDictionary()


def _place() -> _Place:
    key = os.getpid(), tempfile.gettempdir()
    place = _places.get(key)
    if place is None:
        place = _places[key] = _Place(Path(tempfile.gettempdir()))
    return place
