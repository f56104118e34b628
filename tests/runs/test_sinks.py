"""Metric sinks: every line valid JSON, and W&B that helps but never harms."""

import importlib.util
import json
import logging
import math
import os
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from pct.errors import DataError, UsageError
from pct.runs.sinks import open_tracker, read_metrics
from pct.runs.sinks.jsonl import JsonlTracker


def rows(run):
    def refuse(constant):
        raise ValueError(f"{constant} is not JSON")

    text = (run / "metrics.jsonl").read_text()
    return [json.loads(line, parse_constant=refuse) for line in text.splitlines()]


def test_lines_are_json_with_step_and_epoch(tmp_path):
    tracker = open_tracker(tmp_path, None, {})
    tracker.log({"train/loss": 0.5, "train/learning_rate": np.float32(0.25)}, step=0)
    tracker.log({"val/loss": float("nan"), "val/worst": math.inf}, step=1, epoch=0)
    tracker.summary({"best": {"val/loss": 0.25}})
    tracker.close()
    first, second, last = rows(tmp_path)
    assert first.pop("time") == pytest.approx(second.pop("time"), abs=60)
    assert first == {"step": 0, "train/loss": 0.5, "train/learning_rate": 0.25}
    assert second == {"step": 1, "epoch": 0, "val/loss": None, "val/worst": None}
    assert last["summary"] == {"best": {"val/loss": 0.25}}


