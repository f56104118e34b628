"""Text tables with preambles, repeated headers, odd cells and torn ends, as they come."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pct.errors import DataError
from pct.logs.map_files import read_map
from pct.logs.readers import csv, read_log
from pct.recordings.folder import read_file

ROWS = "".join(f'"{0.02 * row:.2f}","{row}.5","{2 * row}"\n' for row in range(40))
PREAMBLES = {
    "of another width": '"Format","Logger 7"\n"Sample Rate","50.0","Hz",,"End","18.0"\n"Beacons",""\n\n',
    "padded to the width": "Format,Logger 7,\nSample Rate,50.0,Hz\nDuration,18.0,s\nSerial,77,x\n",
    "long": "".join(f"Setting {row},{row}\n" for row in range(100)),
    "of numbers": "7,1.5\n8,2.5\n",
    "of sections": "[header]\nFile created on 01/02/2024 at 10:00:00\n\n[data]\n",
    "none": "",
}


def csv_of(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "log.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("preamble", PREAMBLES.values(), ids=PREAMBLES)
@pytest.mark.parametrize("units", ['"s","deg","km/h"\n\n', "\n", ""])
def test_the_table_is_found_by_its_shape(tmp_path: Path, preamble: str, units: str) -> None:
    path = csv_of(tmp_path, f'{preamble}"Time","Yaw","Ground Speed"\n{units}{ROWS}')
    for names in (None, ["Time", "Yaw", "Ground Speed"]):
        raw = read_log(path, names, {})
        np.testing.assert_allclose(raw.columns["Time"], 0.02 * np.arange(40))
        np.testing.assert_allclose(raw.columns["Ground Speed"], 2.0 * np.arange(40))
        assert list(raw.columns) == ["Time", "Yaw", "Ground Speed"]
        assert raw.units == ({"Time": "s", "Yaw": "deg", "Ground Speed": "km/h"} if "deg" in units else {})
        assert raw.rows[-1] == path.read_text().count("\n")


def drive(rows: int = 40) -> pl.DataFrame:
    t = 0.1 * np.arange(rows)
    return pl.DataFrame({"t": t, "x": 3 * t, "y": 0 * t, "psi": 0 * t, "v": 3 + 0 * t})


def loaded(tmp_path: Path, content: str | bytes, *lines: str) -> list[int]:
    """Lengths of the recordings of a log."""
    path = csv_of(tmp_path, content)
    channels = "".join(f'[channels.{name}]\ncolumn = "{name}"\n' for name in ("x", "y", "psi", "v"))
    head = "".join(f"{line}\n" for line in lines)
    (tmp_path / "signals.toml").write_text(f'{head}[time]\ncolumn = "t"\n{channels}')
    return [len(recording) for recording in read_file(path, read_map(tmp_path / "signals.toml"))]


def test_a_header_in_the_middle_begins_a_recording(tmp_path: Path) -> None:
    lines = drive().write_csv().splitlines()
    content = "\n".join([*lines[:21], "", lines[0], *lines[21:]])
    assert loaded(tmp_path, content, 'faults = "cut"') == [20, 20]
    raw = read_log(tmp_path / "log.csv", None, {})
    assert raw.restarts == [23]
    assert raw.notes == ["line 23 repeats the header: a recording of its own begins there"]
    assert not np.isnan(raw.columns["t"]).any()
    with pytest.raises(DataError, match=r"found another one that begins in line 23\. Cut the file there"):
        loaded(tmp_path, content)


def test_zeros_and_empty_records_at_the_end(tmp_path: Path) -> None:
    """As the power went; and as a spreadsheet saves them."""
    text = drive().write_csv()
    assert loaded(tmp_path, text.encode() + b"3.9,1" + b"\0" * 100_000) == [40]
    assert loaded(tmp_path, text + ",,,,\n" * 3) == [40]
    for names in (None, ["t", "v"]):
        assert len(read_log(tmp_path / "log.csv", names, {}).columns["t"]) == 40


def test_units_and_ranges_behind_names(tmp_path: Path) -> None:
    """As RaceCapture writes them, with slower channels in some rows only."""
    head = '"Utc"|"ms"|0|0|1,"Speed"|"mph"|0.0|150.0|25,"Gear"|""|0|6|5\n'
    rows = "".join(f"{1714555790000 + 40 * row},{row},{'' if row % 5 else row // 10}\n" for row in range(40))
    raw = read_log(csv_of(tmp_path, head + rows), None, {})
    assert list(raw.columns) == ["Utc [ms]", "Speed [mph]", "Gear"]
    assert (raw.units["Utc [ms]"], raw.units["Speed"]) == ("ms", "mph")


def test_a_bad_cell_and_a_long_line_are_cut_or_named(tmp_path: Path) -> None:
    lines = drive().write_csv().splitlines()
    lines[11] = "1.0,oops,0.0,0.0,3.0"
    lines[21] = "2.0,6.0,0.0,0.0,3.0,9,9"
    assert loaded(tmp_path, "\n".join(lines), 'faults = "cut"') == [10, 9, 19]
    with pytest.raises(DataError, match="expected 5 cells in every line, found 7 in line 22"):
        loaded(tmp_path, "\n".join(lines))
    with pytest.raises(DataError, match=r"expected a number in column 'x', line 12, found 'oops'"):
        loaded(tmp_path, "\n".join(lines[:21] + lines[22:]))


@pytest.mark.parametrize("word", ["N/A", "null", "-", "None", "NaN"])
def test_words_for_a_missing_value(tmp_path: Path, word: str) -> None:
    path = csv_of(tmp_path, f"t,v\n0,1\n1,{word}\n2,3\n")
    for names in (None, ["t", "v"]):
        np.testing.assert_array_equal(read_log(path, names, {}).columns["v"], [1.0, np.nan, 3.0])


def test_a_time_of_a_long_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that passes through temporary files."""
    monkeypatch.setattr(csv, "SPOOLED", 100)
    rows = "".join(f"2024-05-01T12:00:{row:02d}.5,{row}\n" for row in range(50))
    path = csv_of(tmp_path, f"stamp [h:m:s],v\n{rows}")
    raw = read_log(path, ["stamp", "v"], {})
    np.testing.assert_allclose(np.diff(raw.columns["stamp"]), 1.0)
    assert raw.units["stamp"] == "s"
    path.write_text(f"{path.read_text()}later,50\n")
    with pytest.raises(DataError, match=r"expected a time in column 'stamp', line 52, found 'later'"):
        read_log(path, ["stamp", "v"], {})


