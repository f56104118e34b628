"""`pct data <command>`: what is done with logs before training. Commands are imported when called."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from pct.cli.main import choose, list_commands

COMMANDS = {
    "check": ("pct.cli.data_check", "find what is wrong with logs, with evidence and a fix"),
    "import": ("pct.cli.data_import", "make a dataset of logs: cut, mend, resample, hold out"),
    "map": ("pct.cli.data_map", "propose a signals.toml for logs"),
}


def main(argv: Sequence[str] | None = None) -> None:
    """Hand over to the command; leaves with exit code 2 where there is none of that name."""
    module, rest = choose("pct data", COMMANDS, argv, _help)
    importlib.import_module(module).main(rest)


def _help() -> str:
    return "\n".join(["usage: pct data <command> [flags]", "", *list_commands(COMMANDS)])
