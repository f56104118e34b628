"""A run that was stopped goes on as if it had not been, whatever stopped it; nothing good is lost."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pct import plots
from pct.cli import progress
from pct.cli.main import main
from pct.errors import DataError
from pct.optimization.network import epoch
from pct.runs import checkpoint
from pct.runs.lock import RunLock, writing

EPOCHS = 6
STEPS = 5  # of an epoch
FLAGS = [
    *("--model", "unicycle", "--model-hidden", "8", "--horizon", "3", "--history", "4"),
    *("--batch-size", "8", "--samples", str(8 * STEPS - 3), "--integrator", "euler", "--substeps", "1"),
    *("--no-history-fit", "--no-analysis", "--epochs", str(EPOCHS), "--lr-patience", "1"),
    *("--curriculum-batches", "7", "--curriculum-timesteps", "2"),
]
# In the middle of the fourth epoch.
STOP = 3 * STEPS + 2

# `pct` that looks for signals after every step, and does something to itself after one of them.
PROGRAM = """
import os, sys
from pct.cli import main, progress
from pct.optimization.network import epoch
step, signal_number = int(sys.argv[1]), int(sys.argv[2])
epoch.WINDOWS_PER_CALL = 1
on_step = progress.TrainingProgress.on_step
def and_then(self, report):
    on_step(self, report)
    if report.step == step:
        os.kill(os.getpid(), signal_number)
progress.TrainingProgress.on_step = and_then
main.main(sys.argv[3:])
"""


class Programs:
    """`pct train` in processes of their own."""

    def __init__(self, data: Path, environment: dict[str, str]) -> None:
        self._data, self._environment = data, environment

    def start(self, results: Path, *flags: str, stop: int = 0, by: int = 0) -> tuple[Path, int, str]:
        """Train anew; the run folder, exit code and what was said on stderr."""
        folders = ["--dataset", self._data / "train", "--val-dataset", self._data / "val"]
        code, told = self._run(stop, by, "train", *folders, *FLAGS, "--results", results, *flags)
        (run,) = (results / "unicycle").iterdir()
        return run, code, told

    def resume(self, run: Path, *flags: str) -> tuple[int, str]:
        return self._run(0, 0, "train", "--resume", run, *flags)

    def kill(self, seconds: float, *flags: object) -> bool:
        """Train, anew or on, and kill it after some time; whether it had not ended by itself."""
        folders = ["--dataset", self._data / "train", "--val-dataset", self._data / "val", *FLAGS]
        command = self._command(0, 0, "train", *(() if "--resume" in flags else folders), *flags)
        process = subprocess.Popen(
            command, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        try:
            _, told = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return True
        assert process.returncode == 0, told
        return False

    def _run(self, stop: int, by: int, *arguments: object) -> tuple[int, str]:
        command = self._command(stop, by, *arguments)
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=300)
        return done.returncode, done.stderr

    def _command(self, stop: int, by: int, *arguments: object) -> list[str]:
        return [sys.executable, "-c", PROGRAM, str(stop), str(by), *map(str, arguments)]


@pytest.fixture(scope="module")
def programs(data: Path, environment: dict[str, str]) -> Programs:
    return Programs(data, environment)


@pytest.fixture(scope="module")
def whole(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing stopped."""
    run, code, told = programs.start(tmp_path_factory.mktemp("whole"))
    assert code == 0, told
    return run


