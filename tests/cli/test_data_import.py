"""`pct data import`: what it prints, and its exit code where a file cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from importing.test_import import circle, write
from pct.cli.data_import import main
from pct.recordings.trajectory import read_dataset


def test_held_out_parts_are_named_for_a_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(5):
        write(tmp_path / "logs", f"drive{number}", **circle(4.0))
    flags = ["--output", str(tmp_path / "set"), "--split", "recording", "--processes", "1"]
    main([str(tmp_path / "logs"), *flags])
    assert [drive.name for drive in read_dataset(tmp_path / "set" / "val")] == ["drive2"]
    printed = capsys.readouterr().out.replace("\n", " ")
    assert f"pct data check {tmp_path}/set/train {tmp_path}/set/val" in printed


def test_a_bad_file_is_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "logs", **circle(4.0))
    (tmp_path / "logs" / "bad.csv").write_text("t,x,y,psi,v,steering\n0,1,oops,3,4,5\n")
    with pytest.raises(SystemExit) as left:
        main([str(tmp_path / "logs"), "--output", str(tmp_path / "set"), "--dt", "10", "--processes", "1"])
    assert left.value.code == 3
    assert "bad.csv: expected a number in column 'y', line 2, found 'oops'" in capsys.readouterr().out
    (drive,) = read_dataset(tmp_path / "set")
    assert drive.dt == pytest.approx(0.1)
