"""Bags made to run code, to never end or to fill the memory are refused in a line or two."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from pct.errors import DataError
from pct.logs.readers import apart, is_log, read_log
from pct.logs.readers.limits import Limits

Written = Callable[[str, Path], Path]
# Of a test that waits for the end of it.
SHORT = Limits(1.5, 60.0, 1 << 30)
ENDLESS = "AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x"


def refused_within(folder: Path) -> DataError:
    """The refusal of a bag for one of its files."""
    with pytest.raises(DataError, match=f"^{re.escape(str(folder))}/") as refused:
        read_log(folder, None, {})
    return refused.value


def refusal(path: Path) -> str:
    """What is said of a file."""
    with pytest.raises(DataError) as refused:
        read_log(path, None, {})
    message = str(refused.value)
    assert message.startswith(str(path))
    assert len(message.splitlines()) <= 2
    assert len(message) < 600
    return message


@pytest.mark.parametrize(
    "script",
    [
        f"DROP TABLE schema; CREATE VIEW schema {ENDLESS} AS schema_version FROM n WHERE x < 0",
        f"DROP TABLE messages; CREATE VIEW messages {ENDLESS} AS id, 1 AS topic_id, x AS timestamp FROM n",
        f"DROP TABLE message_definitions; CREATE VIEW message_definitions {ENDLESS} AS id FROM n WHERE x < 0",
        "CREATE TABLE m (id INTEGER, topic_id INTEGER, timestamp INTEGER); INSERT INTO m VALUES (1, 1, 1); "
        "DROP TABLE messages; ALTER TABLE m RENAME TO messages; "
        "ALTER TABLE messages ADD COLUMN data BLOB AS (zeroblob(900000000))",
    ],
)
def test_databases_that_work_something_out(script: str, tmp_path: Path, written: Written) -> None:
    path = written("sqlite3", tmp_path) / "log.db3"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript(script)
    assert "expected a ROS bag, found" in refusal(path)


@pytest.mark.parametrize(
    "name", ["log?mode=rwc&x.db3", "log#1%20.db3", "log[1]*.db3", "a'b\"c\n$.db3", "log\udcff.db3"]
)
def test_signs_in_the_name_of_a_database(name: str, tmp_path: Path, written: Written) -> None:
    path = (written("sqlite3", tmp_path) / "log.db3").rename(tmp_path / name)
    before = sorted(os.listdir(tmp_path))
    assert "/drive.drive.speed" in read_log(path, None, {}).columns
    assert sorted(os.listdir(tmp_path)) == before


def chunks(content: bytes) -> list[tuple[int, int]]:
    """Place and length of the index of each chunk of an MCAP file, with its head."""
    (place,) = struct.unpack("<Q", content[-28:-20])
    found = []
    while content[place] != 0x02:
        size = 9 + struct.unpack("<Q", content[place + 1 : place + 9])[0]
        if content[place] == 0x08:
            found.append((place, size))
        place += size
    return found


def test_an_index_that_names_one_chunk_many_times(
    tmp_path: Path, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chunks that overlap are read in the order of the file, each once."""
    path = written("mcap", tmp_path) / "log.mcap"
    content, whole = path.read_bytes(), read_log(path, None, {}).columns
    place, size = chunks(content)[0]
    path.write_bytes(content[:place] + content[place : place + size] * 20_000 + content[place + size :])
    monkeypatch.setattr(apart, "limits", lambda path: SHORT)
    read = read_log(path, None, {}).columns
    assert {name: len(column) for name, column in read.items()} == {n: len(c) for n, c in whole.items()}


@pytest.mark.parametrize("lie", [2**63 - 1, 2**40, 2**32 - 1])
@pytest.mark.parametrize("what", ["record", "unpacked", "index"])
def test_lengths_that_lie(what: str, lie: int, tmp_path: Path, written: Written) -> None:
    path = written("mcap", tmp_path) / "log.mcap"
    content = bytearray(path.read_bytes())
    place, size = chunks(content)[0]
    at = {"record": content.index(b"\x06", 8) + 1, "unpacked": place + size - 8, "index": place + 1}[what]
    content[at : at + 8] = struct.pack("<Q", lie)
    path.write_bytes(content)
    said = ""
    try:
        read_log(path, None, {})
    except DataError as error:
        said = str(error)
    assert "time, found that it takes more" not in said


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 10)}]\n" for n in range(12)
)


