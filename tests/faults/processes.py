"""`pct` in processes of its own, with folders in the place of a user's, and what it leaves behind."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pct

ROOT = Path(__file__).parents[2]
SOURCE = Path(pct.__file__).parents[1]
# Every process that a command starts inherits this variable, and so can be found.
MARK = "PCT_FAULTS_ID"
# Seconds that the children of a killed process may need to notice it.
GRACE = 2.0
# Seconds after which a command hangs.
LIMIT = 120.0
EXIT_CODES = (0, 1, 2, 3, 4, 5, 6, 130)
# What no person should read.
UGLY = re.compile(
    r"Traceback|Exception ignored|Fatal Python error|Segmentation fault|core dumped|terminate called|"
    r"object at 0x[0-9a-f]+|resource_tracker"
)


@dataclasses.dataclass(frozen=True)
class Place:
    """Home, cache, temporary files and working directory of a command."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> Place:
        """With its folders."""
        place = cls(folder)
        for path in (place.home, place.cache, place.tmp, place.work):
            path.mkdir(parents=True, exist_ok=True)
        return place

    @property
    def home(self) -> Path:
        """Stands in for ``~``."""
        return self.folder / "home"

    @property
    def cache(self) -> Path:
        """Stands in for ``~/.cache``."""
        return self.folder / "cache"

    @property
    def tmp(self) -> Path:
        """Stands in for ``/tmp``."""
        return self.folder / "tmp"

    @property
    def work(self) -> Path:
        """Where commands run and write."""
        return self.folder / "work"

    def environment(self, **changes: str | None) -> dict[str, str]:
        """Variables of a command; those that are None are left out."""
        variables: dict[str, str | None] = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "PCT_"))},
            "HOME": str(self.home),
            "XDG_CACHE_HOME": str(self.cache),
            "TMPDIR": str(self.tmp),
            "PYTHONPATH": str(SOURCE),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "JAX_DISABLE_MOST_OPTIMIZATIONS": "true",
            **changes,
        }
        return {name: value for name, value in variables.items() if value is not None}

    def leftovers(self) -> list[Path]:
        """Temporary and half-made files, which nothing should leave."""
        found = [path for path in self.tmp.rglob("*") if not path.is_dir() or not any(path.iterdir())]
        found = [path for path in found if not _is_pythons(path)]
        found += self.work.rglob(".*")
        found += [path for path in self.cache.rglob("*") if _is_temporary(path.name)]
        return sorted(found)


def _is_pythons(path: Path) -> bool:
    """Whether `tempfile` wrote it, which deletes it at once, to learn whether it can write there."""
    return (
        bool(re.fullmatch(r"[a-z0-9_]{8}", path.name))
        and path.is_file()
        and path.read_bytes() in (b"", b"blat")
    )


def _is_temporary(name: str) -> bool:
    return bool(re.match(r"\.|tmp|pct-", name)) or name.endswith(".tmp")


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: exit code, negative for a signal; None where it had to be killed after ``LIMIT``.
        out, err: what it printed.
        orphans: command lines of its processes that were still there ``GRACE`` later.
        seconds: how long it ran.
    """

    code: int | None
    out: str
    err: str
    orphans: tuple[str, ...]
    seconds: float

    def faults(self, codes: Sequence[int] = EXIT_CODES) -> list[str]:
        """What a person should not have seen of it."""
        found = []
        if self.code is None:
            return [f"hang: {self.err[-300:]!r}"]
        if self.code not in codes:
            found.append(f"exit code {self.code}: {(self.err or self.out)[-500:]!r}")
        if ugly := UGLY.search(self.err + self.out):
            found.append(f"traceback: {ugly[0]!r} in {(self.err + self.out)[-900:]!r}")
        if self.code > 0 and self.code not in (5, 6):
            if not self.err.strip():
                found.append(f"silent: exit code {self.code} without a word")
            if len(self.error_lines) > 2:
                found.append(f"wordy: {len(self.error_lines)} lines: {self.err[-500:]!r}")
        return [*found, *(f"orphan: {line}" for line in self.orphans)]

    @property
    def error_lines(self) -> list[str]:
        """Lines on stderr from the error on; progress stands before it."""
        lines = [line for line in self.err.splitlines() if line.strip() and not line.startswith("WARNING: ")]
        first = next((number for number, line in enumerate(lines) if line.startswith("error")), len(lines))
        return lines[first:]


class Started:
    """A command that runs, in a session of its own."""

    def __init__(
        self, arguments: Sequence[object], place: Place, *, program: Sequence[str] = (), **options: Any
    ) -> None:
        """Start ``pct`` with arguments, or another program; options are those of `subprocess.Popen`."""
        self.mark = uuid.uuid4().hex
        environment = {**(options.pop("env", None) or place.environment()), MARK: self.mark}
        self._out, self._err = (place.folder / f"{self.mark}.{name}" for name in ("out", "err"))
        self._begun = time.monotonic()
        command = [*(program or (sys.executable, "-P", "-m", "pct")), *map(str, arguments)]
        # Files, not pipes: a child that outlives the command would keep a pipe open.
        with self._out.open("wb") as out, self._err.open("wb") as err:
            streams = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": err, "cwd": place.work}
            self.process = subprocess.Popen(
                command, env=environment, start_new_session=True, **{**streams, **options}
            )

    def wait(self, seconds: float) -> bool:
        """Whether it ends by itself within some time."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        return self.process.poll() is not None

    def send(self, number: int, *, group: bool = False) -> None:
        """Send a signal to the command, or to all of its processes as a terminal does."""
        with contextlib.suppress(ProcessLookupError):
            if group:
                os.killpg(self.process.pid, number)
            else:
                self.process.send_signal(number)

    def end(self, limit: float = LIMIT) -> Ended:
        """Wait for the end, and look who is left."""
        code = self.process.returncode if self.wait(limit) else None
        seconds = time.monotonic() - self._begun
        if code is None:
            self.process.kill()
            self.process.wait()
        orphans = wait_for_none(self.mark, self.process.pid)
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        out, err = (path.read_text(errors="replace") for path in (self._out, self._err))
        self._out.unlink()
        self._err.unlink()
        return Ended(code, out, err, tuple(orphans.values()), seconds)


def run(arguments: Sequence[object], place: Place, *, limit: float = LIMIT, **options: Any) -> Ended:
    """Run a command to its end; options as of `Started`."""
    return Started(arguments, place, **options).end(limit)


def wait_for_none(mark: str, session: int, seconds: float = GRACE) -> dict[int, str]:
    """Command lines by number of the processes of a mark or session that are left after some time."""
    until = time.monotonic() + seconds
    while (left := living(mark, session)) and time.monotonic() < until:
        time.sleep(0.02)
    return left


def living(mark: str, session: int) -> dict[int, str]:
    """Command lines by number of the processes that bear a mark or belong to a session."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with contextlib.suppress(OSError, ValueError, IndexError):
            state, _, _, its_session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            marked = f"{MARK}={mark}".encode() in (folder / "environ").read_bytes().split(b"\0")
            if state not in "ZX" and (marked or int(its_session) == session):
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found[int(folder.name)] = line[:200]
    return found


@contextlib.contextmanager
def all_of(started: Sequence[Started]) -> Iterator[None]:
    """Ends what was started where a block fails."""
    try:
        yield
    except BaseException:
        for one in started:
            one.process.kill()
        raise
