"""Folders to windows: a cache that is used while it fits and never when it does not; rates and columns."""

import dataclasses
import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS
from pct.errors import DataError, UsageError
from pct.recordings.trajectory import Trajectory, write_dataset
from pct.windows import loading
from pct.windows.loading import data_hashes, load_feature_dataset_group, load_window_store
from pct.windows.store import WindowStore, window_starts
from pct.windows.window_set import make_window_set

UNICYCLE = MODEL_SPECS["unicycle"]
UNITS = {"x": "m", "y": "m", "psi": "rad", "v": "m/s", "delta": "rad", "feature.grip": "1", "truth.mu": "1"}


def drive(
    name: str = "lap", *, rows: int = 60, dt: float = 0.02, speed: float = 3.0, **more: float
) -> Trajectory:
    """A car that weaves without slip; further columns are constant."""
    t = dt * np.arange(rows)
    delta = 0.2 * np.sin(2.0 * t)
    psi = np.concatenate([[0.0], np.cumsum(speed / 0.33 * np.tan(delta[:-1]) * dt)])
    x, y = (np.concatenate([[0.0], np.cumsum(speed * f(psi[:-1]) * dt)]) for f in (np.cos, np.sin))
    channels = {
        "x": 50.0 + x,
        "y": y - 20.0,
        "psi": psi,
        "v": np.full(rows, speed),
        "delta": delta,
        "feature.grip": 0.1 * t,
        "truth.mu": np.full(rows, 0.7),
        **{key: np.full(rows, value) for key, value in more.items()},
    }
    return Trajectory(
        name,
        dt,
        channels,
        {key: UNITS.get(key, "1") for key in channels},
        dict.fromkeys(channels, "measured"),
        start=1.5,
    )


def without(log: Trajectory, *names: str) -> Trajectory:
    """The drive as a logger without these channels writes it."""
    channels, units, origins = (
        {key: value for key, value in table.items() if key not in names}
        for table in (log.channels, log.units, log.origins)
    )
    return dataclasses.replace(log, channels=channels, units=units, origins=origins)


def folder(path: Path, *trajectories: Trajectory) -> Path:
    write_dataset(path, trajectories or (drive(),), vehicle="test car")
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return folder(tmp_path / "data")


