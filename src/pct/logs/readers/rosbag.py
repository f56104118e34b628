"""ROS 1 and ROS 2 bags, read without ROS: ``/topic.field.sub`` is one column.

Each topic has its own clock, ``/topic.time``: the stamp of the header where the message has one that was set,
else when the message was recorded. A quaternion also has the column ``.yaw``, its heading in rad.
"""

from __future__ import annotations

import contextlib
import dataclasses
import operator
import stat
import tempfile
from array import array
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from pct.errors import DamagedLogError, DataError, LogError
from pct.logs.readers.apart import read_apart
from pct.logs.readers.base import (
    AnyColumn,
    RawLog,
    check_count,
    check_package,
    check_regular,
    check_size,
    damage,
    missing_column,
    optional_package,
)
from pct.logs.readers.databases import open_tables_only
from pct.logs.readers.mcap_json import encodings_of, read_json_messages, refuse_encodings
from pct.logs.readers.set_back import Clock, give_in_file_order, moved_on, order_of
from pct.logs.readers.unfinished import Bag, files_of
from pct.logs.readers.unpacking import bound_unpacking

QUATERNION = "geometry_msgs/msg/Quaternion"
# Messages do not nest deeper, other than by mistake.
DEEPEST = 12

# How the library marks what a field is.
BASE, NAME, ARRAY, SEQUENCE = 1, 2, 3, 4
BYTES = [(BASE, (kind, 0)) for kind in ("uint8", "int8", "byte", "char", "octet")]


def read_bag(path: Path, names: Sequence[str] | None, options: Mapping[str, str]) -> RawLog:
    """Read columns by topic and field, ``/odom.twist.twist.linear.x``; ``ranges[3]`` is an element.

    The package that reads bags believes their lengths, and makes code of their types, so it has a process of
    its own.

    Args:
        path: a ``.bag``, ``.db3`` or ``.mcap`` file, or the folder of a ROS 2 bag, also without metadata. Of
            MCAP files that were not closed the whole chunks are read.
        names: columns to read; None for all single numbers.
        options: ``msg_path``, a folder of ``.msg`` files ``package/msg/Name.msg`` for messages that
            neither the bag describes nor this package knows.

    Raises:
        DataError: the bag cannot be read, or lacks a topic or field; a message is of unknown type; the
            package that reads bags is missing.
    """
    check_package("rosbags.highlevel", "rosbag", f"{path}: a ROS bag")
    if path.is_dir():
        for file in path.iterdir():
            # One that the bag names would be opened, and a pipe waits for ever.
            if not stat.S_ISDIR(file.stat().st_mode):
                check_regular(file)
    return read_apart(path, names, __name__, options)


def read_here(path: Path, names: Sequence[str] | None, options: Mapping[str, str]) -> RawLog:
    """The same in this process."""
    highlevel = optional_package("rosbags.highlevel", "rosbag", f"{path}: a ROS bag")
    bound_unpacking()
    open_tables_only()
    try:
        _check_packed(path)
        encodings = {way for file in _containers(path) for way in encodings_of(file)}
        refuse_encodings(path, encodings)
        if encodings == {"json"} and path.is_file():
            return read_json_messages(path, names)
        with tempfile.TemporaryDirectory() as temporary:
            content = files_of(path, Path(temporary))
            types = _known_messages(options.get("msg_path"))
            with highlevel.AnyReader(content.files, default_typestore=types) as bag:
                if content.lost and not any(connection.msgcount for connection in bag.connections):
                    raise LogError(
                        path,
                        "expected a recording, found one that breaks off before its first whole "
                        "message: leave it out",
                    )
                give_in_file_order(bag)
                raw = _read(path, bag, names)
                return dataclasses.replace(raw, notes=[*_lost(content, bag), *raw.notes])
    except (DataError, MemoryError):
        raise
    # Damaged bytes fail anywhere inside the bag's index, its packing and its messages.
    except Exception as error:
        raise DamagedLogError(
            path, f"expected a ROS bag, found {damage(error)}: is the file whole?{_cure(path)}"
        ) from None


