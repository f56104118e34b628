"""Machines and terminals as they should not be: full, closed, forbidden, missing, slow."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from faults.commands import Command, Inputs
from faults.processes import EXIT_CODES, Ended, Place, run
from faults.wholeness import broken

MB = 1 << 20


@dataclasses.dataclass(frozen=True)
class Condition:
    """What is wrong with the machine.

    Attributes:
        name: says it.
        environment: variables that differ, by name; `{place}` is the place's folder, None leaves one out.
        around: program that starts the command, with its arguments.
        codes: exit codes that a command may have.
        signals: whether the process may also be ended by a package that cannot bear it.
    """

    name: str
    environment: dict[str, str | None] = dataclasses.field(default_factory=dict)
    around: tuple[str, ...] = ()
    codes: tuple[int, ...] = EXIT_CODES
    signals: bool = False


# Starts what follows with a limit that the shell does not know.
LIMITED = """
import os, resource, sys
what, most = getattr(resource, sys.argv[1]), int(sys.argv[2])
resource.setrlimit(what, (most, most))
os.execvp(sys.argv[3], sys.argv[3:])
"""


def limited(name: str, what: str, most: int, **rest: Any) -> Condition:
    """A limit of the process."""
    return Condition(name, around=(sys.executable, "-I", "-S", "-c", LIMITED, what, str(most)), **rest)


def shell(name: str, script: str, *, around: Sequence[str] = (), **rest: Any) -> Condition:
    """What a shell does around the command, which is ``"$@"`` there."""
    return Condition(name, around=(*around, "sh", "-c", script, "sh"), **rest)


# The command, whose code is kept.
THEN = '"$@"; code=$?;'
HIDDEN_CACHE = f"cd $PLACE; chmod 0 cache; {THEN} chmod 755 cache; exit $code"
# The rights of files bind, also where root runs the tests, and nobody knows the user.
STRANGER = ("unshare", "--user", "--map-user=54321")
# Mounts are its own.
MOUNTS = ("unshare", "--mount")
# A file system of the command, and what it leaves there.
MOUNTED = (
    'mount -t tmpfs -o {options} tmpfs "$PLACE/{where}" && cd "$PLACE/work" && "$@"; code=$?; '
    'find "$PLACE/{where}" -mindepth 1 > "$PLACE/listing"; exit $code'
)


def mounted(name: str, where: str, options: str) -> Condition:
    """Another file system in the place of a folder."""
    return shell(name, MOUNTED.format(options=options, where=where), around=MOUNTS)


CONDITIONS = (
    mounted("disk full", "work", "size=16k"),
    mounted("disk full soon", "work", "size=64k"),
    mounted("temporary files full", "tmp", "size=4k"),
    mounted("cache full", "cache", "size=16k"),
    mounted("disk read-only", "work", "ro"),
    mounted("temporary files read-only", "tmp", "ro"),
    mounted("cache read-only", "cache", "ro"),
    limited("large files forbidden", "RLIMIT_FSIZE", 2000),
    Condition("no place for temporary files", {"TMPDIR": "/proc/none"}),
    shell("no right to write", f"chmod 555 .; {THEN} chmod 755 .; exit $code", around=STRANGER),
    shell("no right to read", HIDDEN_CACHE, around=STRANGER),
    Condition("unknown user", {"HOME": None, "XDG_CACHE_HOME": None}, around=STRANGER),
    Condition("no home", {"HOME": "/proc/none", "XDG_CACHE_HOME": None}),
    Condition("cache is a file", {"XDG_CACHE_HOME": "/dev/null"}),
    shell("working directory deleted", 'mkdir "$PLACE/gone"; cd "$PLACE/gone"; rmdir "$PLACE/gone"; "$@"'),
    shell("stdout full", '"$@" > /dev/full'),
    shell("stderr full", '"$@" 2> /dev/full'),
    shell("stdout closed", '"$@" >&-'),
    shell("stderr closed", '"$@" 2>&-'),
    shell("stdin closed", '"$@" <&-'),
    shell("all closed", '"$@" <&- >&- 2>&-'),
    shell("pipe closed", '"$@" | true', codes=(0,)),
    limited("16 files", "RLIMIT_NOFILE", 16),
    limited("24 files", "RLIMIT_NOFILE", 24),
    limited("48 files", "RLIMIT_NOFILE", 48),
    Condition("locale C", {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LANG": None}),
    Condition("ASCII only", {"PYTHONIOENCODING": "ascii:strict", "LC_ALL": "C"}),
    Condition("no programs", {"PATH": "/nonexistent"}),
    Condition("compiler fails", {"CXX": "false", "CC": "false"}),
    Condition("compiler crashes", {"CXX": "sh -c 'kill -SEGV $$'", "CC": "sh -c 'kill -SEGV $$'"}),
    Condition("compiler makes nothing", {"CXX": "true", "CC": "true"}),
    limited("256 MB", "RLIMIT_AS", 256 * MB, signals=True),
    limited("600 MB", "RLIMIT_AS", 600 * MB, signals=True),
    limited("1200 MB", "RLIMIT_AS", 1200 * MB, signals=True),
    limited("2400 MB", "RLIMIT_AS", 2400 * MB, signals=True),
)  # fmt: skip
HANGING = Condition("compiler hangs", {"CXX": "sleep 1000", "CC": "sleep 1000"})


def faults_of(
    command: Command, condition: Condition, inputs: Inputs, place: Place, **options: Any
) -> list[str]:
    """What a person should not see of a command under a condition; nothing where all is well."""
    ended = run_under(command, condition, inputs, place, **options)
    codes = (*condition.codes, *command.codes)
    if condition.signals:
        codes = (*codes, *range(-64, 0))
    found = [fault for fault in ended.faults(codes) if not _unseen(fault, condition)]
    found += [f"half-written: {line}" for line in broken(place.work)]
    found += [f"left: {path}" for path in place.leftovers()]
    listing = place.folder / "listing"
    if listing.exists():
        paths = [Path(line) for line in listing.read_text().splitlines()]
        found += [f"left: {path}" for path in paths if path.name.startswith((".", "tmp", "pct-"))]
        listing.unlink()
    return found


def run_under(command: Command, condition: Condition, inputs: Inputs, place: Place, **options: Any) -> Ended:
    """Run a command under a condition."""
    changes = {
        name: None if value is None else value.format(place=place.folder)
        for name, value in condition.environment.items()
    }
    environment = {**place.environment(**changes), "PLACE": str(place.folder)}
    program = (*condition.around, sys.executable, "-P", "-m", "pct")
    return run(command.arguments(inputs, place.work), place, env=environment, program=program, **options)


def possible(condition: Condition) -> bool:
    """Whether this machine can bring it about."""
    if condition.around[:1] != ("unshare",):
        return True
    trial = (*MOUNTS, "mount", "-t", "tmpfs", "tmpfs", "/mnt")
    trial = trial if condition.around[:2] == MOUNTS else (*STRANGER, "true")
    return shutil.which("unshare") is not None and not subprocess.run(trial, capture_output=True).returncode


def _unseen(fault: str, condition: Condition) -> bool:
    """Whether nobody can have said a word."""
    return fault.startswith("silent") and condition.name in ("stderr full", "stderr closed", "all closed")
