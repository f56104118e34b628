"""The edge of the program: whatever happens in a command becomes a line or two and an exit code.

0 done, 1 a fault of PCT or a reader that is gone, 2 usage, 3 bad data, or a system that refuses, 4 diverged,
130 interrupted; `pct data check` has its own for findings.
"""

from __future__ import annotations

import atexit
import errno
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

from pct.cli import console
from pct.cli.console import say
from pct.errors import DataError, PctError
from pct.interpreter import collect_rarely

FAULT = 1
REFUSED = DataError.exit_code
INTERRUPTED = 130
SIGNALS = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))
PACKAGE = Path(__file__).parents[1]
# Bytes of addresses that libraries reserve as they start, and some data.
LEAST_MEMORY = 2 << 30
# Characters of an error that we know nothing of.
LONGEST = 300

# What helps, by the error of the system.
HELP = {
    errno.ENOSPC: "free some space, or choose another disk",
    errno.EDQUOT: "free some space: your quota is used up",
    errno.EFBIG: "choose a disk for larger files, or raise the limit (ulimit -f)",
    errno.EACCES: "choose a place where you may read and write",
    errno.EPERM: "choose a place where you may read and write",
    errno.EROFS: "choose a place that can be written",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EMFILE: "raise the limit of open files (ulimit -n 1024)",
    errno.ENFILE: "close other programs: the system has too many open files",
    errno.ENOMEM: "close other programs, or use less data",
    errno.EAGAIN: "raise the limit of processes (ulimit -u), or close other programs",
    errno.EEXIST: "choose another name",
    errno.EISDIR: "give a file, not a folder",
    errno.ENOTDIR: "give a folder, not a file",
    errno.ENOENT: "check the path",
    errno.ELOOP: "check the links of the path",
    errno.EIO: "check the disk",
    errno.EBADF: "open it",
}
# How libraries word the same.
WORDS = {
    "Too many open files": errno.EMFILE,
    "No space left on device": errno.ENOSPC,
    "Cannot allocate memory": errno.ENOMEM,
    "failed to map segment": errno.ENOMEM,
    "RESOURCE_EXHAUSTED": errno.ENOMEM,
}
WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EBADF)

# Seconds that a signal waits for an import, at most, and at a time. Windows has no such timer.
_patience = 3.0 if hasattr(signal, "setitimer") else 0.0
SHORT = 0.02

# A signal has come: what it interrupts may make another error of it.
_heard = False


def run(command: Callable[[], None], *, debug: bool = False) -> None:
    """Run a command; errors become a line or two on stderr and the exit code that belongs to them.

    Args:
        command: what to run.
        debug: show the traceback of an error.
    """
    collect_rarely()
    console.report_records()
    main = threading.current_thread() is threading.main_thread()  # elsewhere Python takes no signals
    if main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        # What Ctrl-C would clear away is cleared away.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    code: Any = None
    try:
        try:
            command()
        except SystemExit as stop:
            code = stop.code or 0
        console.flush()
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        console.close_output()
        code = FAULT
    except BaseException as error:
        code = report(error, debug=debug)
        try:
            console.flush()
        except OSError:
            console.close_output()
    if code is not None:
        sys.exit(code)


def run_program(command: Callable[[], None], *, debug: bool = False) -> None:
    """`run` in a process of our own, whose streams and signals are ours."""
    console.open_streams()
    console.report_warnings()
    # Registered before any library, and so run after what they register.
    atexit.register(_leave)
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, _hear_all if debug else _hear)
    if not debug:
        # What a library's clean-up runs into is no matter of the user.
        sys.unraisablehook = lambda _: None
        threading.excepthook = lambda failed: _of_thread(failed.exc_value)

    def checked() -> None:
        _require_memory()
        command()

    try:
        run(checked, debug=debug)
    finally:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)  # all is done and said


def _leave() -> None:
    """End the process here where a signal came: a library that was half imported may crash as Python ends."""
    if _heard:
        os._exit(INTERRUPTED)


def _require_memory() -> None:
    """Refuse a limit of memory that libraries do not bear: some wait for ever where they get none.

    Raises:
        DataError: the process may take too little.
    """
    if resource is None:
        return
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    if most != resource.RLIM_INFINITY and most < LEAST_MEMORY:
        raise DataError(
            f"this process may take {most >> 20} MB of memory, expected {LEAST_MEMORY >> 20} MB or more: "
            "raise the limit (ulimit -v)"
        )


