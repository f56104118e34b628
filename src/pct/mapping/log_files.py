"""The log files that are to be imported, what their recordings are called, and their maps."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pct.errors import LogError
from pct.files import temporary_folder
from pct.logs.map_files import find_map, read_map
from pct.logs.readers import FORMATS, is_log, no_log, read_log
from pct.logs.signals import MAP, SignalMap, Source
from pct.mapping.propose import propose

AUTO = "auto"


class LogFile(NamedTuple):
    """A log file (or the folder of a bag), what its recordings are called, and its map."""

    path: Path
    name: str
    signals: SignalMap


def find_logs(places: Sequence[Path], map_name: str | None) -> tuple[list[LogFile], str]:
    """The logs at some places, in the order of their names.

    Args:
        places: log files; folders of logs, searched with the folders inside them.
        map_name: a ``signals.toml``, the name of a preset, or ``auto`` for a proposal made from the largest
            file; else the ``signals.toml`` beside each file, or in a folder above it up to the place.

    Returns:
        The logs, and the text of the proposed map, empty where none was proposed.

    Raises:
        DataError: a place or map is missing, or there is no log.
    """
    shared = None if map_name in (None, AUTO) else find_map(Path(), map_name)
    maps: dict[Path, SignalMap] = {}
    maps_by_log: dict[Path, SignalMap | None] = {}
    for place in places:
        if not place.exists():
            raise LogError(place, "expected a log or a folder of logs, found nothing: check the path")
        for path in [place] if is_log(place) else _logs_in(place):
            above = None if map_name else _map_above(path, place)
            if above is not None and above not in maps:
                maps[above] = read_map(above)
            signals = shared if above is None else maps[above]
            # The map says which files are logs, but not against who names one.
            if signals is None or path == place or path.match(signals.files):
                maps_by_log[path] = signals
    if not maps_by_log:
        closed = next((place for place in places if place.is_file()), None)
        if closed is not None:
            raise no_log(closed)
        raise LogError(
            places[0],
            f"expected log files ({', '.join(FORMATS)}, or folders of ROS 2 bags), found none: "
            "check the path",
        )
    proposal = ""
    if map_name == AUTO:
        largest = max(maps_by_log, key=size_of)
        raw = read_log(largest, None, {})
        proposal = propose(largest, raw).to_toml()
        signals = dataclasses.replace(_parsed(proposal), source=Source(largest, raw.units))
        maps_by_log = dict.fromkeys(maps_by_log, signals)
    names = _names(sorted(maps_by_log))
    # A log without a map gets the message that says what there is to choose from.
    return [
        LogFile(path, name, maps_by_log[path] or find_map(path.parent, None)) for path, name in names.items()
    ], proposal


def _logs_in(folder: Path) -> list[Path]:
    """Logs in a folder and the folders inside it; what belongs to a ROS 2 bag is part of it."""
    logs: list[Path] = []
    if not folder.is_dir():
        return logs
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if is_log(entry):
            logs.append(entry)
        elif entry.is_dir() and not entry.is_symlink():
            logs += _logs_in(entry)
    return logs


def _map_above(path: Path, place: Path) -> Path | None:
    """The nearest map, from beside a log up to the place that was given."""
    for folder in path.parents:
        if (folder / MAP).is_file():
            return folder / MAP
        if folder == place or path == place:
            return None
    return None


def _parsed(text: str) -> SignalMap:
    with temporary_folder() as folder:
        path = folder / MAP
        path.write_text(text, encoding="utf-8")
        return read_map(path)


def _names(paths: Sequence[Path]) -> dict[Path, str]:
    """The stem of each file; with the folders that tell files of one stem apart, where there are such."""
    stems = Counter(path.stem for path in paths)
    common = Path(os.path.commonpath([path.parent for path in paths]))
    names = {}
    for path in paths:
        parts = path.relative_to(common).with_suffix("").parts
        names[path] = path.stem if stems[path.stem] == 1 else "-".join(parts)
    # Two endings of one name.
    for path, count in ((path, Counter(names.values())[names[path]]) for path in paths):
        if count > 1:
            names[path] += path.suffix.replace(".", "_")
    return names


def size_of(path: Path) -> int:
    """Bytes of a log file, or of the folder of a bag."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
