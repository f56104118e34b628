"""Readers of text, JSON and tables: what recorders write, and what the file says of units and rates."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pct.errors import DataError
from pct.logs.readers import read_log
from pct.recordings.folder import read_folder

T = 0.1 * np.arange(30)


def drive() -> dict[str, np.ndarray]:
    """A straight line at 3 m/s."""
    return {"t": T, "x": 3.0 * T, "y": 0.0 * T, "psi": 0.0 * T, "v": np.full(30, 3.0)}


def write_map(folder: Path, *lines: str, **columns: str) -> None:
    names = {"x": "x", "y": "y", "psi": "psi", "v": "v"} | columns
    channels = [f'[channels.{name}]\ncolumn = "{column}"' for name, column in names.items()]
    (folder / "signals.toml").write_text("\n".join([*lines, '[time]\ncolumn = "t"', *channels]))


def csv_of(tmp_path: Path, content: str | bytes, name: str = "log.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    "content",
    [
        "# made by hand\n# a,b\nt,v\n0,1\n1,2\n",
        "# made by hand\n# t,v\n0,1\n1,2\n",
        "Recorder 3,on Monday,with\n\nt,v\n0,1\n1,2\n",
        "t;v\n0;1\n1;2\n",
        "t\tv\n0\t1\n1\t2\n",
        "t;v\n0,0;1,0\n1,0;2,0\n",
        "t;v;w;u\n0,0;1,0;3,5;1,5\n1,0;2,0;;1,5\n",
        "t\tv\n0,0\t1,0\n1e0\t2,0\n\n",
        ",t,v\n0,0,1\n1,1,2\n",
        "t,v\nfirst,0,1\nsecond,1,2\n",
        "t,v,\n0,1,\n1,2,\n",
        "t,v\n0,1,\n1,2,\n",
        "t,v\ns,m/s\n0,1\n1,2\n",
        '"t","v","note"\n"0","1","a"\n"1","2","b"\n',
        "t,v,Größe [°]\n0,1,2\n1,2,3\n".encode("cp1252"),
        "t,v\n0,1\n1,2\n".encode("utf-16"),
        "\ufefft,v\r\n0,1\r\n1,2\r\n",
    ],
)
def test_csv_as_recorders_write_it(tmp_path: Path, content: str | bytes) -> None:
    raw = read_log(csv_of(tmp_path, content), ["t", "v"], {})
    np.testing.assert_array_equal(raw.columns["t"], [0.0, 1.0])
    np.testing.assert_array_equal(raw.columns["v"], [1.0, 2.0])
    assert raw.rows[1] - raw.rows[0] == 1


@pytest.mark.parametrize("between", ["% b\n\n", "% b\n% c\n"])
def test_csv_lines_are_counted_past_what_is_left_out(tmp_path: Path, between: str) -> None:
    path = csv_of(tmp_path, f"% a\nt,v\n0,1\n{between}1,2\n2,\n")
    raw = read_log(path, ["t", "v"], {"comment": "%"})
    assert raw.rows.tolist() == [3, 6, 7]
    assert np.isnan(raw.columns["v"][2])


@pytest.mark.parametrize(
    ("header", "name", "unit"),
    [
        ("speed [km/h]", "speed", "km/h"),
        ("speed(m/s)", "speed", "m/s"),
        ("speed [km/h]", "speed [km/h]", "km/h"),
        ("speed (°/s)", "speed", "°/s"),
        ("speed[0]", "speed[0]", None),
    ],
)
def test_units_in_headers(tmp_path: Path, header: str, name: str, unit: str | None) -> None:
    raw = read_log(csv_of(tmp_path, f"t,{header}\n0,1\n1,2\n"), [name], {})
    assert raw.columns[name].tolist() == [1.0, 2.0]
    assert raw.units.get(name) == unit


def test_a_line_of_units_below_the_header(tmp_path: Path) -> None:
    raw = read_log(csv_of(tmp_path, "t,v\n[s],[km/h]\n0,1\n1,2\n"), ["v"], {})
    assert raw.units["v"] == "km/h"
    assert raw.rows.tolist() == [3, 4]


def test_all_columns_of_numbers(tmp_path: Path) -> None:
    """As for a map that is yet to be made."""
    raw = read_log(csv_of(tmp_path, "t,gear,v\n0,D,1\n1,D,\n"), None, {})
    assert list(raw.columns) == ["t", "v"]


def test_a_column_that_is_there_twice(tmp_path: Path) -> None:
    """Each has a name of its own, so that none replaces the other without a word."""
    path = csv_of(tmp_path, "t,v,v,v.2\n0,1,5,7\n1,2,6,8\n")
    for names in (None, ["t", "v", "v.3", "v.2"]):
        columns = read_log(path, names, {}).columns
        assert {name: column[0] for name, column in columns.items()} == {"t": 0, "v": 1, "v.3": 5, "v.2": 7}
    path = csv_of(tmp_path, "t,v [m/s],v [km/h]\n0,1,1\n1,2,2\n")
    with pytest.raises(DataError, match=r"expected one column 'v', found 2"):
        read_log(path, ["v"], {})


def test_the_unit_of_the_file_counts_where_the_map_gives_none(tmp_path: Path) -> None:
    log = drive()
    frame = pl.DataFrame({**log, "t": 1e3 * T, "v": 3.6 * log["v"]}).rename({"v": "v [km/h]", "t": "t [ms]"})
    frame.write_csv(tmp_path / "log.csv")
    write_map(tmp_path)
    (trajectory,) = read_folder(tmp_path)
    assert trajectory.dt == 0.1
    np.testing.assert_allclose(trajectory.channels["v"], 3.0)
    frame.with_columns(pl.col("v [km/h]") / 3.6).write_csv(tmp_path / "log.csv")
    with (tmp_path / "signals.toml").open("a") as file:
        file.write('\nunit = "m/s"')
    np.testing.assert_allclose(read_folder(tmp_path)[0].channels["v"], 3.0)


def test_a_unit_of_another_quantity_is_refused(tmp_path: Path) -> None:
    pl.DataFrame(drive()).rename({"v": "v [kg]"}).write_csv(tmp_path / "log.csv")
    write_map(tmp_path)
    with pytest.raises(DataError, match=r"column 'v', channels\.v\.unit to be a unit that converts to m/s"):
        read_folder(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        [{"t": t, "car": {"v": t + 1}} for t in (0.0, 1.0)],
        {"t": [0, 1], "car": {"v": [1, 2]}},
        {"t": [0, 1], "car.v": [1, 2]},
        {"log": [{"t": 0, "car": {"v": 1}}, {"t": 1, "car": {"v": 2}}]},
    ],
)
def test_json_in_columns_and_records(tmp_path: Path, content: object) -> None:
    path = tmp_path / "log.json"
    path.write_text(json.dumps(content))
    first = "log." if isinstance(content, dict) and "log" in content else ""
    names = [f"{first}t", f"{first}car.v"]
    for wanted in (names, None):
        raw = read_log(path, wanted, {})
        assert [raw.columns[name].tolist() for name in names] == [[0.0, 1.0], [1.0, 2.0]]


def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"t": 0, "v": 1}\n\n{"t": 1}\n')
    raw = read_log(path, ["t", "v"], {})
    np.testing.assert_array_equal(raw.columns["v"], [1.0, np.nan])


def test_parquet(tmp_path: Path) -> None:
    start = datetime.datetime(2026, 1, 1)
    stamps = [start + datetime.timedelta(milliseconds=100 * i) for i in range(3)]
    frame = pl.DataFrame(
        {
            "stamp": stamps,
            "pose": [{"x": 1, "in": {"y": 2.5}}] * 3,
            "ok": [True, None, False],
            "gear": ["D"] * 3,
        }
    )
    frame.write_parquet(tmp_path / "log.parquet")
    raw = read_log(tmp_path / "log.parquet", None, {})
    assert list(raw.columns) == ["stamp", "pose.x", "pose.in.y", "ok"]
    np.testing.assert_allclose(raw.columns["stamp"] - raw.columns["stamp"][0], [0, 0.1, 0.2], atol=1e-6)
    assert abs(raw.columns["stamp"][0] - 1767225600.0) < 1e-6
    np.testing.assert_array_equal(raw.columns["ok"], [1, np.nan, 0])
    assert raw.columns["pose.in.y"].tolist() == [2.5] * 3
    for name, message in (
        ("speed", "expected column 'speed', found: stamp"),
        ("gear", "expected numbers in 'gear'"),
    ):
        with pytest.raises(DataError, match=message):
            read_log(tmp_path / "log.parquet", [name], {})


def test_npz_gives_all_components(tmp_path: Path) -> None:
    np.savez(tmp_path / "log.npz", t=T, states=np.ones((30, 2)), name=np.array("car"), wide=np.ones((99, 99)))
    assert list(read_log(tmp_path / "log.npz", None, {}).columns) == ["t", "states[0]", "states[1]"]


@pytest.mark.parametrize("ending", ["json", "jsonl", "parquet", "npz"])
def test_times_as_text_in_every_format(tmp_path: Path, ending: str) -> None:
    """Texts that are no times stay out; a cell that is none is named."""
    log: dict[str, list[object]] = {"t": ["00:01:00.5", "00:01:00.75", "00:01:01"], "v [km/h]": [1, 2, 3]}
    log["side"] = ["left", "left", "right"]

    def write(columns: dict[str, list[object]]) -> Path:
        path = tmp_path / f"log.{ending}"
        if ending == "json":
            path.write_text(json.dumps(columns))
        elif ending == "jsonl":
            pl.DataFrame(columns).write_ndjson(path)
        elif ending == "parquet":
            pl.DataFrame(columns).write_parquet(path)
        else:
            np.savez(path, **{name: np.array(values) for name, values in columns.items()})
        return path

    raw = read_log(write(log), None, {})
    assert raw.columns["t"].tolist() == [60.5, 60.75, 61.0]
    assert set(raw.columns) == {"t", "v [km/h]"}
    assert raw.units == {"v [km/h]": "km/h"}
    assert read_log(write(log), ["t"], {}).columns["t"].tolist() == [60.5, 60.75, 61.0]
    with pytest.raises(DataError, match="expected numbers in 'side', found"):
        read_log(write(log), ["side"], {})


def test_signals_of_two_rates(tmp_path: Path) -> None:
    """A slower signal with its own time goes onto the rows of the log; those that it does not cover go."""
    slow = np.arange(0.25, 2.8, 0.25)
    log = drive() | {"t2": slow, "steer": 0.1 * slow, "goal": np.floor(slow)}
    np.savez(tmp_path / "log.npz", **log)
    write_map(tmp_path, delta="steer")
    with (tmp_path / "signals.toml").open("a") as file:
        file.write(
            '\ntime = "t2"\n[channels."feature.goal"]\ncolumn = "goal"\ntime = "t2"\norigin = "command"'
        )
    (trajectory,) = read_folder(tmp_path)
    t = trajectory.start + trajectory.dt * np.arange(len(trajectory))
    np.testing.assert_allclose(t, np.arange(3, 28) * 0.1)
    np.testing.assert_allclose(trajectory.channels["delta"], 0.1 * t, atol=1e-12)
    held = np.floor(slow[np.searchsorted(slow, t + 1e-9, side="right") - 1])
    np.testing.assert_array_equal(trajectory.channels["feature.goal"], held)


def two_rates(folder: Path, *lines: str, **changes: np.ndarray) -> None:
    log = drive() | {"t2": T[::3], "w": 0.1 * T[::3]} | changes
    np.savez(folder / "log.npz", **log)
    write_map(folder, *lines)
    with (folder / "signals.toml").open("a") as file:
        file.write('\n[channels."feature.w"]\ncolumn = "w"\ntime = "t2"')


def test_a_heading_of_another_rate_turns_the_short_way(tmp_path: Path) -> None:
    heading = np.degrees(0.8 * T[::3] + 3.0)
    log = drive() | {"t2": T[::3], "heading": (heading + 180) % 360 - 180}
    del log["x"], log["y"]
    np.savez(tmp_path / "log.npz", **log)
    (tmp_path / "signals.toml").write_text(
        '[time]\ncolumn = "t"\n[channels.v]\ncolumn = "v"\n'
        '[channels.psi]\ncolumn = "heading"\ntime = "t2"\nunit = "deg"'
    )
    (trajectory,) = read_folder(tmp_path)
    np.testing.assert_allclose(np.diff(trajectory.channels["psi"]), 0.08, atol=1e-9)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"t2": T[::3] + 100.0}, r"expected clocks that overlap, found 't' from 0 to 2\.9, 't2' from 100"),
        ({"t2": T[::3].copy()[::-1]}, r"expected time \('t2'\) to go on"),
        (
            {"t2": np.where(T[::3] > 1, T[::3] + 1, T[::3])},
            r"expected 'w' to go on in steps of about 0\.3, found a gap",
        ),
        ({"w": np.zeros(5)}, "expected columns of one length, found 5 samples in 'w' and 10"),
    ],
)
def test_clocks_that_do_not_fit(tmp_path: Path, changes: dict[str, np.ndarray], message: str) -> None:
    two_rates(tmp_path, **changes)
    with pytest.raises(DataError, match=message):
        read_folder(tmp_path)


def test_a_gap_of_another_clock_splits_the_recording(tmp_path: Path) -> None:
    later = np.where(T[::3] > 1, T[::3] + 1, T[::3])
    two_rates(tmp_path, 'faults = "cut"', t2=later)
    pieces = read_folder(tmp_path)
    assert [len(piece) for piece in pieces] == [10, 8]


def test_a_spike_of_another_clock_is_found(tmp_path: Path) -> None:
    log = drive()
    spiky = np.full(10, 3.0)
    spiky[4] = 1e8
    np.savez(tmp_path / "log.npz", **(log | {"t2": T[::3], "v": spiky}))
    write_map(tmp_path)
    with (tmp_path / "signals.toml").open("a") as file:
        file.write('\ntime = "t2"')
    with pytest.raises(DataError, match=r"expected 'v' within 120 m/s, found 1e\+08 m/s"):
        read_folder(tmp_path)


@pytest.mark.parametrize("frame", ["SAE", "Unity"])
def test_a_frame_that_counts_to_the_right(tmp_path: Path, frame: str) -> None:
    turn = 0.5 * T
    right = {"t": T, "x": 6 * np.sin(turn), "y": 6 * (1 - np.cos(turn)), "psi": turn, "v": np.full(30, 3.0)}
    pl.DataFrame(right).write_csv(tmp_path / "log.csv")
    write_map(tmp_path, f'frame = "{frame}"')
    channels = read_folder(tmp_path)[0].channels
    for name, sign in {"x": 1, "y": -1, "psi": -1, "v": 1}.items():
        np.testing.assert_allclose(channels[name], sign * right[name])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('frame = "NED"', "frame to be one of ISO 8855, SAE, Unity"),
        ('files = "../*.csv"', "files to stay in the folder of the map"),
        ('files = "/etc/*"', "files to stay in the folder of the map"),
        ('files = ""', "files to stay in the folder of the map"),
        ('format.msg_path = "../msgs"', "format.msg_path to stay in the folder of the map"),
    ],
)
def test_maps_that_leave_their_folder_or_frame(tmp_path: Path, line: str, message: str) -> None:
    pl.DataFrame(drive()).write_csv(tmp_path / "log.csv")
    write_map(tmp_path, line)
    with pytest.raises(DataError, match=message):
        read_folder(tmp_path)


def test_a_separator_between_quotes(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text('"t","note, free","v [km/h]"\n0,"a, b",1\n1,"c",2\n')
    raw = read_log(path, ["t", "v"], {})
    np.testing.assert_array_equal(raw.columns["v"], [1.0, 2.0])
    assert raw.units["v"] == "km/h"


def test_a_line_with_too_many_cells_is_named(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("t,v\n0,1\n1,2,3,4\n")
    with pytest.raises(DataError, match="expected 2 cells in every line, found 4 in line 3"):
        read_log(path, ["t", "v"], {})


def test_json_keys_that_the_first_row_lacks(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_text('[{"t": 0, "a": null}, {"t": 1, "a": {"v": 2}}, {"t": 2, "late": 3}]')
    assert list(read_log(path, None, {}).columns) == ["t", "a.v", "late"]


def test_comments_between_the_samples(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("# car 7\nt,v\n0,1\n# a lap, the first\n1,2\n# end\n")
    for names in (None, ["t", "v"]):
        np.testing.assert_array_equal(read_log(path, names, {}).columns["v"], [1.0, 2.0])
    assert read_log(path, ["t"], {}).rows.tolist() == [3, 5]
