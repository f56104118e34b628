"""Imports: what becomes of good logs, of faults, and of files that cannot be used."""

from __future__ import annotations

import gc
import json
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from pct.api.imports import import_logs
from pct.errors import DataError, UsageError
from pct.importing.file import import_file
from pct.importing.settings import ImportSettings
from pct.logs.blocks import ROWS as BLOCK
from pct.logs.readers import csv, read_log
from pct.mapping.log_files import find_logs
from pct.recordings.folder import read_folder
from pct.recordings.gaps import bridge
from pct.recordings.outliers import SAMPLE, find_spikes
from pct.recordings.position_jumps import find_seams
from pct.recordings.segments import find_laps, moving_stretches, split_blocks, split_laps
from pct.recordings.trajectory import Trajectory, read_dataset

DT = 0.02
RADIUS, SPEED = 5.0, 4.0
LAP = 2 * np.pi * RADIUS / SPEED
MAP = """
vehicle = "a car on a circle"
[time]
column = "t"
[channels.x]
column = "x"
[channels.y]
column = "y"
[channels.psi]
column = "psi"
[channels.vx]
column = "v"
[channels.delta]
column = "steering"
origin = "command"
"""


def circle(seconds: float = 20.0) -> dict[str, np.ndarray]:
    """A circle to the left, its steering a slow wave that the path does not follow."""
    t = np.arange(0.0, seconds, DT)
    angle = SPEED / RADIUS * t
    return {
        "t": t,
        "x": RADIUS * np.cos(angle),
        "y": RADIUS * np.sin(angle),
        "psi": angle + np.pi / 2,
        "v": np.full(len(t), SPEED),
        "steering": 0.05 + 0.01 * np.sin(0.5 * t),
    }


def write(folder: Path, name: str = "drive", **columns: np.ndarray) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "signals.toml").write_text(MAP)
    path = folder / f"{name}.csv"
    pl.DataFrame(circle() | columns).write_csv(path)
    return path


def imported(folder: Path, **options: Any) -> list[Trajectory]:
    """The recordings that an import of a folder gives, without a split."""
    output = folder.parent / f"{folder.name}_imported"
    import_logs(folder, output, **options)
    return read_dataset(output)


def test_a_clean_log_keeps_its_samples(tmp_path: Path) -> None:
    write(tmp_path / "logs")
    (drive,) = imported(tmp_path / "logs")
    logged = circle()
    assert drive.dt == pytest.approx(DT)
    for name, column in (("x", "x"), ("psi", "psi"), ("delta", "steering")):
        np.testing.assert_allclose(drive.channels[name], logged[column], atol=1e-5)
    assert drive.origins["delta"] == "command"
    assert drive.source.startswith("a car on a circle: drive.csv, lines 2-")


def test_spikes_and_short_holes_are_bridged(tmp_path: Path) -> None:
    drive = circle()
    drive["v"][300] = 90.0
    drive["x"][500:503] = np.nan
    write(tmp_path / "logs", **drive)
    (recording,) = imported(tmp_path / "logs")
    np.testing.assert_allclose(recording.channels["vx"], SPEED, atol=1e-6)
    np.testing.assert_allclose(recording.channels["x"], circle()["x"], atol=5e-3)
    notes = json.loads((tmp_path / "logs_imported" / "dataset.json").read_text())["notes"]
    assert notes["sources"]["drive"]["spikes"] == {"vx": 1}
    assert notes["sources"]["drive"]["bridged_samples"] == {"x": 3, "vx": 1}


def test_a_long_hole_cuts(tmp_path: Path) -> None:
    drive = circle()
    drive["x"][500:520] = np.nan
    write(tmp_path / "logs", **drive)
    first, second = imported(tmp_path / "logs")
    assert (len(first), len(second)) == (500, 480)
    assert second.start == pytest.approx(520 * DT)


def test_a_command_is_held_over_a_hole(tmp_path: Path) -> None:
    drive = circle()
    drive["steering"] = np.where(drive["t"] < 10.0, 0.0, 0.1)
    drive["steering"][499:502] = np.nan
    write(tmp_path / "logs", **drive)
    (recording,) = imported(tmp_path / "logs")
    np.testing.assert_array_equal(recording.channels["delta"][498:502], 0.0)
    assert recording.channels["delta"][502] == pytest.approx(0.1)


