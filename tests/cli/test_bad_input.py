"""Bad input ends with its exit code and one or two lines that say where it is bad and what to do."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from pct.recordings.trajectory import read_dataset, write_dataset
from pct.runs import checkpoint
from pct.runs.model_files import load_network

Train = Callable[..., tuple[int, Path | None]]

MAP = """
[time]
column = "t"
[channels.x]
column = "px"
[channels.y]
column = "py"
[channels.psi]
column = "heading"
[channels.v]
column = "speed"
"""


def log(rows: int = 60, dt: float = 0.05) -> dict[str, np.ndarray]:
    """A car that weaves at 3 m/s, by raw column."""
    t = dt * np.arange(rows)
    heading = 0.4 * np.sin(2.0 * t)
    px, py = (np.concatenate([[0.0], np.cumsum(3.0 * f(heading[:-1]) * dt)]) for f in (np.cos, np.sin))
    return {"t": t, "px": px, "py": py, "heading": heading, "speed": np.full(rows, 3.0)}


def write_log(path: Path, columns: dict[str, np.ndarray]) -> None:
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    path.write_text("\n".join([",".join(columns), *(",".join(map(repr, row)) for row in rows)]) + "\n")


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A raw folder that can be trained on."""
    folder = tmp_path / "raw"
    folder.mkdir()
    (folder / "signals.toml").write_text(MAP)
    write_log(folder / "lap.csv", log())
    return folder


def refused(
    run: tuple[int, Path | None], capsys: pytest.CaptureFixture[str], *parts: str, code: int = 3
) -> None:
    """The command left with the code and a short message that has all parts; no run was begun."""
    told = capsys.readouterr()
    assert run == (code, None), told.err
    message = told.err.strip()
    assert message.startswith("error: ")
    assert len(message.splitlines()) <= 2
    assert "Traceback" not in message
    for part in parts:
        assert part in message
    assert told.out == ""


def test_the_raw_folder_can_be_trained_on(train: Train, raw: Path) -> None:
    code, run = train(dataset=raw)
    assert code == 0
    assert (run / "DONE").exists()


# Folders and files.


@pytest.mark.parametrize("flag", ["--dataset", "--val-dataset"])
def test_a_folder_that_is_missing(
    train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str], flag: str
) -> None:
    gone = tmp_path / "gone"
    run = train(dataset=gone) if flag == "--dataset" else train(flag, gone)
    refused(run, capsys, f"{flag} {gone}: expected a folder, found nothing at {gone}", "pct simulate")


