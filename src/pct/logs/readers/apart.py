"""A reader in a process of its own, for packages that crash on damaged files beyond what Python can catch.

The process stays for the next file, since such a package takes a second to import, and ends with the one that
started it. Requests and answers are lines of JSON, columns follow as they lie in memory.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pct.errors import DataError
from pct.logs.readers.base import AnyColumn, RawLog

_LOCK = threading.Lock()
# The process that runs, and of which process it is: one that was forked has none of its own.
_running: tuple[int, subprocess.Popen[bytes]] | None = None


def read_apart(path: Path, names: Sequence[str] | None, reader: str) -> RawLog:
    """Read a file in another process.

    Args:
        path: the file.
        names: columns to read, or None.
        reader: module whose ``read_here(path, names)`` reads it.

    Raises:
        DataError: as of the reader, or the file makes it crash.
    """
    answer, columns = _ask({"path": str(path), "names": names, "reader": reader})
    if "error" in answer:
        raise DataError(answer["error"])
    if not columns:
        raise DataError(
            f"{path}: expected a whole file, found one at which its reader crashes: record it anew"
        )
    rows = np.arange(max(map(len, columns.values())))
    return RawLog(columns, rows, "row", units=answer["units"], clocks=answer["clocks"])


def _ask(request: dict[str, Any]) -> tuple[dict[str, Any], dict[str, AnyColumn]]:
    """What the other process says of a request, and columns; nothing where it dies of it."""
    with _LOCK:
        process = _process()
        assert process.stdin is not None
        assert isinstance(process.stdout, io.BufferedReader)
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
            columns: dict[str, AnyColumn] = {}
            for name, rows in answer.get("rows", {}).items():
                columns[name] = np.empty(rows)
                if process.stdout.readinto(columns[name].data) < 8 * rows:
                    raise EOFError
        except (OSError, EOFError, ValueError):
            _stop()
            return {}, {}
        except BaseException:
            _stop()
            raise
    return answer, columns


def _process() -> subprocess.Popen[bytes]:
    global _running
    if _running is not None and _running[1].poll() is not None:
        _stop()
    if _running is None or _running[0] != os.getpid():
        process = subprocess.Popen(
            [sys.executable, "-c", f"from {__name__} import serve; serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        _running = os.getpid(), process
    return _running[1]


@atexit.register
def _stop() -> None:
    global _running
    if _running is not None and _running[0] == os.getpid():
        # What it was not told any more is lost.
        with contextlib.suppress(BrokenPipeError), _running[1] as process:
            process.kill()
        _running = None


def serve() -> None:
    """What is started: answers the requests on standard input until there are none."""
    # Whatever a package prints goes elsewhere.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for line in sys.stdin.buffer:
        request = json.loads(line)
        columns: list[AnyColumn] = []
        try:
            log = importlib.import_module(request["reader"]).read_here(
                Path(request["path"]), request["names"]
            )
        except DataError as error:
            answer: dict[str, Any] = {"error": str(error)}
        else:
            columns = [np.ascontiguousarray(column, np.float64) for column in log.columns.values()]
            rows = dict(zip(log.columns, map(len, columns), strict=True))
            answer = {"rows": rows, "units": dict(log.units), "clocks": dict(log.clocks)}
        output.write(json.dumps(answer).encode() + b"\n")
        for column in columns:
            output.write(column.data)
        output.flush()