def test_a_slower_column_of_the_same_file_is_read_between_its_samples(tmp_path: Path) -> None:
    drive = circle()
    drive["v"] = SPEED + 0.1 * np.sin(drive["t"])
    logged = np.where(np.arange(len(drive["t"])) % 2 == 0, drive["v"], np.nan)
    write(tmp_path / "logs", **drive | {"v": logged})
    (recording,) = imported(tmp_path / "logs", gap=0.01)
    np.testing.assert_allclose(
        recording.channels["vx"], drive["v"][: len(recording.channels["vx"])], atol=1e-4
    )


def test_time_stamps_that_repeat_or_stray_are_left_out(tmp_path: Path) -> None:
    drive = circle()
    drive["t"][200:203] = drive["t"][199]
    drive["t"][400] += 5.0
    write(tmp_path / "logs", **drive)
    (recording,) = imported(tmp_path / "logs")
    np.testing.assert_allclose(recording.channels["y"], circle()["y"], atol=5e-3)


def test_a_seam_cuts_and_nothing_is_bridged_over_it(tmp_path: Path) -> None:
    drive = circle()
    drive["x"][600:] += 3.0
    # As a recorder shows it that differentiates positions.
    drive["v"][600] = 150.0
    write(tmp_path / "logs", **drive)
    first, second = imported(tmp_path / "logs")
    assert (len(first), len(second)) == (600, 399)
    assert np.abs(np.diff(second.channels["x"])).max() < 2 * SPEED * DT


def test_a_seam_of_a_long_log_is_found_among_its_samples() -> None:
    # Some rows show what is usual; the rest is looked at as well.
    drive = circle(DT * (5 * SAMPLE + 7))
    drive["x"][3 * SAMPLE + 2 :] += 1.0
    drive["y"][SAMPLE + 1] = np.nan
    found = find_seams(drive["t"], drive["x"], drive["y"])
    assert found is not None
    assert found.rows.tolist() == [3 * SAMPLE + 2]
    assert len(found.good) == len(drive["t"]) - 1


def test_nothing_is_bridged_without_samples_on_both_sides() -> None:
    column = np.array([np.nan, 1.0, np.nan, 3.0, np.nan])
    filled, left = bridge(np.arange(5.0), column, np.isnan(column), 2.0, held=False, seams=np.zeros(0, int))
    np.testing.assert_array_equal(filled, [np.nan, 1.0, 2.0, 3.0, np.nan])
    np.testing.assert_array_equal(left, [True, False, False, False, True])


def test_standstill_is_left_out_but_for_its_ends(tmp_path: Path) -> None:
    logged = circle(10.0)
    moving = len(logged["t"])
    pause = round(30.0 / DT)
    stopped = {name: np.concatenate([c, np.full(pause, c[-1]), c]) for name, c in logged.items()}
    stopped["t"] = DT * np.arange(len(stopped["t"]))
    stopped["v"][moving : moving + pause] = 0.0
    trajectory = Trajectory("a", DT, {key: stopped[key] for key in ("x", "y", "v")}, {}, {})
    (start, end), (again, last) = moving_stretches(trajectory, 5.0)
    assert start == 0
    assert last == 2 * moving + pause
    # A second, and half of the one that the speed is averaged over.
    assert end == pytest.approx(moving + 1.5 / DT, abs=0.1 / DT)
    assert again == pytest.approx(moving + pause - 1.5 / DT, abs=0.1 / DT)
    assert moving_stretches(trajectory, 60.0) == [(0, last)]


def test_laps_of_a_circle(tmp_path: Path) -> None:
    logged = circle(5.3 * LAP)
    noise = np.random.default_rng(0).normal(0.0, 0.02, (2, len(logged["t"])))
    trajectory = Trajectory("a", DT, {"x": logged["x"] + noise[0], "y": logged["y"] + noise[1]}, {}, {})
    crossings = find_laps(trajectory)
    np.testing.assert_allclose(np.diff(crossings) * DT, LAP, atol=0.1)
    assert len(crossings) - 1 == 5


def test_a_drive_that_does_not_come_back_has_no_laps() -> None:
    t = np.arange(0.0, 20.0, DT)
    assert find_laps(Trajectory("a", DT, {"x": 5 * t, "y": np.sin(t)}, {}, {})) == []


