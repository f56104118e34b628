"""A model of a user's own file, every name in it new, goes through the whole program untouched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest

import pct
from pct.cli.main import main
from pct.dynamics import MODEL_SPECS, load_model_file
from pct.dynamics.channels import known_channels
from pct.errors import DataError, UsageError
from pct.export.source import from_run
from pct.recordings.derive import model_columns
from pct.recordings.trajectory import Trajectory, read_dataset, resample, write_dataset
from pct.runs.model_files import load_fit, load_network
from pct.simulation.laws import LAWS, check_law

FILE = Path(__file__).parent / "boat.py"
SHAPE = ["--horizon", "10", "--history", "5", "--samples", "48", "--substeps", "1"]


@pytest.fixture(autouse=True)
def as_the_program_runs() -> Iterator[None]:
    """In single precision; the other tests are in double precision."""
    with jax.enable_x64(False):
        yield


@pytest.fixture(scope="module", autouse=True)
def forgotten() -> Iterator[None]:
    """The boat is known while these tests run."""
    yield
    MODEL_SPECS.pop("boat", None)


def test_its_names_are_new() -> None:
    cars = {name: spec for name, spec in MODEL_SPECS.items() if name != "boat"}
    spec = load_model_file(FILE)
    parameters = {row.name for car in cars.values() for row in car.parameters}
    channels = {name for car in cars.values() for name in (*car.state_names, *car.control_names)}
    assert not parameters & set(spec.default_params)
    assert not channels & {*spec.state_names, *spec.control_names}


@pytest.mark.parametrize("law", LAWS)
def test_it_obeys_the_laws(law: str) -> None:
    result = check_law(load_model_file(FILE), law)
    assert result.passed, result.message


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``train`` and ``test``, simulated by the command line."""
    folder = tmp_path_factory.mktemp("boat")
    for name, seed in (("train", 0), ("test", 1)):
        flags = ["--recordings", "2", "--duration", "30", "--dt", "10", "--seed", str(seed)]
        changed = ["--set", "keel=2.0", "blade=0.2"]
        main(["simulate", "--model", str(FILE), "--output", str(folder / name), *flags, *changed])
    return folder


def test_it_is_simulated(data: Path) -> None:
    spec = load_model_file(FILE)
    drives = read_dataset(data / "train")
    assert len(drives) == 2
    for drive in drives:
        assert set(drive.channels) == {*spec.state_names, *spec.control_names}
        for channel in (*spec.states, *spec.controls):
            size = np.abs(drive.channels[channel.name]).max()
            assert 0.05 * channel.typical < size < 3.0 * channel.typical, channel.name


def test_what_its_log_lacks_is_derived_from_the_table(data: Path) -> None:
    """A rate is that of the channel which the table names; a heading may wrap."""
    spec = load_model_file(FILE)
    drive = read_dataset(data / "test")[0]
    wrapped = (drive.channels["compass"] + 3.0 + np.pi) % (2 * np.pi) - np.pi
    logged = {**drive.channels, "compass": wrapped}
    less = {name: column for name, column in logged.items() if name not in ("turn", "rudder_rate")}
    states, controls = model_columns(Trajectory("d", drive.dt, less, drive.units, drive.origins), spec)
    turn, rate = states[:, spec.state_indices["turn"]], controls[:, 0]
    assert np.abs(turn - drive.channels["turn"])[5:-5].max() < 0.1
    np.testing.assert_allclose(np.cumsum(rate[:-1]) * drive.dt, (np.diff(drive.channels["rudder"])).cumsum())
    assert known_channels()["compass"].heading
    coarse = resample(drive, 2 * drive.dt)
    held = drive.channels["thrust"]
    np.testing.assert_allclose(coarse.channels["thrust"][0], held[:2].mean())


