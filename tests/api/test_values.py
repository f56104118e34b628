"""Load, fit, train, judge, save, open, export: from a notebook, without a command or a folder."""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
import pickle
from pathlib import Path
from typing import Any

import jax
import numpy as np
import polars as pl
import pytest
from matplotlib.figure import Figure

import pct
from api.conftest import SMALL
from pct.errors import DataError, UsageError
from pct.export.source import from_fit
from pct.optimization.constants import fitting
from pct.rollout.integration import make_integrator
from pct.runs import fits
from rollout.native.windows import needs_compiler


def test_nothing_is_printed_or_written(
    drives: pct.Drives, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    car = pct.model("unicycle")
    fit = pct.fit(car, drives, **SMALL, iterations=2)
    pct.train(fit, drives, epochs=1, horizon=4, model_hidden=(4,), engine="jax")
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_progress_falls_and_reads_as_a_line(drives: pct.Drives) -> None:
    lines: list[Any] = []
    pct.fit(pct.model("unicycle"), drives, **SMALL, iterations=4, progress=lines.append)
    assert str(lines[0]).startswith("unicycle: ")
    assert str(lines[1]).startswith("iteration 1  error ")
    errors = [line.error for line in lines[1:]]
    assert errors == sorted(errors, reverse=True)


def test_a_fit_begins_at_the_fit_of_a_simpler_car(
    fit: pct.Fit, drives: pct.Drives, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: dict[str, Any] = {}
    actual = fitting.fit

    def noted(*args: Any, start: Any, **more: Any) -> Any:
        begun.update(start)
        return actual(*args, start=start, **more)

    monkeypatch.setattr(fitting, "fit", noted)
    wider = pct.model("unicycle").hold("beta_accel").measured(bias=["v"])
    assert "alpha_accel" in pct.fit(wider, drives, **SMALL, iterations=1, start=fit).params
    assert begun == fit.params
    with pytest.raises(UsageError, match=r"`start`: a fit of 'unicycle' has none of .* learns: mu, C_Sf"):
        pct.fit(pct.model("singletrack"), drives, **SMALL, start=fit)


def test_drives_from_a_folder_a_file_and_a_frame_are_the_same(folder: Path, drives: pct.Drives) -> None:
    stored = pct.load(str(folder))
    assert [drive.name for drive in stored] == ["drives/recording_00", "drives/recording_01"]
    assert set(stored.hashes) == {str(path) for path in folder.iterdir()}
    frame = stored[0].table()
    (again,) = pct.load(frame)
    assert len(again) == len(stored[0])
    for name in again.channels:
        np.testing.assert_allclose(again.table()[name], frame[name], atol=1e-9)
    both = stored + pct.load(frame)
    assert len(both[1:]) == 2
    assert both.table()["drive"].to_list()[:2] == ["drives/recording_00", "drives/recording_01"]


def test_a_frame_without_time_or_channels_says_what_it_needs() -> None:
    with pytest.raises(DataError, match="expected the column 't' in s and channels by name"):
        pct.load(pl.DataFrame({"time": [0.0, 0.1], "velocity": [1.0, 1.0]}))


def test_a_csv_is_read_through_a_map(tmp_path: Path, drives: pct.Drives) -> None:
    drives[0].table().select("t", "x", "y", "psi", "v", "delta").write_csv(tmp_path / "log.csv")
    (drive,) = pct.load(tmp_path / "log.csv", map="plain-csv")
    assert set(drive.channels) == {"x", "y", "psi", "v", "delta"}
    with pytest.raises(DataError, match=r"`map=no-such-preset`: expected a signals\.toml or a preset"):
        pct.load(tmp_path / "log.csv", map="no-such-preset")


def test_tables_and_figures(fit: pct.Fit, network: pct.Network, drives: pct.Drives) -> None:
    table = fit.table()
    assert table["parameter"].to_list() == ["alpha_psi_dot", "beta_psi_dot", "fade_v_bias"]
    assert (table["low"] < table["value"]).all()
    assert set(network.table()["parameter"]) == {"alpha_psi_dot", "beta_psi_dot"}
    along = network.parameters(drives)
    assert {"drive", "t", "alpha_psi_dot"} <= set(along.columns)
    values: list[Any] = [fit, network, drives, drives[0], pct.model("unicycle")]
    assert all("<table>" in value._repr_html_() for value in values)
    figures = [fit.plot("residuals"), fit.plot("correlations"), network.plot("losses"), drives.plot()]
    figures.append(network.plot("parameters"))
    assert all(isinstance(figure, Figure) for figure in figures)
    with pytest.raises(UsageError, match="`kind=curves`: expected one of correlations, residuals"):
        fit.plot("curves")  # a unicycle has no tyres


def test_values_are_frozen(fit: pct.Fit, network: pct.Network, drives: pct.Drives) -> None:
    for value in (fit, network, drives, drives[0], pct.model("unicycle")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            value.run = None


@pytest.mark.parametrize("kind", ["fit", "network"])
def test_a_prediction_starts_at_the_log(kind: str, request: Any, unseen: pct.Drives) -> None:
    value = request.getfixturevalue(kind)
    prediction = value.predict(unseen[0], start=1.0, horizon=10)
    table = prediction.table()
    assert table["t"].to_list() == pytest.approx([1.0 + 0.05 * step for step in range(11)])
    assert table["v"][0] == table["logged.v"][0]
    assert abs(table["x"][-1] - table["logged.x"][-1]) < 0.5
    assert isinstance(prediction.plot(), Figure)
    with pytest.raises(UsageError, match=r"`start=3.9`: expected 0.2 to 3.45 s"):
        value.predict(unseen[0], start=3.9, horizon=10)


@pytest.mark.parametrize("kind", ["fit", "network"])
def test_what_is_saved_opens_and_scores_the_same(
    kind: str, request: Any, unseen: pct.Drives, folder: Path, tmp_path: Path
) -> None:
    value = request.getfixturevalue(kind)
    run = value.save(tmp_path / "run")
    again = pct.open(str(run))
    np.testing.assert_allclose(
        again.table()[again.table().columns[1]], value.table()[value.table().columns[1]]
    )
    scores = [pct.evaluate(model, unseen, at=(0.2,)) for model in (value, again)]
    ours = [score.table().filter(pl.col("row") == "this run")["path RMSE"].to_numpy() for score in scores]
    np.testing.assert_allclose(*ours, rtol=1e-5)
    # In memory the training drives are known; on disk nobody says where they lie.
    assert "ridge ARX" in scores[0].result.rows
    assert set(scores[1].result.missing) >= {"ridge ARX"}
    assert (scores[0].save(tmp_path / "score")).name == "report.html"
    assert isinstance(scores[0].plot(), Figure)
    with pytest.raises(DataError, match="expected a new or empty folder"):
        value.save(run)


def test_training_data_is_refused(fit: pct.Fit, drives: pct.Drives) -> None:
    with pytest.raises(DataError, match="expected drives that the run was not trained on"):
        pct.evaluate(fit, drives)
    assert "NO TEST" in " ".join(pct.evaluate(fit, drives, allow_overlap=True).facts)


def test_a_fit_is_exported(fit: pct.Fit, network: pct.Network, tmp_path: Path) -> None:
    for value in (fit, network):
        path = value.export("c", tmp_path / "car.c")
        assert "pct_unicycle" in path.read_text()
    with pytest.raises(UsageError, match="unknown export target 'fortran'"):
        fit.export("fortran", tmp_path / "car.f")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: pct.model("singletrak"), "unknown model 'singletrak': did you mean 'singletrack'?"),
        (lambda d: pct.model("singletrack", vehicle="f1tent"), "did you mean 'f1tenth'?"),
        (lambda d: pct.model("singletrack").hold("C_sf"), "did you mean 'C_Sf'?"),
        (lambda d: pct.model("singletrack").measured(lag=["psi_do"]), "did you mean 'psi_dot'?"),
        (lambda d: pct.model("singletrack").measured(lagg=["psi_dot"]), "did you mean 'lag'?"),
        (lambda d: pct.fit(pct.model("unicycle"), d, horizn=3), "did you mean 'horizon'?"),
        (lambda d: pct.fit(pct.model("unicycle"), d, horizon=0), "`horizon`: expected a whole number from 1"),
        (lambda d: pct.train(pct.model("unicycle").measured(bias=["v"]), d), "fit the measurement first"),
    ],
)
def test_a_wrong_argument_is_named_with_the_nearest(call: Any, message: str, drives: pct.Drives) -> None:
    with pytest.raises(UsageError) as error:
        call(drives)
    assert message in str(error.value)
    assert "--" not in str(error.value)


