"""Damaged and hostile files of every format end in a `DataError`, soon and in little memory, or are read."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import re
import resource
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_typestore

from pct.errors import DataError
from pct.logs.readers import mdf, read_log

Written = Callable[[str, Path], Path]
KINDS = ("csv", "json", "jsonl", "npz", "parquet", "ros1", "ros1 packed", "sqlite3", "mcap", "mdf")
# More than a small file may take, in s on a busy machine and in bytes.
SOON, LITTLE = 60.0, 1 << 30


def log(kind: str, folder: Path, written: Written) -> Path:
    """A small log that can be read."""
    columns = {"t": 0.1 * np.arange(40), "v": np.linspace(1.0, 3.0, 40)}
    path = folder / f"log.{kind}"
    if kind == "csv":
        pl.DataFrame(columns).write_csv(path)
    elif kind == "json":
        path.write_text(json.dumps({name: column.tolist() for name, column in columns.items()}))
    elif kind == "jsonl":
        pl.DataFrame(columns).write_ndjson(path)
    elif kind == "npz":
        np.savez_compressed(path, **columns)
    elif kind == "parquet":
        pl.DataFrame(columns).write_parquet(path)
    else:
        written(kind, folder)
        path = next(path for path in folder.iterdir() if path.stem == "log")
    return path


def damage(content: bytes, choose: random.Random) -> bytes:
    """Cut it off, or change, repeat or leave out some bytes."""
    data = bytearray(content)
    for _ in range(choose.choice([1, 1, 2, 5, 20])):
        at = choose.randrange(len(data) + 1)
        what = choose.randrange(6)
        if what == 0:
            del data[at:]
        elif what == 1:
            del data[at : at + choose.choice([1, 4, 100])]
        elif what == 2:
            data[at:at] = data[max(0, at - choose.choice([1, 8, 500])) : at]
        elif what == 3:
            data[at : at + 4] = choose.choice([b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\xff\xff\xff\x7f"])
        elif what == 4:
            data[at : at + 8] = choose.randbytes(8)
        elif at < len(data):
            data[at] ^= 1 << choose.randrange(8)
    return bytes(data)


@contextlib.contextmanager
def soon_and_little() -> Iterator[None]:
    begun, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert time.monotonic() - begun < SOON
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < LITTLE


def refusal(path: Path, names: list[str] | None) -> str:
    """What is said of a file that cannot be read; nothing of one that can."""
    try:
        read_log(path, names, {})
    except DataError as error:
        return str(error)
    return ""


def attack(kind: str, folder: Path, written: Written, seed: int, times: int) -> tuple[int, int]:
    """How many damaged copies were read, and how many refused."""
    path = log(kind, folder, written)
    content, choose = path.read_bytes(), random.Random(f"{kind} {seed}")
    known = list(read_log(path, None, {}).columns)
    read = refused = 0
    for turn in range(times):
        path.write_bytes(damage(content, choose))
        with soon_and_little():
            message = refusal(path, None if turn % 2 else known[:3])
        if message:
            assert message.startswith(str(path))
            assert len(message.splitlines()) <= 2
            assert len(message) < 2000
        read, refused = read + (not message), refused + bool(message)
    return read, refused


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files(kind: str, tmp_path: Path, written: Written) -> None:
    read, refused = attack(kind, tmp_path, written, seed=1, times=12)
    assert read + refused == 12
    assert refused > 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_many_damaged_files(kind: str, tmp_path: Path, written: Written) -> None:
    seed, times = int(os.environ.get("PCT_FUZZ_SEED", "2")), int(os.environ.get("PCT_FUZZ_TIMES", "1000"))
    print(kind, "read, refused:", attack(kind, tmp_path, written, seed=seed, times=times))


@pytest.mark.parametrize("kind", KINDS)
def test_empty_files(kind: str, tmp_path: Path, written: Written) -> None:
    path = log(kind, tmp_path, written)
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"log\."):
        read_log(path, None, {})


def refuses(path: Path, match: str, names: list[str] | None = None) -> None:
    with soon_and_little(), pytest.raises(DataError, match=match):
        read_log(path, names, {})


def test_a_million_columns(tmp_path: Path) -> None:
    names = ",".join(f"c{i}" for i in range(1_000_000))
    numbers = ",".join(["0"] * 1_000_000)
    (tmp_path / "short.csv").write_text(f"{names[:3_000_000]}\n{numbers}\n")
    refuses(tmp_path / "short.csv", "expected at most 20000 columns, found [0-9]{6}")
    (tmp_path / "long.csv").write_text(f"{names}\n{numbers}\n")
    refuses(tmp_path / "long.csv", "found more than 4 MB in line 1")
    (tmp_path / "log.jsonl").write_text(json.dumps({f"c{i}": i for i in range(200_000)}) + "\n")
    refuses(tmp_path / "log.jsonl", "expected at most 20000 columns")


def test_a_file_without_lines(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_bytes(b"0," * 20_000_000)
    refuses(tmp_path / "log.csv", "found more than 4 MB in line 1")
    (tmp_path / "log.csv").write_bytes(b"# a comment\n" * 1_000_000)
    refuses(tmp_path / "log.csv", "expected a header and samples in the first 1000 lines")


@pytest.mark.parametrize("name", ["a(" + "b" * 100_000, "a" + " " * 100_000 + "b", "a" + "(" * 100_000])
def test_a_header_that_has_nearly_a_unit(name: str, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(f"t,{name},v [m/s],w[3]\n0,1,2,3\n1,2,3,4\n")
    with soon_and_little():
        log = read_log(tmp_path / "log.csv", None, {})
    assert set(log.columns) == {"t", name, "v [m/s]", "w[3]"}
    assert log.units == {"v [m/s]": "m/s", "v": "m/s"}
    # What is not there is said in short.
    with pytest.raises(DataError, match="expected column 'x', found: t, a") as refused:
        read_log(tmp_path / "log.csv", ["x"], {})
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize("ending", ["csv", "parquet", "json", "npz"])
def test_signs_in_a_name_are_no_pattern(ending: str, tmp_path: Path, written: Written) -> None:
    first = log(ending, tmp_path, written)
    for name in ("lo[g].", "*.", "?og.", "a%20#$.", "~."):
        path = tmp_path / f"{name}{ending}"
        path.write_bytes(first.read_bytes())
        assert len(read_log(path, None, {}).columns["t"]) == 40


def test_a_damaged_table_writes_nothing_to_a_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], written: Written
) -> None:
    """polars has stack traces and warnings of its own."""
    path = log("parquet", tmp_path, written)
    content = path.read_bytes()
    foot = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    for place in range(foot, len(content) - 8, 3):
        path.write_bytes(content[:place] + b"\xff\xff\xff\xff\x0f" + content[place + 5 :])
        refusal(path, None)
    (tmp_path / "log.csv").write_text("t,v\n0,1\n1,2\n" + '"\n' * 5)
    refusal(tmp_path / "log.csv", ["t"])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('2,"3', "expected a row in every line, found 3 in 5 lines"),
        ('2,"3\n3"', "expected a row in every line, found 5 in 6 lines"),
    ],
)
def test_quotes_that_are_left_open(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "log.csv").write_text(f"t,v\n0,1\n1,2\n{line}\n3,4\n4,5\n")
    refuses(tmp_path / "log.csv", message, ["t"])


def npy(shape: str, size: int, kind: str = "'<f8'") -> bytes:
    return raw_npy(f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n", size)


def raw_npy(head: str, size: int = 0) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode() + bytes(size)


@pytest.mark.parametrize(
    "content",
    [
        npy("(-1,)", 80),
        npy("(-4, -2)", 80),
        npy(f"(0, {10**21})", 0),
        npy("(True,)", 8),
        npy("(1000000000000,)", 0, "'S0'"),
        npy("(1000000000000,)", 80, "('<f8', (0,))"),
        npy("()", 80, "'V2000000000'"),
        raw_npy("(" * 9000),
        raw_npy("{'descr': '<f8'"),
        raw_npy("{'descr': " + "-" * 5000 + "1}"),
        raw_npy("{'shape': (" + "9" * 5000 + ",)}"),
        b"",
    ],
)
def test_headers_of_arrays_that_lie(content: bytes, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "log.npz", "w") as archive:
        archive.writestr("v.npy", content)
    for names in (None, ["v"]):
        refuses(tmp_path / "log.npz", "^.*: expected an? (array of|NumPy archive)[^\n]*$", names)


def test_arrays_that_are_no_signals_take_no_memory(tmp_path: Path) -> None:
    """A picture of bytes would take eight times its size; complex numbers have no order."""
    np.savez(tmp_path / "log.npz", t=np.arange(3.0), picture=np.zeros((4, 5, 6), "u1"), z=np.ones(3, complex))
    assert list(read_log(tmp_path / "log.npz", None, {}).columns) == ["t"]
    refuses(tmp_path / "log.npz", "expected numbers in 'z'", ["z"])
    with zipfile.ZipFile(tmp_path / "log.npz", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("v.npy", npy("(10,)", 80))
    refuses(tmp_path / "log.npz", "expected arrays packed as np.savez does")


def test_zip_bombs(tmp_path: Path) -> None:
    path = tmp_path / "log.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("v.npy", "w") as member:
        member.write(npy("(25000000,)", 0))
        for _ in range(200):
            member.write(bytes(1_000_000))
    refuses(path, "expected a log, found .* MB that unpack to 200 MB")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("v.npy", npy("(1000000000000,)", 80))
    refuses(path, r"found a header of shape \(1000000000000,\)")
    # Each member is harmless alone.
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in "abcde":
            archive.writestr(f"{name}.npy", npy("(3000000,)", 24_000_000))
    refuses(path, "expected a log, found .* MB that unpack to 120 MB", ["a"])


def test_sparse_rows_that_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    first = ", ".join(f'"k{key}": 0' for key in range(400))
    path.write_text(f"[{{{first}}}{', {}' * 100_000}]")
    refuses(path, "expected a log, found .* MB that unpack to")


def test_constant_columns_that_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    pl.select(pl.repeat(0.0, 30_000_000).alias("v")).write_parquet(path)
    refuses(path, "expected a log, found .* MB that unpack to 240 MB")


@pytest.mark.parametrize("kind", ["bz2", "mcap", "file", "message"])
def test_bags_that_fill_the_memory(kind: str, tmp_path: Path) -> None:
    """One message of 70 million equal letters, packed."""
    store = get_typestore(Stores.ROS2_HUMBLE if kind != "bz2" else Stores.ROS1_NOETIC)
    text = store.types["std_msgs/msg/String"](data="a" * 70_000_000)
    bag: Any = Writer1(tmp_path / "log.bag")
    if kind == "bz2":
        bag.set_compression(Writer1.CompressionFormat.BZ2)
    else:
        plugin = StoragePlugin.MCAP if kind == "mcap" else StoragePlugin.SQLITE3
        bag = Writer2(tmp_path / "log", version=8, storage_plugin=plugin)
        mode = "storage" if kind == "mcap" else kind
        bag.set_compression(CompressionMode[mode.upper()], CompressionFormat.ZSTD)
    with bag:
        topic = bag.add_connection("/text", "std_msgs/msg/String", typestore=store)
        pack = store.serialize_ros1 if kind == "bz2" else store.serialize_cdr
        bag.write(topic, 1, pack(text, "std_msgs/msg/String"))
    path = tmp_path / ("log.bag" if kind == "bz2" else "log")
    refuses(path, "unpacks? to (more than )?[0-9.]+ MB", ["/text.time"])


def test_pickles_in_archives(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    code = f"cposix\nsystem\n(S'touch {marker}'\ntR.".encode()
    head = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(117) + b"\n"
    with zipfile.ZipFile(tmp_path / "log.npz", "w") as archive:
        archive.writestr("v.npy", b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + code)
    refuses(tmp_path / "log.npz", "expected plain arrays, .*pickle")
    assert not marker.exists()


def test_brackets_without_end(tmp_path: Path) -> None:
    (tmp_path / "log.json").write_bytes(b"[" * 200_000)
    refuses(tmp_path / "log.json", "expected JSON, found too many brackets")
    (tmp_path / "log.json").write_bytes(b'{"a":' * 500 + b"[1, 2]" + b"}" * 500)
    refuses(tmp_path / "log.json", "expected column 'b'", ["b"])


def test_numbers_without_end(tmp_path: Path) -> None:
    (tmp_path / "log.json").write_bytes(b'{"t": [' + b"9" * 100_000 + b"]}")
    refuses(tmp_path / "log.json", "expected")
    (tmp_path / "log.json").write_bytes(b'{"t": [' + b"9" * 1000 + b", 1]}")
    refuses(tmp_path / "log.json", "expected numbers in 't'", ["t"])
    (tmp_path / "log.json").write_bytes(b'{"t": [' + b"9" * 400 + b', 1], "v": [1, 2]}')
    assert list(read_log(tmp_path / "log.json", None, {}).columns) == ["v"]


def test_an_archive_whose_names_leave_it(tmp_path: Path) -> None:
    """Nothing is unpacked, so a name is only a name."""
    buffer = io.BytesIO()
    np.save(buffer, np.arange(3.0))
    with zipfile.ZipFile(tmp_path / "log.npz", "w") as archive:
        archive.writestr("../../v.npy", buffer.getvalue())
    before = sorted(tmp_path.parent.rglob("*"))
    assert list(read_log(tmp_path / "log.npz", None, {}).columns) == ["../../v"]
    assert sorted(tmp_path.parent.rglob("*")) == before


CODE = "__import__('os').system('touch RAN') or X1"
FORMULAS = ("X1*2+1", CODE, "X1*(9**9**9)")


def table(behind: object, *, as_text: bool = False) -> Any:
    """A table that shows one value as a text, and has something behind another value or all others."""
    from asammdf.blocks.conversion_utils import from_dict

    values = {"val_0": 200.0, "text_0": b"zero", "default_addr": b""}
    return from_dict(values | ({"val_0": 0.0, "text_0": behind} if as_text else {"default_addr": behind}))


def write_mdf4(path: Path, conversion: Any, channel: int = 1) -> None:
    """Channels ``time``, ``a`` and ``b``, of which one has the conversion."""
    from asammdf import MDF, Signal

    t = np.arange(5.0)
    with MDF(version="4.10") as mdf:
        mdf.append([Signal(np.arange(5).astype("u4"), t, name="a"), Signal(t, t, name="b")])
        mdf.groups[0].channels[channel].conversion = conversion
        mdf.save(path, overwrite=True)


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("place", ["channel", "default", "text", "deep", "clock"])
def test_a_formula_in_a_file_is_not_run(
    place: str, formula: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from asammdf.blocks.conversion_utils import from_dict

    monkeypatch.chdir(tmp_path)
    conversion = from_dict({"formula": formula})
    behind = {
        "default": table(conversion),
        "text": table(conversion, as_text=True),
        "deep": table(table(table(conversion, as_text=True))),
    }
    path = tmp_path / "log.mf4"
    write_mdf4(path, behind.get(place, conversion), 0 if place == "clock" else 1)
    name = "time" if place == "clock" else "a"
    refuses(
        path, f"^{path}: channel '{name}' is converted by a formula, which is not run: export it.*$", ["a"]
    )
    if place == "clock":
        refuses(path, "channel 'time' is converted by a formula")
    else:
        assert set(read_log(path, None, {}).columns) == {"time", "b"}
    assert not (tmp_path / "RAN").exists()


def test_a_formula_of_mdf3_is_not_run(tmp_path: Path) -> None:
    from asammdf import MDF, Signal

    t = np.arange(5.0)
    with MDF(version="3.30") as mdf:
        mdf.append([Signal(t, t, name="v", conversion={"formula": "X1*2"}), Signal(t, t, name="w")])
        mdf.save(tmp_path / "log.mdf")
    path = (tmp_path / "log.mdf").rename(tmp_path / "log.mf4")
    refuses(path, "channel 'v' is converted by a formula, which is not run", ["v"])
    assert list(read_log(path, ["w"], {}).columns) == ["w", "time"]


def test_a_formula_that_is_not_seen_is_not_run_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package itself cannot work out a text any more, but for its own of rational conversions."""
    from asammdf.blocks.conversion_utils import from_dict

    monkeypatch.setitem(sys.modules, "sympy", None)
    monkeypatch.setattr(mdf, "_check_conversion", lambda *_: None)
    path = tmp_path / "log.mf4"
    write_mdf4(path, table(from_dict({"formula": "X1*2"})))
    with pytest.raises(DataError, match="channel 'a' is converted by a formula, which is not run"):
        mdf.read_here(path, ["a"], {})
    write_mdf4(path, from_dict({"P1": 0.0, "P2": 6.0, "P3": 1.0, "P4": 0.0, "P5": 1.0, "P6": 2.0}))
    raw = np.arange(5.0)
    np.testing.assert_allclose(mdf.read_here(path, ["a"], {}).columns["a"], (6 * raw + 1) / (raw + 2))


