"""`pct design` writes a drive, ranks logs, and refuses what does not fit together."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pct.cli.main import main

TINY = [*("--duration", "3", "--dt", "0.05", "--draws", "2"), *("--candidates", "4", "--generations", "4")]


def test_it_writes_a_drive_and_says_what_to_expect(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["design", "--model", "unicycle", "--speed", "3", "--output", str(tmp_path / "next"), *TINY])
    told = capsys.readouterr()
    assert "generation 4 of 4" in told.err
    assert re.search(r"alpha_psi_dot.*1", told.out)
    assert (tmp_path / "next" / "path.csv").is_file()


def test_it_ranks_logs_with_a_run(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = ["--model", "unicycle", "--horizon", "4", "--history", "4", "--iterations", "2", "--no-report"]
    main(["fit", "--dataset", str(data / "train"), *model, "--results", str(tmp_path)])
    told = capsys.readouterr()
    (run,) = (tmp_path / "unicycle").iterdir()
    if "To identify" in told.out:
        assert f"pct design {run} --identify" in told.out
    table = tmp_path / "table.csv"
    main(["design", str(run), "--from-logs", str(data / "train"), "--piece", "1", "--output", str(table)])
    told = capsys.readouterr()
    assert "What each piece of driving tells" in told.out
    assert table.read_text().count("\n") == 5


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "expected a run folder or --model NAME"),
        (["--from-logs", "logs", "--model", "unicycle"], "--from-logs needs the run folder of a fit"),
        (["run", "--vehicle", "orca"], "--vehicle goes with --model alone"),
        (["--model", "unicycle", "--speed", "0"], "--speed: expected a number above 0"),
        (["--model", "tv-linear"], "expected a model that is steered by"),
        (["--model", "unicycle", "--identify", "mu"], "unknown parameter 'mu'"),
        (
            ["--model", "unicycle", "--area", "1", "1", "--margin", "0.5"],
            "--area 1 1: expected more than twice",
        ),
    ],
)
def test_flags_that_do_not_fit_are_refused(
    flags: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["design", *flags, "--output", str(tmp_path / "new"), *TINY[:4]], command="")
    assert left.value.code in (1, 2)
    told = capsys.readouterr()
    assert message in " ".join((told.err + told.out).split())
    assert not (tmp_path / "new").exists()