def _containers(path: Path) -> list[Path]:
    """The MCAP files of a bag."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return [file for file in files if file.suffix.lower() == ".mcap" and file.is_file()]


def _cure(path: Path) -> str:
    """What completes a bag that was not closed, where this reader cannot."""
    cures = {".bag": "rosbag reindex", ".mcap": "mcap recover", ".db3": "sqlite3 FILE .recover"}
    cure = cures.get(path.suffix.lower())
    return f" Else try `{cure}`" if cure else ""


def _lost(content: Bag, bag: Any) -> list[str]:
    """What is said of a bag that was cut off."""
    if not content.lost:
        return []
    count = sum(connection.msgcount for connection in bag.connections)
    begin = "the recording breaks off, it was not closed: read to its last whole message"
    if content.expected > count:
        share = 1 - count / content.expected
        return [f"{begin}, {count} of {content.expected} messages; {share:.0%} are lost"]
    return [f"{begin}; {content.lost:.0%} of its bytes are lost"]


def _check_packed(path: Path) -> None:
    """Refuse packed files that would fill the disk, whatever their names: they are unpacked as a whole."""
    zstd = optional_package("rosbags.rosbag2.reader", "rosbag", f"{path}: a ROS bag").zstd
    size = packed = 0
    for file in sorted(path.iterdir()) if path.is_dir() else []:
        if file.is_dir():
            continue
        packed += file.stat().st_size
        with zstd.open(file, "rb") as content, contextlib.suppress(zstd.ZstdError, EOFError):
            while block := content.read(1 << 20):
                size += len(block)
                check_size(file, size, packed)


def _read(path: Path, bag: Any, names: Sequence[str] | None) -> RawLog:
    by_topic: dict[str, list[Any]] = {}
    for connection in bag.connections:
        by_topic.setdefault(connection.topic, []).append(connection)
    if names is None:
        chosen = {
            topic: _numbers(bag.typestore, topics[0].msgtype)
            for topic, topics in by_topic.items()
            if topics[0].msgtype in bag.typestore.fielddefs
        }
        chosen = {topic: fields for topic, fields in chosen.items() if fields}
        check_count(path, sum(map(len, chosen.values())))
    else:
        chosen = {}
        for name in names:
            topic, _, field = name.partition(".")
            if topic not in by_topic:
                raise missing_column(path, name, sorted(by_topic))
            chosen.setdefault(topic, []).append(field)
    columns: dict[str, AnyColumn] = {}
    clocks: dict[str, Clock] = {}
    for topic, fields in chosen.items():
        values, clock = _read_topic(path, bag, topic, by_topic[topic], fields)
        if len(clock.seconds):
            columns |= {f"{topic}.{field}": column for field, column in values.items()}
            columns[f"{topic}.time"], clocks[topic] = clock.seconds, clock
    seconds, notes = moved_on(clocks)
    columns |= {f"{topic}.time": column for topic, column in seconds.items()}
    if not columns:
        raise LogError(path, "expected topics with numbers, found none: leave the bag out")
    if names is not None and (empty := [name for name in names if name not in columns]):
        raise LogError(
            path, f"expected messages of '{empty[0].partition('.')[0]}', found none: leave the bag out"
        )
    own = {name: f"{name.partition('.')[0]}.time" for name in columns}
    rows = np.arange(max(map(len, columns.values())))
    return RawLog(columns, rows, "message", clocks=own, notes=notes)


def _read_topic(
    path: Path, bag: Any, topic: str, connections: list[Any], fields: Sequence[str]
) -> tuple[dict[str, AnyColumn], Clock]:
    """Columns of one topic by field, and its clock."""
    kind = connections[0].msgtype
    if kind not in bag.typestore.fielddefs:
        raise LogError(
            path,
            f"expected a known type of message on '{topic}', found {kind}. "
            'Put its text into msgs/PACKAGE/msg/NAME.msg beside the map and write [format] msg_path = "msgs"',
        )
    known = _fields(bag.typestore, kind)
    fields = [field for field in fields if field != "time"]
    for field in fields:
        listed, bracket, _ = field.partition("[")
        if known.get(listed) not in (("array", "bytes") if bracket else ("number", "heading")):
            names = [
                f"{topic}.{name}{'' if what in ('number', 'heading') else '[0]'}"
                for name, what in known.items()
            ]
            raise missing_column(path, f"{topic}.{field}".removesuffix("."), names)
    # What a heading is made of, and the stamp.
    parts = {
        field: [f"{field.removesuffix('yaw')}{part}" for part in "xyzw"]
        for field in fields
        if known.get(field) == "heading"
    }
    stamp = next((field for field in ("header.stamp", "stamp") if f"{field}.nanosec" in known), None)
    stamps = [f"{stamp}.sec", f"{stamp}.nanosec"] if stamp else []
    numbers = list(dict.fromkeys(part for field in (*fields, *stamps) for part in parts.get(field, [field])))
    # Two at least, so that the getter answers with a tuple.
    read = operator.attrgetter(*(name.partition("[")[0] for name in numbers), "__msgtype__", "__msgtype__")
    cells, recorded = array("d"), array("q")
    for _, time, data in bag.messages(connections=connections):
        values = read(bag.deserialize(data, kind))
        cells.extend([_element(path, name, value) for name, value in zip(numbers, values, strict=False)])
        recorded.append(time)
    received = np.array(recorded, np.int64)
    order, pieces = order_of(received)
    table = np.array(cells, dtype=np.float64).reshape(len(recorded), len(numbers))[order]
    columns = dict(zip(numbers, table.T, strict=True))
    for field, names in parts.items():
        x, y, z, w = (columns[name] for name in names)
        columns[field] = np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    clock = received[order].astype(np.float64) * 1e-9
    if stamps and (columns[stamps[0]].any() or columns[stamps[1]].any()):
        clock = columns[stamps[0]] + 1e-9 * columns[stamps[1]]
    return {field: columns[field] for field in fields}, Clock(clock, pieces[order])


def _element(path: Path, name: str, value: Any) -> Any:
    """The number, or the one that an index names."""
    _, _, index = name.partition("[")
    if not index:
        return value
    try:
        return value[int(index.removesuffix("]"))]
    except (ValueError, IndexError, TypeError):
        raise LogError(
            path, f"expected an element '[{index}' in '{name}', found {len(value)} elements"
        ) from None


def _fields(types: Any, kind: str) -> dict[str, str]:
    """What stands in a message, by dotted path: ``number``, ``heading``, ``array`` or ``bytes``."""
    found = {}
    for name, (node, what) in _walk(types, kind):
        if node == NAME and what == QUATERNION:
            found[f"{name}.yaw"] = "heading"
        elif node == BASE and what[0] != "string":
            found[name] = "number"
        elif node in (ARRAY, SEQUENCE):
            found[name] = "bytes" if what[0] in BYTES else "array"
    return found


def _numbers(types: Any, kind: str) -> list[str]:
    """Single numbers in a message, its stamp left out; none of one that carries bytes, as a picture does."""
    found = _fields(types, kind)
    if "bytes" in found.values():
        return []
    return [
        name
        for name, what in found.items()
        if what in ("number", "heading") and not name.startswith(("header.", "stamp."))
    ]


def _walk(types: Any, kind: str, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    if depth > DEEPEST:
        return
    for name, entry in types.fielddefs[kind][1]:
        yield f"{prefix}{name}", entry
        if entry[0] == NAME:
            yield from _walk(types, entry[1], f"{prefix}{name}.", depth + 1)


def _known_messages(folder: str | None) -> Any:
    """Types of the messages that ROS brings, of those in ``messages`` and of those in the folder."""
    known = _shipped_messages()
    if folder is None:
        return known
    texts = sorted(Path(folder).rglob("*.msg"))
    if not texts:
        raise LogError(folder, "expected messages PACKAGE/msg/NAME.msg, found none: correct msg_path")
    typesys = optional_package("rosbags.typesys", "rosbag", "a ROS bag")
    store = typesys.get_typestore(typesys.Stores.EMPTY)
    # One that ROS brings by the same name is replaced by the given one.
    store.fielddefs.update(known.fielddefs | _parse(typesys, texts))
    return store


@cache
def _shipped_messages() -> Any:
    typesys = optional_package("rosbags.typesys", "rosbag", "a ROS bag")
    store = typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)
    with resources.as_file(resources.files("pct.logs.readers").joinpath("messages")) as folder:
        store.fielddefs.update(_parse(typesys, sorted(folder.rglob("*.msg"))))
    return store


def _parse(typesys: Any, texts: Sequence[Path]) -> dict[str, Any]:
    types: dict[str, Any] = {}
    for path in texts:
        check_regular(path)
        package = path.parent.parent.name if path.parent.name == "msg" else path.parent.name
        try:
            types |= typesys.get_types_from_msg(
                path.read_text(encoding="utf-8"), f"{package}/msg/{path.stem}"
            )
        except (typesys.TypesysError, UnicodeDecodeError, OSError):
            raise LogError(path, "expected the text of a ROS message, found other text: correct it") from None
    return types
