"""Progress: a bar with what matters on a terminal, a line an epoch elsewhere, everything to the tracker."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from pct.choices.steps import Step
from pct.cli.console import report_records
from pct.cli.progress import RunProgress, TrainingProgress
from pct.optimization.constants.fitting import FitProgress
from pct.optimization.network.loop import EpochReport, StepReport
from pct.optimization.settings import TrainSettings

SETTINGS = TrainSettings(
    epochs=2,
    batch_size=8,
    lr_patience=4,
    lr_factor=0.5,
    min_lr=1e-5,
    curriculum_batches=0,
    curriculum_timesteps=5,
)


class Log:
    """A tracker that keeps everything."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def log(self, metrics: Mapping[str, float], *, step: int | None = None, epoch: int | None = None) -> None:
        self.rows.append({**metrics, "step": step, "epoch": epoch})

    def summary(self, values: Mapping[str, Any]) -> None: ...

    def close(self, exit_code: int = 0) -> None: ...


def report(log: Log) -> None:
    """Two steps and their epoch, as the loop tells them."""
    with TrainingProgress(log, SETTINGS, num_samples=16) as progress:
        progress.on_step(StepReport(1, 1, 0.75, 2.0, 2e-3, 5, 8))
        progress.on_step(StepReport(2, 1, 0.25, 1.0, 2e-3, 20, 8))
        progress.on_epoch(EpochReport(1, 2, 0.5, 0.125, 2e-3, True))


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


def test_everything_goes_to_the_tracker() -> None:
    log = Log()
    report(log)
    assert [row["step"] for row in log.rows] == [1, 2, 2]
    assert log.rows[0] == {
        "train/loss": 0.75,
        "train/grad_norm": 2.0,
        "train/learning_rate": 2e-3,
        "train/horizon": 5,
        "step": 1,
        "epoch": 1,
    }
    assert log.rows[2] == {"train/epoch_loss": 0.5, "val/loss": 0.125, "step": 2, "epoch": 1}


def test_off_a_terminal_an_epoch_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with TrainingProgress(Log(), SETTINGS, num_samples=16) as progress:
        progress.on_epoch(EpochReport(1, 2, 0.5, 0.125, 2e-3, True))
        progress.on_epoch(EpochReport(2, 4, 0.25, 0.1, 2e-3, True))
    told = capsys.readouterr()
    assert told.out == ""
    first, second = told.err.splitlines()
    # The first epoch compiles; its speed would say nothing.
    assert first == "epoch 1/2  loss 0.5  val 0.125  rate 2.0e-03  best"
    assert second.startswith("epoch 2/2  loss 0.25  val 0.1  rate 2.0e-03  ")
    assert second.endswith(" windows/s  best")
    assert second.isascii()


def test_without_validation_there_is_no_val(capsys: pytest.CaptureFixture[str]) -> None:
    log = Log()
    with TrainingProgress(log, SETTINGS, num_samples=16) as progress:
        progress.on_epoch(EpochReport(2, 4, 0.5, None, 1e-5, False))
    assert "val" not in capsys.readouterr().err
    assert "val/loss" not in log.rows[0]


@pytest.mark.parametrize("no_color", [False, True])
def test_on_a_terminal_a_bar_shows_what_matters(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, no_color: bool
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("TERM", "xterm-256color")
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    report(Log())
    shown = capsys.readouterr().err
    for part in ("loss 0.25", "rate 2.0e-03", "horizon 20", "left", "50%"):
        assert part in shown
    assert "epoch 1/2  loss" not in shown
    colours = [code for code in ("\x1b[3", "\x1b[9", "\x1b[38") if code in shown]
    assert bool(colours) != no_color


@pytest.fixture
def records() -> Iterator[None]:
    """Log records as lines of standard error, as in the program."""
    root, level = logging.getLogger(), logging.getLogger().level
    before = root.handlers
    root.handlers = []
    report_records()
    yield
    root.handlers = before
    root.setLevel(level)


def run(news: RunProgress) -> None:
    """What a run tells on its way."""
    with news:
        news("model: singletrack (given)")
        logging.getLogger("pct.tests").warning("the recording breaks off")
        news(Step("fitting", 0.4, 180.0))
        news(FitProgress(7, 0.2, 1.5))
        news("not judged: \x1b[2J")


@pytest.mark.usefixtures("records")
def test_a_run_in_a_pipe_says_a_line_for_each_step(capsys: pytest.CaptureFixture[str]) -> None:
    run(RunProgress())
    assert capsys.readouterr().err.splitlines() == [
        "model: singletrack (given)",
        "WARNING: the recording breaks off",
        "fitting (about 3 min left)",
        r"not judged: \x1b[2J",
    ]


@pytest.mark.usefixtures("records")
def test_a_run_on_a_terminal_has_a_bar_that_goes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    run(RunProgress())
    shown = capsys.readouterr().err
    assert "40%" in shown
    assert "about 3 min left" in shown
    assert "fitting, iteration 7" in shown
    assert "fitting (about" not in shown
    # A record of a library stands on a line of its own, above the bar.
    assert "\x1b[2KWARNING: the recording breaks off\n" in shown
    assert r"not judged: \x1b[2J" in shown
    # The last thing is that its line is cleared.
    assert shown.endswith("\x1b[2K")
