"""Caches: files that the next process need not make again, each with a seal, in a private folder.

What is damaged, cut short, foreign or swapped does not bear its seal, and is made anew as if it were not
there.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from pathlib import Path

from pct.files.atomic import write_atomic
from pct.files.private import NoPrivateFolder, private_folder

log = logging.getLogger(__name__)

SEAL = hashlib.sha256().digest_size


class Cache:
    """Contents by name; the least recently used make room.

    Attributes:
        folder: where they are kept, each in a file of its name.
    """

    def __init__(self, folder: Path, most: int) -> None:
        """Keep contents in a private folder, about ``most`` bytes in all."""
        self.folder, self._most = folder, most
        self._room: int | None = None  # not yet known

    def get(self, name: str) -> bytes | None:
        """What was kept under a name; None where there is nothing, or nothing whole."""
        path = self.folder / name
        try:
            if path.stat().st_size > self._most:
                return None
            sealed = path.read_bytes()
            content = sealed[:-SEAL]
            if sealed[-SEAL:] != _seal(name, content):
                return None
            os.utime(path)
        except (OSError, MemoryError):
            return None
        return content

    def put(self, name: str, content: bytes) -> Path:
        """Keep a content; its file, where the seal stands behind it.

        Raises:
            OSError: the disk is full, or the folder not writable any more.
        """
        path = self.folder / name
        sealed = content + _seal(name, content)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        # Not worth waiting for the disk: what it loses lacks the seal.
        write_atomic(path, sealed, wait=False)
        if self._room is None or len(sealed) > self._room:
            self._room = self._make_room()
        else:
            self._room -= len(sealed)
        return path

    def _make_room(self) -> int:
        """Remove the oldest beyond the limit; the bytes that are left until then."""
        with os.scandir(self.folder) as entries:
            files = [entry for entry in entries if not entry.name.startswith(".")]
        facts = []
        for entry in files:
            try:
                if entry.is_file(follow_symlinks=False):
                    facts.append((entry.stat().st_mtime_ns, entry.stat().st_size, entry.path))
            except FileNotFoundError:  # another process made room
                continue
        total = 0
        for _, size, path in sorted(facts, reverse=True):
            total += size
            if total > self._most:
                Path(path).unlink(missing_ok=True)
                total -= size
        return self._most - total


def open_cache(name: str, what: str, most: int) -> Cache | None:
    """A cache in the user's cache folder; None, after one line, where there is no safe folder for it.

    Args:
        name: of the folder.
        what: is kept there, for the line.
        most: bytes.
    """
    try:
        return Cache(private_folder(name), most)
    except NoPrivateFolder as error:
        log.warning("%s is not kept for the next start: %s", what, error)
        return None


def _seal(name: str, content: bytes) -> bytes:
    digest = hashlib.sha256(name.encode(errors="surrogateescape") + b"\0")
    digest.update(content)
    return digest.digest()