@pytest.mark.parametrize(("val", "test"), [(0.2, 0.0), (0.2, 0.2), (0.0, 0.3)])
@pytest.mark.parametrize(
    "split", [split_blocks, lambda rows, **k: split_laps([5, 210, 420, 640, 850], rows, **k)]
)
def test_parts_share_no_row_and_keep_a_gap(split: Callable, val: float, test: float) -> None:
    gap = 30
    segments = split(1000, val=val, test=test, gap=gap)
    assert {s.part for s in segments} == {"train"} | ({"val"} if val else set()) | (
        {"test"} if test else set()
    )
    for before, after in pairwise(segments):
        assert before.part != after.part
        assert after.start - before.stop == gap
    assert segments[0].start == 0
    assert segments[-1].stop == 1000


def test_laps_are_held_out_whole(tmp_path: Path) -> None:
    write(tmp_path / "logs", **circle(6.2 * LAP))
    import_logs(tmp_path / "logs", tmp_path / "set", split="lap", split_gap=1.0)
    train, val = read_dataset(tmp_path / "set" / "train"), read_dataset(tmp_path / "set" / "val")
    assert [len(drive) * DT for drive in val] == [pytest.approx(LAP, abs=0.1)]
    assert len(train) == 2
    ends = sorted((d.start, d.start + len(d) * DT) for d in (*train, *val))
    gaps = [b[0] - a[1] for a, b in pairwise(ends)]
    np.testing.assert_allclose(gaps, 1.0, atol=1e-6)


def test_whole_files_are_held_out(tmp_path: Path) -> None:
    for number in range(5):
        write(tmp_path / "logs", f"drive{number}", **circle(4.0))
    import_logs(tmp_path / "logs", tmp_path / "set", split="recording", processes=1)
    assert len(read_dataset(tmp_path / "set" / "train")) == 4
    assert [drive.name for drive in read_dataset(tmp_path / "set" / "val")] == ["drive2"]


def test_one_recording_cannot_be_dealt_out(tmp_path: Path) -> None:
    write(tmp_path / "logs")
    with pytest.raises(DataError, match="pass `split=lap` or `split=block`"):
        imported(tmp_path / "logs", split="recording")
    assert not (tmp_path / "logs_imported").exists()


def test_the_same_logs_give_the_same_bytes(tmp_path: Path) -> None:
    for number in range(2):
        write(tmp_path / "logs", f"drive{number}")
    contents = []
    for output in (tmp_path / "a", tmp_path / "b"):
        import_logs(tmp_path / "logs", output, split="block", processes=1)
        files = sorted(path for path in output.rglob("*") if path.is_file())
        contents.append({path.relative_to(output): path.read_bytes() for path in files})
    assert contents[0] == contents[1]
    assert {path.name for path in contents[0]} >= {"card.html", "dataset.json"}


def test_a_bad_file_does_not_stop_the_others(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / "logs", f"drive{number}", **circle(4.0))
    (tmp_path / "logs" / "drive1.csv").write_text("t,x,y,psi,v,steering\n0,1,oops,3,4,5\n")
    dataset = import_logs(tmp_path / "logs", tmp_path / "set", processes=2)
    assert [drive.name for drive in read_dataset(tmp_path / "set")] == ["drive0", "drive2"]
    (bad,) = dataset.failed
    assert "drive1.csv: expected a number in column 'y', line 2, found 'oops'" in bad.error


def test_nothing_is_written_where_no_file_can_be_used(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "signals.toml").write_text(MAP)
    (tmp_path / "logs" / "drive.csv").write_text("t,x\n")
    with pytest.raises(DataError, match=r"drive.csv: expected samples below the header"):
        imported(tmp_path / "logs")
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]


def test_an_existing_folder_is_not_imported_into(tmp_path: Path) -> None:
    write(tmp_path / "logs")
    (tmp_path / "logs_imported").mkdir()
    with pytest.raises(DataError, match="expected a new folder"):
        imported(tmp_path / "logs")


def test_files_of_one_name_keep_apart(tmp_path: Path) -> None:
    for day in ("monday", "tuesday"):
        write(tmp_path / "logs").rename(tmp_path / "logs" / "drive.csv")
        (tmp_path / "logs" / day).mkdir()
        (tmp_path / "logs" / "drive.csv").rename(tmp_path / "logs" / day / "drive.csv")
    logs, _ = find_logs([tmp_path / "logs"], None)
    assert [log.name for log in logs] == ["monday-drive", "tuesday-drive"]


