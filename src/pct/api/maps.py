"""`propose_map`: a map for the logs of one recorder, and whether each of them loads with it."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from pct.errors import DataError, UsageError
from pct.files import temporary_folder, write_output
from pct.logs.map_files import read_map
from pct.logs.readers import is_log, no_log, read_log
from pct.logs.signals import MAP
from pct.mapping.log_files import size_of
from pct.mapping.propose import propose
from pct.recordings.feeding import feeding_lines, shared_channels
from pct.recordings.folder import read_file


@dataclasses.dataclass(frozen=True)
class ProposedMap:
    """A map that was proposed.

    Attributes:
        text: of the ``signals.toml``; above each table stands how sure it is (high, medium, low) and why.
        outcomes: by log: whether it loads with the map, and what of it.
        feeds: which models the logs feed, and what each of the others would need, a line each; empty where
            none loads.
    """

    text: str
    outcomes: Mapping[Path, str]
    feeds: tuple[str, ...] = ()


def propose_map(
    logs: str | Path | Sequence[str | Path],
    output: str | Path | None = None,
    *,
    msg_path: str | Path | None = None,
    force: bool = False,
) -> ProposedMap:
    """Propose a ``signals.toml`` for logs, from names, units and what the columns say of each other.

    Args:
        logs: of one recorder: files, or folders of ROS 2 bags. The largest makes the map, tried on all.
        output: file to write the map to, ``signals.toml`` beside the logs.
        msg_path: folder of ``.msg`` files, for messages in ROS bags that do not describe themselves.
        force: overwrite the output.

    Raises:
        UsageError: no log, or the output exists.
        DataError: a log cannot be read, or has no time, or neither positions nor a speed.

    Examples:
        >>> import tempfile, pct
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     frame = pct.load("datasets/surfaces/val")[0].table()
        ...     frame.select("t", "x", "y", "psi", "v").write_csv(f"{folder}/log.csv")
        ...     "[channels.psi]" in propose_map(f"{folder}/log.csv").text
        True
    """
    paths = existing_logs(logs)
    output = None if output is None else Path(output)
    if output is not None and output.exists() and not force:
        raise UsageError(f"`output={output}`: the file exists; pass `force` to overwrite it")
    largest = max(paths, key=size_of)
    options = {} if msg_path is None else {"msg_path": str(msg_path)}
    text = propose(largest, read_log(largest, None, options)).to_toml()
    if msg_path is not None:
        # Paths in a map count from its folder.
        relative = Path(os.path.relpath(msg_path, (output or largest).parent)).as_posix()
        text += f"\n[format]\nmsg_path = {json.dumps(relative)}\n"
    text = f"# Proposed by pct data map from {largest.name}\n{text}"
    if output is not None:
        write_output(output, text.encode())
    found = {path: _outcome(path, text, output or path.parent / MAP) for path in paths}
    loaded = [channels for _, channels in found.values() if channels]
    feeds = tuple(feeding_lines(shared_channels(loaded))) if loaded else ()
    return ProposedMap(text, {path: outcome for path, (outcome, _) in found.items()}, feeds)


def existing_logs(logs: str | Path | Sequence[str | Path]) -> list[Path]:
    """The paths of logs, each of which is there and ends like one.

    Raises:
        UsageError: there is none.
        DataError: one is missing, or no log.
    """
    paths = [Path(logs)] if isinstance(logs, str | Path) else [Path(path) for path in logs]
    if not paths:
        raise UsageError("`logs`: expected one log or more, got none")
    for path in paths:
        if not path.exists():
            raise DataError(f"{path}: expected a log, found nothing there: check the path")
        if not is_log(path):
            raise no_log(path)
    return paths


def _outcome(path: Path, text: str, place: Path) -> tuple[str, tuple[str, ...]]:
    """What becomes of a log with a map that will stand at a place, and its channels."""
    try:
        with temporary_folder() as folder:
            (folder / MAP).write_text(text, encoding="utf-8")
            signals = read_map(folder / MAP)
        if "msg_path" in signals.format:
            beside = str(place.parent / Path(signals.format["msg_path"]).relative_to(folder))
            signals = dataclasses.replace(signals, format={**signals.format, "msg_path": beside})
        recordings = read_file(path, signals)
    except DataError as error:
        return f"does not load with this map yet: {str(error).replace(str(path), path.name)}", ()
    rows = sum(len(recording) for recording in recordings)
    outcome = f"loads with this map: {len(recordings)} recording{'s' * (len(recordings) > 1)}, {rows} rows"
    return outcome, shared_channels(recording.channels for recording in recordings)
