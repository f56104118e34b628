"""`pct fleet fit`: what it prints and leaves, and its folder as a prior."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pct.cli.main import main
from pct.executors.base import Answer, Workers, call
from pct.executors.choice import EXECUTORS

SMALL = ["--model", "unicycle", "--horizon", "3", "--history", "4", "--engine", "jax", "--no-observer"]


class Here:
    """Runs tasks in this process."""

    def __init__(self, workers: Workers) -> None:
        assert workers.many == 1

    def run(self, function: str, arguments: Sequence[str], alone: int = 0) -> Iterator[Answer]:
        for number, argument in enumerate(arguments):
            yield Answer(number, call(function, argument))

    def close(self) -> None:
        pass


def test_a_fleet_is_printed_and_is_a_prior(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(EXECUTORS, "local", Here)
    monkeypatch.chdir(tmp_path)
    pattern = str(data / "tr*")
    main(["fleet", "fit", pattern, "--by", "recording", "--workers", "1", *SMALL])
    said, progress = capsys.readouterr()
    folder = tmp_path / "results" / "fleets" / data.name
    assert "2 of 2  train/" in progress
    assert "2 fitted, 0 fitted before, 0 failed" in said
    assert "The fleet" in said
    assert "Its cars, with the fleet known" in said
    assert f"pct fit --prior {folder} --dataset NEXT_CAR --model unicycle" in said
    page = (folder / "report.html").read_text()
    assert "Fleet of unicycle" in page
    assert "by its own data, with the bands of the mean" in page
    assert (folder / "fleet.png").read_bytes().startswith(b"\x89PNG")
    table = json.loads((folder / "fleet.json").read_text())
    assert [car["reason"] for car in table["cars"]] == [None, None]
    main(["fit", "--prior", str(folder), "--dataset", str(data / "val"), "--no-report", *SMALL])
    assert "Parameters of unicycle" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["no_such_*"], 3, "no_such_*: expected folders or log files, found none"),
        ([], 2, "PATTERN"),
        (["{data}/train", "--executor", "no"], 2, "--executor no: unknown executor 'no'"),
        (["{data}/train", "--by", "day"], 2, "--by day: "),
    ],
)
def test_what_cannot_be_fitted_is_refused(
    arguments: list[str],
    code: int,
    message: str,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [argument.format(data=data) for argument in arguments]
    with pytest.raises(SystemExit) as stop:
        main(["fleet", "fit", *given, "--output", str(tmp_path / "fleet")])
    assert stop.value.code == code
    assert message in capsys.readouterr().err


def test_a_prior_that_is_no_fleet_is_refused(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["fit", "--prior", "no_fleet", "--dataset", str(data / "val"), *SMALL])
    assert stop.value.code == 3
    assert "no_fleet: expected the description of a fleet" in capsys.readouterr().err
