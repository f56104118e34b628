"""A reader in a process of its own, for what a hostile file makes crash, never end or fill the memory.

The process stays for the next file, since such a package takes a second to import, and ends with the one that
started it. Requests and answers are lines of JSON, columns follow as they lie in memory. What a file may take
is in `limits`.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import io
import json
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

try:
    import resource
except ImportError:  # not on Windows, where no limits hold but that of time
    resource = None  # type: ignore[assignment]

from pct import errors
from pct.children import end_with, environment, python_command
from pct.errors import DamagedLogError, DataError, LogError
from pct.files import TemporaryFolder
from pct.logs.readers.base import AnyColumn, RawLog, check_count, damage
from pct.logs.readers.limits import Limits, limits

# Bytes of an answer without its columns: names and units of 20,000 columns.
MOST_ANSWER = 32 << 20
# A process that ends has done so after this long, in s.
ENDING = 5.0
# Packages start a thread with memory for each core; a reader needs few.
FEW_THREADS = {
    **dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_MAX_THREADS"), "1"
    ),
    "POLARS_MAX_THREADS": str(min(4, os.cpu_count() or 1)),
}
_LOCK = threading.Lock()


def read_apart(path: Path, names: Sequence[str] | None, reader: str, options: Mapping[str, str]) -> RawLog:
    """Read a file in another process.

    Args:
        path: the file.
        names: columns to read, or None.
        reader: module whose ``read_here(path, names, options)`` reads it.
        options: of the format.

    Raises:
        DataError: as of the reader, or the file makes it crash or exceeds its limits.
        OSError: the file is not there, or no process can be started.
    """
    most = limits(path)
    request = {
        "place": _working_directory(),
        "path": str(path),
        "names": names,
        "reader": reader,
        "options": dict(options),
        "limits": most,
    }
    with _LOCK:
        child = _child()
        try:
            answer, columns = child.ask(request, path, most)
        except DataError:
            _stop()
            raise
        except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError):
            which = child.reason()
            _stop()
            raise (
                most.exceeded(path, which)
                if which
                else DamagedLogError(
                    path, "expected a whole file, found one at which its reader crashes: record it anew"
                )
            ) from None
        except BaseException:
            _stop()
            raise
    if "error" in answer:
        raise DataError(answer["error"])
    if "kind" in answer:
        kind = getattr(errors, answer["kind"])
        raise kind(Path(answer["file"]), answer["what"], column=answer["column"], row=answer["row"])
    rows = np.arange(max(map(len, columns.values()), default=0))
    return RawLog(
        columns, rows, answer["place"], units=answer["units"], clocks=answer["clocks"], notes=answer["notes"]
    )


def _working_directory() -> str | None:
    """None where it was removed."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None


class _Child:
    """The process that reads, of the process `owner`; its temporary files go with it."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self._late = False
        self.folder = TemporaryFolder()
        self.process = subprocess.Popen(
            python_command(__name__, "serve", self.owner, self.folder.path),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**FEW_THREADS, **environment(), "TMPDIR": str(self.folder.path)},
        )

    def ask(
        self, request: dict[str, Any], path: Path, most: Limits
    ) -> tuple[dict[str, Any], dict[str, AnyColumn]]:
        """What it says of a request, and columns."""
        assert self.process.stdin is not None
        assert isinstance(self.process.stdout, io.BufferedReader)
        late = threading.Timer(most.wall, self._give_up)
        late.daemon = True
        late.start()
        try:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()
            answer = json.loads(self.process.stdout.readline(MOST_ANSWER))
            announced: dict[str, int] = answer.get("rows", {})
            check_count(path, len(announced))
            if 8 * sum(announced.values()) > most.memory:
                raise most.exceeded(path, "memory")
            columns: dict[str, AnyColumn] = {}
            for name, rows in announced.items():
                columns[name] = np.empty(rows)
                if self.process.stdout.readinto(columns[name].data) < 8 * rows:
                    raise EOFError
        finally:
            late.cancel()
        return answer, columns

    def reason(self) -> str:
        """The limit that ended it, or nothing."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(ENDING)
        if self._late:
            return "wall"
        code = self.process.returncode
        return "processor" if code and code == -getattr(signal, "SIGXCPU", 0) else ""

    def end(self) -> None:
        """Kill it and remove what it leaves."""
        # What it was not told any more is lost.
        with contextlib.suppress(BrokenPipeError), self.process as process:
            process.kill()
        self.folder.remove()

    def _give_up(self) -> None:
        self._late = True
        self.process.kill()


