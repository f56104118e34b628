"""Starts of a fit: an axle whose rollouts lead nowhere from afar, though single steps tell the way."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS, Channel, Parameter, define_model
from pct.dynamics.bounds import Bounds
from pct.dynamics.tires import magic_formula
from pct.errors import DivergedError, UsageError
from pct.optimization.constants import starts as module
from pct.optimization.constants.constant_fit import ConstantFit
from pct.optimization.constants.fitting import fit, fit_windows
from pct.optimization.constants.starts import CONTINUED, Starts, draw_starts, fit_from_start
from pct.optimization.settings import FitSettings, make_settings
from pct.windows.store import WindowStore

DT, ROWS, SPEED, SHAPE, NOISE = 0.05, 400, 5.0, 1.6, 0.01
TRUTH = {"stiffness": 1.5, "peak": 4.0}


def derivative(x: Any, u: Any, p: Any, xp: Any) -> Any:
    """A car at constant speed whose yaw rate follows the steering through a tyre."""
    turn = magic_formula(u.steer - x.turn, p.stiffness, SHAPE, p.peak, 0.0, xp)
    return x._replace(x=SPEED * xp.cos(x.psi), y=SPEED * xp.sin(x.psi), psi=x.turn, turn=turn)


# Its defaults, and most of the bounds, are beyond what an explicit method can integrate at this step.
SPEC = define_model(
    "axle",
    states=(
        Channel("x", "x", "m", typical=50.0),
        Channel("y", "y", "m", typical=50.0),
        Channel("psi", r"\psi", "rad", angle=True, typical=3.0),
        Channel("turn", "r", "rad/s", scale=0.05, noise=NOISE, typical=1.0),
    ),
    controls=(Channel("steer", r"\delta", "rad", scale=0.1, typical=1.0),),
    parameters=(
        Parameter("stiffness", "B", "s/rad", 0.2, 80.0, 10.0, "stiffness factor"),
        Parameter("peak", "D", "rad/s^2", 0.2, 80.0, 10.0, "peak of the tyre"),
    ),
    derivative=derivative,
    pose=("x", "y", "psi"),
)
SETTINGS = FitSettings(horizon=20, history=1, substeps=1, prior=10.0, compare=("turn",))


@pytest.fixture(scope="module")
def store() -> WindowStore:
    """Rows of a drive with the true tyre, integrated in small steps, and readings with noise."""
    rng = np.random.default_rng(0)
    steer = np.clip(0.15 * np.cumsum(rng.standard_normal(ROWS)), -2, 2)
    states, finer = np.zeros((ROWS, 4)), 10
    for k in range(ROWS - 1):
        row = tuple(states[k])
        for _ in range(finer):
            rates = SPEC.lane_rates(row, (steer[k],), {**SPEC.default_params, **TRUTH}, np)
            row = tuple(np.add(row, DT / finer * np.array(rates)))
        states[k + 1] = row
    states += NOISE * rng.standard_normal(states.shape)
    empty, times = np.zeros((ROWS, 0)), DT * np.arange(ROWS)
    rows = (states.astype(np.float32), steer[:, None].astype(np.float32), empty, empty, times)
    return WindowStore(*rows, np.zeros(ROWS, np.int32), ("drive",), (), (), DT)


@pytest.fixture(scope="module")
def alone(store: WindowStore) -> ConstantFit:
    """The fit from the defaults alone."""
    return fitted(store)


@pytest.fixture(scope="module")
def several(store: WindowStore) -> ConstantFit:
    """The fit from six starts."""
    return fitted(store, starts=6)


def fitted(store: WindowStore, start: Any = None, **settings: Any) -> ConstantFit:
    settings: Any = dataclasses.replace(SETTINGS, **settings)
    return fit(SPEC, fit_windows(SPEC, store, settings), settings, start=start)


def is_true(found: ConstantFit) -> bool:
    return all(abs(float(found.model.params[name]) / value - 1) < 0.05 for name, value in TRUTH.items())


def test_several_starts_find_what_the_defaults_alone_do_not(alone: ConstantFit, several: ConstantFit) -> None:
    assert not is_true(alone)
    assert is_true(several)
    # From the defaults as they are the way goes nowhere, by single steps it goes where the others end.
    assert several.starts == Starts(6, 6, 2)
    assert "6 of 6 starts ended in the same optimum" in several.facts[2]
    assert not any("starts" in line for line in (*alone.facts, *several.warnings))


def test_a_bad_start_is_improved_on_single_steps(store: WindowStore, several: ConstantFit) -> None:
    found = fitted(store, start={"stiffness": 79.0, "peak": 70.0})
    assert is_true(found)
    assert found.starts is None
    np.testing.assert_allclose(found.estimate.raw, several.estimate.raw, atol=0.02)


def test_one_start_at_the_defaults_is_a_plain_fit(alone: ConstantFit) -> None:
    plain = fit_from_start(alone.errors, alone.windows, SETTINGS, None, lambda number, error: None)
    np.testing.assert_array_equal(alone.estimate.raw, plain.raw)
    np.testing.assert_array_equal(alone.estimate.covariance, plain.covariance)
    assert alone.starts is None


def test_where_starts_lead_apart_the_best_is_the_fit_which_says_so(
    store: WindowStore, several: ConstantFit, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = [np.array([4.0, 0.5]) + 0.5 * i for i in range(CONTINUED + 1)]
    points = [*(module.Point(raw, (i + 1,)) for i, raw in enumerate(far))]
    points.append(module.Point(several.estimate.raw, (0,)))
    monkeypatch.setattr(module, "find_basins", lambda *args: points)
    found = fitted(store, starts=5)
    assert is_true(found)
    assert found.starts == Starts(5, 1, 1 + CONTINUED)
    assert any("1 of 5 starts" in line and "`starts`" in line for line in found.warnings)


def test_what_no_start_can_roll_out_is_an_error(store: WindowStore) -> None:
    broken = store._replace(controls=np.full_like(store.controls, 3e38))
    with pytest.raises(DivergedError, match="not finite"):
        fitted(broken, starts=2)


@pytest.mark.parametrize("name", MODEL_SPECS)
def test_starts_are_within_the_bounds_and_those_of_their_seed(name: str) -> None:
    spec = MODEL_SPECS[name]
    assert draw_starts(spec, FitSettings()).shape == (0, spec.vector_size)
    one, same, other = (draw_starts(spec, FitSettings(starts=40, seed=seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert (one != other).all()
    bounds = Bounds.of(spec)
    share = 1 / (1 + np.exp(-bounds.back(np.asarray(bounds.to(one)))))
    assert (share > 0.01).all()
    assert (share < 0.99).all()
    # They fill the range.
    assert (share.min(axis=0) < 0.2).all()
    assert (share.max(axis=0) > 0.8).all()


@pytest.mark.parametrize("starts", [0, -1, 10**9])
def test_a_number_of_starts_that_cannot_be_is_refused(starts: Any) -> None:
    with pytest.raises(UsageError, match="`starts`: expected a whole number from 1 to 10000"):
        make_settings(FitSettings, {"starts": starts})
