"""The tracker of a car that is not the model."""

from __future__ import annotations

import numpy as np
import pytest

import pct
from pct.api.race_trackers import UNSURE, race_tracker, uncertain
from pct.api.tracking import make_problem
from pct.racing.beliefs import slides
from rollout.native.windows import needs_compiler


def car() -> pct.Car:
    model = pct.model("singletrack-drift", vehicle="bmw-320i").hold_all({"tau_w": 0.02})
    return model.hold(*(name for name in model.learned if name != "mu"))


def test_what_the_model_may_be_wrong_in_is_uncertain() -> None:
    problem = uncertain(make_problem(car(), "mu"))
    sizes = [share * problem.params[name] for name, share in UNSURE.items()]
    assert problem.vary == ("mu",)
    assert problem.held == tuple(UNSURE)
    np.testing.assert_allclose(np.sqrt(np.diag(problem.covariance)), np.abs(sizes))


@pytest.mark.slow
@needs_compiler
def test_it_finds_the_friction_of_a_car_of_29_states_whose_inner_wheel_spins() -> None:
    race = pct.race("hairpins", grip=0.8, practice=0, believed={"mu": 0.839})
    log = race["believed"].laps.log
    sliding = slides(log, float(car().spec.default_params["R_w"]))
    assert 0.1 < sliding.mean() < 0.6
    found = race_tracker(car(), race.drives("believed"), np.zeros(len(sliding), bool))
    mended = race_tracker(car(), race.drives("believed"), sliding)
    medians = []
    for tracker, left_out in ((found, 0 * sliding), (mended, sliding)):
        rows = np.flatnonzero(left_out == 0)
        times = 0.05 * np.arange(len(rows)) + 0.55 * np.cumsum(np.diff(rows, prepend=rows[0] - 1) > 1)
        estimates = [
            tracker.update(t, row := {name: column[k] for name, column in log.items()}, row)
            for t, k in zip(times, rows, strict=True)
        ]
        medians.append(np.median([one.median[0] for one in estimates if one.told[0] >= 0.5]))
    assert medians[1] == pytest.approx(0.839, rel=0.15)
    assert abs(medians[0] - 0.839) > abs(medians[1] - 0.839)