# The one that runs, and none of a process that was forked.
_running: _Child | None = None


def _child() -> _Child:
    global _running
    if _running is not None and _running.owner == os.getpid() and _running.process.poll() is not None:
        _stop()
    if _running is not None and _running.owner != os.getpid():
        # This process was forked: the folder is that of the other.
        _running.folder.remove.detach()
        _running = None
    if _running is None:
        _running = _Child()
    return _running


@atexit.register
def _stop() -> None:
    global _running
    if _running is not None and _running.owner == os.getpid():
        _running.end()
        _running = None


def serve(parent: str, folder: str) -> None:
    """What is started: answers the requests on standard input until there are none.

    Args:
        parent: number of the process that asks.
        folder: of temporary files.
    """
    end_with(int(parent), folder)
    # Ctrl-C is for the one that asks.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if resource is not None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Whatever a package prints goes elsewhere.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for line in sys.stdin.buffer:
        answer, columns = _answer(json.loads(line))
        output.write(answer + b"\n")
        for column in columns:
            output.write(column.data)
        output.flush()


def _answer(request: dict[str, Any]) -> tuple[bytes, list[AnyColumn]]:
    """The line that answers a request, and columns."""
    path, most = Path(request["path"]), Limits(*request["limits"])
    try:
        # Names of files may be relative, and the one that asks may have moved.
        if request["place"] is not None:
            os.chdir(request["place"])
        reader = importlib.import_module(request["reader"])
        with _limited(most):
            log = reader.read_here(path, request["names"], request["options"])
            columns = [np.ascontiguousarray(column, np.float64) for column in log.columns.values()]
            rows = dict(zip(log.columns, map(len, columns), strict=True))
            content = {"rows": rows, "units": dict(log.units), "clocks": dict(log.clocks), "place": log.place}
            content["notes"] = list(log.notes)
            answer = json.dumps(content).encode()
        if len(answer) < MOST_ANSWER:
            return answer, columns
        refusal: DataError = LogError(
            path, f"expected names of columns and units, found {len(answer) >> 20} MB of them"
        )
    except DataError as error:
        refusal = error
    except MemoryError:
        refusal = most.exceeded(path, "memory")
    # A bug of a package, or of ours: the file is refused, the next one is read.
    except Exception as failure:
        refusal = DamagedLogError(path, f"expected a whole file, found {damage(failure)}: record it anew")
    return json.dumps(_told(refusal)).encode(), []


def _told(refusal: DataError) -> dict[str, Any]:
    """A refusal in a form that JSON takes."""
    if not isinstance(refusal, LogError):
        return {"error": str(refusal)}
    what = str(refusal).removeprefix(f"{refusal.file}: ")
    kind, place = type(refusal).__name__, {"file": str(refusal.file), "row": refusal.row}
    return {"kind": kind, "what": what, "column": refusal.column, **place}


@contextlib.contextmanager
def _limited(most: Limits) -> Iterator[None]:
    """Within limits beyond what this process has taken so far; without one of memory again afterwards."""
    if resource is None:
        yield
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    _limit(resource.RLIMIT_CPU, math.ceil(used.ru_utime + used.ru_stime + most.processor))
    _limit(resource.RLIMIT_FSIZE, most.memory)
    with contextlib.suppress(OSError):  # only Linux tells, and keeps to it
        pages = int(Path("/proc/self/statm").read_text().split()[5])
        _limit(resource.RLIMIT_DATA, pages * resource.getpagesize() + most.memory)
    try:
        yield
    finally:
        _limit(resource.RLIMIT_DATA, resource.RLIM_INFINITY)


def _limit(what: int, most: int) -> None:
    """Set a limit, or leave it where the system allows less."""
    _, hard = resource.getrlimit(what)
    below = hard != resource.RLIM_INFINITY and (most == resource.RLIM_INFINITY or most > hard)
    resource.setrlimit(what, (hard if below else most, hard))