@pytest.fixture
def preparations(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Folders in the order in which they were read."""
    read: list[Path] = []

    def counted(path: Path) -> list[Trajectory]:
        read.append(path)
        return read_folder(path)

    read_folder = loading.read_folder
    monkeypatch.setattr(loading, "read_folder", counted)
    return read


def assert_same(store: WindowStore, other: WindowStore) -> None:
    for name, value in store._asdict().items():
        found = getattr(other, name)
        assert type(found) is type(value), name
        np.testing.assert_array_equal(found, value, err_msg=name)
        assert getattr(found, "dtype", None) == getattr(value, "dtype", None), name


# The rows.


def test_rows_of_several_folders_stand_one_after_another(tmp_path: Path) -> None:
    one = folder(tmp_path / "one", drive("a", rows=40), drive("b", rows=30))
    two = folder(tmp_path / "two", drive("a", rows=20, speed=2.0))
    store = load_window_store([one, two], UNICYCLE)
    assert store.recordings == ("one/a", "one/b", "two/a")
    assert np.bincount(store.recording).tolist() == [40, 30, 20]
    assert (store.dt, store.exogenous_names, store.truth_names) == (0.02, ("grip",), ("mu",))
    np.testing.assert_array_equal(store.states[-20:, UNICYCLE.state_indices["v"]], 2.0)
    np.testing.assert_allclose(store.times[[0, 1, 40]], [1.5, 1.52, 1.5])
    np.testing.assert_allclose(store.truth, 0.7, rtol=1e-6)
    # Positions count from where each recording began.
    first = np.searchsorted(store.recording, [0, 1, 2])
    np.testing.assert_array_equal(store.states[first, :2], 0.0)


def test_positions_far_from_the_map_s_origin_keep_their_precision(tmp_path: Path) -> None:
    here = drive(rows=60)
    far = dataclasses.replace(here, channels={**here.channels, "x": here.channels["x"] + 5e6})
    near, away = (
        load_window_store([folder(tmp_path / name, log)], UNICYCLE)
        for name, log in (("near", here), ("far", far))
    )
    np.testing.assert_allclose(away.states, near.states, atol=1e-6)


def test_coarser_steps_take_every_so_many_rows(data: Path) -> None:
    fine = load_window_store([data], UNICYCLE)
    coarse = load_window_store([data], UNICYCLE, dt=0.1)
    assert (coarse.dt, len(coarse.states)) == (0.1, 12)
    np.testing.assert_allclose(coarse.states, fine.states[::5], atol=1e-6)
    np.testing.assert_array_equal(coarse.exogenous, fine.exogenous[::5])
    np.testing.assert_allclose(coarse.times, fine.times[::5])
    # The control over the longer step still leads to the heading at its end.
    psi = coarse.states[:, UNICYCLE.state_indices["psi"]]
    np.testing.assert_allclose(coarse.controls[:-1, 0], np.diff(psi) / 0.1, atol=1e-4)


def test_a_step_finer_than_the_log_is_refused(data: Path) -> None:
    with pytest.raises(
        DataError, match=r"training data: `dt=0.01` .* 0.02 s of 'data/lap': pass `dt=0.02` or more"
    ):
        load_window_store([data], UNICYCLE, dt=0.01)


def test_mixed_rates_are_refused_until_a_common_one_is_named(tmp_path: Path) -> None:
    paths = [folder(tmp_path / "a", drive(dt=0.02)), folder(tmp_path / "b", drive(dt=0.05))]
    with pytest.raises(
        DataError,
        match=r"validation data: expected one time step, found 0.02 s \('a/lap'\), 0.05 s \('b/lap'\): "
        r"pass `dt=0.05` to",
    ):
        load_window_store(paths, UNICYCLE, label="validation")
    store = load_window_store(paths, UNICYCLE, dt=0.05)
    assert np.bincount(store.recording).tolist() == [24, 60]
    assert store.dt == 0.05


def test_a_step_of_broken_hundredths_is_refused(data: Path) -> None:
    with pytest.raises(DataError, match=r"`dt`: expected whole hundredths of a second, got 0\.025 s"):
        load_window_store([data], UNICYCLE, dt=0.025)


def test_a_step_that_is_no_whole_number_of_hundredths_needs_a_flag(tmp_path: Path) -> None:
    path = folder(tmp_path / "data", drive(dt=0.025))
    with pytest.raises(DataError, match=r"'data/lap' has a step of 0.025 s.* pass `dt=0.03` to resample"):
        load_window_store([path], UNICYCLE)
    assert load_window_store([path], UNICYCLE, dt=0.03).dt == 0.03


@pytest.mark.parametrize("column", ["feature.wet", "truth.m"])
def test_recordings_with_other_columns_are_refused(tmp_path: Path, column: str) -> None:
    paths = [folder(tmp_path / "a"), folder(tmp_path / "b", drive(**{column: 1.0}))]
    prefix, name = column.split(".")
    with pytest.raises(DataError) as error:
        load_window_store(paths, UNICYCLE)
    assert f"'b/lap': expected the {prefix}.* columns of 'a/lap'" in str(error.value)
    assert f"found {prefix}." in str(error.value)
    assert name in str(error.value)


def test_a_missing_folder_is_named_with_its_use(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"validation data: expected a folder, found none at .*/gone"):
        load_window_store([tmp_path / "gone"], UNICYCLE, label="validation")


def test_a_missing_channel_is_named(tmp_path: Path) -> None:
    path = folder(tmp_path / "data", without(drive(), "delta"))
    with pytest.raises(DataError, match=r"lap: expected channel 'delta' in rad"):
        load_window_store([path], MODEL_SPECS["kinematic-singletrack"])


# The windows.


def load(data: Path, **options: Any) -> Any:
    settings = {"cache": None, "refresh": False, "samples": None, "dt": None, "feature_mode": "full"}
    settings |= {"label": "training", "horizon": 4, "history": 3}
    return load_feature_dataset_group([data], UNICYCLE, **(settings | options))


def test_windows_of_a_folder(data: Path) -> None:
    windows = load(data)
    assert windows.targets.shape == (60 - 4 - 3, 4, 4)
    assert windows.origin.recordings == ("data/lap",)
    np.testing.assert_allclose(windows.origin.truth["mu"], 0.7, rtol=1e-6)
    assert load(data, stride=5).targets.shape[0] == 11
    assert load(data, samples=6).targets.shape[0] == 6
    assert load(data, dt=10).origin.dt == 0.1


def test_the_set_of_a_folder_holds_the_same_windows(data: Path) -> None:
    store = load_window_store([data], UNICYCLE)
    starts = window_starts(store, horizon=4, history=3)
    windows = make_window_set(store, starts, UNICYCLE, horizon=4, history=3)
    dataset = load(data)
    assert (len(windows), windows.horizon, windows.history) == (53, 4, 3)
    assert windows.feature_names == dataset.origin.feature_names
    last = windows.gather(np.array([52]))
    np.testing.assert_array_equal(last.features[0], dataset.features[52])
    np.testing.assert_array_equal(last.targets[0], dataset.targets[52])
    assert last.origin.times == dataset.origin.times[52]


def test_a_recording_shorter_than_a_window_is_named_with_its_use(data: Path) -> None:
    message = r"validation data: expected a recording of at least 64 rows .*'data/lap', has 60 rows"
    with pytest.raises(DataError, match=message):
        load(data, horizon=60, label="validation")


def test_the_mode_features_needs_feature_columns(tmp_path: Path) -> None:
    path = folder(tmp_path / "plain", without(drive(), "feature.grip"))
    with pytest.raises(UsageError, match=r"no feature\.\* column"):
        load(path, feature_mode="features")


# The cache.


def test_the_cache_gives_what_was_read(data: Path, tmp_path: Path, preparations: list[Path]) -> None:
    cache = tmp_path / "made" / "rows.npz"
    fresh = load_window_store([data], UNICYCLE)
    written = load_window_store([data], UNICYCLE, cache=cache)
    read = load_window_store([data], UNICYCLE, cache=cache)
    assert len(preparations) == 2
    assert_same(written, fresh)
    assert_same(read, fresh)
    # Other windows of the same rows need no new cache.
    windows = load(data, cache=cache, horizon=6, feature_mode="context", samples=5)
    assert len(preparations) == 2
    direct = load(data, horizon=6, feature_mode="context", samples=5)
    np.testing.assert_array_equal(windows.features, direct.features)
    np.testing.assert_array_equal(windows.targets, direct.targets)


def test_a_cache_without_features_and_truth(tmp_path: Path) -> None:
    path = folder(tmp_path / "plain", without(drive(), "feature.grip", "truth.mu"))
    fresh = load_window_store([path], UNICYCLE, cache=tmp_path / "rows.npz")
    assert fresh.exogenous.shape == fresh.truth.shape == (60, 0)
    assert_same(load_window_store([path], UNICYCLE, cache=tmp_path / "rows.npz"), fresh)


def rewritten(data: Path) -> None:
    (data / "dataset.json").unlink()
    (data / "lap.parquet").unlink()
    data.rmdir()
    folder(data, drive(speed=2.5))


def with_another_loader(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The same code in a file of other content."""
    other = tmp_path / "package" / "windows"
    other.mkdir(parents=True)
    (other / "loading.py").write_text(Path(loading.__file__).read_text() + "\n# changed\n")
    monkeypatch.setattr(loading, "__file__", str(other / "loading.py"))


@pytest.mark.parametrize("change", ["data", "dt", "model", "code", "folders"])
def test_a_stale_cache_is_made_anew(
    change: str,
    data: Path,
    tmp_path: Path,
    preparations: list[Path],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cache = tmp_path / "rows.npz"
    load_window_store([data], UNICYCLE, cache=cache)
    paths, spec, dt = [data], UNICYCLE, None
    if change == "data":
        rewritten(data)
    elif change == "dt":
        dt = 0.04
    elif change == "model":
        spec = MODEL_SPECS["kinematic-singletrack"]
    elif change == "code":
        with_another_loader(monkeypatch, tmp_path)
    else:
        paths = [data, folder(tmp_path / "more")]
    preparations.clear()
    with caplog.at_level(logging.WARNING):
        store = load_window_store(paths, spec, cache=cache, dt=dt)
    assert preparations == paths
    assert f"{cache}: the data or the loader changed" in caplog.text
    assert_same(store, load_window_store(paths, spec, dt=dt))
    # The new one is kept.
    preparations.clear()
    assert_same(load_window_store(paths, spec, cache=cache, dt=dt), store)
    assert preparations == []


def test_a_folder_that_moved_keeps_its_cache(data: Path, tmp_path: Path, preparations: list[Path]) -> None:
    cache = tmp_path / "rows.npz"
    load_window_store([data], UNICYCLE, cache=cache)
    elsewhere = tmp_path / "elsewhere" / data.name
    elsewhere.parent.mkdir()
    data.rename(elsewhere)
    load_window_store([elsewhere], UNICYCLE, cache=cache)
    assert len(preparations) == 1


def npz(header: Any, **arrays: np.ndarray) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with path.open("wb") as file:
            np.savez(file, header=np.array(json.dumps(header)), **arrays)

    return write


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def pickled(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, header=np.array([{"format": "rows"}], dtype=object))


def without_states(path: Path) -> None:
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files if name != "states"}
    np.savez(path, **arrays)


def compressed(path: Path) -> None:
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    np.savez_compressed(path, **arrays)


def one_array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut short": cut_short,
    "flipped bits": flipped,
    "pickle": pickled,
    "other format": npz({"format": "pct-rows-0", "key": ""}),
    "odd header": npz([1, 2]),
    "no key": npz({"format": loading.CACHE_FORMAT}),
    "no array": without_states,
    "compressed": compressed,
}
NO_CACHES: dict[str, Callable[[Path], object]] = {
    "text": lambda path: path.write_text("x,y\n1,2\n"),
    "one array": one_array,
    "another npz": lambda path: np.savez(path, states=np.zeros((2, 4))),
    "one byte": lambda path: path.write_bytes(b"P"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_cache_is_made_anew_after_one_line(
    damage: Callable[[Path], object],
    data: Path,
    tmp_path: Path,
    preparations: list[Path],
    caplog: pytest.LogCaptureFixture,
) -> None:
    cache = tmp_path / "rows.npz"
    fresh = load_window_store([data], UNICYCLE, cache=cache)
    damage(cache)
    assert_same(load_window_store([data], UNICYCLE, cache=cache), fresh)
    (line,) = (record.getMessage() for record in caplog.records)
    assert re.search(r"rows\.npz: .* making it anew$", line)
    assert "\n" not in line
    assert len(preparations) == 2
    load_window_store([data], UNICYCLE, cache=cache)
    assert len(preparations) == 2


@pytest.mark.parametrize("refresh", [False, True])
@pytest.mark.parametrize("write", NO_CACHES.values(), ids=NO_CACHES.keys())
def test_a_file_that_is_no_cache_is_never_written_over(
    write: Callable[[Path], object], refresh: bool, data: Path, tmp_path: Path
) -> None:
    own = tmp_path / "my_log.npz"
    write(own)
    content = own.read_bytes()
    with pytest.raises(DataError, match=r"my_log.npz: expected a dataset cache or no file") as error:
        load_window_store([data], UNICYCLE, cache=own, refresh=refresh)
    assert error.value.exit_code == 3
    assert own.read_bytes() == content


def test_a_folder_in_the_place_of_a_cache_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read it \(Is a directory\): choose another file"):
        load_window_store([data], UNICYCLE, cache=tmp_path)


def test_refresh_writes_a_cache_anew_that_fits(data: Path, tmp_path: Path, preparations: list[Path]) -> None:
    cache = tmp_path / "rows.npz"
    for _ in range(2):
        load_window_store([data], UNICYCLE, cache=cache, refresh=True)
    assert len(preparations) == 2
    load_window_store([data], UNICYCLE, cache=cache)
    assert len(preparations) == 2


def test_the_cache_holds_plain_arrays(data: Path, tmp_path: Path) -> None:
    cache = tmp_path / "rows.npz"
    load_window_store([data], UNICYCLE, cache=cache)
    with np.load(cache, allow_pickle=False) as file:
        assert not any(file[name].dtype.hasobject for name in file.files)
    assert [path.name for path in tmp_path.iterdir()].count("rows.npz") == 1
    assert not list(tmp_path.glob(".*"))


def test_a_cache_that_cannot_be_written_is_done_without(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    load_window_store([data], UNICYCLE, cache=tmp_path / "file" / "rows.npz")
    (record,) = caplog.records
    assert "rows.npz: the dataset cache cannot be written (File exists)" in record.getMessage()


def test_hashes_name_every_file_of_the_data(data: Path) -> None:
    (data / ".hidden").write_text("")
    assert sorted(Path(name).name for name in data_hashes([data])) == ["dataset.json", "lap.parquet"]
    assert all(len(digest) == 64 for digest in data_hashes([data]).values())
