"""A refusal tells a program what a person reads: the file, the column and the first row that fails."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest

import pct
from pct.errors import (
    DamagedLogError,
    DataError,
    LogError,
    LogTimeError,
    LogValueError,
    NoMotionError,
    NoTimeError,
)
from pct.logs.map_files import read_map
from pct.logs.readers import read_log
from pct.recordings.folder import read_file

MAP = '[time]\ncolumn = "t"\n' + "".join(
    f'[channels.{name}]\ncolumn = "{name}"\n' for name in ("v", "x", "y")
)


def log(folder: Path, *, t: np.ndarray | None = None, **cells: tuple[int, str]) -> Path:
    """A drive straight ahead, of which single cells are replaced: row and text by column."""
    time = 0.05 * np.arange(40) if t is None else t
    columns = {"t": time, "v": 2.0 + 0 * time, "x": 0.1 * np.arange(40), "y": 0 * time}
    texts = {name: [f"{value:.6g}" for value in column] for name, column in columns.items()}
    for name, (row, text) in cells.items():
        texts[name][row] = text
    path = folder / "log.csv"
    path.write_text("\n".join([",".join(texts), *map(",".join, zip(*texts.values(), strict=True))]))
    return path


def refused(path: Path, kind: type[LogError]) -> LogError:
    (path.parent / "signals.toml").write_text(MAP)
    with pytest.raises(kind) as refusal:
        read_file(path, read_map(path.parent / "signals.toml"))
    assert isinstance(refusal.value, DataError)
    assert refusal.value.file == path
    assert str(refusal.value).startswith(f"{path}: ")
    assert str(refusal.value.row) in str(refusal.value)
    return refusal.value


def test_a_value_and_a_time_are_named_by_column_and_line(tmp_path: Path) -> None:
    # The header is line 1.
    wrong = refused(log(tmp_path, v=(7, "fast")), LogValueError)
    assert (wrong.column, wrong.row) == ("v", 9)
    beyond = refused(log(tmp_path, v=(7, "1e6")), LogValueError)
    assert (beyond.column, beyond.row) == ("v", 9)
    time = 0.05 * np.arange(40)
    time[20:] -= 0.5
    back = refused(log(tmp_path, t=time), LogTimeError)
    assert (back.column, back.row) == ("t", 22)


def test_no_time_names_the_best_candidate_and_its_first_row(tmp_path: Path) -> None:
    time = 0.05 * np.arange(40)
    time[[20, 25, 30]] = time[[19, 24, 29]]
    with pytest.raises(NoTimeError, match="'t' comes closest, but stands still in line 22") as refusal:
        pct.propose_map(log(tmp_path, t=time))
    assert (refusal.value.column, refusal.value.row) == ("t", 22)
    np.savez(tmp_path / "no_motion.npz", t=time + 0.01 * np.arange(40), voltage=np.ones(40))
    with pytest.raises(NoMotionError) as nothing:
        pct.propose_map(tmp_path / "no_motion.npz")
    assert nothing.value.file.name == "no_motion.npz"


@pytest.mark.parametrize("ending", ["mat", "parquet", "npz", "json", "jsonl", "mf4", "bag"])
def test_of_damaged_files_nothing_is_said_in_words_of_a_library(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"log.{ending}"
    path.write_bytes(b'{"a": 1}\n\n{"a": \x00\xff' * 40)
    with pytest.raises(DamagedLogError) as refusal:
        read_log(path, None, {})
    said = str(refusal.value)
    assert said.startswith(f"{path}: expected ")
    assert "found" in said
    for word in ("Error", "0x", "zip", "thrift", "magic", "struct", "unpack", "b'", "bytes-like", "mdf 4"):
        assert word not in said.removeprefix(str(path))


def test_a_refusal_is_whole_when_it_is_made_anew() -> None:
    sent = LogValueError(Path("log.csv"), "expected a number", column="v", row=3)
    got = copy.copy(sent)
    assert type(got) is LogValueError
    assert (str(got), got.file, got.column, got.row) == (
        "log.csv: expected a number",
        Path("log.csv"),
        "v",
        3,
    )
