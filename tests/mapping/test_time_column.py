"""The time of a proposed map: texts, ticks, stamps over several columns, fixed rates, none at all."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pct.api.maps import ProposedMap, propose_map
from pct.errors import DataError
from pct.logs.map_files import read_map
from pct.recordings.folder import read_file
from pct.recordings.trajectory import Trajectory
from pct.types import Column

DT = 0.02
START = datetime.datetime(2024, 5, 1, 23, 59, 50)
GPS_WEEK = 604800.0


def drive(rows: int = 1000, dt: float = DT) -> dict[str, Column]:
    """A car of 0.33 m wheelbase that weaves at 2 to 4 m/s."""
    t = dt * np.arange(rows)
    v = 3.0 + np.sin(0.7 * t)
    delta = 0.25 * np.sin(1.3 * t)
    psi_dot = v * np.tan(delta) / 0.33
    psi = np.concatenate([[0.3], 0.3 + np.cumsum(psi_dot[:-1] * dt)])
    x, y = (np.concatenate([[0.0], np.cumsum((v * f(psi))[:-1] * dt)]) for f in (np.cos, np.sin))
    return {"x": x, "y": y, "yaw": psi, "speed": v, "yaw_rate": psi_dot, "steering_angle": delta}


def texts(form: str) -> list[str]:
    stamps = [START + datetime.timedelta(seconds=DT * row) for row in range(1000)]
    return [stamp.strftime(form) for stamp in stamps]


def mapped(path: Path, clock: dict[str, object], columns: dict[str, Column] | None = None) -> ProposedMap:
    """The map that is proposed for a log with this clock, written beside it."""
    pl.DataFrame({**clock, **(columns or drive())}).write_csv(path / "log.csv")
    return propose_map(path / "log.csv", path / "signals.toml")


def loaded(path: Path, clock: dict[str, object]) -> list[Trajectory]:
    proposal = mapped(path, clock)
    assert "loads with this map" in next(iter(proposal.outcomes.values())), proposal
    return read_file(path / "log.csv", read_map(path / "signals.toml"))


def test_a_stamp_of_two_columns_has_a_gap(tmp_path: Path) -> None:
    kept = np.r_[:400, 550:1000]
    stamps = 1_700_000_000_250_000_000 + np.round(1e9 * T[kept]).astype(np.int64)
    columns = {name: column[kept] for name, column in drive().items()}
    proposal = mapped(tmp_path, {"sec": stamps // 10**9, "nsec": stamps % 10**9}, columns)
    assert 'column = ["sec", "nsec"]' in proposal.text


def test_positions_in_mm_tell_the_step_as_well(tmp_path: Path) -> None:
    columns = drive()
    lengths = {"pos_x_mm": 1000 * columns.pop("x"), "pos_y_mm": 1000 * columns.pop("y")}
    proposal = mapped(tmp_path, {}, {**lengths, **columns})
    assert "[time]\nstep = 0.02\n" in proposal.text


def test_a_channel_is_not_called_the_closest_to_a_time(tmp_path: Path) -> None:
    """Without a yaw rate nothing tells the step, and a position that grows is no clock."""
    columns = {name: column for name, column in drive().items() if name != "yaw_rate"}
    columns["x"] = columns["x"] + 10 * T
    with pytest.raises(DataError, match="found none among 5: for a log at a fixed rate write") as refused:
        mapped(tmp_path, {}, columns)
    assert "'x'" not in str(refused.value)


T = DT * np.arange(1000)
TOW = (GPS_WEEK - 10 + T) % GPS_WEEK
CLOCKS: dict[str, dict[str, object]] = {
    "ISO 8601": {"time": texts("%Y-%m-%dT%H:%M:%S.%fZ")},
    "compact": {"time": texts("%Y%m%dT%H%M%S.%f")},
    "date and time with the day first": {"Timestamp": texts("%d/%m/%Y %H:%M:%S.%f")},
    "timedelta": {"t": [f"0 days 00:00:{t:09.6f}" for t in T]},
    "time of day": {"clock": [f"12:00:{t:06.3f}" for t in T]},
    "minutes": {"time": [f"0:{t:05.2f}" for t in T]},
    "number with its unit": {"time": [f"{1000 * t:.0f} ms" for t in T]},
    ".NET ticks": {"SimTs": 638617439233577216 + (1e7 * T).astype(np.int64)},
    "ticks of a stopwatch": {"stopwatch": (1e7 * T).astype(np.int64)},
    "FILETIME": {"stamp": 133500000000000000 + (1e7 * T).astype(np.int64)},
    "days of Excel": {"Date": 45413.0 + T / 86400},
    "frames": {"frame": np.arange(1000)},
    "jiffies": {"jiffies": (100 * T).round().astype(int) + 4294000},
    "GPS ms": {"gps_ms": 1000 * (GPS_WEEK - 100 + T)},
    "s and ns": {"sec": 1700000000 + T.astype(int), "nsec": ((T % 1) * 1e9).round().astype(int)},
    "s and us": {"s": T.astype(int), "us": ((T % 1) * 1e6).round().astype(int)},
    "s and ms": {"second": T.astype(int), "millis": ((T % 1) * 1e3).round().astype(int)},
    "GPS week and time of week": {"week": 2300 + (np.arange(1000) >= 500), "tow": TOW},
    "GPS week and ms of week": {"GWk": 2300 + (np.arange(1000) >= 500), "GMS": (1e3 * TOW).round()},
    "date and time of day": {"Date": texts("%Y-%m-%d"), "Time": texts("%H:%M:%S.%f")},
    "digits of NMEA over midnight": {"UTC": texts("%H%M%S.%f")},
    "digits of hundredths": {"utc_time": [int(text[:-4]) for text in texts("%H%M%S%f")]},
    "digits of milliseconds": {"GPS Time": [int(text[:-3]) for text in texts("%H%M%S%f")]},
    "digits of date and time": {"stamp": [text[:-4] for text in texts("%Y%m%d%H%M%S.%f")]},
    "hours, minutes, seconds": {
        "hour": ((7190 + T) // 3600).astype(int),
        "minute": ((7190 + T) // 60 % 60).astype(int),
        "second": (7190 + T) % 60,
    },
    "none": {},
}


@pytest.mark.parametrize("clock", CLOCKS.values(), ids=CLOCKS)
def test_clocks_as_recorders_write_them(tmp_path: Path, clock: dict[str, object]) -> None:
    """One recording at the true step, without a word by hand."""
    (recording,) = loaded(tmp_path, clock)
    assert abs(recording.dt / DT - 1) < 1e-3
    assert len(recording) >= 999
    np.testing.assert_allclose(recording.channels["v"][:999], drive()["speed"][:999], atol=0.02)


@pytest.mark.parametrize(
    ("clock", "lines"),
    [
        (CLOCKS[".NET ticks"], ['column = "SimTs"', 'unit = "100 ns"']),
        (CLOCKS["s and ns"], ['column = ["sec", "nsec"]', 'unit = ["s", "ns"]']),
        (CLOCKS["digits of NMEA over midnight"], ['column = "hhmmss(UTC)"']),
        (CLOCKS["none"], ["step = 0.02"]),
        (CLOCKS["frames"], ['column = "frame"', 'unit = "s/50"']),
    ],
)
def test_how_a_clock_stands_in_the_map(
    tmp_path: Path, clock: dict[str, object], lines: Sequence[str]
) -> None:
    text = mapped(tmp_path, clock).text
    assert "[time]\n" + "\n".join(lines) + "\n" in text


def test_a_clock_that_is_set_back_is_told(tmp_path: Path) -> None:
    time = T - np.where(np.arange(1000) >= 600, 3.5, 0.0)
    text = mapped(tmp_path, {"time": time}).text
    assert "time: 'time' goes back by 3.48 s in line 602: the recording is cut there" in text
    recordings = read_file(tmp_path / "log.csv", read_map(tmp_path / "signals.toml"))
    assert [len(recording) for recording in recordings] == [600, 400]


def position_only() -> dict[str, Column]:
    return {name: column for name, column in drive().items() if name in ("x", "y", "yaw")}


@pytest.mark.parametrize(
    ("clock", "reason"),
    [
        ({}, r"found none among 3: for a log at a fixed rate write \[time\] step"),
        (
            {"frame": np.arange(1000)},
            r"'frame' counts rows, and nothing tells their rate: write \[time\] step",
        ),
        (
            {"time": np.where(np.arange(1000) % 3, T, 0.0)},
            r"'time' comes closest, but goes back in line 5 \(0\.04, then 0\), and in 33% of the rows",
        ),
        ({"time": np.zeros(1000)}, r"'time' comes closest, but stands still in line 3 \(0, then 0\)"),
        (
            {"time": T // 0.04, "car": ["red", "blue"] * 500},
            r"'time' comes closest, but stands still in line 3 .*\n"
            r"If 'car' tells vehicles apart, write numbers for its texts such as 'red', and group = \"car\"",
        ),
        (
            {"time": [f"lap{row}" for row in range(1000)]},
            r"'time' holds 'lap0', which is no time that is known",
        ),
    ],
)
def test_a_refusal_names_the_column_the_row_and_the_cure(
    tmp_path: Path, clock: dict[str, object], reason: str
) -> None:
    with pytest.raises(DataError, match=rf"(?s)log\.csv: expected a column of the time.*{reason}"):
        mapped(tmp_path, clock, position_only())


def test_rows_of_two_cars(tmp_path: Path) -> None:
    """Each car is a log of its own: its stamps go on, and its path is one."""
    log = drive()
    rows = [
        {"time": DT * row, "car": car, **{name: column[row] for name, column in log.items()}}
        for row in range(1000)
        for car in (3, 7)
    ]
    frame = pl.DataFrame(rows).with_columns(y=pl.col("y") + 10.0 * (pl.col("car") == 7))
    frame.write_csv(tmp_path / "log.csv")
    text = propose_map(tmp_path / "log.csv", tmp_path / "signals.toml").text
    assert 'group = "car"' in text
    recordings = read_file(tmp_path / "log.csv", read_map(tmp_path / "signals.toml"))
    assert [(recording.name, len(recording)) for recording in recordings] == [
        ("log_3", 1000),
        ("log_7", 1000),
    ]
    assert abs(recordings[1].channels["y"][0] - recordings[0].channels["y"][0] - 10.0) < 1e-9


def test_a_gear_is_no_car(tmp_path: Path) -> None:
    gear = 1 + np.arange(1000) // 100 % 3
    assert "group" not in mapped(tmp_path, {"time": T, "gear": gear}).text


def test_columns_of_other_rates_are_found_between_their_samples(tmp_path: Path) -> None:
    """With empty cells, as tables of several rates have; a map by hand reads them as well."""
    log = {name: column.copy() for name, column in drive().items()}
    for name, every in (("speed", 5), ("yaw_rate", 2), ("steering_angle", 3)):
        log[name][np.arange(1000) % every != 0] = np.nan
    frame = pl.DataFrame({"t": T, **log}).with_columns(pl.all().fill_nan(None))
    frame.write_csv(tmp_path / "log.csv")
    text = propose_map(tmp_path / "log.csv", tmp_path / "signals.toml").text
    assert all(f"[channels.{name}]" in text for name in ("v", "psi_dot", "delta"))
    assert "faults" not in text
    (recording,) = read_file(tmp_path / "log.csv", read_map(tmp_path / "signals.toml"))
    np.testing.assert_allclose(recording.channels["v"], drive()["speed"][: len(recording)], atol=2e-3)
    np.testing.assert_allclose(
        recording.channels["delta"], drive()["steering_angle"][: len(recording)], atol=2e-3
    )


def test_a_table_that_joins_two_recorders(tmp_path: Path) -> None:
    """No row has values of both: the pose at 50 Hz, the readings at 40 Hz, each on its own clock."""
    pose, readings = drive(), drive(800, 0.025)
    frame = pl.concat(
        [
            pl.DataFrame({"t": T, **{name: pose[name] for name in ("x", "y", "yaw")}}),
            pl.DataFrame(
                {"t": 0.025 * np.arange(800) + 0.003, **{n: readings[n] for n in ("speed", "yaw_rate")}}
            ),
        ],
        how="diagonal",
    ).sort("t")
    frame.write_csv(tmp_path / "log.csv")
    propose_map(tmp_path / "log.csv", tmp_path / "signals.toml")
    (recording,) = read_file(tmp_path / "log.csv", read_map(tmp_path / "signals.toml"))
    assert abs(recording.dt - DT) < 1e-6
    expected = np.interp(recording.start + DT * np.arange(len(recording)), T + 0.003, pose["speed"])
    np.testing.assert_allclose(recording.channels["v"], expected, atol=5e-3)


def test_a_gap_of_a_sparse_column_stays_one(tmp_path: Path) -> None:
    log = {name: column.copy() for name, column in drive().items()}
    log["speed"][(np.arange(1000) % 5 != 0) | (abs(np.arange(1000) - 500) < 50)] = np.nan
    pl.DataFrame({"t": T, **log}).with_columns(pl.all().fill_nan(None)).write_csv(tmp_path / "log.csv")
    channels = "".join(
        f'[channels.{a}]\ncolumn = "{b}"\n' for a, b in (("x", "x"), ("y", "y"), ("v", "speed"))
    )
    (tmp_path / "signals.toml").write_text(f'faults = "cut"\n[time]\ncolumn = "t"\n{channels}')
    recordings = read_file(tmp_path / "log.csv", read_map(tmp_path / "signals.toml"))
    assert [len(recording) for recording in recordings] == [451, 446]


def test_rows_between_whole_seconds(tmp_path: Path) -> None:
    """Ten rows have one stamp: the step is a tenth of a second, unless a second is missing."""
    stamps = [START + datetime.timedelta(seconds=row // 10) for row in range(600)]
    whole = [stamp.strftime("%Y-%m-%d %H:%M:%S") for stamp in stamps]
    columns = drive(600, 0.1)
    text = mapped(tmp_path, {"timestamp": whole}, columns).text
    assert "[time]\nstep = 0.1\n" in text
    assert "'timestamp' goes on by 1 s after every 10 rows" in text
    without = {name: np.delete(column, slice(100, 150)) for name, column in columns.items()}
    (tmp_path / "signals.toml").unlink()
    with pytest.raises(DataError, match="'timestamp' comes closest, but stands still in line 3"):
        mapped(tmp_path, {"timestamp": [*whole[:100], *whole[150:]]}, without)