def test_a_killed_process_leaves_every_line(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from pct.runs.sinks import open_tracker\n"
        "tracker = open_tracker(Path(sys.argv[1]), None, {})\n"
        "for step in range(10): tracker.log({'train/loss': 1.0}, step=step)\n"
        "os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == -9
    assert [row["step"] for row in rows(tmp_path)] == list(range(10))


def test_a_run_that_goes_on_keeps_its_lines(tmp_path):
    for step in range(2):
        tracker = open_tracker(tmp_path, None, {})
        tracker.log({"train/loss": 1.0}, step=step)
        tracker.close()
    assert [row["step"] for row in rows(tmp_path)] == [0, 1]


def test_lines_that_are_no_rows_are_left_out(tmp_path, caplog):
    step = {
        "epoch": 1,
        "train/loss": 0.5,
        "train/grad_norm": 1,
        "train/learning_rate": 0.1,
        "train/horizon": 3,
    }
    good = [{"step": 1, **step}, {"step": 1, "epoch": 1, "train/epoch_loss": None}]
    bad = [[1, 2], 3, {"step": "2", **step}, {"step": 2, "train/loss": 0.5}, {"step": 0, **step}]
    lines = [json.dumps(row) for row in (*good, *bad)] + ["[" * 100_000, "\x00", '{"step": 2']
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    assert read_metrics(tmp_path, step=9, epoch=9) == good
    assert "left out 7 lines; line 3: expected a row of metrics, an object, found a list of 2" in caplog.text


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device /dev/full of Linux")
def test_a_full_disk_is_a_data_error():
    tracker = JsonlTracker(Path("/dev/full"))
    with pytest.raises(DataError, match=r"/dev/full: cannot write \(No space left on device\): free"):
        tracker.log({"train/loss": 1.0}, step=0)
    with pytest.raises(DataError):
        tracker.close()


class FakeRun:
    def __init__(self, fail_after=None):
        self.calls = []
        self.summary = {}
        self.fail_after = fail_after

    def define_metric(self, name, step_metric):
        self.calls.append(("define", name, step_metric))

    def log(self, metrics):
        if self.fail_after is not None and len(self.logged()) >= self.fail_after:
            raise ConnectionError("no route to host")
        self.calls.append(("log", metrics))

    def finish(self, exit_code):
        self.calls.append(("finish", exit_code))

    def logged(self):
        return [call[1] for call in self.calls if call[0] == "log"]


@pytest.fixture
def fake_wandb(monkeypatch):
    """A stand-in for the package; `started` holds the arguments of `init`."""
    module = types.ModuleType("wandb")
    module.run, module.started = FakeRun(), None

    def init(**arguments):
        module.started = arguments
        return module.run

    module.init = init
    monkeypatch.setitem(sys.modules, "wandb", module)
    return module


def test_wandb_gets_everything_and_the_file_too(tmp_path, fake_wandb):
    tracker = open_tracker(tmp_path, "cars", {"lr": 1e-3, "dataset": Path("a")})
    tracker.log({"train/loss": 0.5}, step=3)
    tracker.log({"val/loss": 0.4}, step=3, epoch=1)
    tracker.summary({"best_val_loss": 0.4})
    tracker.close(4)
    assert fake_wandb.started == {
        "project": "cars",
        "name": tmp_path.name,
        "dir": str(tmp_path),
        "config": {"lr": 1e-3, "dataset": "a"},
    }
    run = fake_wandb.run
    assert ("define", "train/loss", "step") in run.calls
    assert ("define", "val/loss", "epoch") in run.calls
    assert run.logged() == [{"step": 3, "train/loss": 0.5}, {"step": 3, "epoch": 1, "val/loss": 0.4}]
    assert run.summary == {"best_val_loss": 0.4}
    assert run.calls[-1] == ("finish", 4)
    assert len(rows(tmp_path)) == 3


def test_a_failing_wandb_warns_once_and_the_file_goes_on(tmp_path, fake_wandb, caplog):
    fake_wandb.run.fail_after = 1
    tracker = open_tracker(tmp_path, "cars", {})
    with caplog.at_level(logging.WARNING):
        for step in range(5):
            tracker.log({"train/loss": 1.0}, step=step)
        tracker.summary({})
        tracker.close()
    assert len(fake_wandb.run.logged()) == 1
    assert [record.getMessage() for record in caplog.records] == [
        "W&B stopped taking metrics (no route to host); the run goes on, metrics.jsonl has them all"
    ]
    assert len(rows(tmp_path)) == 6


def test_a_missing_wandb_is_a_usage_error_with_the_command(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UsageError, match=r'`wandb_project=cars`: .*pip install "pct-vehicle\[wandb\]"'):
        open_tracker(tmp_path, "cars", {})


def test_a_leftover_wandb_folder_is_not_the_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", types.ModuleType("wandb"))  # as Python makes of a bare folder
    with pytest.raises(UsageError, match="pip install"):
        open_tracker(tmp_path, "cars", {})


def test_wandb_that_does_not_start_is_a_usage_error(tmp_path, fake_wandb):
    def init(**arguments):
        raise RuntimeError("no API key")

    fake_wandb.init = init
    with pytest.raises(UsageError, match=r"did not start \(no API key\).*wandb login.*WANDB_MODE=offline"):
        open_tracker(tmp_path, "cars", {})


@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="the optional package wandb is absent")
def test_the_real_wandb_works_offline(tmp_path):
    """In a process of its own, because the package leaves threads and hooks behind."""
    code = (
        "import sys; from pathlib import Path; from pct.runs.sinks import open_tracker\n"
        "tracker = open_tracker(Path(sys.argv[1]), 'cars', {'lr': 1e-3})\n"
        "for step in range(3): tracker.log({'train/loss': 1.25 + step}, step=step)\n"
        "tracker.log({'val/loss': float('nan')}, step=2, epoch=0)\n"
        "tracker.summary({'best_val_loss': 0.375}); tracker.close()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "WANDB_MODE": "offline"},
    )
    assert done.returncode == 0, done.stderr
    assert "stopped taking metrics" not in done.stderr
    assert done.stdout == ""
    (log,) = (tmp_path / "wandb").glob("offline-run-*/run-*.wandb")
    content = log.read_bytes()
    for text in (b"cars", b"train/loss", b"val/loss", b"1.25", b"best_val_loss", b"0.375"):
        assert text in content
    assert len(rows(tmp_path)) == 5
