"""`pct completion`: a script for the shell that completes commands, flags and their choices."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import io
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Union

import tyro

from pct.cli.console import say
from pct.cli.flags import DebugFlags, parse

Shell = Literal["bash", "zsh"]


@dataclasses.dataclass(frozen=True)
class CompletionConfig:
    """Print a script that completes commands, flags and their choices.

    Example: pct completion bash > ~/.local/share/bash-completion/completions/pct
    """

    shell: tyro.conf.Positional[Shell]
    """Shell that reads the script. For zsh: a file named _pct in a folder of $fpath."""
    debug: tyro.conf.OmitArgPrefixes[DebugFlags] = dataclasses.field(default_factory=DebugFlags)


CONFIG = CompletionConfig


def main(argv: Sequence[str] | None = None) -> None:
    """Read the shell's name and print."""
    args = parse(CompletionConfig, argv, prog="pct completion")
    say(*script(args.shell).splitlines())


def script(shell: Shell) -> str:
    """The script for a shell."""
    from pct.cli.main import COMMANDS

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        tyro.cli(_below("", COMMANDS), prog="pct", args=["--tyro-print-completion", shell])
    # A line break within a help text would end an entry of the list.
    return printed.getvalue().replace(r"\n", " ")


def _below(group: str, commands: dict[str, tuple[str, str]]) -> Any:
    """The commands of a group as one union of their dataclasses, groups of it as one with such a union."""
    kinds = []
    for word in dict.fromkeys(
        name.removeprefix(group).split()[0] for name in commands if name.startswith(group)
    ):
        name, description = f"{group}{word}", f"commands of pct {group}{word}"
        if name in commands:
            module, description = commands[name]
            kind = importlib.import_module(module).CONFIG
        else:
            kind = dataclasses.make_dataclass(word.title(), [("command", _below(f"{name} ", commands))])
        kinds.append(Annotated[kind, tyro.conf.subcommand(word, description=description, prefix_name=False)])
    union: Any = Union
    without_group: Any = tyro.conf.OmitSubcommandPrefixes
    flat: Any = tyro.conf.OmitArgPrefixes
    return without_group[flat[union[tuple(kinds)]]]
