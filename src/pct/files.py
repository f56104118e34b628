"""Files are written whole or not at all: temporary file beside the target, fsync, rename."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pct.errors import DataError

# Files are gone through in parts of this many bytes: between two, a thread may wait for the Python of others.
BLOCK = 4 << 20


def write_atomic(path: Path, write: bytes | Callable[[BinaryIO], object], *, wait: bool = True) -> None:
    """Write a file so that a reader sees the old content or the whole new one, never a part.

    Args:
        path: the target; its folder must exist.
        write: the content, or a function that writes it to the open binary file.
        wait: until the disk has it; else that is left to `wait_for_disk`.

    Raises:
        OSError: the folder is missing, not writable or full; an existing target is left as it was.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            if callable(write):
                write(file)
            else:
                file.write(write)
            file.flush()
            if wait:
                os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)  # mkstemp makes files that only their owner can read
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def wait_for_disk(path: Path) -> None:
    """Wait until the disk has a file."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sha256(path: Path) -> str:
    """Hash of a file's content as lower-case hex."""
    digest, block = hashlib.sha256(), memoryview(bytearray(BLOCK))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(block):
            digest.update(block[:count])
    return digest.hexdigest()


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
        DataError: the folder exists or cannot be made.
    """
    if folder.exists():
        raise DataError(f"{folder}: expected a new folder, found an existing one: choose another name")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    except OSError as error:
        raise DataError(f"{folder}: cannot write here ({error.strerror}): choose another place") from None
    try:
        yield building
        building.chmod(0o755)
        building.rename(folder)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise


def cache_folder() -> Path:
    """PCT's folder in the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pct"
