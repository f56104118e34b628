"""Sweeps: trials are runs, a study goes on and is shared, and what died is taken up."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import jax
import optuna
import pytest

import pct
from pct.api import studies
from pct.api.sweep_plans import read_plan
from pct.errors import UsageError
from pct.recordings.trajectory import write_dataset

PLAN = """
[data]
train = ["drives"]
validation = ["unseen"]
[car]
model = "unicycle"
fixed = ["beta_accel", "alpha_accel=1.0"]
[train]
epochs = 2
horizon = 3
history = 4
history_fit = false
samples = 12
batch_size = 8
integrator = "euler"
substeps = 1
engine = "jax"
[space.train]
lr = {low = 1e-4, high = 1e-2, log = true}
lr_patience = {low = 2, high = 8, step = 2}
model_hidden = [[4], [8]]
"""


@pytest.fixture(autouse=True)
def single_precision() -> Iterator[None]:
    with jax.enable_x64(False):
        yield


@pytest.fixture
def space(tmp_path: Path, drives: pct.Drives, unseen: pct.Drives) -> Path:
    for name, driven in (("drives", drives), ("unseen", unseen)):
        write_dataset(tmp_path / name, [drive.trajectory for drive in driven], vehicle="simulated")
    path = tmp_path / "space.toml"
    path.write_text(PLAN)
    return path


def orphan(folder: Path, process: int) -> None:
    """Leave a trial that runs, of a process of this machine."""
    opened = studies.open_study("space", f"sqlite:///{folder / 'study.db'}", 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of ask, where there is a heartbeat
        trial = opened.study.ask({"train.lr": optuna.distributions.FloatDistribution(1e-4, 1e-2, log=True)})
    trial.set_user_attr("worker", [platform.node(), process])
    opened.close()


def test_trials_are_runs_and_a_study_goes_on(space: Path, tmp_path: Path) -> None:
    told: list[str] = []
    folder = tmp_path / "sweep"
    one = pct.sweep(space, trials=1, folder=folder, progress=told.append)
    assert one.best == folder / "trial_0000"
    run = pct.open(one.best)
    assert isinstance(run, pct.Network)
    assert json.loads((one.best / "config.json").read_text())["epochs"] == 2
    assert json.loads((one.best / "DONE").read_text())["best_loss"] == one.trials[0]["loss"]

    gone = subprocess.Popen([sys.executable, "-c", "pass"])
    gone.wait()
    orphan(folder, gone.pid)
    two = pct.sweep(space, trials=2, folder=folder, progress=told.append)
    assert [row["trial"] for row in sorted(two.trials, key=lambda row: row["trial"])] == [0, 2]
    assert (two.lost, two.running) == (1, 0)
    assert two.table()["loss"].is_sorted()
    assert two.facts == ["2 trials: 2 complete, 0 pruned, 0 diverged, 1 broken off"]
    assert len(told) == 2
    assert len({row["values"]["train.lr"] for row in two.trials}) == 2

    space.write_text(PLAN.replace("high = 1e-2", "high = 2e-2"))
    with pytest.raises(UsageError, match=r"`study=space`: was begun with another space"):
        pct.sweep(space, trials=3, folder=folder)


def test_a_trial_that_was_saved_before_its_worker_died_is_complete(tmp_path: Path) -> None:
    """A Ctrl-C between the run folder and the study's record loses no training."""
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    orphan(tmp_path, gone.pid)
    opened = studies.open_study("space", f"sqlite:///{tmp_path / 'study.db'}", 0)
    opened.study._storage.set_trial_user_attr(opened.study.trials[0]._trial_id, studies.LOSS, 3.5)

    def objective(trial: optuna.Trial) -> float:
        raise AssertionError("expected no trial to be run")

    opened.run(objective, 1)
    assert [(trial.state.name, trial.value) for trial in opened.study.trials] == [("COMPLETE", 3.5)]
    opened.close()


def test_a_trial_of_a_living_worker_is_left_to_it(space: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    folder.mkdir()
    orphan(folder, os.getpid())
    found = pct.sweep(space, trials=1, folder=folder)
    assert (found.trials, found.running, found.best) == ((), 1, None)


def test_bad_trials_are_stopped(space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optuna.Trial, "should_prune", lambda trial: True)
    found = pct.sweep(space, trials=1, folder=tmp_path / "sweep")
    assert (found.trials[0]["state"], found.trials[0]["run"], found.best) == ("pruned", None, None)
    assert not (tmp_path / "sweep" / "trial_0000").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[space.train]", "[space.trian]", "section of .space.: 'trian': did you mean 'train'"),
        ("lr = {", "rl = {", "unknown name in .train.: 'rl'"),
        ("high = 1e-2, log", "high = 1e-5, log", r"\[space.train\] lr: expected low < high"),
        ("high = 8", "high = 0", "`lr_patience`: expected a whole number from 1"),
        ("[[4], [8]]", "[[4]]", "model_hidden: expected two values to choose from"),
        ("[[4], [8]]", "[[4], [0]]", "`model_hidden`: expected a whole number from 1"),
        (
            "lr = {low = 1e-4, high = 1e-2, log = true}",
            "horizon = [3, 4]",
            "losses across it cannot be compared",
        ),
        ('validation = ["unseen"]', "", "trials are judged by their validation loss"),
        ("[space.train]", "[measurement]\n[space.train]\nhistory = [4, 5]", "history: the fit decides it"),
        ('"alpha_accel=1.0"', '"alpha_accel=x"', "expected NAME or NAME=NUMBER"),
        (
            "[space.train]",
            '[space.car]\nmodel = ["unicycle", "singletrack"]\n[space.train]',
            "different states",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_told(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "space.toml"
    assert old in PLAN
    path.write_text(PLAN.replace(old, new))
    with pytest.raises(UsageError, match=message) as caught:
        read_plan(path)
    assert "\n" not in str(caught.value)


def test_the_package_and_the_storage_are_asked_for(
    space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="`storage`: expected the address of a database"):
        pct.sweep(space, storage="nonsense", folder=tmp_path / "sweep")
    monkeypatch.setattr(studies, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r'pip install "pct-vehicle\[sweep\]"'):
        pct.sweep(space, folder=tmp_path / "sweep")
