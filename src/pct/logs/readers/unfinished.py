"""Bags as they come: without or with wrong metadata, in several files, or cut off when the power went.

An MCAP file without its end is copied up to its last whole chunk, with the whole messages of the one that was
being written, and read from there.
"""

from __future__ import annotations

import io
import re
import shutil
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pct.logs.readers.unpacking import unpack_start

# Describes a bag in a folder.
METADATA = "metadata.yaml"
# Bytes of one that are looked at.
LONGEST = 1 << 20
ENDINGS = (".mcap", ".db3")
PLUGINS = ("mcap", "sqlite3")
# Begin and end of an MCAP file; its last records: the end of the data, and a footer without an index.
MAGIC = b"\x89MCAP0\r\n"
LAST = b"\x0f" + struct.pack("<QI", 4, 0) + b"\x02" + struct.pack("<QQQI", 20, 0, 0, 0) + MAGIC
# Kinds of records that may stand before the end of the data.
KINDS = frozenset((*range(0x01, 0x0B), 0x0C, 0x0D))
CHUNK = 0x06
# And in a chunk: schemas, channels and messages.
INSIDE = frozenset((0x03, 0x04, 0x05))
# Bytes of a chunk that is completed; recorders write some of a few MB.
MOST_CHUNK = 256 << 20


class Bag(NamedTuple):
    """What is opened of a bag.

    Attributes:
        files: its files, or its folder.
        lost: share of the bytes behind the last whole message, as far as the file tells; 0 of a whole bag.
        expected: how many messages its metadata counts; 0 where they do not tell.
    """

    files: list[Path]
    lost: float = 0.0
    expected: int = 0


def files_of(path: Path, temporary: Path) -> Bag:
    """The files of a bag that can be read; copies of those that were cut off lie in a temporary folder."""
    if not path.is_dir():
        return _mended([path], temporary, 0) if path.suffix.lower() == ".mcap" else Bag([path])
    text = _metadata(path)
    named = [
        path / name for name in re.findall(r"^\s*-\s+(?:\S*/)?(\S+\.(?:mcap|db3)\S*)\s*$", text, re.MULTILINE)
    ]
    plugin = re.search(r"^\s*storage_identifier:\s*[\"']?(\w*)", text, re.MULTILINE)
    packed = re.search(r"^\s*compression_mode:\s*[\"']?(file|message)", text, re.MULTILINE | re.IGNORECASE)
    count = re.search(r"^  message_count:\s*(\d{1,12})\s*$", text, re.MULTILINE)
    sound = bool(named) and all(file.exists() for file in named) and plugin and plugin[1] in PLUGINS
    files = sorted((f for f in path.iterdir() if f.suffix.lower() in ENDINGS), key=_number)
    cut = [file for file in files if file.suffix.lower() == ".mcap" and not _is_whole(file)]
    if not files or packed or (sound and not cut):
        return Bag([path])
    return _mended(files, temporary, int(count[1]) if count else 0)


def is_bag_folder(path: Path) -> bool:
    """Whether a folder is a ROS 2 bag: it has metadata, or files of one bag alone, by their numbers."""
    if (path / METADATA).is_file():
        return True
    if not path.is_dir() or (path / "signals.toml").is_file():
        return False
    names = [file.name for file in path.iterdir() if not file.name.startswith(".")]
    numbered = [re.fullmatch(r"(.+)_(\d{1,6})\.(mcap|db3)", name) for name in names]
    bag = [match for match in numbered if match is not None]
    # What SQLite leaves beside a database that was open.
    others = [name for name in names if not name.endswith((".mcap", ".db3", "-wal", "-shm", "-journal"))]
    counted = sorted(int(match[2]) for match in bag)
    return (
        bool(bag)
        and not others
        and len({match[1] for match in bag}) == 1
        and counted == list(range(len(bag)))
    )


def _metadata(folder: Path) -> str:
    file = folder / METADATA
    if not file.is_file():
        return ""
    with file.open("rb") as content:
        return content.read(LONGEST).decode("utf-8", errors="replace")


def _number(file: Path) -> tuple[str, int]:
    """Files in the order in which they were recorded: ``bag_2`` before ``bag_10``."""
    match = re.fullmatch(r"(.*?)(\d{1,9})", file.stem)
    return (match[1], int(match[2])) if match else (file.stem, -1)


def _is_whole(file: Path) -> bool:
    with file.open("rb") as content:
        size = content.seek(0, 2)
        if size < len(MAGIC) or content.seek(0) or content.read(len(MAGIC)) != MAGIC:
            # Nothing that could be completed.
            return size > 0
        content.seek(-len(MAGIC), 2)
        return content.read() == MAGIC


def _mended(files: Sequence[Path], temporary: Path, expected: int) -> Bag:
    readable, size, kept = [], 0, 0
    for number, file in enumerate(files):
        length = file.stat().st_size
        if file.suffix.lower() != ".mcap" or _is_whole(file):
            size, kept = size + length, kept + length
            readable.append(file)
            continue
        copy = temporary / f"{number}.mcap"
        end, whole = _complete(file, copy)
        size, kept = size + whole, kept + end
        if end > len(MAGIC):
            readable.append(copy)
    # Whatever is the matter with them, the reader says.
    return Bag(readable or list(files), 1 - kept / size if size else 0.0, expected)


def _complete(file: Path, copy: Path) -> tuple[int, int]:
    """Copy the whole records of a file, and give them the end that is missing.

    Returns:
        Where the last whole message ends in the file, and where its last record would end.
    """
    with file.open("rb") as content, copy.open("wb") as whole:
        size = content.seek(0, 2)
        place, stop = _walk(content, len(MAGIC), size, KINDS)
        content.seek(0)
        shutil.copyfileobj(content, whole)
        whole.truncate(place)
        whole.seek(place)
        if stop == CHUNK and size - place <= MOST_CHUNK:
            content.seek(place)
            record = content.read()
            size = max(size, place + 9 + min(struct.unpack_from("<Q", record, 1)[0], MOST_CHUNK))
            chunk, used = _rest_of_chunk(record)
            whole.write(chunk)
            place += used
        whole.write(LAST)
    return place, size


def _rest_of_chunk(record: bytes) -> tuple[bytes, int]:
    """A chunk that is cut off as one of its whole messages, and how many of its bytes these are."""
    # Kind and length of the record; times, size, checksum; name of the packing; size of the records.
    if len(record) < 9 + 28 + 4:
        return b"", 0
    times = record[9:25]
    (name,) = struct.unpack_from("<I", record, 37)
    begin = 41 + name + 8
    packing, packed = record[41 : 41 + name].decode(errors="replace"), record[begin:]
    content = unpack_start(packing, packed)
    end, _ = _walk(io.BytesIO(content), 0, len(content), INSIDE)
    if not end:
        return b"", 0
    body = times + struct.pack("<QII", end, 0, 0) + struct.pack("<Q", end) + content[:end]
    return struct.pack("<BQ", CHUNK, len(body)) + body, begin + len(packed) * end // len(content)


def _walk(content: io.BufferedIOBase, place: int, size: int, kinds: frozenset[int]) -> tuple[int, int]:
    """Where the last whole record ends, and the kind of the one behind it; -1 where there is none."""
    content.seek(place)
    while place + 9 <= size:
        kind, length = struct.unpack("<BQ", content.read(9))
        if kind not in kinds or length > size - place - 9:
            return place, kind
        place = content.seek(place + 9 + length)
    return place, -1
