"""`pct export`: a file and where to go from there, or a message and no file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest

import pct
from export.test_source import SETTINGS, measured, write_network
from pct.cli.main import main
from pct.dynamics import MODEL_SPECS
from pct.errors import UsageError
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
    listed = capsys.readouterr().out
    assert re.search("  c +one C99 file", listed)
    assert re.search("  forzaeth +tyre, car and steering look-up table", listed)
    assert run_pct("export", "fortran") == 2
    assert "unknown command 'fortran'. Commands: c, cpp, f1tenth-gym" in capsys.readouterr().err


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


def test_a_fit_is_written_for_another_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its tyres and what it measured; what was left out is said, and so is what a refit loses."""
    run = tmp_path / "run"
    run.mkdir()
    write_fit_of_a_car(run)
    assert run_pct("export", "forzaeth", run) == 2
    assert "forzaeth cannot say this car: S_hf" in capsys.readouterr().err
    assert run_pct("export", "forzaeth", run, "--refit") == 0
    told = capsys.readouterr()
    folder = run / "forzaeth"
    assert {path.name for path in folder.iterdir()} == {"pacejka.yaml", "car_model.yaml", "lookup_table.csv"}
    assert "Checked: equal to 1e-12" in told.out
    assert "note: tyres refitted, front: side force off by at most" in told.err
    assert "note: left out, of the measurement model: tau_psi_dot" in told.err
    text = (folder / "car_model.yaml").read_text()
    assert re.search(r"^Iz: 9\d\d\.\d+  # identified, \+- ", text, re.MULTILINE)


def write_fit_of_a_car(run: Path) -> None:
    from pct.dynamics.vehicles import with_vehicle
    from pct.measurement import Measurement, with_measurement
    from pct.optimization.constants.model import FittedModel
    from pct.runs.model_files import save_fit

    spec = with_measurement(
        with_vehicle(MODEL_SPECS["singletrack-pacejka"], "av-21"),
        Measurement(lag=("psi_dot",), observer=True),
    )
    params = {name: np.asarray(spec.default_params[name]) for name in spec.param_keys}
    params |= {"I": np.asarray(900.0), "S_hf": np.asarray(0.004)}
    fitted = FittedModel(
        spec=spec,
        params=params,
        deviations={name: 0.01 * np.abs(value) for name, value in params.items()},
        dt=0.04,
        integrator_name="rk4",
        substeps=1,
        settings=SETTINGS,
        remaining_error={},
    )
    save_fit(run, fitted)


def test_a_network_is_written_whole_or_as_its_mean(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_network(tmp_path, MODEL_SPECS["singletrack"])
    assert run_pct("export", "f1tenth-gym", tmp_path, "--output", tmp_path / "gym") == 0
    told = capsys.readouterr()
    assert "the mean of the network's predictions" in told.err
    values = {}
    exec((tmp_path / "gym" / "f1tenth_gym_params.py").read_text(), values)
    assert values["params"]["mu"] == pytest.approx(1.0589)


@pytest.mark.parametrize(
    ("command", "code", "told"),
    [
        (
            ["mpcc", "--model", "singletrack-pacejka", "--horizon", 3],
            2,
            "--horizon goes with onnx, stablehlo",
        ),
        (["mpcc", "--model", "singletrack-pacejka"], 2, "pass --refit for the nearest"),
        (["tum", "run", "--vehicle", "f1tenth"], 2, "--vehicle goes with --model alone"),
        (["tum"], 2, "a run folder or --model NAME"),
        (["ros2", "nosuch"], 3, "found no folder"),
        (["ros2", "--model", "unicycle", "--output", "none/car.yaml"], 3, "cannot write"),
        (
            ["forzaeth", "--model", "singletrack-pacejka", "--output", "none/car"],
            3,
            "expected a folder to write",
        ),
    ],
)
def test_what_a_target_refuses(
    command: list[object], code: int, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_pct("export", *command) == code
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") <= 2
    assert not list(tmp_path.iterdir())


def test_a_fit_writes_itself(tmp_path: Path) -> None:
    """`Fit.export`: by the rows that it was fitted to, also once it is opened again."""
    car = pct.model("singletrack").hold("C_Sf", "C_Sr", "m", "I").measured(observer=False)
    drives = pct.simulate(car, duration=5.0, mu=(0.7,), noise=0.0)
    fit = pct.fit(car, drives, horizon=8, iterations=4)
    written = fit.export("f1tenth-gym", tmp_path / "fitted")
    opened = pct.open(fit.save(tmp_path / "run", report=False))
    again = opened.export("f1tenth-gym", tmp_path / "opened")
    text, other = ((folder / "f1tenth_gym_params.py").read_text() for folder in (written, again))
    assert "rows that were driven" in text
    assert text == other
    (mu,) = re.findall(r'"mu": (\S+),  # identified, \+- ', text)
    assert float(mu) == pytest.approx(0.7, abs=0.02)
    assert re.search(r'"C_Sf": 4.718,  # nominal: held', text)
    with pytest.raises(UsageError, match="unknown export target 'f1tenth'"):
        fit.export("f1tenth", tmp_path / "no")
    driven = json.loads((tmp_path / "run" / "fit.json").read_text())["driven"]
    assert {len(column) for column in driven.values()} == {100}
    assert set(driven) == {*MODEL_SPECS["singletrack"].state_names, "delta_dot", "accel"}
