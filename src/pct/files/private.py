"""Folders that only their user can write to: what is kept there is run, or believed, by the next process."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from pct.files.leftovers import sweep_once
from pct.files.system import MODES, user


class NoPrivateFolder(Exception):
    """There is no folder that only this user can write to; the message says why."""


def cache_folder() -> Path:
    """PCT's folder in the user's cache folder.

    Raises:
        NoPrivateFolder: the user has no home.
    """
    named = os.environ.get("XDG_CACHE_HOME", "")
    try:
        # A relative path would lead into whatever folder the user is in.
        return (Path(named) if os.path.isabs(named) else Path.home() / ".cache") / "pct"
    except RuntimeError:
        raise NoPrivateFolder("there is no home folder: set HOME or XDG_CACHE_HOME") from None


def private_folder(name: str) -> Path:
    """A folder in the user's cache folder, made where it is missing, with mode 700 whatever the umask.

    What killed processes left in it is removed.

    Raises:
        NoPrivateFolder: there is no home, the folder cannot be written, or others can write to it.
    """
    whole = cache_folder()
    folder = whole / name
    try:
        whole.parent.mkdir(parents=True, exist_ok=True)
        for one in (whole, folder):
            one.mkdir(mode=0o700, exist_ok=True)
        facts = whole.stat()
        if facts.st_uid == user() and _others_write(facts):
            whole.chmod(0o700)  # a former umask: the folders inside have been checked each by itself
        for one in (whole, folder):
            facts = one.stat()
            if facts.st_uid != user() or _others_write(facts) or not os.access(one, os.W_OK | os.X_OK):
                raise NoPrivateFolder(
                    f"the folder {one} is not one that only this user can write to: chmod 700"
                )
        sweep_once(folder)
    except OSError as error:
        raise NoPrivateFolder(f"the folder {folder} cannot be made ({error.strerror})") from error
    return folder


def _others_write(facts: os.stat_result) -> bool:
    return MODES and bool(facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
