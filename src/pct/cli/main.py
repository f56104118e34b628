"""The command line: `pct <command>`. Commands are imported when they are called, so that help is fast."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Sequence

import pct
from pct.cli import edge
from pct.cli.console import say
from pct.errors import PctError
from pct.export.targets import TARGETS

# Each module has ``main(argv)`` and ``CONFIG``, the dataclass of its flags. A target of an export is the
# first argument of one module. In the order of a newcomer's questions.
GROUPS = {
    "Start": {
        "demo": ("pct.cli.demo", "train on data that PCT brings along, and judge the result"),
        "run": ("pct.cli.run", "from logs to parameters: map, check, choose, fit, judge"),
    },
    "Your logs": {
        "data open": ("pct.cli.data_open", "show every column of logs, before any map"),
        "data map": ("pct.cli.data_map", "propose a signals.toml for logs"),
        "data check": ("pct.cli.data_check", "find what is wrong with logs, with evidence and a fix"),
        "data import": ("pct.cli.data_import", "make a dataset of logs: cut, mend, resample, hold out"),
        "simulate": ("pct.cli.simulate", "make driving logs with known parameters"),
    },
    "Learn": {
        "fit": ("pct.cli.fit", "fit one value of each parameter, in seconds"),
        "train": ("pct.cli.train", "learn parameters that change with the moment"),
        "sweep": ("pct.cli.sweep", "look for the best settings of a training"),
        "fleet fit": ("pct.cli.fleet", "fit many cars side by side, as a prior for the next one"),
    },
    "Judge": {
        "evaluate": ("pct.cli.evaluate", "errors on drives that a run was not trained on"),
        "compare": ("pct.cli.compare", "tell what differs between fits: new tyres, another load"),
        "show": ("pct.cli.show", "all results on one page, and what is running now"),
    },
    "Use": {
        "design": ("pct.cli.design", "what to drive next: the drive that tells most"),
        "track": ("pct.cli.track", "track what changes along a drive: grip, load"),
        "race": ("pct.cli.race", "drive laps with a guess and with what was learned"),
        **{
            f"export {name}": ("pct.cli.export_c" if name == "c" else "pct.cli.export_target", listed.doc)
            for name, listed in TARGETS.items()
        },
    },
    "More": {
        "models": ("pct.cli.models", "list models and vehicles with their parameters"),
        "completion": ("pct.cli.completion", "print a script that completes commands and flags"),
    },
}
COMMANDS = {name: listed for group in GROUPS.values() for name, listed in group.items()}
# A group with so many commands is one line of the help.
EXPORT = "export"


def main(argv: Sequence[str] | None = None, *, command: str = "") -> None:
    """Entry point of `pct`; leaves with the exit code of the command.

    Args:
        argv: the arguments; those of this process, which is then ours, when left out.
        command: the command that the arguments are for, where they do not begin with its name.
    """
    arguments = [*command.split(), *(sys.argv[1:] if argv is None else argv)]
    start = edge.run_program if argv is None else edge.run
    start(lambda: call(arguments), debug="--debug" in arguments)


def call(arguments: Sequence[str]) -> None:
    """Call the command that is asked for; arguments that an error of the library names become its flags."""
    name, rest = choose(arguments)
    module = importlib.import_module(COMMANDS[name][0])
    if module.__name__ == "pct.cli.export_target":
        rest = [name.removeprefix("export "), *rest]
    try:
        module.main(rest)
    except PctError as error:
        from pct.cli.flags import as_flags

        error.args = (as_flags(str(error), module.CONFIG),)
        raise


def choose(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """Name and arguments of the command that is asked for.

    Leaves with the list of commands and code 0 where help is asked for, 2 where there is no such command.
    """
    group = ""
    for number, argument in enumerate(arguments):
        if argument in ("-h", "--help"):
            say(*_help(group))
            sys.exit(0)
        if argument == "--version" and not group:
            say(f"pct {pct.__version__}")
            sys.exit(0)
        name = f"{group}{argument}"
        if name in COMMANDS:
            return name, list(arguments[number + 1 :])
        if not any(known.startswith(f"{name} ") for known in COMMANDS):
            program = f"pct {group}".strip()
            known = list(dict.fromkeys(word.split()[0] for word in _below(group)))
            near = difflib.get_close_matches(argument, known, 1)
            hint = f": did you mean '{near[0]}'?" if near else "."
            say(f"{program}: unknown command '{argument}'{hint} Commands: {', '.join(known)}", error=True)
            sys.exit(2)
        group = f"{name} "
    say(*_help(group))
    sys.exit(2)


def _below(group: str) -> list[str]:
    """Names of the commands of a group, e.g. ``"data "``, without the group."""
    return [name.removeprefix(group) for name in COMMANDS if name.startswith(group)]


def _help(group: str) -> list[str]:
    if group:
        names = _below(group)
        width = max(map(len, names))
        commands = [f"  {name:<{width}}  {COMMANDS[group + name][1]}" for name in names]
        return [f"usage: pct {group}<command> [flags]", "", *commands]
    lines = ["usage: pct <command> [flags]", "", "Learns the physics of a vehicle from its driving logs."]
    for title, listed in GROUPS.items():
        docs = {name: doc for name, (_, doc) in listed.items() if not name.startswith(f"{EXPORT} ")}
        if len(docs) < len(listed):
            docs[EXPORT] = f"files for {len(TARGETS)} other programs: `pct {EXPORT}` lists them"
        lines += ["", title, *(f"  {name:<11}  {doc}" for name, doc in docs.items())]
    return [
        *lines,
        "",
        "`pct <command> --help` shows a command's flags with units and an example.",
        "Start: pct demo, or with a log of your own: pct run my_log.csv",
    ]
