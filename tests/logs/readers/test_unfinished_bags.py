"""Bags that were not closed, lack metadata or have wrong ones: read to the last whole message."""

from __future__ import annotations

import logging
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pct.api.maps import propose_map
from pct.errors import DataError
from pct.logs.readers import is_log, read_log
from pct.logs.readers.rosbag import read_here
from pct.mapping.log_files import find_logs

Written = Callable[[str, Path], Path]
ROWS = 120
X = "/odom.pose.pose.position.x"


def cut(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


def storage(folder: Path) -> Path:
    return next(path for path in folder.iterdir() if path.name != "metadata.yaml")


def test_a_bag_that_was_cut_off(tmp_path: Path, written: Written, caplog: pytest.LogCaptureFixture) -> None:
    """Alone its bytes tell what is lost, beside its metadata their count of messages."""
    folder = written("folder mcap", tmp_path) / "log"
    file = storage(folder)
    whole = read_log(file, [X], {}).columns[X]
    cut(file, 0.5)
    raw = read_log(file, [X], {})
    assert 0.2 * ROWS < len(raw.columns[X]) < 0.6 * ROWS
    np.testing.assert_array_equal(raw.columns[X], whole[: len(raw.columns[X])])
    assert "the recording breaks off" in raw.notes[0]
    assert "% of its bytes are lost" in raw.notes[0]
    with caplog.at_level(logging.WARNING):
        proposal = propose_map(folder)
    assert "loads with this map" in proposal.outcomes[folder]
    assert "of 240 messages" in proposal.text
    assert "of 240 messages" in caplog.text


@pytest.mark.parametrize("packing", ["", "lz4"])
def test_the_messages_of_a_chunk_that_breaks_off(tmp_path: Path, written: Written, packing: str) -> None:
    """Packed or not, whole ones alone."""
    import lz4.frame

    file = written("mcap", tmp_path) / "log.mcap"
    whole = read_log(file, [X], {}).columns[X]
    content = file.read_bytes()
    kind, length = struct.unpack_from("<BQ", content, 43)
    assert kind == 6
    body = content[52 : 52 + length]
    records = body[40:]
    pack = {"": bytes, "lz4": lz4.frame.compress}[packing]
    packed = pack(records)
    name = struct.pack("<I", len(packing)) + packing.encode()
    chunk = body[:24] + bytes(4) + name + struct.pack("<Q", len(packed)) + packed
    record = struct.pack("<BQ", 6, len(chunk)) + chunk
    file.write_bytes((content[:43] + record)[: int(0.7 * (43 + len(record)))])
    raw = read_here(file, [X], {})
    count = len(raw.columns[X])
    assert 0 < count < ROWS
    np.testing.assert_array_equal(raw.columns[X], whole[:count])


def test_a_bag_of_which_nothing_is_left(tmp_path: Path, written: Written) -> None:
    file = written("mcap", tmp_path) / "log.mcap"
    cut(file, 0.001)
    with pytest.raises(DataError, match=r"breaks off before its first whole message"):
        read_log(file, [X], {})


@pytest.mark.parametrize("kind", ["folder mcap", "folder sqlite3"])
@pytest.mark.parametrize("name", ['""', "my_own_plugin"])
def test_metadata_that_name_no_storage(tmp_path: Path, written: Written, kind: str, name: str) -> None:
    folder = written(kind, tmp_path) / "log"
    text = (folder / "metadata.yaml").read_text()
    known = "mcap" if kind.endswith("mcap") else "sqlite3"
    assert f"storage_identifier: {known}" in text
    text = text.replace(f"storage_identifier: {known}", f"storage_identifier: {name}")
    (folder / "metadata.yaml").write_text(text)
    raw = read_log(folder, [X], {})
    assert len(raw.columns[X]) == ROWS
    assert not raw.notes


def test_a_folder_without_metadata(tmp_path: Path, written: Written) -> None:
    """Numbered files of one name are one bag, in the order of their numbers; others are logs of their own."""
    folder = written("folder mcap", tmp_path) / "log"
    (folder / "metadata.yaml").unlink()
    file = storage(folder)
    for number in (1, 0):
        shutil.copy(file, folder / f"drive_{number}.mcap")
    file.unlink()
    assert is_log(folder)
    assert len(read_log(folder, [X], {}).columns[X]) == 2 * ROWS
    (folder / "drive_0.mcap").rename(folder / "lap.mcap")
    assert not is_log(folder)
    logs, _ = find_logs([folder], "f1tenth-ros2")
    assert [log.path.name for log in logs] == ["drive_1.mcap", "lap.mcap"]
