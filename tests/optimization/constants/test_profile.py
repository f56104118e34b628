"""Profiles of a unicycle whose truth is known: closed where the drive tells a parameter, flat where not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS
from pct.errors import UsageError
from pct.optimization.constants.estimate import Estimate, fit_errors
from pct.optimization.constants.profile import LIMIT, Profile, make_profile, profile_table
from pct.optimization.constants.rollout_errors import RolloutErrors, make_rollout_errors
from pct.windows.store import WindowStore, window_starts
from pct.windows.window_set import WindowSet, make_window_set

SPEC = MODEL_SPECS["unicycle"]
DT, SHAPE = 0.05, {"horizon": 5, "history": 2}
TRUTH = {"alpha_psi_dot": 1.15, "beta_psi_dot": 0.1, "alpha_accel": 1.1, "beta_accel": -0.5}
WIDE = 100.0


def make_windows(rows: int = 600) -> WindowSet:
    """A noisy drive at nearly constant speed: yaw rate commands of all kinds, and no acceleration at all."""
    rng = np.random.default_rng(1)
    controls = rng.standard_normal((rows, 2)) * [1.0, 0.0]
    states = np.zeros((rows, 4))
    states[0, 3] = 5.0
    for k in range(rows - 1):
        states[k + 1] = states[k] + DT * np.array(
            SPEC.lane_rates(tuple(states[k]), tuple(controls[k]), TRUTH, np)
        )
    states += 0.2 * SPEC.scales * rng.standard_normal(states.shape)
    none = np.zeros((rows, 0))
    time, number = DT * np.arange(rows), np.zeros(rows, np.int32)
    store = WindowStore(states, controls, none, none, time, number, ("drive",), (), (), DT)
    starts = window_starts(store, stride=6, **SHAPE)
    return make_window_set(store, starts, SPEC, feature_mode="context", **SHAPE)


Case = tuple[Estimate, RolloutErrors, WindowSet, np.ndarray]


@pytest.fixture(scope="module")
def case() -> Case:
    windows = make_windows()
    errors = make_rollout_errors(SPEC, SPEC.build_base_params(5), SHAPE["history"], integrator="euler")
    numbers = np.arange(len(windows))
    return fit_errors(errors, windows, numbers, prior=WIDE), errors, windows, numbers


def profile_of(name: str, case: Case, **options: Any) -> Profile:
    return make_profile(name, *case, prior=WIDE, **options)


def test_a_parameter_that_the_drive_tells_has_a_closed_profile(case: Case) -> None:
    fit = case[0]
    told: list[tuple[float, float]] = []
    found = profile_of("alpha_psi_dot", case, report=lambda *row: told.append(row))
    assert found.verdict == "closed"
    low, high = found.interval
    assert low is not None
    assert high is not None
    value, deviation = fit.values[0], fit.deviations(SPEC)[0]
    # Nearly quadratic here: the interval is that of the standard error.
    np.testing.assert_allclose(
        [low, high], value + 1.96 * deviation * np.array([-1, 1]), atol=0.4 * deviation
    )
    assert low < TRUTH["alpha_psi_dot"] < high
    assert 0 < found.scale <= 1
    assert found.excess.min() == 0
    assert np.all(np.diff(found.values) > 0)
    assert len(told) == found.values.size - 1
    table = profile_table(found, "1")
    assert table["limit_95"] == LIMIT
    assert table["verdict"] == "closed"


def test_a_parameter_that_the_drive_does_not_see_has_a_flat_one(case: Case) -> None:
    """Without acceleration commands their gain changes nothing."""
    found = profile_of("alpha_accel", case)
    assert found.interval == (None, None)
    assert found.verdict == "flat: not identified"
    low, high = SPEC.param_bounds["alpha_accel"]
    assert np.ptp(found.values) > 0.9 * (high - low)
    assert found.excess.max() < 0.1


def test_a_fit_that_was_cut_short_is_told(case: Case) -> None:
    _, errors, windows, numbers = case
    start = {name: SPEC.param_bounds[name][0] for name in SPEC.param_keys}
    short = fit_errors(errors, windows, numbers, start=start, prior=WIDE, iterations=1)
    found = make_profile("alpha_psi_dot", short, errors, windows, numbers, prior=WIDE, iterations=1)
    assert not found.converged
    assert "raise `iterations`" in found.verdict


def test_an_unknown_parameter_is_refused(case: Case) -> None:
    with pytest.raises(
        UsageError, match="`profiles=mass`: expected a fitted scalar parameter, one of alpha_psi"
    ):
        profile_of("mass", case)
