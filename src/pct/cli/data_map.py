"""`pct data map`: proposes a signals.toml for logs, and says how sure it is of each line."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import tyro

from pct.errors import DataError, UsageError


@dataclasses.dataclass(frozen=True)
class MapConfig:
    """Propose a signals.toml for logs, from names, units and what the columns say of each other.

    Prints the map; above each table stands how sure it is (high, medium, low) and why. Read it before you use
    it: a proposal cannot know which point of the vehicle was logged, or what was a command.

    Example: pct data map logs/lap1.csv logs/lap2.csv --output logs/signals.toml
    """

    files: tyro.conf.Positional[tuple[Path, ...]]
    """Logs of one recorder: files, or folders of ROS 2 bags. The largest makes the map, tried on all."""
    output: Path | None = None
    """File to write the map to, signals.toml beside the logs."""
    msg_path: Path | None = None
    """Folder of .msg files, for messages in ROS bags that do not describe themselves."""
    force: bool = False
    """Overwrite the output."""
    debug: bool = False
    """Show the traceback of an error."""

    def validate(self) -> None:
        """Raise UsageError for a value that cannot be used."""
        if not self.files:
            raise UsageError("expected one log or more, got none.")
        if self.output is not None and self.output.exists() and not self.force:
            raise UsageError(f"--output {self.output}: the file exists; pass --force to overwrite it.")


CONFIG = MapConfig


def main(argv: Sequence[str] | None = None) -> None:
    """Read the flags, propose, and try the proposal."""
    args = tyro.cli(MapConfig, prog="pct data map", args=list(sys.argv[1:] if argv is None else argv))
    args.validate()
    from pct.files import write_output
    from pct.logs.readers import FORMATS, is_log, read_log
    from pct.mapping import propose

    for path in args.files:
        if not path.exists():
            raise DataError(f"{path}: expected a log, found nothing there: check the path")
        if not is_log(path):
            raise DataError(f"{path}: expected a log ({', '.join(FORMATS)}, or the folder of a ROS 2 bag)")
    options = {} if args.msg_path is None else {"msg_path": str(args.msg_path)}
    largest = max(args.files, key=_size)
    text = propose(largest, read_log(largest, None, options)).to_toml()
    if args.msg_path is not None:
        beside = (args.output or largest).parent
        text += f"\n[format]\nmsg_path = {_quoted(os.path.relpath(args.msg_path, beside))}\n"
    text = f"# Proposed by pct data map from {largest.name}\n{text}"
    print(text, end="")
    if args.output is not None:
        write_output(args.output, text.encode())
    for path in args.files:
        print(
            f"{path.name}: {_tried(path, text, args.output or path.parent / 'signals.toml')}", file=sys.stderr
        )


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _quoted(text: str) -> str:
    import json

    return json.dumps(Path(text).as_posix())


def _tried(path: Path, text: str, place: Path) -> str:
    """What becomes of a log with the map."""
    import tempfile

    from pct.logs.signals import read_map
    from pct.recordings.folder import read_file

    try:
        # Beside where it will stand: paths in a map count from there.
        with tempfile.NamedTemporaryFile("w", suffix=".toml", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            signals = read_map(Path(file.name))
        if "msg_path" in signals.format:
            folder = str(place.parent / Path(signals.format["msg_path"]).relative_to(Path(file.name).parent))
            signals = dataclasses.replace(signals, format={**signals.format, "msg_path": folder})
        found = read_file(path, signals)
    except DataError as error:
        reason = str(error).replace(str(path), path.name)
        return f"does not load with this map yet: {reason}"
    rows = sum(len(trajectory) for trajectory in found)
    return f"loads with this map: {len(found)} recording{'s' * (len(found) > 1)}, {rows} rows"
