"""Compiles generated code, once a machine: libraries stay in the user's cache folder.

A library's name is the hash of all that decides its content: equations and generator, flags, compiler,
processor. It is
written under another name first and then renamed, so that processes that start together do not meet half of
one, and ends with the hash of its bytes, so that a damaged one is made anew. Only code that PCT generates
reaches the compiler, in a folder that nobody else can write to.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from pct.files import cache_folder as user_folder
from pct.files import write_atomic

COMPILERS = ("g++", "clang++", "c++")
# No -ffast-math: a window that diverges must show it. Operands may join into one fused operation.
FLAGS = (
    "-std=c++17", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast",
    "-fPIC", "-shared", "-fvisibility=hidden", "-w",
)  # fmt: skip
# GCC is to keep the order of the operations but where registers are short. Clang knows none of these.
GCC_FLAGS = ("-fno-tree-ter", "-fschedule-insns", "-fsched-pressure")
LONGEST = 600.0
"""Seconds after which a compiler is given up."""


class NoCompiler(Exception):
    """No native code can be made on this machine; the message says why."""


def load_library(key: str, make_source: Callable[[], str], include: str | None) -> ctypes.CDLL:
    """Compiled code, from the cache or fresh.

    Args:
        key: of the source, the same for the same source only.
        make_source: makes the C++17.
        include: folder of the headers that it names, where it names any.

    Raises:
        NoCompiler: there is none, it fails, or there is no safe folder for its results.
    """
    command = find_compiler()
    folder = _private_folder()
    name = hashlib.sha256(
        "\0".join((key, *GCC_FLAGS, *FLAGS, *_compiler_facts(command), processor())).encode()
    )
    path = folder / f"{name.hexdigest()}.so"
    if not _is_intact(path):
        _compile(command, make_source(), include, path)
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise NoCompiler(f"the compiled library cannot be loaded ({error})") from error


def find_compiler() -> list[str]:
    """The command of the C++ compiler: that of ``CXX``, else the first of `COMPILERS`.

    Raises:
        NoCompiler: there is none.
    """
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
    return user_folder() / "native"


def _compile(command: list[str], source: str, include: str | None, path: Path) -> None:
    try:
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            unit, library = Path(folder) / "model.cpp", Path(folder) / "model.so"
            unit.write_text(source)
            headers = ["-I", include] if include else []
            rest = [*FLAGS, *headers, "-o", str(library), str(unit)]
            try:
                _run([*command, *GCC_FLAGS, *rest])
            except NoCompiler:
                _run([*command, *rest])
            if not library.exists():
                raise NoCompiler(f"{command[0]} fails (it wrote no library)")
            code = library.read_bytes()
        write_atomic(path, code + hashlib.sha256(code).digest())
    except OSError as error:
        raise NoCompiler(f"the folder {path.parent} cannot be written ({error.strerror})") from error


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=LONGEST,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoCompiler(f"{command[0]} fails ({error})") from error
    if done.returncode:
        lines = done.stderr.splitlines()
        reasons = [
            *(line for line in lines if "error" in line),
            *lines,
            f"exit status {done.returncode}",
        ]
        raise NoCompiler(f"{command[0]} fails ({reasons[0]})")


def _is_intact(path: Path) -> bool:
    try:
        content = path.read_bytes()
    except OSError:
        return False
    return hashlib.sha256(content[:-32]).digest() == content[-32:]


def _private_folder() -> Path:
    """The cache folder, made where it is missing.

    Raises:
        NoCompiler: it cannot be written, or others can write to it.
    """
    folder = cache_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = folder.stat()
    except OSError as error:
        raise NoCompiler(f"the folder {folder} cannot be made ({error.strerror})") from error
    others = facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if facts.st_uid != os.getuid() or others or not os.access(folder, os.W_OK | os.X_OK):
        raise NoCompiler(f"the folder {folder} is not one that only this user can write to: chmod 700")
    return folder


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
