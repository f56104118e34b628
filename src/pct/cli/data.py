"""`pct data <command>`: what is done with logs before training. Commands are imported when called."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

COMMANDS = {
    "check": ("pct.cli.data_check", "find what is wrong with logs, with evidence and a fix"),
    "map": ("pct.cli.data_map", "propose a signals.toml for logs"),
}


def main(argv: Sequence[str] | None = None) -> None:
    """Hand over to the command; leaves with exit code 2 where there is none of that name."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_help())
        sys.exit(0 if arguments else 2)
    name, rest = arguments[0], arguments[1:]
    if name not in COMMANDS:
        print(f"pct data: unknown command '{name}'. Commands: {', '.join(COMMANDS)}", file=sys.stderr)
        sys.exit(2)
    importlib.import_module(COMMANDS[name][0]).main(rest)


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join(["usage: pct data <command> [flags]", "", *lines])
