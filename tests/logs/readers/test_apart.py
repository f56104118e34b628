"""A reader that crashes takes nothing else down."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pct.errors import DataError
from pct.logs.readers import apart
from pct.logs.readers.base import RawLog
from pct.logs.readers.limits import Limits

READER = """
import os
import time
import numpy as np
from pct.logs.readers.base import RawLog
from pct.errors import DataError

def read_here(path, names, options):
    print("a package that talks")
    os.write(1, b"and not only by way of Python")
    if path.name == "crash":
        os.abort()
    if path.name == "refuse":
        raise DataError(f"{path}: no")
    if path.name == "endless":
        while True:
            pass
    if path.name == "asleep":
        time.sleep(60)
    if path.name == "greedy":
        return RawLog({"t": np.ones(1 << 28)}, np.arange(3), "row")
    if path.name == "place":
        raise DataError(f"in {os.getcwd()}")
    if path.name == "deep":
        read_here(path, names, options)
    columns = {name: np.arange(5.0) * k for k, name in enumerate(names or ["t", "v"])}
    columns["pid"] = np.full(3, float(os.getpid()))
    return RawLog(columns, np.arange(5), "row", units={"v": "m/s"}, clocks={"v": "t"})
"""


def read(reader: str, name: str, names: list[str] | None) -> RawLog:
    return apart.read_apart(Path(name), names, reader, {})


def request(reader: str, most: Limits) -> dict[str, Any]:
    return {"place": ".", "path": "log", "names": None, "reader": reader, "options": {}, "limits": most}


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "talking_reader.py").write_text(READER)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in ("log", "refuse", "crash", "endless", "asleep", "greedy", "deep"):
        Path(name).touch()
    apart._stop()  # one that knows the path starts
    yield "talking_reader"
    apart._stop()


def test_what_is_read_apart_arrives(reader: str) -> None:
    log = read(reader, "log", None)
    np.testing.assert_array_equal(log.columns["v"], np.arange(5.0))
    log.columns["v"][0] = 1.0
    assert (log.units, log.clocks, log.rows.tolist()) == ({"v": "m/s"}, {"v": "t"}, [0, 1, 2, 3, 4])
    assert list(read(reader, "log", ["a"]).columns) == ["a", "pid"]
    with pytest.raises(DataError, match="refuse: no"):
        read(reader, "refuse", None)


def test_a_crash_is_said_of_its_file_alone(reader: str) -> None:
    first = read(reader, "log", None).columns["pid"][0]
    assert read(reader, "log", None).columns["pid"][0] == first
    with pytest.raises(
        DataError, match="crash: expected a whole file, found one at which its reader crashes"
    ):
        read(reader, "crash", None)
    assert read(reader, "log", None).columns["pid"][0] != first


def test_a_process_that_was_killed_in_between_is_started_anew(reader: str) -> None:
    read(reader, "log", None)
    assert apart._running is not None
    apart._running.process.kill()
    apart._running.process.wait()
    assert len(read(reader, "log", None).columns["v"]) == 5


@pytest.mark.parametrize(
    ("name", "most", "message"),
    [
        ("endless", Limits(0.2, 60.0, 1 << 30), "read in 0 s of processor time, found that it takes more"),
        ("asleep", Limits(20.0, 0.5, 1 << 30), "read in 0 s, found that it takes more"),
        ("greedy", Limits(20.0, 60.0, 1 << 30), r"read in 1\.07 GB of memory, found that it takes more"),
        ("deep", Limits(20.0, 60.0, 1 << 30), "found one that is nested too deeply"),
    ],
)
def test_a_reader_has_limits(
    reader: str, name: str, most: Limits, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next file is read whatever happened, also with a limit below what the process took before."""
    read(reader, "log", None)
    with monkeypatch.context() as patch:
        patch.setattr(apart, "limits", lambda path: most)
        with pytest.raises(DataError, match=f"^{name}: expected .*{message}"):
            read(reader, name, None)
    assert len(read(reader, "log", None).columns["v"]) == 5


def test_columns_that_are_announced_are_no_more_than_the_limit(
    reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are refused before this process has memory of that size."""
    most = Limits(20.0, 60.0, 1 << 30)
    read(reader, "log", None)
    assert apart._running is not None
    with pytest.raises(DataError, match=r"log: expected a log that is read in 1e-07 GB of memory"):
        apart._running.ask(request(reader, most), Path("log"), most._replace(memory=100))


def test_a_relative_name_is_one_of_the_folder_that_this_process_is_in(
    reader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(reader, "log", None)
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    Path("place").touch()
    with pytest.raises(DataError, match=f"in {tmp_path}/inner"):
        read(reader, "place", None)
