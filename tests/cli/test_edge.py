"""Whatever happens in a command ends in one or two lines and an exit code."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pct.cli.edge import describe, run
from pct.errors import DataError, DivergedError, PctError, UsageError

PCT = [sys.executable, "-m", "pct"]


def refusal(number: int, *names: object) -> OSError:
    return OSError(number, os.strerror(number), *names)


@pytest.mark.parametrize(
    ("error", "code", "parts"),
    [
        (UsageError("expected x"), 2, ["expected x"]),
        (DataError("expected x"), 3, ["expected x"]),
        (DivergedError("expected x"), 4, ["expected x"]),
        (PctError("expected x"), 1, ["expected x"]),
        (refusal(errno.ENOSPC, "a b"), 3, ["cannot write a b (No space left on device): free some space"]),
        (refusal(errno.ENOSPC), 3, ["refuses (No space left on device): free", "TMPDIR"]),
        (refusal(errno.EDQUOT, "f"), 3, ["cannot write f", "quota"]),
        (refusal(errno.EROFS, b"f\xff"), 3, ["cannot write f\udcff (Read-only file system): choose"]),
        (refusal(errno.EACCES, "f"), 3, ["cannot use f (Permission denied): choose a place where you may"]),
        (refusal(errno.ENAMETOOLONG, "f"), 3, ["choose a shorter name"]),
        (refusal(errno.EMFILE, "f"), 3, ["Too many open files", "ulimit -n"]),
        (refusal(errno.EXDEV, "f", None, "g"), 3, ["cannot use f and g (Invalid cross-device link)"]),
        (refusal(errno.ENOENT, "f"), 3, ["cannot use f (No such file or directory): check the path"]),
        (OSError("odd"), 3, ["the system refuses (odd)"]),
        (MemoryError(), 3, ["not enough memory: close other programs, or use less data"]),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes"), 3, ["not enough memory"]),
        (ImportError("x.so: Too many open files"), 3, ["ulimit -n"]),
        (RecursionError("maximum recursion depth exceeded"), 3, ["nested too deeply"]),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), 3, ["expected text in UTF-8"]),
        (ModuleNotFoundError("No module named 'numpy'"), 1, ["not installed completely", "numpy"]),
        (KeyError("x"), 1, ["KeyError: 'x'; this is a fault of PCT, please report it", "--debug"]),
        (ValueError("a" * 9999), 1, ["..."]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_error_says_what_is_wrong_and_what_helps(error: Exception, code: int, parts: list[str]) -> None:
    found, message = describe(error)
    assert found == code
    assert "\n" not in message
    assert len(message) < 500
    for part in parts:
        assert part in message


@pytest.mark.parametrize("debug", [False, True])
def test_a_fault_names_its_place(capsys: pytest.CaptureFixture[str], debug: bool) -> None:
    with pytest.raises(SystemExit) as stop:
        run(lambda: describe(None.x), debug=debug)  # type: ignore[attr-defined]
    assert stop.value.code == 1
    told = capsys.readouterr().err
    assert ("Traceback" in told) == debug
    assert (
        "error: AttributeError: 'NoneType' object has no attribute 'x' in pct.cli.edge.run (pct/cli/edge.py:"
        in told
    )


def test_an_escape_in_a_traceback_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(lambda: int("\x1b[31m"), debug=True)
    assert "\x1b" not in capsys.readouterr().err


def test_a_deleted_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(FileNotFoundError) as caught:
        Path.cwd()
    assert describe(caught.value)[1].endswith("the working directory was deleted: change to another one")


# Standard output that cannot be written, in a process of our own.


def shell(line: str) -> subprocess.CompletedProcess[str]:
    program = " ".join(PCT)
    return subprocess.run(["sh", "-c", line.format(pct=program)], capture_output=True, text=True)


def test_output_that_cannot_be_written_is_an_error() -> None:
    done = shell("{pct} --help > /dev/full; echo $?; {pct} --version >&-; echo $?")
    assert done.stdout == "3\n3\n"
    full, closed = done.stderr.splitlines()
    assert full.startswith("error: cannot write standard output (No space left on device): free some space")
    assert closed == "error: cannot write standard output (Bad file descriptor): open it"


def test_where_nothing_can_be_told_the_code_tells() -> None:
    done = shell("{pct} drive 2>/dev/full; echo $?; {pct} drive 2>&-; echo $?; {pct} --version <&-")
    assert done.stdout.startswith("2\n2\npct ")
    assert done.stderr == ""


def test_a_reader_that_has_seen_enough_ends_it() -> None:
    done = shell("({pct} models; echo $? >&2) | head -1")
    assert (done.stdout.count("\n"), done.stderr) == (1, "1\n")


def test_a_terminal_without_unicode_is_shown_escapes() -> None:
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    done = subprocess.run([*PCT, "models", "μ\udcff\x1b"], capture_output=True, env=ascii_only)
    assert done.returncode == 2
    assert rb"unknown model '\u03bc\xff\x1b'" in done.stderr


def test_too_little_memory_is_refused_before_a_library_waits_for_it() -> None:
    done = shell("ulimit -v 600000; {pct} models")
    assert done.returncode == 3
    said = "this process may take 585 MB of memory, expected 2048 MB or more: raise the limit (ulimit -v)"
    assert done.stderr == f"error: {said}\n"


FOREIGN = """
import os, signal
from pct.cli.edge import run_program

def command():
    try:
        signal.raise_signal(signal.{name})
    except KeyboardInterrupt:  # as a library in another language takes it
        os.write(2, b"thread panicked: Traceback (most recent call last)\\n")
        raise RuntimeError("panic") from None

signal.signal(signal.SIGINT, signal.default_int_handler)
run_program(command)
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_within_a_library_is_an_interrupt_and_nothing_else(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FOREIGN.replace("{name}", name)], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


IMPORTING = """
import signal, sys
from pct.cli.edge import run_program

def command():
    import half
    assert half.whole
    while True:
        signal.pause()

sys.path.insert(0, sys.argv[1])
signal.signal(signal.SIGINT, signal.default_int_handler)
run_program(command)
"""


def test_a_signal_waits_for_an_import(tmp_path: Path) -> None:
    half = "import signal\nsignal.raise_signal(signal.SIGTERM)\nwhole = True\nprint('imported')\n"
    (tmp_path / "half.py").write_text(half)
    done = subprocess.run([sys.executable, "-c", IMPORTING, tmp_path], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "imported\n", "interrupted\n")


def test_an_import_without_end_is_interrupted(tmp_path: Path) -> None:
    (tmp_path / "half.py").write_text(
        "import signal\nsignal.raise_signal(signal.SIGTERM)\nwhile True:\n    pass\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", IMPORTING, tmp_path], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


ENDING = """
import ctypes, signal
from pct.cli.edge import run_program

class Half:
    def __del__(self):
        ctypes.string_at(0)  # a crash, as of a library that was half imported

def command():
    import builtins
    builtins.half = Half()
    {what}

signal.signal(signal.SIGINT, signal.default_int_handler)
run_program(command)
"""


def test_what_crashes_as_python_ends_is_not_reached_after_a_signal() -> None:
    interrupted, whole = (
        subprocess.run([sys.executable, "-c", ENDING.replace("{what}", what)], capture_output=True, text=True)
        for what in ("signal.raise_signal(signal.SIGINT)", "pass")
    )
    assert (interrupted.returncode, interrupted.stderr) == (130, "interrupted\n")
    assert whole.returncode == -signal.SIGSEGV  # so that the test can fail
