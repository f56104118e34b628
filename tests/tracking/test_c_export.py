"""The tracker in C99: as strict as the language allows, and row by row the same as Python."""

from pathlib import Path

import pytest

import pct
from pct.api.tracking import make_problem
from pct.errors import PctError
from pct.export.c.trial import find_compiler
from pct.rollout.native.compiler import run_compiler
from pct.tracking import c_export
from pct.tracking.c_export import export_tracker
from pct.tracking.drives import read_drives
from pct.tracking.problem import usual_levels


def test_c_gives_what_python_gives(
    car: pct.Car, drive: pct.Drive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = find_compiler()
    if compiler is None:
        pytest.skip("no C compiler")
    problem, (rows,) = read_drives(make_problem(car, "mu"), [(drive.name, drive.trajectory)], None)
    levels, path = usual_levels(problem), tmp_path / "tracker.c"
    file = export_tracker(problem, levels, path, rows, compiler)
    assert file.difference is not None
    assert file.difference < 1e-8
    assert path.read_text() == file.text
    strict = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wno-unused-function", "-Werror", "-c"]
    run_compiler([*compiler, *strict, "-o", str(tmp_path / "tracker.o"), str(path)], tmp_path)
    monkeypatch.setattr(c_export, "compare", lambda *given: float("nan"))
    with pytest.raises(PctError, match="differs from Python"):
        export_tracker(problem, levels, tmp_path / "other.c", rows, compiler)
    assert not (tmp_path / "other.c").exists()
