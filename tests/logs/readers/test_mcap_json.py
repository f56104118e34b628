"""MCAP files whose messages are JSON, as Foxglove's libraries write them."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pct.errors import DataError
from pct.logs.readers.rosbag import read_here

MAGIC = b"\x89MCAP0\r\n"
END = b"\x0f" + struct.pack("<QI", 4, 0) + b"\x02" + struct.pack("<QQQI", 20, 0, 0, 0) + MAGIC
START, ROWS = 1_700_000_000, 50


def record(kind: int, content: bytes) -> bytes:
    return struct.pack("<BQ", kind, len(content)) + content


def text(value: str) -> bytes:
    return struct.pack("<I", len(value)) + value.encode()


def channel(number: int, topic: str, encoding: str = "json") -> bytes:
    return record(4, struct.pack("<HH", number, 0) + text(topic) + text(encoding) + struct.pack("<I", 0))


def message(number: int, seconds: float, content: Any) -> bytes:
    stamp = START * 10**9 + round(1e9 * seconds)
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return record(5, struct.pack("<HIQQ", number, 7, stamp, stamp) + body)


def write(path: Path, records: bytes, *, chunked: bool = True, packing: str = "") -> Path:
    import lz4.frame

    body = records
    if chunked:
        packed = lz4.frame.compress(records) if packing else records
        head = struct.pack("<QQQI", 0, 0, len(records), 0) + text(packing) + struct.pack("<Q", len(packed))
        body = record(6, head + packed)
    path.write_bytes(MAGIC + record(1, text("") + text("somebody")) + body + END)
    return path


def drive() -> bytes:
    records = channel(1, "/state") + channel(2, "/cmd")
    for row in range(ROWS):
        t = 0.02 * row
        stamp = {"sec": START, "nsec": round(1e9 * (t + 0.5))}
        state = {"timestamp": stamp, "pose": {"x": t, "yaw": 0.1 * t}, "ok": True, "name": "car", "list": [1]}
        if row % 2:
            state["late"] = 1.0
        records += message(1, t, state) + message(2, t + 0.01, {"steer": 0.2})
    return records


@pytest.mark.parametrize("how", ["plain", "chunk", "lz4"])
def test_numbers_of_json_messages_are_columns(how: str, tmp_path: Path) -> None:
    path = write(
        tmp_path / "log.mcap", drive(), chunked=how != "plain", packing="lz4" if how == "lz4" else ""
    )
    raw = read_here(path, None, {})
    assert set(raw.columns) == {
        *(f"/state.{name}" for name in ("pose.x", "pose.yaw", "ok", "late", "time")),
        *("/cmd.steer", "/cmd.time"),
    }
    t = 0.02 * np.arange(ROWS)
    # Where a message has a stamp of its own, that is the time.
    np.testing.assert_allclose(raw.columns["/state.time"] - START, t + 0.5, atol=1e-5)
    np.testing.assert_allclose(raw.columns["/cmd.time"] - START, t + 0.01, atol=1e-5)
    np.testing.assert_allclose(raw.columns["/state.pose.x"], t)
    assert np.isnan(raw.columns["/state.late"][::2]).all()
    assert raw.clocks["/cmd.steer"] == "/cmd.time"
    some = read_here(path, ["/cmd.steer"], {})
    assert set(some.columns) == {"/cmd.steer", "/cmd.time"}


@pytest.mark.parametrize(
    ("records", "names", "message"),
    [
        (channel(1, "/a", "protobuf") + message(1, 0.0, b"\x08"), None, r"found protobuf: convert the file"),
        (channel(1, "/a") + message(1, 0.0, b"{"), None, "expected JSON in message 7 of '/a'"),
        (channel(1, "/a") + message(1, 0.0, {"v": 1}), ["/a.w"], "expected column '/a.w', found: /a.v"),
        (channel(1, "/a") + message(1, 0.0, {"v": "text"}), ["/b.w"], "expected column '/b.w'"),
    ],
)
def test_what_cannot_be_read_is_named(
    records: bytes, names: list[str] | None, message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        read_here(write(tmp_path / "log.mcap", records), names, {})