def test_tables_that_refer_to_themselves(tmp_path: Path) -> None:
    path = tmp_path / "log.mf4"
    write_mdf4(path, table(table(b"other")))
    content = bytearray(path.read_bytes())
    for block in (match.start() for match in re.finditer(b"##CC", content)):
        links = int.from_bytes(content[block + 16 : block + 24], "little")
        content[block + 16 + 8 * links : block + 24 + 8 * links] = block.to_bytes(8, "little")
    path.write_bytes(content)
    refuses(path, "expected the conversion of channel 'a', found none that can be read", ["a"])


@pytest.mark.parametrize("lie", [None, 2**60, 2**40, 2**31])
def test_packed_blocks_of_mdf_that_fill_the_memory(lie: int | None, tmp_path: Path) -> None:
    """Constant samples by the million, or a length that lies."""
    from asammdf import MDF, Signal

    rows = 9_000_000 if lie is None else 1000
    path = tmp_path / "log.mf4"
    with MDF(version="4.10") as mdf:
        mdf.append([Signal(np.zeros(rows, "u1"), np.zeros(rows), name="a")])
        mdf.save(path, compression=1)
    if lie is None:
        refuses(path, "expected a log, found .* MB that unpack to", ["a"])
        return
    content = bytearray(path.read_bytes())
    for block in (match.start() for match in re.finditer(b"##DZ", content)):
        content[block + 32 : block + 40] = lie.to_bytes(8, "little")
    path.write_bytes(content)
    with soon_and_little():
        refusal(path, ["a"])