def test_a_map_can_be_proposed_on_the_way(tmp_path: Path) -> None:
    path = write(tmp_path / "logs")
    (tmp_path / "logs" / "signals.toml").unlink()
    with pytest.raises(DataError, match="pass `map` with a file"):
        imported(tmp_path / "logs")
    import_logs(path, tmp_path / "set", map="auto")
    (drive,) = read_dataset(tmp_path / "set")
    np.testing.assert_allclose(drive.channels["psi"], circle()["psi"], atol=1e-5)
    assert "column" in (tmp_path / "set" / "signals.toml").read_text()


def test_the_delay_of_the_steering_is_told(tmp_path: Path) -> None:
    t = np.arange(0.0, 60.0, DT)
    rate = 0.5 * np.sin(0.7 * t) + 0.3 * np.sin(1.9 * t)
    psi = np.cumsum(rate) * DT
    x, y = (np.cumsum(SPEED * f(psi)) * DT for f in (np.cos, np.sin))
    late = 10
    steering = np.roll(rate, -late) * 0.3 / SPEED
    write(tmp_path / "logs", t=t, x=x, y=y, psi=psi, v=np.full(len(t), SPEED), steering=steering)
    logs, _ = find_logs([tmp_path / "logs"], None)
    found = import_file(*logs[0], ImportSettings(), tmp_path / "work")
    assert found.delays["delta"].seconds == pytest.approx(late * DT, abs=0.5 * DT)


@pytest.mark.parametrize("smoother", ["savgol", "rts"])
def test_derived_channels_are_added(tmp_path: Path, smoother: str) -> None:
    write(tmp_path / "logs")
    (drive,) = imported(tmp_path / "logs", smooth=smoother)
    np.testing.assert_allclose(drive.channels["psi_dot"][50:-50], SPEED / RADIUS, rtol=0.02)
    assert drive.origins["psi_dot"] == "derived"


def test_another_time_step(tmp_path: Path) -> None:
    write(tmp_path / "logs")
    (drive,) = imported(tmp_path / "logs", dt=0.1)
    np.testing.assert_allclose(drive.channels["x"], circle()["x"][::5], atol=1e-5)
    with pytest.raises(DataError, match=r"pass `dt=0\.02` or more"):
        import_logs(tmp_path / "logs", tmp_path / "set", dt=0.01)


@pytest.mark.parametrize(
    "options",
    [{"val_split": 1.0}, {"val_split": -0.1}, {"gap": -1.0}, {"dt": 0.0}, {"processes": 0}],
)
def test_values_that_cannot_be_used(tmp_path: Path, options: dict[str, Any]) -> None:
    write(tmp_path / "logs")
    with pytest.raises(UsageError):
        imported(tmp_path / "logs", **options)