def _of_thread(error: BaseException | None) -> None:
    """Say what ended a thread."""
    if error is not None:
        say(f"error: {describe(error)[1]}", error=True)


def _hear(number: int, frame: FrameType | None) -> None:
    """Interrupt the command, after an import if one is under way; what libraries say of it is not shown."""
    global _patience
    if _imports(frame) and _patience > 0:
        # Half imported, a library in another language may crash.
        _patience -= SHORT
        signal.signal(signal.SIGALRM, _hear)
        signal.setitimer(signal.ITIMER_REAL, SHORT)
        return
    console.hush()
    _hear_all(number, frame)


def _imports(frame: FrameType | None) -> bool:
    """Whether a module is being imported, as far as Python is asked for it."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _hear_all(number: int, frame: FrameType | None) -> None:
    """`_hear` with all that libraries say."""
    global _heard
    _heard = True
    raise KeyboardInterrupt


def report(error: BaseException, *, debug: bool = False) -> int:
    """Say what an error is, where, and what helps; its exit code."""
    if debug:
        for line in "".join(traceback.format_exception(error)).rstrip("\n").split("\n"):
            say(line, error=True)
    if _heard or isinstance(error, KeyboardInterrupt):
        say("interrupted", error=True)
        return INTERRUPTED
    code, message = describe(error)
    say(f"error: {message}", error=True)
    return code


def describe(error: BaseException) -> tuple[int, str]:
    """Exit code and message of an error, without the word error."""
    text = str(error)
    if isinstance(error, PctError):
        return error.exit_code, text
    if isinstance(error, OSError):
        return REFUSED, _refusal(error)
    known = next((number for words, number in WORDS.items() if words in text), None)
    if isinstance(error, MemoryError) or known == errno.ENOMEM:
        return REFUSED, f"not enough memory{_first(text)}: {HELP[errno.ENOMEM]}"
    if known is not None:
        return REFUSED, f"the system refuses{_first(text)}: {HELP[known]}"
    if isinstance(error, RecursionError):
        return REFUSED, f"nested too deeply{_place(error)}: give data that is nested less"
    if isinstance(error, UnicodeError):
        return REFUSED, f"expected text in UTF-8, got other bytes{_first(text)}: check names and files"
    if isinstance(error, ImportError):
        return FAULT, f"PCT is not installed completely{_first(text)}: install it again"
    words = f"{type(error).__name__}{f': {_short(text)}' if text else ''}{_place(error)}"
    return FAULT, f"{words}; this is a fault of PCT, please report it with the output of --debug"


def _refusal(error: OSError) -> str:
    """What the system refuses, on which file, and what helps."""
    why = error.strerror or _short(str(error)) or type(error).__name__
    names = (error.filename, error.filename2)
    files = " and ".join(os.fsdecode(name) for name in names if isinstance(name, str | bytes) and name)
    verb = "cannot write" if error.errno in WRITING else "cannot use"
    what = f"{verb} {files} ({why})" if files else f"the system refuses ({why})"
    return f"{what}: {_help(error.errno, files)}"


def _help(number: int | None, files: str) -> str:
    if number == errno.ENOENT and _is_lost():
        return "the working directory was deleted: change to another one"
    if not files and number == errno.ENOENT:
        return "set TMPDIR to a folder that can be written"  # what tempfile says of itself
    if not files and number in (errno.ENOSPC, errno.EDQUOT):
        return f"{HELP[number]}; the temporary folder counts, too (TMPDIR)"
    return HELP.get(number or 0, "see what the system says of it")


def _is_lost() -> bool:
    try:
        os.getcwd()
    except OSError:
        return True
    return False


def _place(error: BaseException) -> str:
    """Where an error was raised: the innermost place in PCT."""
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(PACKAGE):
            module = frame.f_globals.get("__name__", "")
            return f" in {module}.{frame.f_code.co_name} ({path.relative_to(PACKAGE.parent)}:{line})"
    return ""


def _first(text: str) -> str:
    return f" ({_short(text)})" if text else ""


def _short(text: str) -> str:
    """The first line of a text, cut where it is long."""
    line = text.strip().split("\n")[0]
    return line if len(line) <= LONGEST else f"{line[:LONGEST]} ..."
