"""`pct export <target>`: a model as code for other programs. Targets are imported when called."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from pct.cli.main import choose, list_commands

TARGETS = {
    "c": ("pct.cli.export_c", "one C99 file: rates, a step, and the Jacobians of both"),
}


def main(argv: Sequence[str] | None = None) -> None:
    """Hand over to the target's command; leaves with exit code 2 where there is none of that name."""
    module, rest = choose("pct export", TARGETS, argv, _help)
    importlib.import_module(module).main(rest)


def _help() -> str:
    return "\n".join(["usage: pct export <target> [flags]", "", "Targets:", *list_commands(TARGETS)])
