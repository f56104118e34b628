"""`pct export`: a file and where to go from there, or a message and no file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import jax
import pytest

from export.test_source import measured, write_network
from pct.cli.main import main
from pct.export import check


@pytest.fixture(autouse=True)
def as_the_program_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    with jax.enable_x64(False):
        yield


def run_pct(*arguments: object) -> int:
    try:
        main([*map(str, arguments)])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_targets_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_pct("export") == 2
    assert "  c  one C99 file" in capsys.readouterr().out
    assert run_pct("export", "fortran") == 2
    assert "unknown command 'fortran'. Commands: c" in capsys.readouterr().err


def test_a_model_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--model", "unicycle", "--vehicle", "f1tenth", "--integrator", "heun", "--substeps", 3]
    assert run_pct("export", "c", *flags) == 0
    text = (tmp_path / "pct_unicycle.c").read_text()
    assert "3 equal steps of Heun" in text
    told = capsys.readouterr()
    assert "Checked against JAX" in told.out
    assert "Next: cc -std=c99" in told.out


def test_a_run_is_written_into_its_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_network(tmp_path, measured())
    assert run_pct("export", "c", tmp_path) == 0
    assert "2 equal steps of RK4" in (tmp_path / "pct_singletrack_pacejka.c").read_text()
    told = capsys.readouterr().err
    assert "the mean of the network's predictions" in told
    assert "leaves out the measurement model: tau_psi_dot" in told
    assert "tau_psi_dot, steering_ratio" in told


def test_without_a_compiler_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CC", "none")
    assert run_pct("export", "c", "--model", "unicycle", "--output", tmp_path / "car.c") == 0
    assert (tmp_path / "car.c").is_file()
    told = capsys.readouterr()
    assert "computed in Python" in told.out
    assert "no C compiler was found" in told.err


def test_what_differs_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "TOLERANCE", -1.0)
    (tmp_path / "car.c").write_text("old")
    assert run_pct("export", "c", "--model", "unicycle", "--output", "car.c") == 1
    assert (tmp_path / "car.c").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["car.c"]


@pytest.mark.parametrize(
    ("flags", "code", "told"),
    [
        ([], 2, "a run folder or --model NAME"),
        (["run", "--model", "bicycle"], 2, "unknown model 'bicycle'"),
        (["run", "--vehicle", "f1tenth"], 2, "--vehicle goes with --model"),
        (["--model", "unicycle", "--substeps", 0], 2, "--substeps: expected a whole number from 1"),
        (["--model", "unicycle", "--output", "none/car.c"], 3, "cannot write"),
        (["nosuch"], 3, "found no folder"),
    ],
)
def test_flags_that_cannot_be_used(
    flags: list[object], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_pct("export", "c", *flags) == code
    assert told in capsys.readouterr().err
