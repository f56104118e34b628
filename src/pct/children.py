"""Python processes that this package starts: they import nothing from the working directory, and end with it.

The working directory may be a folder of logs from anywhere, and a ``numpy.py`` in it would run. Python puts
it first on the search path of what is started with ``-c``, as every process of ``multiprocessing`` is.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator

# Python leaves the working directory alone where this is set; also what a child starts in turn.
SAFE_PATH = "PYTHONSAFEPATH"
SEARCH_PATH = "PYTHONPATH"
# How often a child looks whether its parent is there, in s.
LOOK = 0.2


def python_command(module: str, function: str, *arguments: object) -> list[str]:
    """Command of a child that calls a function of a module with texts; to be started in `environment`."""
    call = f"from {module} import {function}; {function}(*sys.argv[1:])"
    code = f"import sys; sys.path[:] = {search_path()!r}; {call}"
    return [sys.executable, "-P", "-c", code, *map(str, arguments)]


def environment() -> dict[str, str]:
    """Environment variables of a child, for a start that takes them."""
    return {**os.environ, **_safe(os.environ.get(SEARCH_PATH, ""))}


@contextlib.contextmanager
def started_safely() -> Iterator[None]:
    """For what starts processes by way of ``multiprocessing``, which hands on the search path as it is.

    The process's own environment and search path are other ones meanwhile.
    """
    old, path = {name: os.environ.get(name) for name in (SAFE_PATH, SEARCH_PATH)}, sys.path[:]
    os.environ.update(_safe(os.environ.get(SEARCH_PATH, "")))
    sys.path[:] = search_path()
    try:
        yield
    finally:
        sys.path[:] = path
        for name, value in old.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def search_path() -> list[str]:
    """Where Python looks for modules, less what depends on the working directory."""
    return [place for place in sys.path if isinstance(place, str) and os.path.isabs(place)]


def end_with(parent: int, folder: str | None = None) -> None:
    """End this process as soon as it has another parent: its own was killed.

    Args:
        parent: number of the process that started this one.
        folder: is removed then; temporary files of this process.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _safe(search: str) -> dict[str, str]:
    places = [place for place in search.split(os.pathsep) if os.path.isabs(place)]
    return {SAFE_PATH: "1", SEARCH_PATH: os.pathsep.join(places)}
