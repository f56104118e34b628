"""Files and folders under work: known by their names, locked by their owners, removed where those are dead.

A name ends with a mark of this machine and eight random digits: ``.car.c.1f2e3d00c0ffee.tmp``. A process
locks what it makes for as long as it works on it, so that what is not locked belongs to nobody. The mark is
there as a lock of another machine cannot be seen on every network file system.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import shutil
from pathlib import Path

from pct.files.locks import Held, is_at, lock
from pct.files.system import UNFOLLOWED, user

MACHINE = hashlib.sha256(platform.node().encode()).hexdigest()[:6]
NAME = re.compile(rf"(?:(?P<of>\..*)\.|pct-){MACHINE}[0-9a-f]{{8}}(?:\.tmp)?", re.DOTALL)
# Bytes of the name that is worked on: file systems take 255 in all, some that encrypt only 143.
MOST = 80

_swept: set[tuple[int, int]] = set()


def new_file(folder: Path, name: str) -> tuple[Path, int]:
    """A new, locked file for what will get a name in a folder; its path, and where it is open.

    Raises:
        OSError: the folder is missing, not writable or full.
    """
    while True:
        path = folder / f"{prefix(name)}.{_mark()}.tmp"
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)  # less what the umask takes
        if _is_ours(path, handle):
            return path, handle


def new_building(folder: Path, prefix: str, mode: int) -> tuple[Path, int]:
    """A new, locked folder in a folder; its path, and where it is open.

    Raises:
        OSError: the folder is missing, not writable or full.
    """
    while True:
        path = folder / f"{prefix}{_mark()}"
        os.mkdir(path, mode)
        try:
            handle = os.open(path, os.O_RDONLY)
        except FileNotFoundError:  # swept already
            continue
        if _is_ours(path, handle):
            return path, handle


def prefix(name: str) -> str:
    """How names begin of what is worked on to get this one; a long one is cut."""
    content = os.fsencode(name)
    if len(content) <= MOST:
        return f".{name}"
    return f".{content[:MOST].decode(errors='ignore')}~{hashlib.sha256(content).hexdigest()[:8]}"


def sweep(folder: Path) -> list[str]:
    """Remove what dead processes left in a folder; the names of what the living work on.

    Where locks or rights are missing, things are left as they are.
    """
    try:
        names = [name for name in os.listdir(folder) if NAME.fullmatch(name)]
    except OSError:
        return []
    return [name for name in names if _is_alive(folder / name)]


def sweep_once(folder: Path) -> None:
    """`sweep` a folder, but only once a process: it may hold thousands of files.

    Raises:
        OSError: there is no such folder.
    """
    facts = os.stat(folder)
    if (facts.st_dev, facts.st_ino) not in _swept:
        _swept.add((facts.st_dev, facts.st_ino))
        sweep(folder)


def _mark() -> str:
    return MACHINE + os.urandom(4).hex()


def _is_ours(path: Path, handle: int) -> bool:
    """Lock what was just made, unless another swept it in between."""
    try:
        lock(handle)
        if is_at(handle, path):
            return True
    except Held:
        pass
    os.close(handle)
    return False


def _is_alive(path: Path) -> bool:
    """Whether somebody works on a file or folder; it is removed where it is this user's and nobody does."""
    try:
        handle = os.open(path, os.O_RDONLY | UNFOLLOWED)
    except OSError:
        return False
    try:
        if lock(handle) and os.fstat(handle).st_uid == user() and is_at(handle, path):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    path.unlink()
    except Held:
        return True
    finally:
        os.close(handle)
    return False
