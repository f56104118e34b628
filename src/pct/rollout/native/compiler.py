"""Compiles generated code, once a machine: libraries stay in the user's cache folder.

A library's name is the hash of all that decides its content: equations and generator, flags, compiler,
processor. It is
written whole or not at all, so that processes that start together do not meet half of one, and ends with a
seal, so that a damaged one is made anew. Only code that PCT generates reaches the compiler, in a folder that
nobody else can write to.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import logging
import os
import platform
import select
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pct.files import Cache, NoPrivateFolder, private_folder, temporary_folder
from pct.files import cache_folder as user_folder

log = logging.getLogger(__name__)

FOLDER = "native"
COMPILERS = ("g++", "clang++", "c++")
# No -ffast-math: a window that diverges must show it. Operands may join into one fused operation.
FLAGS = (
    "-std=c++17", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast",
    "-fPIC", "-shared", "-fvisibility=hidden", "-w",
)  # fmt: skip
# GCC is to keep the order of the operations but where registers are short. Clang knows none of these.
GCC_FLAGS = ("-fno-tree-ter", "-fschedule-insns", "-fsched-pressure")
LONGEST = 60.0
"""Seconds after which a compiler is given up, those not counted in which it waits for a processor."""
MOST = 512 << 20
"""Bytes of libraries that are kept."""
# Of what a compiler says, so many bytes are read.
SAID = 1 << 16
PROCESSES = Path("/proc")


class NoCompiler(Exception):
    """No native code can be made on this machine; the message says why."""


class CompilerHangs(NoCompiler):
    """The compiler does not come to an end."""


# Commands that did not: they are not waited for once more.
_hanging: set[tuple[str, ...]] = set()


def load_library(
    key: str, make_source: Callable[[], str], include: str | None, flags: tuple[str, ...] = ()
) -> ctypes.CDLL:
    """Compiled code, from the cache or fresh.

    Args:
        key: of the source, the same for the same source only.
        make_source: makes the C++17.
        include: folder of the headers that it names, where it names any.
        flags: behind the usual ones.

    Raises:
        NoCompiler: there is none, it fails, or what it makes cannot be loaded.
    """
    command = find_compiler()
    facts = "\0".join((key, *GCC_FLAGS, *FLAGS, *flags, *_compiler_facts(command), processor()))
    name = f"{hashlib.sha256(facts.encode(errors='surrogateescape')).hexdigest()}.so"
    cache, why = None, ""
    try:
        cache = Cache(private_folder(FOLDER), MOST)
    except NoPrivateFolder as error:
        why = str(error)
    if cache is not None and cache.get(name) is not None:
        with contextlib.suppress(OSError):  # it needs what the machine does not have any more
            return ctypes.CDLL(str(cache.folder / name))
    code = _compile(command, make_source(), include, flags)
    if cache is not None:
        try:
            return ctypes.CDLL(str(cache.put(name, code)))
        except OSError as error:
            why = f"the folder {cache.folder} cannot be used ({error.strerror or error})"
    _warn(why)
    try:
        with temporary_folder() as folder:
            path = folder / name
            path.write_bytes(code)
            return ctypes.CDLL(str(path))  # stays in memory after its file
    except OSError as error:
        raise NoCompiler(f"the library cannot be loaded ({error.strerror or error})") from error


@functools.cache
def _warn(why: str) -> None:
    """Say once why the next start compiles again."""
    log.warning("native code is not kept for the next start: %s", why)


def find_compiler() -> list[str]:
    """The command of the C++ compiler: that of ``CXX``, else the first of `COMPILERS`.

    Raises:
        NoCompiler: there is none.
    """
    if os.name == "nt":
        raise NoCompiler("native code is made on Linux and macOS only")
    variable = os.environ.get("CXX", "")
    try:
        named = shlex.split(variable)
    except ValueError as error:
        raise NoCompiler(f"CXX={variable}: {error}") from None
    for command in [named] if named else [[name] for name in COMPILERS]:
        if shutil.which(command[0]):
            return command
    raise NoCompiler(f"no C++ compiler was found ({' '.join(named) or ', '.join(COMPILERS)})")


def cache_folder() -> Path:
    """Where compiled libraries are kept."""
    return user_folder() / FOLDER


def run_compiler(command: Sequence[str], folder: Path) -> None:
    """Run a compiler to its end, or end it and all that it has started.

    Args:
        command: of the compiler.
        folder: for its own temporary files.

    Raises:
        CompilerHangs: it takes more than `LONGEST` seconds, or a former run of it did.
        NoCompiler: it fails; the message has its first error.
    """
    name = command[0]
    if _identity(command) in _hanging:
        raise CompilerHangs(f"{name} was given up before")
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C", "TMPDIR": str(folder)},
            start_new_session=True,  # what it starts is ended with it
        )
    except OSError as error:
        raise NoCompiler(f"{name} fails ({error.strerror})") from error
    try:
        said = _listen(process)
    finally:
        _end(process)
    if said is None:
        _hanging.add(_identity(command))
        raise CompilerHangs(f"{name} was given up after {LONGEST:g} s")
    if process.returncode:
        lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
        errors = [line for line in lines if "error" in line]
        reason = [*errors, *lines, f"exit status {process.returncode}"][0]
        raise NoCompiler(f"{name} fails ({reason})")


def _identity(command: Sequence[str]) -> tuple[str, ...]:
    """The compiler without its arguments: its file as it is now."""
    path = shutil.which(command[0]) or command[0]
    try:
        return path, str(os.stat(path).st_mtime_ns)
    except OSError:
        return path, ""


def _listen(process: subprocess.Popen[bytes]) -> bytes | None:
    """What a program says until it ends, the beginning of it; None where it takes too long."""
    assert process.stderr is not None
    begin, said, waits = time.monotonic(), b"", dict[str, float]()
    end = begin + LONGEST
    while True:
        if time.monotonic() > end:
            # On a busy machine much of this was no time of its own.
            waits |= _waits_for_processors(process.pid)
            end = begin + LONGEST + sum(waits.values())
            if time.monotonic() > end:
                return None
        # The program may be gone while one that it has started holds its output open.
        ready, _, _ = select.select([process.stderr], [], [], 0.1)
        if ready:
            part = os.read(process.stderr.fileno(), SAID)
            said += part[: SAID - len(said)]
            if part:
                continue
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.1)
        if process.poll() is not None:
            return said


def _waits_for_processors(session: int) -> dict[str, float]:
    """Seconds that each process of a session has waited for a processor; empty where nothing tells."""
    waits = {}
    for folder in PROCESSES.glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):  # it has ended, or no process tells
            if int((folder / "stat").read_text().rpartition(")")[2].split()[3]) == session:
                waits[folder.name] = int((folder / "schedstat").read_text().split()[1]) / 1e9
    return waits


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program, and what it has started and left."""
    assert process.stderr is not None
    with contextlib.suppress(ProcessLookupError, PermissionError):  # all are gone
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stderr.close()


