"""`pct data map`: a map on the screen and in a file, or a message and an exit code."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mapping.test_mapping import drive
from pct.cli.main import main
from pct.recordings.folder import read_folder


def test_the_proposal_is_a_map_that_reads_the_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = drive()
    pl.DataFrame(log | {"psi_dot": np.degrees(log["psi_dot"])}).write_csv(tmp_path / "lap.csv")
    arguments = ["data", "map", str(tmp_path / "lap.csv"), "--output", str(tmp_path / "signals.toml")]
    main(arguments)
    told = capsys.readouterr()
    assert told.out == (tmp_path / "signals.toml").read_text()
    assert "# high: matches by name" in told.out
    first, *feeds = told.err.splitlines()
    assert first == "lap.csv: loads with this map: 1 recording, 1500 rows"
    assert "singletrack: yes, compares x, y, psi, psi_dot, beta" in feeds
    assert "singletrack-pacejka: needs drive" in feeds
    assert tomllib.loads(told.out)["channels"]["psi_dot"] == {"column": "psi_dot", "unit": "deg/s"}
    np.testing.assert_allclose(read_folder(tmp_path)[0].channels["psi_dot"], log["psi_dot"])
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "the file exists; pass --force" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone.csv", "expected a log, found nothing there"),
        ("notes.txt", r"expected a log \(.csv, "),
        ("lap.LD", "found a file of MoTeC: open it in i2, and choose File, Export Data, CSV"),
    ],
)
def test_files_that_are_no_logs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, message: str
) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "lap.LD").write_text("hello")
    with pytest.raises(SystemExit) as stop:
        main(["data", "map", str(tmp_path / name)])
    assert stop.value.code == 3
    assert message.replace("\\", "") in capsys.readouterr().err