@pytest.fixture(scope="module")
def killed(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was killed; not to be changed."""
    run, code, told = programs.start(tmp_path_factory.mktemp("killed"), stop=STOP, by=signal.SIGKILL)
    assert code == -signal.SIGKILL, told
    return run


@pytest.fixture
def stopped(killed: Path, tmp_path: Path) -> Path:
    """The same for a test of its own."""
    return shutil.copytree(killed, tmp_path / "stopped")


@pytest.fixture
def resume(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str]]:
    """``resume(run, *flags)``: go on in this process; exit code and what was said on stderr."""
    monkeypatch.setattr(epoch, "WINDOWS_PER_CALL", 1)
    monkeypatch.setattr(plots, "to_png", lambda path, draw, **_: path.touch())

    def run(folder: Path, *flags: object) -> tuple[int, str]:
        capsys.readouterr()
        code = 0
        try:
            main(["train", "--resume", str(folder), *map(str, flags)])
        except SystemExit as stop:
            code = int(stop.code or 0)
        return code, capsys.readouterr().err

    return run


def rows(run: Path) -> list[dict[str, Any]]:
    """All that was logged, but when."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "time"} for line in lines]


def content(run: Path) -> dict[str, str]:
    """Hash of every file."""
    return {
        str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in run.rglob("*")
        if path.is_file()
    }


def assert_same(run: Path, whole: Path) -> None:
    """The run came to the same as one that nothing stopped, bit for bit."""
    assert rows(run) == rows(whole)
    assert (run / "DONE").exists()
    assert not (run / "FAILED").exists()
    ours, theirs = content(run), content(whole)
    assert ours.keys() == theirs.keys()
    differ = {name for name in ours if ours[name] != theirs[name]}
    # They name times and commands.
    assert differ <= {"config.json", "provenance.json", "metrics.jsonl", "DONE", "pct_network_loss.png"}


# What stops it.


# Both take the same way; the second comes in the last step of an epoch.
@pytest.mark.parametrize(
    ("by", "stop"),
    [(signal.SIGINT, STOP), pytest.param(signal.SIGTERM, 4 * STEPS - 1, marks=pytest.mark.slow)],
)
def test_a_signal_leaves_a_checkpoint_to_go_on_from(
    programs: Programs, whole: Path, tmp_path: Path, by: signal.Signals, stop: int
) -> None:
    run, code, told = programs.start(tmp_path, stop=stop, by=by)
    assert code == 130, told
    assert told.splitlines()[-3:] == [
        f"What was learned until then is in {run}",
        f"Resume with: pct train --resume {run}",
        "interrupted",
    ]
    # One step more may be under way when the signal comes.
    last = int(checkpoint.saved_states(run)[0].stem.removeprefix("step_"))
    assert stop <= last <= stop + 1
    assert json.loads((run / "FAILED").read_text())["reason"] == "interrupted"
    code, told = programs.resume(run)
    assert code == 0, told
    assert f"resuming after step {last}, epoch 3" in told
    assert_same(run, whole)


def test_after_a_kill_the_last_epoch_is_done_again(
    programs: Programs, whole: Path, killed: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(killed, tmp_path / "run")
    assert not (run / "FAILED").exists()
    assert checkpoint.saved_states(run)[0].stem == f"step_{3 * STEPS:09d}"
    assert rows(run)[-1]["step"] == STOP
    (run / ".pct_model_params.msgpack.abc.tmp").write_bytes(b"cut short")  # as a kill while writing leaves it
    code, told = programs.resume(run)
    assert code == 0, told
    assert f"resuming after step {3 * STEPS}, epoch 3" in told
    assert_same(run, whole)


def test_killed_before_the_first_checkpoint_it_starts_anew(
    programs: Programs, whole: Path, tmp_path: Path, resume: Callable[..., tuple[int, str]]
) -> None:
    run, code, told = programs.start(tmp_path, stop=2, by=signal.SIGKILL)
    assert code == -signal.SIGKILL, told
    assert not checkpoint.saved_states(run)
    code, told = resume(run)
    assert code == 0, told
    assert "going on" not in told
    assert_same(run, whole)


def test_without_space_the_run_ends_and_goes_on_when_there_is_some(
    stopped: Path, whole: Path, resume: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(stopped / "checkpoints")
    save_state = checkpoint.save_state

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def save(*args: Any) -> Path:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            return save_state(*args)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_state", save)
        code, told = resume(stopped)
    assert code == 3, told
    assert "No space left on device" in told.splitlines()[-1]
    assert f"Resume with: pct train --resume {stopped}" in told
    assert content(stopped / "checkpoints") == before
    code, told = resume(stopped)
    assert code == 0, told
    assert_same(stopped, whole)


def test_a_run_that_another_process_writes_is_refused_as_it_is(
    stopped: Path, resume: Callable[..., tuple[int, str]]
) -> None:
    before, owner = content(stopped), RunLock()
    owner.take(stopped)
    code, told = resume(stopped)
    owner.release()
    assert code == 3
    assert f"error: {stopped}: another process is writing to it: wait for that or choose" in told
    assert len(told.splitlines()) == 1
    assert content(stopped) == before


def test_the_newest_intact_checkpoint_is_found(
    stopped: Path, whole: Path, resume: Callable[..., tuple[int, str]], caplog: pytest.LogCaptureFixture
) -> None:
    newest, before = checkpoint.saved_states(stopped)
    newest.write_bytes(newest.read_bytes()[:-100])
    code, told = resume(stopped)
    assert code == 0, told
    assert f"{newest} is damaged or cut short; taking the checkpoint before it" in caplog.text
    assert f"resuming after step {int(before.stem.removeprefix('step_'))}, epoch 2" in told
    assert_same(stopped, whole)


def test_none_intact_is_said_and_changes_nothing(
    stopped: Path, resume: Callable[..., tuple[int, str]]
) -> None:
    for path in checkpoint.saved_states(stopped):
        path.write_bytes(b"")
    before = content(stopped)
    code, told = resume(stopped)
    assert code == 3
    assert "expected an intact checkpoint, all 2 are damaged: start a new run" in told.splitlines()[-1]
    assert content(stopped) == before


def test_a_folder_that_is_removed_is_made_anew(
    stopped: Path,
    whole: Path,
    resume: Callable[..., tuple[int, str]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    on_step = progress.TrainingProgress.on_step

    def remove(self: Any, report: Any) -> None:
        on_step(self, report)
        # Locked before, and as soon as it is there again.
        if report.step in (STOP, STEPS * EPOCHS):
            with pytest.raises(DataError, match="another process is writing to it"):
                RunLock().take(stopped)
        if report.step == STOP:
            shutil.rmtree(stopped)

    monkeypatch.setattr(progress.TrainingProgress, "on_step", remove)
    code, told = resume(stopped)
    assert code == 0, told
    assert f"{stopped} was removed; it is made anew" in caplog.text
    assert_same(stopped, whole)
    with writing(stopped):  # free again
        pass


def test_other_flags_and_data_are_refused_by_name_unless_forced(
    stopped: Path, data: Path, resume: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    before = content(stopped)
    code, told = resume(stopped, "--batch-size", "16")
    assert code == 2
    assert told.splitlines()[-1].endswith("--batch-size is 16, was 8: leave the flag out, or pass --force")
    other = shutil.copytree(data / "val", tmp_path / "other")
    code, told = resume(stopped, "--val-dataset", other)
    assert code == 2
    assert "--val-dataset is" in told
    config = json.loads((stopped / "config.json").read_text())
    config["val_dataset"] = [str(other)]
    (stopped / "config.json").write_text(json.dumps(config))
    code, told = resume(stopped)
    assert code == 3
    assert "the data is not what the run was started with" in told
    (stopped / "config.json").write_bytes((stopped / "config.json").read_bytes())
    assert {k: v for k, v in content(stopped).items() if k != "config.json"} == {
        k: v for k, v in before.items() if k != "config.json"
    }
    code, told = resume(stopped, "--val-dataset", data / "val", "--lr", "0.005", "--force")
    assert code == 0, told


def test_a_finished_run_takes_more_epochs(
    whole: Path, tmp_path: Path, resume: Callable[..., tuple[int, str]]
) -> None:
    run = shutil.copytree(whole, tmp_path / "run")
    code, told = resume(run)
    assert code == 2
    assert f"its {EPOCHS} epochs are done: pass --epochs {2 * EPOCHS} to train on" in told
    code, told = resume(run, "--epochs", str(EPOCHS + 1))
    assert code == 0, told
    done = [row for row in rows(whole) if "step" in row]
    assert rows(run)[: len(done)] == done
    assert rows(run)[-2]["epoch"] == EPOCHS + 1  # before the summary


@pytest.mark.slow
def test_killed_at_random_times(programs: Programs, tmp_path: Path) -> None:
    """Fifty kills and more; every run comes to the same as one that nothing stopped."""
    epochs = 60
    more = ("--epochs", str(epochs))
    since = time.monotonic()
    expected, code, told = programs.start(tmp_path / "expected", *more)
    seconds = time.monotonic() - since
    assert code == 0, told
    rng = np.random.default_rng(0)
    tally: Counter[str] = Counter()
    finished = 0
    run: Path | None = None
    while tally.total() < 50 or run is not None:
        results = tmp_path / f"results_{finished}"
        run = next(results.glob("unicycle/*"), None)
        begun = run is not None and (run / "config.json").exists()
        where = ("--resume", run) if begun else ("--results", results)
        if not begun:
            shutil.rmtree(results, ignore_errors=True)
        killed = programs.kill(rng.uniform(0.1, 1.2) * seconds, *where, *more)
        run = next(results.glob("unicycle/*"), None)
        saved = None if run is None else checkpoint.newest_state(run)
        if killed and saved is None:
            tally["before the first checkpoint" if run else "before the run folder"] += 1
        elif killed:
            assert saved is not None
            step = int(saved.path.stem.removeprefix("step_"))
            tally["while training" if step < epochs * STEPS else "while concluding"] += 1
        if run is not None and (run / "DONE").exists():
            assert_same(run, expected)
            finished, run = finished + 1, None
    print(f"\nkilled {tally.total()} times ({dict(tally)}), {finished} runs came to their end alike")