def test_a_file_in_the_place_of_a_folder(train: Train, raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(train(dataset=raw / "lap.csv"), capsys, "expected a folder, found a file at")


def test_a_folder_without_logs_and_map(
    train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    refused(train(dataset=tmp_path / "empty"), capsys, "dataset.json", "signals.toml", "an empty folder")


def test_a_dataset_file_that_changed(
    train: Train, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(data / "train", tmp_path / "copy")
    (copy / "recording_01.parquet").write_bytes(b"PAR1")
    refused(train(dataset=copy), capsys, "recording_01.parquet: the file changed", "write the folder again")


def spoil(**changes: tuple[int, float]) -> Callable[[Path], None]:
    """Put values into columns of the raw log, by row from 0."""

    def write(path: Path) -> None:
        columns = log()
        for name, (row, value) in changes.items():
            columns[name][row] = value
        write_log(path, columns)

    return write


def without(name: str) -> Callable[[Path], None]:
    return lambda path: write_log(path, {key: column for key, column in log().items() if key != name})


def scaled(name: str, factor: float) -> Callable[[Path], None]:
    return lambda path: write_log(path, {**log(), name: factor * log()[name]})


def from_row(row: int, pause: float) -> Callable[[Path], None]:
    """Time that jumps by a pause at a row."""
    later = pause * (np.arange(60) >= row)
    return lambda path: write_log(path, {**log(), "t": log()["t"] + later})


# A data row k from 0 stands in line k + 2 of the file, behind the line of names.
BAD_LOGS: dict[str, tuple[Callable[[Path], Any], tuple[str, ...]]] = {
    "empty file": (lambda path: path.write_text(""), ("lap.csv", "empty")),
    "only names": (lambda path: write_log(path, {k: v[:0] for k, v in log().items()}), ("lap.csv",)),
    "missing column": (without("speed"), ("lap.csv", "expected column 'speed', found", "t, px, py, heading")),
    "not a number": (spoil(px=(7, math.nan)), ("lap.csv", "'px'", "line 9", 'faults = "cut"')),
    "infinite": (spoil(speed=(3, math.inf)), ("lap.csv", "'speed'", "line 5")),
    "speed in km/h": (scaled("speed", 3.6), ("lap.csv", "'v' (column 'speed')", 'unit = "km/h"')),
    "heading in degrees": (scaled("heading", 180 / math.pi), ("lap.csv", "psi", 'unit = "deg"')),
    "beyond any vehicle": (scaled("speed", 1000), ("lap.csv", "'speed'", "line 2", 'unit = "km/h"')),
    "time that stands still": (spoil(t=(30, 29 * 0.05)), ("lap.csv", "time ('t') to go on", "line 32")),
    "time that goes back": (spoil(t=(30, 0.2)), ("lap.csv", "time ('t') to go on", "line 32")),
    "time that jumps": (from_row(40, 2.0), ("lap.csv", "1.95 s and then 4 s in line 42", 'faults = "cut"')),
    "shorter than a window": (
        lambda path: write_log(path, log(rows=7)),
        ("at least 8 rows (history 4 + horizon 3 + 1)", "'raw/lap', has 7 rows", "or drive longer"),
    ),
    "mixed rates": (
        lambda path: write_log(path.with_name("fast.csv"), log(dt=0.01)),
        ("0.01 s ('raw/fast'), 0.05 s ('raw/lap')", "pass --dt 5"),
    ),
}


@pytest.mark.parametrize(("write", "parts"), BAD_LOGS.values(), ids=BAD_LOGS.keys())
def test_a_bad_log(
    train: Train,
    raw: Path,
    capsys: pytest.CaptureFixture[str],
    write: Callable[[Path], Any],
    parts: tuple[str, ...],
) -> None:
    write(raw / "lap.csv")
    refused(train(dataset=raw), capsys, *parts)


def test_a_map_that_is_no_toml(train: Train, raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (raw / "signals.toml").write_text("[time\n")
    refused(train(dataset=raw), capsys, "signals.toml: expected TOML", "line 1")


def test_a_model_that_needs_more_than_the_log_has(
    train: Train, raw: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train("--model", "kinematic-singletrack", dataset=raw)
    refused(run, capsys, "expected channel 'delta' in rad", "[channels.delta]")


def test_validation_data_with_other_features(
    train: Train, raw: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(
        train("--val-dataset", raw),
        capsys,
        "validation data: expected the features of the training data",
        "feature.vibration",
        "--feature-mode context",
    )


def test_a_mode_that_the_logs_have_no_columns_for(
    train: Train, raw: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train("--feature-mode", "features", dataset=raw)
    refused(run, capsys, "no feature.* column", "context", code=2)


def test_a_file_that_is_no_cache_is_not_written_over(
    train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "rows.npz"
    archive.write_bytes(b"PK\x03\x04 of something else")
    refused(train("--dataset-cache", archive), capsys, "rows.npz: expected a dataset cache", "another name")
    assert archive.read_bytes() == b"PK\x03\x04 of something else"


# The run folder.


def test_results_that_cannot_be_written(
    train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "results").write_text("a file")
    refused(train(), capsys, "results", "cannot make the run folder", "choose a results folder")


def failed(run: Path | None, reason: str) -> None:
    """The run was begun, and says that and why it failed."""
    assert run is not None
    assert not (run / "DONE").exists()
    assert reason in json.loads((run / "FAILED").read_text())["reason"]
    assert {"config.json", "provenance.json"} <= {path.name for path in run.iterdir()}
    assert not list(run.rglob("*.tmp"))


def test_a_disk_that_fills_up(
    train: Train, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno
    import os

    from pct.files import atomic

    write = atomic.write_atomic

    def full(path: Path, content: Any) -> None:
        if path.suffix == ".msgpack":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(path, content)

    monkeypatch.setattr(atomic, "write_atomic", full)
    code, run = train()
    told = capsys.readouterr().err.splitlines()
    assert code == 3
    failed(run, "cannot write (No space left on device)")
    assert "checkpoints/step_000000002.msgpack: cannot write (No space left on device)" in told[-1]
    assert f"What was learned until then is in {run}" in told


def test_wandb_that_is_not_installed(
    train: Train, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    code, run = train("--wandb-project", "cars")
    assert code == 2
    failed(run, "expected the package wandb")
    told = capsys.readouterr().err
    assert "What was learned" not in told
    message = told.splitlines()[-1]
    assert message.startswith("error: --wandb-project cars: expected the package wandb, found none")
    assert "pip install" in message


# Training that diverges.


def checkpoints_are_sound(run: Path) -> None:
    network = load_network(run)
    for name in (checkpoint.BEST_PARAMS, checkpoint.MODEL_PARAMS):
        params = checkpoint.load_params(run / name, network.params)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))
    assert (run / checkpoint.OPTIMIZER_STATE).stat().st_size > 0
    assert {"pct_network_loss.json", "metrics.jsonl"} <= {path.name for path in run.iterdir()}


@pytest.fixture
def with_a_leap(data: Path, tmp_path: Path) -> Path:
    """A position beyond the range of single precision when squared: no check of the log forbids it."""
    first, second = read_dataset(data / "train")
    x = second.channels["x"].copy()
    x[20] = 1e25
    folder = tmp_path / "leap"
    leaping = dataclasses.replace(second, channels={**second.channels, "x": x})
    write_dataset(folder, [first, leaping], vehicle="simulated")
    return folder


def test_a_value_that_training_cannot_bear_is_named(
    train: Train, with_a_leap: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, run = train("--samples", 1000, dataset=with_a_leap)
    message = capsys.readouterr().err.splitlines()[-1]
    assert code == 4
    failed(run, "training diverged in epoch 1, step ")
    assert "loss is " in message
    assert "('leap/recording_01' at " in message
    checkpoints_are_sound(run)


def test_a_rate_that_is_far_too_high(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever it does to the loss, it ends with a code of its own or with a sound network."""
    code, run = train("--lr", "1e37", "--epochs", 5)
    assert code == 4
    failed(run, "training diverged in epoch ")
    assert "lower --lr" in capsys.readouterr().err
    checkpoints_are_sound(run)


def test_a_validation_set_that_training_cannot_bear(
    train: Train, with_a_leap: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, run = train("--val-dataset", with_a_leap)
    assert code == 4
    failed(run, "validation loss is ")
    assert "('leap/recording_01' at " in capsys.readouterr().err
    checkpoints_are_sound(run)
