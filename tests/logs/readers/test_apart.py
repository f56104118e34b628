"""A reader that crashes takes nothing else down."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pct.errors import DataError
from pct.logs.readers import apart

READER = """
import os
import numpy as np
from pct.logs.readers.base import RawLog
from pct.errors import DataError

def read_here(path, names):
    print("a package that talks")
    os.write(1, b"and not only by way of Python")
    if path.name == "crash":
        os.abort()
    if path.name == "refuse":
        raise DataError(f"{path}: no")
    columns = {name: np.arange(5.0) * k for k, name in enumerate(names or ["t", "v"])}
    columns["pid"] = np.full(3, float(os.getpid()))
    return RawLog(columns, np.arange(5), "row", units={"v": "m/s"}, clocks={"v": "t"})
"""


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "talking_reader.py").write_text(READER)
    monkeypatch.syspath_prepend(str(tmp_path))
    apart._stop()  # one that knows the path starts
    yield "talking_reader"
    apart._stop()


def test_what_is_read_apart_arrives(reader: str) -> None:
    log = apart.read_apart(Path("log"), None, reader)
    np.testing.assert_array_equal(log.columns["v"], np.arange(5.0))
    log.columns["v"][0] = 1.0
    assert (log.units, log.clocks, log.rows.tolist()) == ({"v": "m/s"}, {"v": "t"}, [0, 1, 2, 3, 4])
    assert list(apart.read_apart(Path("log"), ["a"], reader).columns) == ["a", "pid"]
    with pytest.raises(DataError, match="refuse: no"):
        apart.read_apart(Path("refuse"), None, reader)


def test_a_crash_is_said_of_its_file_alone(reader: str) -> None:
    first = apart.read_apart(Path("log"), None, reader).columns["pid"][0]
    assert apart.read_apart(Path("log"), None, reader).columns["pid"][0] == first
    with pytest.raises(
        DataError, match="crash: expected a whole file, found one at which its reader crashes"
    ):
        apart.read_apart(Path("crash"), None, reader)
    assert apart.read_apart(Path("log"), None, reader).columns["pid"][0] != first


def test_a_process_that_was_killed_in_between_is_started_anew(reader: str) -> None:
    apart.read_apart(Path("log"), None, reader)
    assert apart._running is not None
    apart._running[1].kill()
    apart._running[1].wait()
    assert len(apart.read_apart(Path("log"), None, reader).columns["v"]) == 5
