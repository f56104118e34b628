"""`pct compare`: tables, files, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import pct
from pages.read import figures_of_page
from pct.cli.main import main


def test_it_prints_what_differs_and_writes_what_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    car = pct.model("singletrack").hold("C_Sf", "C_Sr", "m", "I").measured(observer=False)
    runs = []
    for name, friction in (("wet", 0.5), ("dry", 0.8)):
        drives = pct.simulate(car, duration=6.0, mu=(friction,), noise=0.1)
        fit = pct.fit(car, drives, horizon=10, iterations=8)
        runs.append(str(fit.save(tmp_path / name, report=False)))
    files = {flag: tmp_path / f"out.{flag}" for flag in ("json", "figure", "curves", "page")}
    flags = [text for flag, path in files.items() for text in (f"--{flag}", str(path))]
    main(["compare", *runs, *flags])
    told = capsys.readouterr().out
    assert "Different: mu" in told
    assert f"run 1: {runs[0]}" in told
    assert json.loads(files["json"].read_text())["quantities"]["mu"]["verdict"] == "differs"
    assert all(path.stat().st_size > 100 for path in files.values())
    page = files["page"].read_text()
    figures = figures_of_page(page)
    assert set(figures) == {"values", "curve-0", "curve-1"}
    assert [trace["y"] for trace in figures["values"]["data"]] == [["wet", "dry"]] * 2
    assert "Different: mu" in page


@pytest.mark.parametrize(
    ("count", "code", "said"),
    [
        (1, 2, "RUNS: expected two run folders or more, got 1"),
        (2, 3, "expected the folder of a finished run with network.json or fit.json"),
    ],
)
def test_it_refuses_what_it_cannot_compare(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], count: int, code: int, said: str
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["compare", *[str(tmp_path)] * count])
    assert stop.value.code == code
    assert said in capsys.readouterr().err
