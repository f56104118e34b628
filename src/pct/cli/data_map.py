"""`pct data map`: proposes a signals.toml for logs, and says how sure it is of each line."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import tyro

from pct.cli.console import command, say
from pct.cli.flags import DebugFlags, parse


@dataclasses.dataclass(frozen=True)
class MapConfig:
    """Propose a signals.toml for logs, from names, units and what the columns say of each other.

    Prints the map; above each table stands how sure it is (high, medium, low) and why. Read it before you use
    it: a proposal cannot know which point of the vehicle was logged, or what was a command.

    Example: pct data map logs/lap1.csv logs/lap2.csv --output logs/signals.toml
    """

    logs: tyro.conf.Positional[tuple[Path, ...]]
    """Logs of one recorder: files, or folders of ROS 2 bags. The largest makes the map, tried on all."""
    output: Path | None = None
    """File to write the map to, signals.toml beside the logs."""
    msg_path: Path | None = None
    """Folder of .msg files, for messages in ROS bags that do not describe themselves."""
    force: bool = False
    """Overwrite the output."""
    common: tyro.conf.OmitArgPrefixes[DebugFlags] = dataclasses.field(default_factory=DebugFlags)


CONFIG = MapConfig


def main(argv: Sequence[str] | None = None) -> None:
    """Read the flags, propose, and print the map and whether each log loads with it."""
    args = parse(MapConfig, argv, prog="pct data map")
    from pct.api.maps import propose_map

    proposal = propose_map(args.logs, args.output, msg_path=args.msg_path, force=args.force)
    say(*proposal.text.removesuffix("\n").split("\n"))
    say(*(f"{path.name}: {outcome}" for path, outcome in proposal.outcomes.items()), error=True)
    say(*proposal.feeds, error=True)
    if proposal.feeds:
        say(f"Next: {_next(args)}", error=True)


def _next(args: MapConfig) -> str:
    """The command that follows: write the map, or import with it."""
    from pct.cli.folders import free_path

    first, *_ = args.logs
    if args.output is None:
        return command("data map", *args.logs, "--output", free_path(first.parent / "signals.toml"))
    dataset = free_path(first.with_name(f"{first.stem}_data"))
    return command("data import", *args.logs, "--map", args.output, "--output", dataset)
