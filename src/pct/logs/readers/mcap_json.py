"""MCAP files whose messages are JSON, as Foxglove's libraries and many recorders of their own write them.

The package that reads bags knows messages of ROS 2 only; the container is that of the MCAP specification
(mcap.dev/spec), of which channels, chunks and messages are read here.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from pct.errors import DamagedLogError, LogError, LogValueError
from pct.logs.readers.base import AnyColumn, RawLog, check_count, check_size, missing_column
from pct.logs.readers.unpacking import unpack_start

MAGIC = b"\x89MCAP0\r\n"
CHANNEL, MESSAGE, CHUNK, END = 0x04, 0x05, 0x06, (0x0F, 0x02)
# Messages deeper than this are no signals.
DEEPEST = 12
# Where a message has its own stamp, and what its parts are called.
STAMPS = ("timestamp", "header.stamp", "stamp")
PARTS = (("sec", "nsec"), ("sec", "nanosec"), ("secs", "nsecs"))


class Channel(NamedTuple):
    """A topic, and how its messages are written."""

    topic: str
    encoding: str


def encodings_of(path: Path) -> set[str]:
    """How the messages of an MCAP file are written: ``cdr``, ``json``, ``protobuf``, ...; empty where it is
    none, or breaks off before its first channel."""
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            return set()
        return {channel.encoding for channel in _channels(file)}


def _channels(file: BinaryIO) -> Iterator[Channel]:
    """The channels ahead of the first messages of each topic; those of the summary repeat them."""
    for kind, content in _records(file, (CHANNEL, CHUNK)):
        if kind == CHANNEL:
            yield _channel(content)[1]
            continue
        for inner, record in _inside(content):
            if inner == CHANNEL:
                yield _channel(record)[1]
        # Recorders write channels into the chunk of their first message: one chunk tells the kind of all.
        return


def _records(file: BinaryIO, wanted: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    """Records of some kinds up to the end of the data or of the file."""
    size = file.seek(0, 2)
    place = len(MAGIC)
    while place + 9 <= size:
        file.seek(place)
        kind, length = struct.unpack("<BQ", file.read(9))
        place += 9 + length
        if kind in END or place > size:
            return
        if kind in wanted:
            yield kind, file.read(length)


def _inside(chunk: bytes) -> Iterator[tuple[int, bytes]]:
    """The records of a chunk."""
    (name,) = struct.unpack_from("<I", chunk, 28)
    begin = 32 + name
    content = unpack_start(chunk[32:begin].decode(errors="replace"), chunk[begin + 8 :])
    place = 0
    while place + 9 <= len(content):
        kind, length = struct.unpack_from("<BQ", content, place)
        yield kind, content[place + 9 : place + 9 + length]
        place += 9 + length


def _channel(record: bytes) -> tuple[int, Channel]:
    number, _, length = struct.unpack_from("<HHI", record)
    end = 8 + length
    (other,) = struct.unpack_from("<I", record, end)
    encoding = record[end + 4 : end + 4 + other]
    return number, Channel(record[8:end].decode(errors="replace"), encoding.decode(errors="replace"))


def read_json_messages(path: Path, names: Sequence[str] | None) -> RawLog:
    """Columns by topic and field, ``/state.pose.x``, each topic with its own clock ``/state.time``.

    Args:
        path: the file.
        names: columns to read; None for all numbers.

    Raises:
        DataError: a message is no JSON, or a column is missing.
    """
    stamps: dict[str, list[float]] = {}
    cells: dict[str, dict[str, list[tuple[int, float]]]] = {}
    topics = None if names is None else {name.partition(".")[0] for name in names}
    for topic, recorded, message in _messages(path):
        if topics is not None and topic not in topics:
            continue
        numbers = dict(_numbers(message))
        times = stamps.setdefault(topic, [])
        for field, value in numbers.items():
            cells.setdefault(topic, {}).setdefault(field, []).append((len(times), value))
        times.append(_stamp(numbers, recorded))
    columns: dict[str, AnyColumn] = {}
    for topic, times in stamps.items():
        fields = {f: found for f, found in cells.get(topic, {}).items() if not f.startswith(STAMPS)}
        check_count(path, len(columns) + len(fields))
        check_size(path, 8 * len(times) * len(fields))
        for field, found in fields.items():
            column = np.full(len(times), np.nan)
            places, values = zip(*found, strict=True)
            column[list(places)] = values
            columns[f"{topic}.{field}"] = column
        columns[f"{topic}.time"] = np.asarray(times)
    clocks = {name: f"{name.partition('.')[0]}.time" for name in columns}
    if names is not None:
        if absent := [name for name in names if name not in columns]:
            raise missing_column(path, absent[0], list(columns))
        columns = {n: c for n, c in columns.items() if n in names or n in {clocks[name] for name in names}}
    if not columns:
        raise LogError(path, "expected topics with numbers, found none: leave the file out")
    rows = np.arange(max(map(len, columns.values())))
    return RawLog(columns, rows, "message", clocks={name: clocks[name] for name in columns})


def refuse_encodings(path: Path, encodings: set[str]) -> None:
    """Refuse messages that are written in a way that nothing here reads.

    Raises:
        DataError: names the way.
    """
    others = sorted(encodings - {"cdr", "json"})
    if others and not encodings & {"cdr", "json"}:
        raise LogValueError(
            path,
            f"expected messages of ROS 2 (cdr) or JSON, found {', '.join(others)}: "
            "convert the file, or export its topics as CSV or Parquet",
        )


def _messages(path: Path) -> Iterator[tuple[str, float, Any]]:
    """Topic, time of recording in s and content of each message, in the order of the file."""
    channels: dict[int, Channel] = {}
    with path.open("rb") as file:
        for kind, content in _records(file, (CHANNEL, MESSAGE, CHUNK)):
            for inner, record in _inside(content) if kind == CHUNK else [(kind, content)]:
                if inner == CHANNEL:
                    number, channel = _channel(record)
                    channels[number] = channel
                elif inner == MESSAGE:
                    number, sequence, recorded, _ = struct.unpack_from("<HIQQ", record)
                    if number in channels and channels[number].encoding == "json":
                        topic = channels[number].topic
                        yield topic, recorded * 1e-9, _parsed(path, topic, sequence, record[22:])


def _parsed(path: Path, topic: str, sequence: int, text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise DamagedLogError(
            path,
            f"expected JSON in message {sequence} of '{topic}', found other text: is the file whole?",
        ) from None


def _numbers(content: Any, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, float]]:
    """Numbers of a message by dotted path."""
    if not isinstance(content, dict) or depth > DEEPEST:
        return
    for name, value in content.items():
        if isinstance(value, dict):
            yield from _numbers(value, f"{prefix}{name}.", depth + 1)
        elif isinstance(value, bool | int | float) and abs(value) < float("inf"):
            yield f"{prefix}{name}", float(value)


def _stamp(numbers: dict[str, float], recorded: float) -> float:
    """The message's own stamp in s, where it has one that was set."""
    for stamp in STAMPS:
        for seconds, rest in PARTS:
            parts = numbers.get(f"{stamp}.{seconds}"), numbers.get(f"{stamp}.{rest}")
            if parts[0] is not None and parts[1] is not None and any(parts):
                return parts[0] + 1e-9 * parts[1]
    return recorded
