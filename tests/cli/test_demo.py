"""`pct demo`: the data that the package brings along, and the job."""

from __future__ import annotations

from pathlib import Path

import pytest

from pct.cli.demo import DATA, main
from pct.recordings.trajectory import MANIFEST


def test_the_data_lies_in_the_package() -> None:
    assert all((DATA / part / MANIFEST).is_file() for part in ("train", "val"))
    assert Path(__file__).parents[2].joinpath("datasets/surfaces").resolve() == DATA


@pytest.mark.slow
def test_the_demo_leaves_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    main([])
    (report,) = tmp_path.glob("results/singletrack/run_*/evaluation/val/report.html")
    assert f"Report: {report}" in capsys.readouterr().out
