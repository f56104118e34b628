"""Files and folders are written whole or not at all: under another name first, then renamed."""

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pct.errors import DataError
from pct.files.leftovers import NAME, new_building, new_file, prefix, sweep, sweep_once
from pct.files.locks import Held, in_turn, unlock

# Most seconds to wait for others that look into the same folder; each takes a moment.
PATIENCE = 2.0


def write_atomic(path: Path, write: bytes | Callable[[BinaryIO], object], *, wait: bool = True) -> None:
    """Write a file so that a reader sees the old content or the whole new one, never a part.

    Args:
        path: the target; its folder must exist.
        write: the content, or a function that writes it to the open binary file.
        wait: until the disk has it; else that is left to `wait_for_disk`.

    Raises:
        OSError: the folder is missing, not writable or full; an existing target is left as it was.
    """
    sweep_once(path.parent)
    temporary, handle = new_file(path.parent, path.name)
    try:
        with os.fdopen(handle, "wb") as file:
            if callable(write):
                write(file)
            else:
                file.write(write)
            file.flush()
            if wait:
                os.fsync(file.fileno())
            # Still locked, so that nobody sweeps it.
            os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def wait_for_disk(path: Path) -> None:
    """Wait until the disk has a file."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def write_output(path: Path, write: bytes | Callable[[BinaryIO], object]) -> None:
    """`write_atomic` for the results of a run: a folder that cannot be written is the user's to mend.

    Raises:
        DataError: the file cannot be written; an existing one is left as it was.
    """
    try:
        write_atomic(path, write)
    except OSError as error:
        raise DataError(
            f"{path}: cannot write ({error.strerror}): free some space or choose a folder that can be written"
        ) from None


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill, which gets its name when the block ends well and is removed otherwise.

    Raises:
        DataError: the folder exists, another process fills one of this name, or it cannot be made.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        building, handle = _begin(folder)
    except OSError as error:
        raise DataError(f"{folder}: cannot write here ({error.strerror}): choose another place") from None
    try:
        yield building
        _name(building, folder)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    finally:
        unlock(handle)


def _begin(folder: Path) -> tuple[Path, int]:
    """A new, locked folder for what will be another; of those that start together one gets it."""
    with contextlib.ExitStack() as turn:
        # Where somebody holds the lock for longer, it is decided when the work is done.
        with contextlib.suppress(Held):
            turn.enter_context(in_turn(folder.parent, PATIENCE))
        _require_new(folder)
        for name in sweep(folder.parent):
            match = NAME.fullmatch(name)
            if match and match["of"] == prefix(folder.name) and not name.endswith(".tmp"):
                raise DataError(
                    f"{folder}: another process is writing it: wait for that or choose another name"
                )
        return new_building(folder.parent, f"{prefix(folder.name)}.", 0o777)


def _name(building: Path, folder: Path) -> None:
    """Give the folder its name, unless that is taken by now."""
    _require_new(folder)
    try:
        building.rename(folder)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            _require_new(folder)
        raise DataError(f"{folder}: cannot write here ({error.strerror}): choose another place") from None


def _require_new(folder: Path) -> None:
    if os.path.lexists(folder):
        raise DataError(f"{folder}: expected a new folder, found an existing one: choose another name")
