"""JAX's cache of compiled code, sealed.

JAX's own files are written in place and believed: one that a killed process has cut short is warned of at
every start and never replaced, one with flipped bits is run. These are written whole or not at all, what
lacks its seal is compiled anew, and the least recently used make room.
"""

from __future__ import annotations

import logging
from typing import Any

from jax._src import compilation_cache
from jax._src.compilation_cache_interface import CacheInterface

from pct.files import Cache

log = logging.getLogger(__name__)


class KeptCode(CacheInterface):
    """Compiled code by JAX's keys."""

    def __init__(self, cache: Cache) -> None:
        """Keep it in a cache."""
        self._cache, self._path = cache, cache.folder
        self._is_writable = True

    def get(self, key: str) -> bytes | None:
        """What was compiled; None where it is not there, or damaged."""
        return self._cache.get(_name(key))

    def put(self, key: str, value: bytes) -> None:
        """Keep what was compiled; a disk that takes no more is said once."""
        if not self._is_writable:
            return
        try:
            self._cache.put(_name(key), value)
        except OSError as error:
            self._is_writable = False
            log.warning("%s: compiled code is not kept (%s)", self._path, error.strerror)


def serve(cache: Cache) -> None:
    """Let JAX read and write a cache where it would its own files in the cache's folder."""
    of_jax = compilation_cache.get_file_cache
    folder = str(cache.folder)

    def get_file_cache(path: str) -> Any:
        return (KeptCode(cache), path) if path == folder else of_jax(path)

    compilation_cache.get_file_cache = get_file_cache


def _name(key: str) -> str:
    return f"{key}-cache"
