"""`pct sweep`: what it prints, and workers that are killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pct.api import sweeps
from pct.api.studies import open_study
from pct.cli.main import main

PLAN = """
[data]
train = ["{data}/train"]
validation = ["{data}/val"]
[car]
model = "unicycle"
[train]
epochs = 300
horizon = 3
history = 4
history_fit = false
samples = 12
batch_size = 8
integrator = "euler"
substeps = 1
engine = "jax"
[space.train]
lr = {{low = 1e-4, high = 1e-2, log = true}}
"""


def test_the_best_trials_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {
            "trial": k,
            "state": "complete",
            "loss": 0.25 + k,
            "run": f"{tmp_path}/trial_{k}",
            "values": {"train.lr": 2e-3},
        }
        for k in range(7)
    ]
    found = sweeps.Sweep("grip", "sqlite:///study.db", tuple(rows), 1, 2)
    monkeypatch.setattr(sweeps, "sweep", lambda space, **arguments: found)
    main(["sweep", "space.toml"])
    said = capsys.readouterr().out
    assert "│     4 │ complete │ 4.25 │ 0.002    │" in said
    assert "5.25" not in said
    assert "7 trials: 7 complete, 0 pruned, 0 diverged, 1 broken off, 2 still running elsewhere\n" in said
    assert f"Best run: {tmp_path}/trial_0\n" in said
    assert 'optuna-dashboard "sqlite:///study.db"' in said


@pytest.mark.slow
def test_a_killed_worker_loses_no_trial(
    data: Path, tmp_path: Path, environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "space.toml").write_text(PLAN.format(data=data))
    folder = tmp_path / "sweep"
    arguments = ["sweep", str(tmp_path / "space.toml"), "--trials", "2", "--output", str(folder)]
    worker = subprocess.Popen(
        [sys.executable, "-m", "pct", *arguments],
        env=environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert worker.stderr is not None
        assert worker.stderr.readline().startswith("trial 0: loss")
        opened = open_study("space", f"sqlite:///{folder / 'study.db'}", 0)
        while not any(trial.user_attrs.get("worker") for trial in opened.study.get_trials()[1:]):
            assert worker.poll() is None
        opened.close()
    finally:
        worker.kill()
        worker.communicate()
    main(arguments)
    said = capsys.readouterr().out
    assert "2 trials: 2 complete, 0 pruned, 0 diverged, 1 broken off" in said
    assert f"Best run: {folder}" in said