@pytest.fixture(scope="module")
def fit(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of `pct fit`."""
    results = tmp_path_factory.mktemp("fit")
    with jax.enable_x64(False):
        main(
            [
                *("fit", "--model", str(FILE), "--dataset", str(data / "train"), "--no-report"),
                *("--results", str(results), "--iterations", "12", "--no-observer", *SHAPE),
            ]
        )
    return next(results.glob("boat/*"))


def test_it_is_fitted(fit: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fitted = load_fit(fit)
    assert fitted.params["keel"] == pytest.approx(2.0, abs=0.3)
    assert fitted.params["blade"] == pytest.approx(0.2, abs=0.05)


def test_a_parameter_without_a_role_is_judged(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that nothing excites gets general advice, and the fit is not lost."""
    still = [drive.slice(0, 60, name=f"still_{n}") for n, drive in enumerate(read_dataset(data / "train"))]
    write_dataset(tmp_path / "still", still, vehicle="boat")
    main(
        [
            *("fit", "--model", str(FILE), "--dataset", str(tmp_path / "still"), "--no-report"),
            *("--results", str(tmp_path), "--iterations", "3", "--prior", "0.05", "--no-observer", *SHAPE),
        ]
    )
    assert "Vary every control and the speed" in capsys.readouterr().out
    assert load_fit(next(tmp_path.glob("boat/*"))).params["keel"] > 0


def test_it_is_evaluated(fit: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["evaluate", str(fit), "--model", str(FILE), "--dataset", str(data / "test"), "--stride", "10"])
    text = capsys.readouterr().out
    assert "beats hold last value" in text
    assert "Left out: kinematic: the model 'boat' has none of its channels" in text
    assert "Not logged" not in text


def test_a_network_is_trained(data: Path, fit: Path, tmp_path: Path) -> None:
    flags = ["--model-hidden", "4", "--epochs", "1", "--batch-size", "16", "--no-analysis", "--engine", "jax"]
    logs = ["--dataset", str(data / "train"), "--val-dataset", str(data / "test"), "--val-samples", "16"]
    main(["train", "--model", str(FILE), *logs, *flags, *SHAPE, "--results", str(tmp_path)])
    trained = load_network(next(tmp_path.glob("boat/*")))
    assert trained.spec.param_keys == ("turning", "hull", "keel", "wake", "blade")


def test_it_is_exported(fit: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["export", "c", str(fit), "--model", str(FILE), "--output", str(tmp_path / "boat.c")])
    assert "Checked against JAX" in capsys.readouterr().out
    assert "const double rudder = x[6];" in (tmp_path / "boat.c").read_text()
    assert from_run(fit).values["keel"] == pytest.approx(2.0, abs=0.3)


def test_its_log_is_examined(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["data", "check", str(data / "train"), "--model", str(FILE)])
    assert stop.value.code in (0, None)
    assert "2 recordings: nothing found" in capsys.readouterr().out


def test_a_run_of_an_unknown_model_says_so(fit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(MODEL_SPECS, "boat")
    with pytest.raises((DataError, UsageError), match="unknown model 'boat'"):
        load_fit(fit)


def test_the_library_takes_it(tmp_path: Path) -> None:
    """From its file to a fit, a prediction, a run folder and code, by values."""
    car = pct.model(FILE)
    drives = pct.simulate(
        car.hold(keel=2.0), recordings=2, duration=20.0, dt=0.1, vary={"blade": (0.2, 0.21)}
    )
    assert 0.2 <= drives[0].trajectory.channels["truth.blade"][0] <= 0.21
    fit = pct.fit(car.measured(observer=False), drives, horizon=10, history=5, samples=32, iterations=8)
    assert fit.params["keel"] == pytest.approx(2.0, abs=0.3)
    assert set(fit.table()["parameter"]) == {"turning", "hull", "keel", "wake", "blade"}
    assert fit.predict(drives[0], start=1.0, horizon=10).predicted.shape == (11, 7)
    again = pct.open(fit.save(tmp_path / "run", report=False), model=FILE)
    assert again.table().equals(fit.table())
    assert "pct_boat_step" in fit.export("c", tmp_path / "boat.c").read_text()
