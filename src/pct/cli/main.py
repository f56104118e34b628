"""The command line: `pct <command>`. Commands are imported when they are called, so that help is fast."""

from __future__ import annotations

import importlib
import importlib.metadata
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from pct.errors import PctError
from pct.interpreter import collect_rarely

# Each module has ``main(argv)`` and ``CONFIG``, the dataclass of its flags.
COMMANDS = {
    "fit": ("pct.cli.fit", "fit one value of each parameter to driving logs, in seconds"),
    "train": ("pct.cli.train", "learn a vehicle's parameters from driving logs"),
    "evaluate": ("pct.cli.evaluate", "measure a run's errors on drives that it was not trained on"),
    "data check": ("pct.cli.data_check", "find what is wrong with logs, with evidence and a fix"),
    "data import": ("pct.cli.data_import", "make a dataset of logs: cut, mend, resample, hold out"),
    "data map": ("pct.cli.data_map", "propose a signals.toml for logs"),
    "simulate": ("pct.cli.simulate", "make driving logs with known parameters"),
    "compare": ("pct.cli.compare", "tell what differs between fits: new tyres, another load, a worn part"),
    "export c": ("pct.cli.export_c", "one C99 file of a model: rates, a step, and the Jacobians of both"),
    "models": ("pct.cli.models", "list the dynamics models with their parameters"),
}


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of `pct`; leaves with the exit code of the command."""
    name, rest = choose(list(sys.argv[1:] if argv is None else argv))
    module = importlib.import_module(COMMANDS[name][0])
    run(lambda: module.main(rest), module.CONFIG, debug="--debug" in rest)


def choose(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """Name and arguments of the command that is asked for.

    Leaves with the list of commands and code 0 where help is asked for, 2 where there is no such command.
    """
    group = ""
    for number, argument in enumerate(arguments):
        if argument in ("-h", "--help"):
            print(_help(group))
            sys.exit(0)
        if argument == "--version" and not group:
            print(f"pct {importlib.metadata.version('pct')}")
            sys.exit(0)
        name = f"{group}{argument}"
        if name in COMMANDS:
            return name, list(arguments[number + 1 :])
        if not any(known.startswith(f"{name} ") for known in COMMANDS):
            program = f"pct {group}".strip()
            known = ", ".join(dict.fromkeys(word.split()[0] for word in _below(group)))
            print(f"{program}: unknown command '{argument}'. Commands: {known}", file=sys.stderr)
            sys.exit(2)
        group = f"{name} "
    print(_help(group))
    sys.exit(2)


def run(command: Callable[[], None], config: type[Any], *, debug: bool = False) -> None:
    """Run a command; errors become a line or two on stderr and the exit code that belongs to them.

    Exit codes: 0 done, 2 usage, 3 bad data, 4 diverged, 130 interrupted.

    Args:
        command: what to run.
        config: the dataclass of its flags: arguments that an error names become flags.
        debug: show the traceback of an error.
    """
    collect_rarely()
    logging.basicConfig(format="%(levelname)s: %(message)s", stream=sys.stderr, level=logging.WARNING)
    if threading.current_thread() is threading.main_thread():  # elsewhere Python takes no signals
        # What Ctrl-C would clear away is cleared away.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        command()
    except PctError as error:
        from pct.cli.flags import as_flags

        if debug:
            traceback.print_exc()
        print(f"error: {as_flags(str(error), config)}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # The reader, `head` say, has seen enough; the flush at exit would fail once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _below(group: str) -> list[str]:
    """Names of the commands of a group, e.g. ``"data "``, without the group."""
    return [name.removeprefix(group) for name in COMMANDS if name.startswith(group)]


def _help(group: str) -> str:
    names = _below(group)
    width = max(map(len, names))
    commands = [f"  {name:<{width}}  {COMMANDS[group + name][1]}" for name in names]
    if group:
        return "\n".join([f"usage: pct {group}<command> [flags]", "", *commands])
    return "\n".join(
        [
            "usage: pct <command> [flags]",
            "",
            "Learns the physics of a vehicle from its driving logs.",
            "",
            *commands,
            "",
            "`pct <command> --help` shows a command's flags with units and an example.",
            "Start: pct train --dataset datasets/surfaces/train --val-dataset datasets/surfaces/val",
        ]
    )
