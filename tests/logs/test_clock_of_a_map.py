"""The time in a map: a step or a rate, several columns that add up, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pct.errors import DataError
from pct.logs.map_files import read_map
from pct.recordings.folder import read_file, read_folder
from pct.recordings.trajectory import Trajectory

ROWS = 50
CHANNELS = "".join(f'[channels.{name}]\ncolumn = "{name}"\n' for name in ("x", "y", "psi", "v"))


def read(folder: Path, time: str, **clock: object) -> Trajectory:
    t = 0.1 * np.arange(ROWS)
    log = {"x": 3 * t, "y": 0 * t, "psi": 0 * t, "v": 3 + 0 * t}
    pl.DataFrame({**log, **clock}).write_csv(folder / "log.csv")
    (folder / "signals.toml").write_text(f"[time]\n{time}\n{CHANNELS}")
    (recording,) = read_folder(folder)
    return recording


@pytest.mark.parametrize("time", ["step = 0.1", "rate = 10"])
def test_a_log_without_a_clock(tmp_path: Path, time: str) -> None:
    recording = read(tmp_path, time)
    assert (recording.dt, recording.start, len(recording)) == (0.1, 0.0, ROWS)


@pytest.mark.parametrize("units", ['unit = ["min", "ms"]', ""])
def test_a_time_of_two_columns(tmp_path: Path, units: str) -> None:
    """With the units of the map, or of the file."""
    t = 0.1 * np.arange(ROWS) + 57.0
    names = ("minute", "rest") if units else ("minute [min]", "rest [ms]")
    clock = dict(zip(names, (t // 60, 1e3 * (t % 60)), strict=True))
    recording = read(tmp_path, f'column = ["minute", "rest"]\n{units}', **clock)
    assert len(recording) == ROWS
    np.testing.assert_allclose([recording.dt, recording.start], [0.1, 57.0], atol=1e-9)


def test_a_rate_takes_the_place_of_the_clock_of_a_preset(tmp_path: Path) -> None:
    (tmp_path / "signals.toml").write_text('preset = "plain-csv"\n[time]\nrate = 50')
    assert read_map(tmp_path / "signals.toml").step == 0.02


@pytest.mark.parametrize(
    ("time", "message"),
    [
        ("", r"time\.column to be the raw column of the time, found nothing: of a log without one write"),
        ('column = "t"\nstep = 0.1', r"found column and step"),
        ("step = 0", r"time\.step to be a number from 1e-06 to 3600 s"),
        ("rate = true", r"time\.rate to be a number"),
        ('column = ["a"]', r"2 to 4 raw columns that add up to the time"),
        ('column = ["a", "b"]\nunit = "s"', r"time\.unit as many units"),
        ('column = ["a", "b"]\nunit = ["s", "kg"]', r"time\.unit to be a unit that converts to s"),
        ('column = ["a", 3]', r"time\.column to be a list of raw columns, found 3"),
    ],
)
def test_clocks_that_are_none(tmp_path: Path, time: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, time)


def test_a_group_without_numbers_is_refused(tmp_path: Path) -> None:
    t = 0.1 * np.arange(ROWS)
    frame = pl.DataFrame({"t": t, "x": t, "y": t, "psi": t, "v": t, "car": [""] * ROWS})
    frame.write_csv(tmp_path / "log.csv")
    (tmp_path / "signals.toml").write_text(f'group = "car"\n[time]\ncolumn = "t"\n{CHANNELS}')
    with pytest.raises(DataError, match=r"expected numbers in 'car', found none: correct `group`"):
        read_file(tmp_path / "log.csv", read_map(tmp_path / "signals.toml"))
