"""Dataset folders are read back as written, damage is refused, and resampling keeps what a rollout needs."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pct.errors import DataError
from pct.files import sha256
from pct.logs.readers import base
from pct.recordings.folder import read_folder
from pct.recordings.trajectory import MANIFEST, Trajectory, read_dataset, resample, write_dataset

DT = 0.02


def drive(rows: int = 101) -> Trajectory:
    """A turn at growing speed whose heading wraps, with a command, a feature and a truth column."""
    t = DT * np.arange(rows)
    psi = 3.0 + 2.0 * t
    accel = np.where(np.arange(rows) % 2, 1.0, 3.0)
    channels = {
        "x": 5000.0 + np.cumsum(np.cos(psi)) * DT,
        "y": np.cumsum(np.sin(psi)) * DT,
        "psi": (psi + np.pi) % (2 * np.pi) - np.pi,
        "v": 1.0 + DT * np.concatenate([[0.0], np.cumsum(accel[:-1])]),
        "accel": accel,
        "feature.grip": np.arange(rows) * 1.0,
        "truth.mu": np.where(t < 1.0, 0.5, 1.0),
    }
    units = dict.fromkeys(channels, "1") | {"x": "m", "y": "m", "psi": "rad", "v": "m/s", "accel": "m/s^2"}
    origins = dict.fromkeys(channels, "measured") | {"accel": "command", "truth.mu": "truth"}
    return Trajectory("drive", DT, channels, units, origins, source="test", start=7.0)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "set"
    write_dataset(folder, [drive(), drive().slice(10, 40, name="part")], vehicle="test car")
    return folder


def test_reads_back_what_was_written(dataset: Path) -> None:
    first, part = read_dataset(dataset)
    written = drive()
    assert (first.name, part.name) == ("drive", "part")
    assert (first.dt, first.source, first.start) == (DT, "test", 7.0)
    assert part.start == pytest.approx(7.0 + 10 * DT)
    assert first.units == written.units
    assert first.origins == written.origins
    for name, column in written.channels.items():
        assert first.channels[name].dtype == np.float64
        np.testing.assert_allclose(first.channels[name], column, rtol=1e-6, atol=1e-6)
    # Map coordinates and headings, which laps add up in, keep double precision.
    for name in ("x", "y", "psi"):
        np.testing.assert_array_equal(first.channels[name], written.channels[name])


def edit(change: Callable[[dict], object]) -> Callable[[Path], object]:
    def damage(folder: Path) -> None:
        manifest = json.loads((folder / MANIFEST).read_text())
        change(manifest)
        (folder / MANIFEST).write_text(json.dumps(manifest))

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "part.parquet").unlink(), r"part\.parquet: expected this recording"),
        (lambda folder: (folder / "part.parquet").write_bytes(b"PAR1"), r"part\.parquet: the file changed"),
        (
            lambda folder: (folder / MANIFEST).write_text('{"format"'),
            "a dataset, found no JSON at line 1, column",
        ),
        (edit(lambda manifest: manifest.update(format=99)), "expected format 1, found 99"),
        (edit(lambda manifest: manifest.pop("columns")), "'columns': expected a value, found none"),
        (
            edit(lambda manifest: manifest["columns"]["v"].pop("unit")),
            "'columns.v.unit': expected a value",
        ),
        (edit(lambda manifest: manifest["columns"].pop("v")), "found a difference in: v"),
        (edit(lambda manifest: manifest.update(recordings=[])), "at least one recording"),
        (edit(lambda manifest: manifest["recordings"][0].update(rows=5)), "expected 5 rows, found 101"),
    ],
)
def test_damage_is_refused(dataset: Path, damage: Callable[[Path], object], message: str) -> None:
    damage(dataset)
    with pytest.raises(DataError, match=message):
        read_folder(dataset)


def test_a_file_that_is_no_parquet_is_refused(dataset: Path) -> None:
    import hashlib

    (dataset / "part.parquet").write_bytes(b"no parquet")
    digest = hashlib.sha256(b"no parquet").hexdigest()
    edit(lambda manifest: manifest["recordings"][1].update(sha256=digest))(dataset)
    with pytest.raises(DataError, match=r"part\.parquet: expected a parquet file"):
        read_folder(dataset)


@pytest.mark.parametrize("name", ["../drive.parquet", "/tmp/drive.parquet", "in/drive.parquet", ".."])
def test_files_outside_the_folder_are_refused(dataset: Path, name: str) -> None:
    manifest = json.loads((dataset / MANIFEST).read_text())
    manifest["recordings"][0]["file"] = name
    (dataset / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(DataError, match="expected the names of files in its folder, found"):
        read_dataset(dataset)


def test_a_name_that_no_disk_takes_is_refused(dataset: Path) -> None:
    manifest = json.loads((dataset / MANIFEST).read_text())
    manifest["recordings"][0]["file"] = "x" * 5000
    (dataset / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(DataError, match=r"expected this recording, .* found no such file"):
        read_dataset(dataset)


def test_values_of_a_dataset_are_checked(tmp_path: Path) -> None:
    bad = drive()
    bad.channels["v"][5] = np.nan  # type: ignore[index]
    write_dataset(tmp_path / "set", [bad], vehicle="test car")
    with pytest.raises(DataError, match=r"drive\.parquet: expected 'v' within 120 m/s, found nan in row 5"):
        read_folder(tmp_path / "set")


def test_resample_slices_where_it_divides() -> None:
    coarse = resample(drive(), 0.06)
    assert (coarse.dt, len(coarse), coarse.start) == (0.06, 34, 7.0)
    np.testing.assert_array_equal(coarse.channels["v"], drive().channels["v"][::3])


def test_resample_to_the_same_step_changes_nothing() -> None:
    fine = drive()
    assert resample(fine, DT) is fine


@pytest.mark.parametrize("name", ["drive", "throttle", "brake", "delta_dot"])
def test_inputs_that_are_measured_are_averaged_too(name: str) -> None:
    """A rollout holds them over a step, wherever they come from."""
    pressed = np.where(np.arange(101) % 2, 1.0, 3.0)
    fine = Trajectory("drive", DT, {name: pressed}, {name: "1"}, {name: "measured"})
    np.testing.assert_allclose(resample(fine, 2 * DT).channels[name][:-1], 2.0)


@pytest.mark.parametrize("dt", [0.04, 0.06, 0.05, 0.03, 0.008])
def test_resampled_command_leads_to_the_same_speed(dt: float) -> None:
    other = resample(drive(), dt)
    v, accel = other.channels["v"], other.channels["accel"]
    # Speed is piecewise linear between the old rows, and so exact at the new ones.
    np.testing.assert_allclose(v[:-1] + dt * accel[:-1], v[1:], atol=1e-9)


@pytest.mark.parametrize("dt", [0.05, 0.013])
def test_resample_interpolates_states_and_holds_the_rest(dt: float) -> None:
    other = resample(drive(), dt)
    t = dt * np.arange(len(other))
    assert t[-1] <= 2.0 + 1e-9
    np.testing.assert_allclose(other.channels["psi"], 3.0 + 2.0 * t, atol=1e-9)
    assert set(other.channels["truth.mu"]) == {0.5, 1.0}
    # No look ahead: the value of the last old row that is not later.
    np.testing.assert_array_equal(other.channels["feature.grip"], np.floor(t / DT + 1e-6))


def test_readings_of_what_a_rollout_holds_stay_about_their_rows() -> None:
    """A straight line stays one, whereas the mean over the step after each row comes half a step early."""
    rows = np.arange(40.0)
    drive = Trajectory("a", 0.1, {"accel": rows}, {"accel": "m/s^2"}, {"accel": "measured"})
    after = resample(drive, 0.4, readings=True).channels["accel"]
    np.testing.assert_allclose(after[1:-1], rows[::4][1:-1])
    np.testing.assert_allclose(resample(drive, 0.4).channels["accel"][1:-1], rows[::4][1:-1] + 1.5)
    command = dataclasses.replace(drive, origins={"accel": "command"})
    np.testing.assert_allclose(
        resample(command, 0.4, readings=True).channels["accel"], resample(drive, 0.4).channels["accel"]
    )


def test_a_folder_whose_name_is_a_pattern_is_read(tmp_path: Path) -> None:
    write_dataset(tmp_path / "lap[1]", [drive()], vehicle="test car")
    (tmp_path / "lap1").mkdir()
    assert read_dataset(tmp_path / "lap[1]")[0].name == "drive"


@pytest.mark.parametrize("column", ["fast", b"fast", [1.0]], ids=["text", "bytes", "list"])
def test_columns_that_are_no_numbers_are_refused(dataset: Path, column: object) -> None:
    path = dataset / "drive.parquet"
    pl.read_parquet(path).with_columns(v=pl.lit(column)).write_parquet(path)
    edit(lambda manifest: manifest["recordings"][0].update(sha256=sha256(path)))(dataset)
    with pytest.raises(DataError, match=r"drive\.parquet: expected numbers in 'v', found"):
        read_dataset(dataset)


def test_rows_that_would_fill_the_memory_are_not_read(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal rows take next to nothing in a file."""
    monkeypatch.setattr(base, "HARMLESS", 1 << 16)
    path = dataset / "drive.parquet"
    rows = 1_000_000
    names = pl.read_parquet_schema(path)
    pl.select(**{name: pl.zeros(rows, dtype=pl.Float32) for name in names}).write_parquet(path)
    edit(lambda manifest: manifest["recordings"][0].update(sha256=sha256(path), rows=rows))(dataset)
    with pytest.raises(DataError, match=r"drive\.parquet: expected a log, found .* that unpack to"):
        read_dataset(dataset)
