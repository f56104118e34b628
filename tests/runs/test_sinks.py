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


def test_an_unknown_tracker_is_named_with_the_nearest(tmp_path):
    with pytest.raises(UsageError, match=r"`track=wandv`: unknown tracker 'wandv': did you mean 'wandb'\?"):
        open_tracker(tmp_path, None, {}, ["wandv"])
    assert not (tmp_path / "metrics.jsonl").exists()


@pytest.mark.parametrize(("name", "package"), [("mlflow", "mlflow"), ("tensorboard", "tensorboardX")])
def test_a_missing_tracker_is_a_usage_error_with_the_command(tmp_path, monkeypatch, name, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError, match=rf'`track={name}=cars`: .*pip install "pct-vehicle\[{name}\]"'):
        open_tracker(tmp_path, None, {}, [f"{name}=cars"])


def test_a_tracker_of_an_installed_package(tmp_path, monkeypatch):
    made = []

    class Entry:
        name = "lab"

        def load(self):
            return lambda run, project, config: (
                made.append((run, project, config)) or JsonlTracker(run / "lab")
            )

    monkeypatch.setattr(
        "importlib.metadata.entry_points", lambda group: [Entry()] if group == "pct.trackers" else []
    )
    tracker = open_tracker(tmp_path, None, {"lr": 1.0}, ["lab"])
    tracker.log({"train/loss": 0.5}, step=1)
    tracker.close()
    assert made == [(tmp_path, "pct", {"lr": 1.0})]
    assert (tmp_path / "lab").read_text().count("train/loss") == 1


def log_a_run(run, track):
    tracker = open_tracker(run, None, {"lr": 1e-3, "dataset": Path("a")}, [track])
    for step in range(3):
        tracker.log({"train/loss": 1.25 + step}, step=step)
    tracker.log({"val/loss": 0.5}, step=2, epoch=1)
    tracker.summary({"best_val_loss": 0.375, "reason": "all epochs"})
    tracker.close()


def test_the_real_tensorboard_file(tmp_path, caplog):
    pytest.importorskip("tensorboardX", reason="the optional package tensorboardX is absent")
    from tensorboardX.proto.event_pb2 import Event

    log_a_run(tmp_path, "tensorboard")
    (file,) = (tmp_path / "tensorboard").iterdir()
    content, found = file.read_bytes(), []  # a record: length, its check sum, the event, its check sum
    while content:
        length = int.from_bytes(content[:8], "little")
        event, content = Event.FromString(content[12 : 12 + length]), content[16 + length :]
        found += [(value.tag, event.step, value.simple_value) for value in event.summary.value]
    scalars = [row for row in found if row[0] in ("train/loss", "val/loss")]
    assert scalars == [*(("train/loss", step, 1.25 + step) for step in range(3)), ("val/loss", 1, 0.5)]
    assert caplog.text == ""


@pytest.mark.filterwarnings("ignore")  # of what MLflow itself calls
def test_the_real_mlflow_offline(tmp_path, caplog, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="the optional package mlflow is absent")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    log_a_run(tmp_path, "mlflow=cars")
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("cars").experiment_id])
    assert (run.info.run_name, run.info.status) == (tmp_path.name, "FINISHED")
    assert run.data.params == {"lr": "0.001", "dataset": "a"}
    assert run.data.metrics == {"train/loss": 3.25, "val/loss": 0.5, "summary/best_val_loss": 0.375}
    history = client.get_metric_history(run.info.run_id, "train/loss")
    assert [(point.step, point.value) for point in history] == [(0, 1.25), (1, 2.25), (2, 3.25)]
    assert "stopped taking metrics" not in caplog.text
