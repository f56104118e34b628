"""From logs to parameters in one call."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import pct
from pages.read import figures_of_page
from pct.api.run_page import run_page
from pct.errors import DataError, UsageError


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("logs") / "log.csv"
    drive = pct.simulate(pct.model("singletrack"), duration=40.0, mu=(0.7,), noise=0.05)[0]
    drive.table().select("t", "x", "y", "psi", "v", "delta").write_csv(path)
    return path


def test_a_csv_becomes_parameters_that_hold(log: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    made = pct.run(
        *(log, tmp_path / "run"),
        report=False,
        progress=lambda line: lines.append(str(line)),
        steering=False,
        actuator_lag=[],
    )
    assert made.choices["car.vehicle"][0] == "f1tenth"
    assert made.choices["car.model"][0] == "singletrack"
    # What is derived by smoothing, or predicted by a control that was derived from it, is no measurement.
    assert made.choices["fit.compare"][0] == ["x", "y", "psi"]
    truth = pct.model("singletrack").base.default_params
    for name in made.trusted:
        expected = 0.7 if name == "mu" else float(truth[name])
        assert abs(made.fit.params[name] - expected) < max(4 * made.fit.deviations[name], 0.03 * expected)
    assert {*made.trusted, *made.doubtful} == {*made.fit.params}
    # Inertia and stiffness go with the size of the car.
    assert "I" in made.trusted
    guessed = dataclasses.replace(made, doubts=("wheelbase: the drives do not tell it",))
    assert guessed.doubtful["I"] == "goes with the wheelbase, a guess"
    assert {*guessed.trusted} == {*made.trusted} - {"I", "C_Sf", "C_Sr"}
    # Of the inertia, driving tells the ratio to a mass that is held.
    assert [made.qualified(name) for name in ("I", "mu")] == ["I / m (m is held at 3.74 kg)", "mu"]
    # Standard errors of few blocks say little.
    result = made.fit.result
    assert result is not None
    few = dataclasses.replace(result, estimate=dataclasses.replace(result.estimate, blocks=3))
    short = dataclasses.replace(made, fit=dataclasses.replace(made.fit, result=few))
    assert short.trusted == []
    assert short.doubtful["I"] == "its error rests on 3 blocks of driving"
    assert made.score is not None
    page = run_page(made)
    assert {"window-channels", "map", "curve-1"} <= set(figures_of_page(page))
    assert all(f'class="text">{name}</th>' in page for name in made.fit.params)
    assert all(reason.partition("'")[0] in page for _, reason in made.choices.values())
    assert "/evaluation/report.html" not in page  # links count from the folder of the page
    assert 'href="evaluation/report.html"' in page
    assert any(line.startswith("model: singletrack (its errors on the part held out") for line in lines)
    # The choices run again, one of them edited.
    plan = tmp_path / "run" / "run.toml"
    plan.write_text(plan.read_text().replace('model = "singletrack"', 'model = "kinematic-singletrack"')
                    .replace('fixed = ["m"]', "fixed = []"))  # fmt: skip
    again = pct.run(plan, tmp_path / "again", report=False)
    assert again.fit.model.spec.name == "kinematic-singletrack"
    assert again.choices["car.vehicle"] == ("f1tenth", "given")


def test_an_angle_measured_at_the_wheels_has_no_lag_of_an_actuator(log: Path, tmp_path: Path) -> None:
    made = pct.run(
        log, tmp_path / "run", report=False, model="singletrack", vehicle="f1tenth", steering=False
    )
    lag = made.choices["measurement.actuator_lag"]
    assert lag == ([], "the steering angle is measured, behind its actuator")


def test_a_car_that_stands_is_refused(tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    columns = {"t": 0.02 * np.arange(1500)}
    columns |= {n: random.normal(0.3, 0.01, 1500) for n in ("x", "y", "psi", "psi_dot", "delta")}
    pl.DataFrame(columns).write_csv(tmp_path / "log.csv")
    with pytest.raises(DataError, match="found a car that stands still in its 30 s"):
        pct.run(tmp_path / "log.csv", tmp_path / "run", report=False)
    # One whose positions drift is taken to move.
    columns["x"] = columns["x"] + 0.15 * columns["t"]
    pl.DataFrame(columns).write_csv(tmp_path / "drifts.csv")
    with pytest.raises(DataError, match=r"found a car that stands or crawls, .* m/s at most"):
        pct.run(tmp_path / "drifts.csv", tmp_path / "drifted", report=False)


def test_a_log_without_steering_or_without_heading_says_so(log: Path, tmp_path: Path) -> None:
    table = pl.read_csv(log)
    table.select("t", "x", "y", "psi", "v").write_csv(tmp_path / "free.csv")
    made = pct.run(tmp_path / "free.csv", tmp_path / "free", report=False)
    assert made.fit.model.spec.name == "unicycle"
    assert [line for line in made.doubts if line.startswith("steering: no column that varies is delta")]
    assert not [line for line in made.doubts if line.startswith("wheelbase:")]
    table.select("t", "x", "y", pl.col("v").alias("vx"), "delta").write_csv(tmp_path / "blind.csv")
    with pytest.raises(DataError, match="no heading beside the positions"):
        pct.run(tmp_path / "blind.csv", tmp_path / "blind", report=False)


def test_what_cannot_be_run_is_refused(log: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(DataError, match="expected a new folder, found one with files"):
        pct.run(log, tmp_path / "full")
    with pytest.raises(UsageError, match="unknown choice 'modle': did you mean 'model'"):
        pct.run(log, tmp_path / "new", modle="singletrack")
    (tmp_path / "run.toml").write_text("[fit]\ndt = 0.05\n")
    with pytest.raises(DataError, match="expected logs under"):
        pct.run(tmp_path / "run.toml", tmp_path / "new")
    assert not (tmp_path / "new").exists()
