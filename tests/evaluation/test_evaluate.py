"""An evaluation compares like with like."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from pct.dynamics import MODEL_SPECS
from pct.errors import DataError
from pct.evaluation.datasets import TestData, TrainingData
from pct.evaluation.evaluate import RUN, Evaluation, evaluate
from pct.evaluation.page import evaluation_page
from pct.evaluation.report import as_json, figures_of
from pct.evaluation.text import verdicts
from pct.optimization.constants.model import FittedModel
from pct.recordings.trajectory import Trajectory
from pct.simulation.drive import simulate

PACEJKA = MODEL_SPECS["singletrack-pacejka"]


def fitted(**params: float) -> FittedModel:
    """A run with the default parameters, but for these."""
    values = {name: PACEJKA.default_params[name] for name in PACEJKA.param_keys}
    return FittedModel(
        spec=PACEJKA,
        params={**values, **params},
        deviations={},
        dt=0.05,
        integrator_name="rk4",
        substeps=2,
        settings={
            "horizon": 4,
            "history": 4,
            "stride": 4,
            "feature_mode": "context",
            "history_fit": False,
            "feature_names": (),
        },
        remaining_error={},
    )


@pytest.fixture(scope="module")
def drive() -> Trajectory:
    (trajectory,) = simulate(PACEJKA, recordings=1, duration=4.0, dt=0.05, noise=0.1, seed=1)
    return trajectory


def judged(trajectory: Trajectory, model: FittedModel | None = None) -> Evaluation:
    def gone() -> Any:
        raise DataError("the training data is gone")

    test = TestData([("lap", trajectory)], {})
    return evaluate(model or fitted(), test, TrainingData(gone, None, {}), allow_overlap=True)


def test_a_row_with_the_derived_acceleration_is_not_held_against_pedals(drive: Trajectory) -> None:
    assert "accel" not in drive.channels
    result = judged(drive)
    kinematic = result.rows["kinematic"]
    assert kinematic.told == ("accel",)
    assert not kinematic.comparable
    assert all(row.comparable for name, row in result.rows.items() if name != "kinematic")
    # It stands last, marked, in the figure and on the page.
    assert list(result.rows)[-1] == "kinematic"
    ladder = figures_of(result)["ladder_0.2"]
    assert ladder.keywords["apart"] == ["kinematic †"]
    assert [*ladder.keywords["errors"]][-1] == "kinematic †"
    assert "kinematic †: The kinematic single-track model" in evaluation_page(result, run=Path("."), paths=[])
    assert not any("kinematic:" in line for line in verdicts(result))


def test_a_commanded_acceleration_is_no_answer(drive: Trajectory) -> None:
    known = dataclasses.replace(
        drive,
        channels={**drive.channels, "accel": 0.0 * drive.channels["vx"]},
        units={**drive.units, "accel": "m/s^2"},
        origins={**drive.origins, "accel": "command"},
    )
    assert judged(known).rows["kinematic"].comparable
    # An import that derived it has seen as much of the future as PCT itself.
    imported = dataclasses.replace(known, origins={**known.origins, "accel": "derived"})
    assert not judged(imported).rows["kinematic"].comparable


def test_two_pedals_in_one_are_not_derived_from_the_answer() -> None:
    test = TestData([("lap", Trajectory("lap", 0.05, {}, {}, {"delta_dot": "command"}))], {})
    assert test.derived(PACEJKA.controls) == ()


def test_the_page_says_what_of_a_fit_to_trust(drive: Trajectory) -> None:
    found = {
        "C_m1": {"verdict": "identified", "std": 0.01},
        "I": {"verdict": "weak", "advice": "Steer <fast>."},
    }
    fit = fitted()
    result = dataclasses.replace(judged(drive), parameter_verdicts=lambda: found)
    page = evaluation_page(result, run=Path("."), paths=[])
    assert "Of the fit: Trust 1 of 2 parameters (C_m1)." in page
    value = float(fit.params["C_m1"])
    assert f"<td>{value - 0.0196:.4g} to {value + 0.0196:.4g}</td>" in page
    assert "Steer &lt;fast&gt;." in page
    assert as_json(result, run=Path("."), paths=[])["parameters"]["C_m1"] == {"value": value, **found["C_m1"]}


def test_windows_of_the_run_that_explode_are_counted_by_horizon(drive: Trajectory) -> None:
    assert judged(drive).rows[RUN].exploded == {0.2: 0}
    # A car next to without inertia spins at once.
    result = judged(drive, fitted(I=1e-6))
    row = result.rows[RUN]
    assert 0 < row.exploded[0.2] <= result.windows
    assert row.explosions[0].recording == "lap"
    assert result.rows["hold last value"].exploded == {0.2: 0}