@pytest.fixture
def in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file passes as a large one, some rows at a time."""
    monkeypatch.setattr(csv, "SPOOLED", 0)
    monkeypatch.setattr(csv, "PART_ROWS", 300)
    monkeypatch.setattr(csv, "PART_BYTES", 4000)


def test_spikes_are_found_wherever_they_are_in_a_long_column() -> None:
    spikes = [1, 2, BLOCK - 1, BLOCK, BLOCK + 3, 2 * BLOCK + 90]
    wave = np.sin(0.01 * np.arange(2 * BLOCK + 100.0))
    assert not find_spikes("vx", wave).any()
    wave[spikes] = 50.0
    np.testing.assert_array_equal(np.flatnonzero(find_spikes("vx", wave)), spikes)
    # A value that is missing stands between two that are looked at.
    wave[[5, BLOCK + 50]] = np.nan
    np.testing.assert_array_equal(np.flatnonzero(find_spikes("vx", wave)), spikes)


def test_a_large_file_gives_the_same_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drive = circle()
    drive["v"][300] = 90.0
    drive["x"][500:520] = np.nan
    write(tmp_path / "logs", **drive)
    output = tmp_path / "small"
    import_logs(tmp_path / "logs", output, split="block")
    small = [*read_dataset(output / "train"), *read_dataset(output / "val")]
    monkeypatch.setattr(csv, "SPOOLED", 0)
    monkeypatch.setattr(csv, "PART_ROWS", 300)
    output = tmp_path / "large"
    import_logs(tmp_path / "logs", output, split="block")
    large = [*read_dataset(output / "train"), *read_dataset(output / "val")]
    assert [drive.source for drive in small] == [drive.source for drive in large]
    for one, other in zip(small, large, strict=True):
        assert list(one.channels) == list(other.channels)
        for name in one.channels:
            np.testing.assert_array_equal(one.channels[name], other.channels[name])


def test_the_columns_of_a_large_file_are_gone_once_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_parts: None
) -> None:
    write(tmp_path / "logs", **circle())
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    # Not when Python happens to look for garbage: many long logs would fill the disk.
    gc.disable()
    try:
        import_logs(tmp_path / "logs", tmp_path / "set")
        assert list((tmp_path / "tmp").iterdir()) == []
    finally:
        gc.enable()


def test_lines_of_a_large_file_are_counted_past_comments_and_blanks(tmp_path: Path, in_parts: None) -> None:
    lines = [f"{k},{2 * k}" for k in range(2000)]
    lines[1500:1500] = ["", "# a note"]
    path = tmp_path / "long.csv"
    path.write_text("t,x\n" + "\n".join(lines))
    raw = read_log(path, ["t", "x"], {"comment": "#"})
    np.testing.assert_array_equal(raw.columns["x"], 2.0 * np.arange(2000))
    assert raw.rows[[0, 1499, 1500, -1]].tolist() == [2, 1501, 1504, 2003]


def test_a_bad_cell_of_a_large_file_is_named(tmp_path: Path, in_parts: None) -> None:
    lines = [f"{k},{2 * k}" for k in range(2000)]
    lines[1700] = "1700,x"
    path = tmp_path / "long.csv"
    path.write_text("t,x\n" + "\n".join(lines))
    with pytest.raises(DataError, match=r"column 'x', line 1702, found 'x'"):
        read_log(path, ["t", "x"], {})
    with pytest.raises(DataError, match="expected column 'y'"):
        read_log(path, ["t", "y"], {})


def test_a_large_raw_folder_is_read_as_a_small_one(tmp_path: Path, in_parts: None) -> None:
    write(tmp_path / "logs")
    (drive,) = read_folder(tmp_path / "logs")
    np.testing.assert_allclose(drive.channels["x"], circle()["x"])


@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_log_holds_the_recordings_are_whole(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    drive = circle(6.0)
    rows = len(drive["t"])
    odd = [np.nan, np.inf, -np.inf, 1e308, -1e8, 0.0]
    for name in rng.choice(list(drive), 3, replace=False):
        some = rng.integers(0, rows, rng.integers(1, 30))
        drive[name][some] = rng.choice(odd, len(some))
    if seed % 2:
        # Time that jumps, back or forth, and rows that come twice.
        drive["t"][rng.integers(rows) :] += rng.choice([-3.0, -0.5 * DT, 0.0, 1e6])
        again = np.sort(rng.integers(0, rows, rows + 5))
        drive = {name: column[again] for name, column in drive.items()}
    path = write(tmp_path / "logs", **drive)
    (log,), _ = find_logs([path], None)
    found = import_file(*log, ImportSettings(shortest=0.1), tmp_path / "work")
    assert "cannot use it" not in found.error
    for stored in found.stored:
        table = pl.read_parquet(tmp_path / "work" / stored.row["file"])
        assert np.isfinite(table.to_numpy()).all()
        np.testing.assert_allclose(np.diff(table["t"]), stored.row["dt"], rtol=1e-3)
        assert table["vx"].abs().max() <= 120.0
    assert bool(found.stored) != bool(found.error)


def test_a_spooled_column_is_the_readers_own() -> None:
    from pct.logs.spool import Spool

    spool = Spool()
    spool["v"] = np.arange(4.0)
    spool["v"][1] = 9.0
    assert spool["v"].tolist() == [0.0, 1.0, 2.0, 3.0]
    part = spool.cut(1, 3)
    assert part["v"].tolist() == [1.0, 2.0]
    assert spool.cut(2, 2)["v"].size == 0


@pytest.mark.parametrize("first", [0.0, 0.5])
def test_rows_that_follow_one_another_are_taken_as_they_are(first: float) -> None:
    from pct.recordings.gaps import make_grid, make_sampler

    time = 3.0 + 0.01 * np.arange(200) + 1e-4 * np.sin(np.arange(200.0))
    sampler = make_sampler(time, make_grid(time, 0.01, first=first, last=0.0), 0.01)
    assert sampler.taken == slice(round(100 * first), 200)
