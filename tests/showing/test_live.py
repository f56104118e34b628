"""How far a training is, while its file grows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pct.runs.lock import RunLock
from pct.showing import live
from pct.showing.index import Index
from pct.showing.live import Curve, Follower
from showing.made_results import training, write


def test_epoch_curves_and_time_left_follow_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live.time, "time", lambda: 34.0)
    path = training(tmp_path / "run") / "metrics.jsonl"
    whole = path.read_bytes()
    one = whole.index(b'"step": 3')
    follower = Follower(path, 15)
    path.write_bytes(whole[:one])
    first = follower.progress()
    assert (first["epoch"], first["step"], first["left"]) == (1, 2, None)
    with path.open("ab") as file:
        file.write(whole[one:])
    now = follower.progress()
    assert (now["epoch"], now["epochs"], now["step"]) == (3, 15, 6)
    assert now["train"] == [(step, 1 / step) for step in range(1, 7)]
    assert now["validation"] == [(2, 0.5), (4, 0.25), (6, 0.5 / 3)]
    # Ten seconds an epoch, twelve to go, the last one ended four seconds ago.
    assert now["left"] == pytest.approx(116.0)


def test_a_file_that_was_replaced_is_read_from_its_start(tmp_path: Path) -> None:
    run = training(tmp_path / "run")
    follower = Follower(run / "metrics.jsonl", 15)
    assert follower.progress()["epoch"] == 3
    (run / "metrics.jsonl").unlink()
    assert follower.progress()["epoch"] == 3
    training(run, epochs=1)
    assert follower.progress()["epoch"] == 1


def test_lines_that_are_no_rows_are_passed_over(tmp_path: Path) -> None:
    lines = [
        "no JSON",
        "[" * 100_000,
        "[]",
        '{"step": -1, "epoch": 1, "train/loss": 1}',
        '{"step": true, "epoch": 1, "train/loss": 1}',
        '{"step": 1, "epoch": 1, "train/loss": NaN}',
        '{"step": 2, "epoch": 1, "train/loss": null}',
        '{"step": 3, "epoch": 1, "train/loss": 0.5}',
        '{"time": "late", "step": 3, "epoch": 1, "train/epoch_loss": 0.5}',
        '{"summary": {}}',
        '{"step": 4, "epoch": 2, "train/loss": 0.2',
    ]
    run = write(tmp_path / "run", {"metrics.jsonl": "\n".join(lines)})
    progress = Follower(run / "metrics.jsonl", None).progress()
    assert (progress["train"], progress["step"], progress["left"]) == ([(3, 0.5)], 3, None)
    json.dumps(progress, allow_nan=False)


def test_a_link_is_not_read(tmp_path: Path) -> None:
    other = training(tmp_path / "other")
    (tmp_path / "link").symlink_to(other / "metrics.jsonl")
    assert Follower(tmp_path / "link", None).progress()["step"] == 0


def test_a_long_curve_is_thinned_out() -> None:
    curve = Curve()
    for step in range(5_000):
        curve.add(step, float(step))
    assert live.POINTS / 2 < len(curve.points) <= 2 * live.POINTS
    assert all(step == value for step, value in curve.points)
    gaps = {b - a for (a, _), (b, _) in zip(curve.points, curve.points[1:], strict=False)}
    assert len(gaps) == 1


def test_running_trainings_alone_are_followed(tmp_path: Path) -> None:
    run = training(tmp_path / "run")
    training(tmp_path / "killed")
    index, lock = Index(tmp_path), RunLock()
    assert index.progress() == {}
    lock.take(run)
    try:
        (progress,) = index.progress().values()
    finally:
        lock.release()
    assert progress["epoch"] == 3
    assert index.progress() == {}