@pytest.mark.parametrize(
    "yaml",
    [
        BOMB + "rosbag2_bagfile_information: *a12\n",
        BOMB
        + "rosbag2_bagfile_information: {version: 5, storage_identifier: *a12, relative_file_paths: []}\n",
        BOMB
        + "rosbag2_bagfile_information: {version: 5, storage_identifier: mcap, relative_file_paths: *a12}\n",
        "rosbag2_bagfile_information: " + "[" * 100_000,
        "rosbag2_bagfile_information: {version: " + "9" * 5000 + "}",
        "rosbag2_bagfile_information: {version: !!python/object/apply:os.system ['touch RAN']}",
    ],
)
def test_descriptions_of_a_bag_that_grow(yaml: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "metadata.yaml").write_text(yaml)
    assert "time, found that it takes more" not in refusal(tmp_path / "log")
    assert not (tmp_path / "RAN").exists()


@pytest.mark.parametrize(
    "text",
    [
        "float64[2000000000] x\n",
        "team_msgs/msg/State x\n",
        "float64 x\n" * 3,
        'string X="""; import os; os.system("touch RAN")\nfloat64 x\n',
        "float64 x\n" + "=" * 80 + "\nMSG: a/b'+__import__('os').system('touch RAN')+'\nfloat64 y\n",
    ],
)
def test_descriptions_of_messages(
    text: str, tmp_path: Path, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package makes Python code of them; a self-made text must not get into it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(apart, "limits", lambda path: SHORT)
    path = written("sqlite3", tmp_path) / "log.db3"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE topics SET type = 'team_msgs/msg/State', type_description_hash = ''")
        database.execute(
            "UPDATE message_definitions SET topic_type = 'team_msgs/msg/State', type_description_hash = '', "
            "encoded_message_definition = ?",
            [text],
        )
        database.commit()
    refusal(path)
    assert not (tmp_path / "RAN").exists()


def test_what_is_no_file_is_not_opened(tmp_path: Path, written: Written) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "device.json").symlink_to("/dev/zero")
    (tmp_path / "loop.npz").symlink_to("loop.npz")
    (tmp_path / "folder.parquet").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket.mf4"))
    kinds = {"pipe.csv": "a pipe", "device.json": "a device", "socket.mf4": "a socket"}
    for name, kind in kinds.items():
        assert f"expected a file, found {kind}: leave it out" in refusal(tmp_path / name)
    assert "cannot read it (Too many levels of symbolic links)" in refusal(tmp_path / "loop.npz")
    refusal(tmp_path / "folder.parquet")
    assert not any(map(is_log, tmp_path.iterdir()))
    written("folder mcap", tmp_path)
    (tmp_path / "log" / "log.mcap").unlink()
    os.mkfifo(tmp_path / "log" / "log.mcap")
    with pytest.raises(DataError, match=r"log\.mcap: expected a file, found a pipe"):
        read_log(tmp_path / "log", None, {})


def test_packed_files_of_other_names_that_fill_the_disk(tmp_path: Path, written: Written) -> None:
    """None of them is large alone."""
    folder = written("folder packed", tmp_path) / "log"
    zstd = pytest.importorskip("backports.zstd", reason="rosbags brings it below Python 3.14")
    for name in ("a.db3", "b", "c.zstd"):
        (folder / name).write_bytes(zstd.compress(bytes(30 << 20)))
    assert "MB that unpack to" in str(refused_within(folder))


def test_messages_beside_the_map_that_are_no_files(tmp_path: Path, written: Written) -> None:
    (tmp_path / "msgs").mkdir()
    os.mkfifo(tmp_path / "msgs" / "State.msg")
    with pytest.raises(DataError, match=r"State\.msg: expected a file, found a pipe"):
        read_log(written("mcap", tmp_path) / "log.mcap", None, {"msg_path": str(tmp_path / "msgs")})


def test_a_packed_bag_leaves_nothing_behind(tmp_path: Path, written: Written) -> None:
    """It is unpacked into the folder of the process that reads it."""
    read_log(written("folder packed", tmp_path) / "log", None, {})
    running = apart._running
    assert running is not None
    assert list(running.folder.path.iterdir()) == []
    apart._stop()
    assert not running.folder.path.exists()