def test_a_fit_is_never_lost(
    fit: pct.Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Values are saved before anything is judged; what fails after that is a warning that names it."""

    def fail(*_: Any) -> None:
        raise KeyError("slope")

    assert fit.result is not None
    broken = dataclasses.replace(fit, result=dataclasses.replace(fit.result))
    monkeypatch.setattr("pct.optimization.constants.constant_fit.make_verdicts", fail)
    monkeypatch.setattr(fits, "save_fingerprint", lambda *_: None)
    with caplog.at_level(logging.WARNING):
        run = broken.save(tmp_path / "run")
    assert "the results are saved, but without the verdicts" in caplog.text
    assert "the results are saved, but without the report" in caplog.text
    saved = json.loads((run / "fit.json").read_text())
    assert saved["params"]["alpha_psi_dot"] == fit.params["alpha_psi_dot"]
    assert json.loads((run / "pct_predicted_params.json").read_text())["alpha_psi_dot"]["std"] > 0
    assert (run / "DONE").exists()


def test_a_run_of_a_model_that_is_not_installed_says_what_to_do(fit: pct.Fit, tmp_path: Path) -> None:
    run = fit.save(tmp_path / "run", report=False)
    saved = json.loads((run / "fit.json").read_text())
    (run / "fit.json").write_text(json.dumps({**saved, "model": "boat"}))
    with pytest.raises(DataError, match=r"unknown model 'boat'.*give the file with its equations as `model`"):
        pct.open(run)


def test_formats(fit: pct.Fit, tmp_path: Path) -> None:
    run = fit.save(tmp_path / "run", report=False)
    saved = json.loads((run / "fit.json").read_text())
    assert saved.pop("format") == 3
    (run / "fit.json").write_text(json.dumps(saved))  # as the version before wrote it
    np.testing.assert_allclose(pct.open(run).table()["value"], fit.table()["value"])
    (run / "fit.json").write_text(json.dumps({**saved, "format": 99}))
    with pytest.raises(DataError, match="a newer version of PCT wrote it; update PCT"):
        pct.open(run)


def test_a_second_prediction_compiles_nothing(
    fit: pct.Fit, unseen: pct.Drives, caplog: pytest.LogCaptureFixture
) -> None:
    fit.predict(unseen[0], start=1.0)
    with jax.log_compiles(), caplog.at_level("WARNING"):
        fit.predict(unseen[0], start=1.5)
    assert [record.getMessage() for record in caplog.records if "Compiling" in record.getMessage()] == []


def test_values_are_copied_and_pickled(fit: pct.Fit, network: pct.Network, unseen: pct.Drives) -> None:
    """For processes of other libraries: joblib, Dask, multiprocessing."""
    where = {"start": 1.0, "horizon": 5}
    for value in (fit, network, fit.car, fit.predict(unseen[0], **where), unseen):
        again = pickle.loads(pickle.dumps(value))
        assert repr(again).partition("\n")[0] == repr(value).partition("\n")[0]
        if isinstance(value, pct.Fit | pct.Network):
            told, first = (one.predict(unseen[0], **where).predicted for one in (again, value))
            np.testing.assert_array_equal(told, first)
    copied = copy.deepcopy(fit)
    assert copied.result is not None
    assert copied.params == fit.params
    assert copied.facts == fit.facts
    apart = pickle.loads(pickle.dumps(network))
    with pytest.raises(UsageError, match="a network that was pickled cannot be saved: save it before"):
        apart.save("nowhere")
    with pytest.raises(UsageError, match="a network that was pickled has lost its training windows"):
        pct.evaluate(apart, unseen)


def test_a_value_shows_every_column(fit: pct.Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    lines = repr(fit).splitlines()
    assert lines[0] == "Parameters of unicycle"
    heads = [line for line in lines if line.startswith("parameter ")]
    assert len(heads) > 1
    assert all(len(line) <= 60 for line in heads)
    shown = " ".join(heads)
    assert all(name in shown for name in fit.table().columns)


@needs_compiler
def test_a_fit_is_rolled_out_for_a_controller(fit: pct.Fit) -> None:
    """Without the hidden states of its measurement, in steps no longer than its own."""
    source = from_fit(fit.model, "a fit")
    start, control = np.array([1.0, 2.0, 0.3, 4.0]), np.array([0.5, -1.0])
    for dt in (None, 2.5 * fit.model.dt):
        step, parts = dt or fit.model.dt, 1 if dt is None else 3
        states = fit.sampler(dt=dt).states(start, np.tile(control, (2, 3, 1)))
        exact = make_integrator(source.integrator_name, parts * source.substeps)
        given = np.concatenate([start, control])
        expected = exact(lambda x, p: source.spec.dynamics_fn(x, p, np), given, source.values, step)
        np.testing.assert_allclose(states[1, 0], expected[:4], rtol=1e-6)
    with pytest.raises(UsageError, match=r"`dt`: expected a number above 0"):
        fit.sampler(dt=0.0)