def test_each_column_of_a_map_goes_on_its_own_rows(tmp_path: Path) -> None:
    """By hand, a value in every fourth row is no fault; the ends that it does not cover are left out."""
    frame = drive(41).with_columns(v=pl.when(pl.int_range(41) % 4 == 2).then("v"))
    assert loaded(tmp_path, frame.write_csv()) == [37]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("signs", [".,", ",.", " ,", "'."])
def test_thousands_may_be_grouped(signs: str, late: bool, tmp_path: Path) -> None:
    """In any column, from the first line or from a later one on, beside texts."""
    group, point = signs
    time = 900.0 * late + 250.0 * np.arange(300) / (1 + 249 * late)
    lines = ["t\tx\tmode"]
    for t in time:
        t, x = (
            f"{value:,.2f}".replace(",", "_").replace(".", point).replace("_", group) for value in (t, -1.5)
        )
        lines.append(f"{t}\t{x}\tauto")
    path = tmp_path / "log.csv"
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    raw = read_log(path, ["t", "x"], {})
    np.testing.assert_allclose(raw.columns["t"], time, atol=0.006)
    assert (raw.columns["x"] == -1.5).all()
    if not late:
        np.testing.assert_allclose(read_log(path, None, {}).columns["t"], time, atol=0.006)
