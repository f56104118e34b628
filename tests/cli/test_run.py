"""`pct run`: what a person reads at the end, and what is refused."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import pct
from pct.cli.main import main
from pct.errors import DataError


def test_one_command_ends_with_what_to_trust(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    drive = pct.simulate(pct.model("singletrack"), duration=15.0, mu=(0.7,), noise=0.05)[0]
    drive.table().select("t", "x", "y", "psi", "v").write_csv(tmp_path / "log.csv")
    monkeypatch.chdir(tmp_path)

    def full_disk(_: pct.Outcome) -> None:
        raise DataError("no space left")

    monkeypatch.setattr(pct.Outcome, "write_report", full_disk)
    main(["run", "log.csv", "--export", "ros2", "mpcc"])
    said = capsys.readouterr()
    # All that follows was printed before a figure was drawn.
    assert "the results are saved, but without the report: no space left" in caplog.text
    # Without a steering angle, only the unicycle is fed.
    assert "model: unicycle (the richest that the channels feed)" in said.err
    assert "vehicle: f1tenth (the wheelbase is not known; speeds up to" in said.err
    assert "warning: steering: no column that varies is delta, so that tyres and inertia" in said.err
    assert "\nTrust: " in said.out
    assert "On the part that was held out:" in said.out
    assert "Parameters: log_run/fit/pct_predicted_params.json" in said.out
    assert (tmp_path / "log_run" / "fit" / "pct_predicted_params.json").is_file()
    assert pct.open("log_run/fit").model.spec.name == "unicycle"
    assert "alpha_psi_dot" in (tmp_path / "log_run" / "exports" / "vehicle.param.yaml").read_text()
    assert "warning: mpcc cannot say this car" in said.err
    with pytest.raises(SystemExit):
        main(["run", "log.csv", "--output", "other", "--export", "ros3"])
    assert "unknown export target 'ros3': did you mean 'ros2'?" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()
    with pytest.raises(SystemExit) as refused:
        main(["run", "log.csv"])
    assert refused.value.code == 3
    assert "log_run: expected a new folder, found one with files" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("there", "flags", "shown"),
    [
        (True, [], [r"sure\x1b? ", "again? ", "error: yes and ''"]),
        (True, ["--yes"], ["error: nothing asked"]),
        (False, [], ["error: nothing asked"]),
    ],
)
def test_questions_come_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, there: bool, flags: list[str], shown: list[str]
) -> None:
    class Stream(io.StringIO):
        def isatty(self) -> bool:
            return there

    def run(*_: object, ask: Callable[[str], str] | None, **__: object) -> None:
        answers = None if ask is None else (ask("sure\x1b?"), ask("again?"))
        raise DataError("nothing asked" if answers is None else f"{answers[0]} and {answers[1]!r}")

    monkeypatch.setattr(pct, "run", run)
    monkeypatch.setattr(sys, "stdin", Stream("yes\n"))
    monkeypatch.setattr(sys, "stderr", errors := Stream())
    with pytest.raises(SystemExit):
        main(["run", "log.csv", *flags])
    assert all(line in errors.getvalue() for line in shown)
    assert ("sure" in errors.getvalue()) == (len(shown) == 3)
