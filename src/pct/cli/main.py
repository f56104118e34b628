"""The command line: `pct <command>`. Commands are imported when they are called, so that help is fast."""

from __future__ import annotations

import atexit
import gc
import importlib
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence

from pct.errors import PctError

COMMANDS = {
    "fit": ("pct.cli.fit", "fit one value of each parameter to driving logs, in seconds"),
    "train": ("pct.cli.train", "learn a vehicle's parameters from driving logs"),
    "evaluate": ("pct.cli.evaluate", "judge a trained run on drives that it has not seen"),
    "data": ("pct.cli.data", "check and map logs before training"),
    "simulate": ("pct.cli.simulate", "make driving logs with known parameters"),
    "export": ("pct.cli.export", "a model with its parameters as code for other programs"),
    "models": ("pct.cli.models", "list the dynamics models with their parameters"),
}


# So many objects may be made before they are looked through for garbage. The libraries make half as many up
# to the first training step, and keep them: to look through them time and again takes a fifth of that time.
OBJECTS = 500_000


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of `pct`; leaves with the exit code of the command."""
    module, rest = choose("pct", COMMANDS, argv, _help)
    run(lambda: importlib.import_module(module).main(rest), debug="--debug" in rest)


def choose(
    program: str,
    commands: Mapping[str, tuple[str, str]],
    argv: Sequence[str] | None,
    usage: Callable[[], str],
) -> tuple[str, list[str]]:
    """Module and arguments of the command that is asked for; leaves with code 2 where there is none."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        sys.exit(0 if arguments else 2)
    name, rest = arguments[0], arguments[1:]
    if name not in commands:
        print(f"{program}: unknown command '{name}'. Commands: {', '.join(commands)}", file=sys.stderr)
        sys.exit(2)
    return commands[name][0], rest


def list_commands(commands: Mapping[str, tuple[str, str]]) -> list[str]:
    """A line for each command."""
    width = max(map(len, commands))
    return [f"  {name:<{width}}  {text}" for name, (_, text) in commands.items()]


def run(command: Callable[[], None], *, debug: bool = False) -> None:
    """Run a command; errors become a line or two on stderr and the exit code that belongs to them.

    Exit codes: 0 done, 2 usage, 3 bad data, 4 diverged, 130 interrupted.
    """
    collect_rarely()
    logging.basicConfig(format="%(levelname)s: %(message)s", stream=sys.stderr, level=logging.WARNING)
    if threading.current_thread() is threading.main_thread():  # elsewhere Python takes no signals
        # What Ctrl-C would clear away is cleared away.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        command()
    except PctError as error:
        if debug:
            traceback.print_exc()
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # The reader, `head` say, has seen enough; the flush at exit would fail once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def collect_rarely() -> None:
    """Leave what the libraries make alone while they are loaded; for processes of our own."""
    gc.set_threshold(OBJECTS)
    # Nor are they looked through at the end, when all memory goes back.
    atexit.register(gc.freeze)


def _help() -> str:
    return "\n".join(
        [
            "usage: pct <command> [flags]",
            "",
            "Learns the physics of a vehicle from its driving logs.",
            "",
            *list_commands(COMMANDS),
            "",
            "`pct <command> --help` shows a command's flags with units and an example.",
            "Start: pct train --dataset datasets/surfaces/train --val-dataset datasets/surfaces/val",
        ]
    )