def _compile(command: list[str], source: str, include: str | None, flags: tuple[str, ...]) -> bytes:
    try:
        with temporary_folder() as folder:
            unit, library = folder / "model.cpp", folder / "model.so"
            unit.write_text(source, encoding="utf-8")
            headers = ["-I", include] if include else []
            rest = [*FLAGS, *flags, *headers, "-o", str(library), str(unit)]
            try:
                run_compiler([*command, *GCC_FLAGS, *rest], folder)
            except CompilerHangs:
                raise
            except NoCompiler:
                run_compiler([*command, *rest], folder)
            if not library.exists():
                raise NoCompiler(f"{command[0]} fails (it wrote no library)")
            return library.read_bytes()
    except OSError as error:
        raise NoCompiler(f"the compiler has no place for temporary files ({error.strerror})") from error


def _compiler_facts(command: list[str]) -> tuple[str, ...]:
    """What changes with the compiler's version, without starting it."""
    path = Path(shutil.which(command[0]) or command[0]).resolve()
    facts = path.stat()
    return (*command[1:], str(path), str(facts.st_size), str(facts.st_mtime_ns))


@functools.cache
def processor() -> str:
    """What code for this machine's own processor depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    facts = (
        "model name",
        "cpu family",
        "model",
        "stepping",
        "flags",
        "Features",
        "CPU part",
        "CPU implementer",
    )
    return "\n".join(line for line in lines if line.split(":")[0].strip() in facts)
