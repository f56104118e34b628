"""`pct track`: tables, files, rows as they come, and what it refuses."""

import io
import json
from pathlib import Path

import polars as pl
import pytest

import pct
from pct.cli.main import main
from pct.errors import DataError
from pct.rollout.native.compiler import NoCompiler, find_compiler
from pct.tracking.follow import grown_lines, read_rows

KNOWN = ("--fixed", "C_Sf", "C_Sr", "m", "I")


@pytest.fixture(autouse=True)
def compiler() -> None:
    try:
        find_compiler()
    except NoCompiler:
        pytest.skip("the tracker is native code")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("track") / "drives"
    pct_simulate = ["simulate", "--output", str(place), "--recordings", "1", "--duration", "5", "--seed", "3"]
    main(pct_simulate)
    return place


def test_files_and_tables(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(
        [
            "track",
            "singletrack",
            str(folder),
            "--vary",
            "mu=0.3:1.2",
            *KNOWN,
            "--output",
            str(tmp_path / "out"),
        ]
    )
    shown = capsys.readouterr().out
    assert "mu may change; all others are held, exactly known." in shown
    table = pl.read_parquet(tmp_path / "out" / "track.parquet")
    assert {"t", "x", "mu", "mu_low", "mu_high", "mu_smoothed", "mu_told", "mu_recent"} <= set(table.columns)
    saved = json.loads((tmp_path / "out" / "track.json").read_text())
    assert saved["vary"]["mu"]["range"] == [0.3, 1.2]
    assert "<h1>mu of singletrack over time</h1>" in (tmp_path / "out" / "track.html").read_text()
    # The levels of this drive serve another.
    levels = ["--levels", str(tmp_path / "out" / "track.json")]
    main(["track", "singletrack", str(folder), *KNOWN, *levels, "--output", str(tmp_path / "again")])
    assert "Levels given" in capsys.readouterr().out


def test_rows_as_they_come(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = pct.load(folder)[0].table().drop("x", "y")
    lines = table.write_csv().splitlines()
    lines[5] = "oops"
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines)))
    main(["track", "singletrack", "--follow", *KNOWN])
    out, err = capsys.readouterr()
    rows = [json.loads(line) for line in out.splitlines()]
    assert len(rows) == len(table) - 1
    assert set(rows[-1]["mu"]) == {"median", "low", "high", "told", "recent"}
    assert "line 6: expected" in err


def test_an_mcap_file_that_grows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import Stores, get_typestore

    store, kind = get_typestore(Stores.ROS2_HUMBLE), "geometry_msgs/msg/Quaternion"
    with Writer(tmp_path / "bag", version=8, storage_plugin=StoragePlugin.MCAP) as bag:
        topic = bag.add_connection("/car", kind, typestore=store)
        for k in range(40):
            message = store.types[kind](x=4.0, y=0.6, z=0.02, w=0.05)
            bag.write(topic, 10**9 + 50_000_000 * k, store.serialize_cdr(message, kind))
    (tmp_path / "signals.toml").write_text(
        '[time]\ncolumn = "/car.time"\n'
        + "".join(
            f'[channels.{name}]\ncolumn = "/car.{field}"\n'
            for name, field in {"v": "x", "psi_dot": "y", "beta": "z", "delta": "w"}.items()
        )
    )
    (log,) = (tmp_path / "bag").glob("*.mcap")
    main(
        [
            *("track", "singletrack", str(log), "--follow", "--wait", "0"),
            *("--map", str(tmp_path / "signals.toml"), "--fixed", "C_Sf", "C_Sr", "m", "I"),
        ]
    )
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["t"] for row in rows] == pytest.approx([1.0 + 0.05 * k for k in range(40)])
    assert {"mu", "t"} == set(rows[0])


def test_the_tracker_in_c(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", "none")
    file = tmp_path / "tracker.c"
    flags = ["--model", "singletrack", "--tracker", "--vary", "mu", *KNOWN]
    main(["export", "c", *flags, "--output", str(file)])
    assert "void pct_track_singletrack_update(" in file.read_text()
    out, err = capsys.readouterr()
    assert f"Wrote {file}: the tracker of mu" in out
    assert "the file was never compiled" in err
    with pytest.raises(SystemExit):
        main(["export", "c", "--model", "singletrack", "--fixed", "m"])
    assert "--fixed and --levels go with --tracker" in capsys.readouterr().err


def test_lines_of_a_file_that_grows(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("t,v\n1,2\n")
    lines = grown_lines(log, 0.0)
    assert next(lines) == "t,v\n"
    with log.open("a") as file:
        file.write("2,3")
    assert list(lines) == ["1,2\n", "2,3"]
    with pytest.raises(DataError, match=r"none\.csv: cannot read"):
        next(grown_lines(tmp_path / "none.csv", 0.0))


def test_csv_and_json_lines() -> None:
    assert list(read_rows(["t,v,z", "0,1,9", "1,,9", "2,x,9"], ["v"])) == [
        {"t": 0.0, "v": 1.0},
        pytest.approx({"t": 1.0, "v": float("nan")}, nan_ok=True),
        "line 4: v: expected a number, found 'x', left out",
    ]
    assert list(read_rows(['{"t": 1, "v": 2, "w": "a"}', '{"v": 1}', "{"], ["v"])) == [
        {"t": 1.0, "v": 2.0},
        "line 2: expected 't', left out",
        "line 3: expected a JSON object of numbers, left out",
    ]
    with pytest.raises(DataError, match="expected a head with 't' in s"):
        list(read_rows(["time,v"], ["v"]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["singletrack"], "LOGS: expected a log or a dataset folder, got none; --follow reads"),
        (["singletrack", "a", "b", "--follow"], "expected one file at most, got 2"),
        (["singletrack", "a", "--vary", "mu=x"], "expected NAME or NAME=LOW:HIGH"),
        (["singletrack", "a", "--wait", "2"], "goes with"),
        (["singletrack", "--follow", "--wait", "2"], "and a file or --ros"),
        (["singletrack", "a", "--follow", "--ros"], "--ros goes with --follow, and without a file"),
    ],
)
def test_what_is_refused(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["track", *arguments])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
