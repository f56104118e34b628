"""Constant parameters and their errors, from logs with known truth: a unicycle, exact to Euler's method."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS, ModelSpec
from pct.dynamics.bounds import Bounds
from pct.dynamics.core import flatten_bounds, flatten_params
from pct.errors import DivergedError, UsageError
from pct.measurement import Measurement, with_measurement
from pct.optimization.constants import estimate as parameter_tuning
from pct.optimization.constants import rollout_errors
from pct.optimization.constants.estimate import Estimate, fit_errors, fit_parameters
from pct.optimization.constants.rollout_errors import RolloutErrors, make_rollout_errors
from pct.windows.store import WindowStore, window_starts
from pct.windows.window_set import WindowSet, make_window_set

SPEC = MODEL_SPECS["unicycle"]
DT, HISTORY, HORIZON = 0.05, 2, 5
# Windows that share no row.
APART = HORIZON + 1
TRUTH = {"alpha_psi_dot": 1.15, "beta_psi_dot": 0.1, "alpha_accel": 0.7, "beta_accel": -0.5}
WIDE = 100.0
# Standard deviation of the readings, in scales of their channels.
NOISE = 0.2


def make_store(
    rows: int,
    *,
    truth: dict[str, float] = TRUTH,
    noise: float = 0.0,
    late: float = 0.0,
    push: float = 1.0,
    shake: float = 0.0,
    wave: float | None = None,
    seed: int = 0,
    every: int = 1,
) -> WindowStore:
    """A log of this many rows.

    Args:
        late: the yaw rate command acts so much later than it is logged, in s.
        push: size of the acceleration command.
        shake: standard deviation of what shoves the car in each step, in scales of the states.
        wave: period of the yaw rate command in s; random from row to row when left out.
        every: with more than 1, rows HISTORY, HISTORY + every, ... are free of noise.
    """
    rng = np.random.default_rng(seed)
    t = DT * np.arange(rows)
    controls = rng.standard_normal((rows, 2)) * [1.0, push]
    if wave is not None:
        controls[:, 0] = np.sin(2 * np.pi * t / wave) + 0.2 * controls[:, 0]
    yaw_rate = np.interp(t - late, t, controls[:, 0])
    states = np.zeros((rows, 4))
    states[0] = [0.0, 0.0, 0.0, 5.0]
    shoves = shake * SPEC.scales * np.random.default_rng(seed + 1).standard_normal(states.shape)
    for k in range(rows - 1):
        rates = SPEC.lane_rates(tuple(states[k]), (yaw_rate[k], controls[k, 1]), truth, np)
        states[k + 1] = states[k] + DT * np.array(rates) + shoves[k]
    readings = noise * SPEC.scales * rng.standard_normal(states.shape)
    if every > 1:
        readings[HISTORY::every] = 0.0
    empty = np.zeros((rows, 0))
    return WindowStore(
        states + readings, controls, empty, empty, t, np.zeros(rows, np.int32), ("drive",), (), (), DT
    )


def make_windows(store: WindowStore, stride: int = APART, spec: ModelSpec = SPEC) -> WindowSet:
    shape = {"horizon": HORIZON, "history": HISTORY}
    return make_window_set(
        store, window_starts(store, stride=stride, **shape), spec, feature_mode="context", **shape
    )


def fit(windows: WindowSet, spec: ModelSpec = SPEC, **options: Any) -> Estimate:
    options = {"integrator": "euler", "prior": WIDE, **options}
    return fit_parameters(
        windows, np.arange(len(windows)), spec, {**spec.default_params, "dt": DT}, **options
    )


def truth_of(spec: ModelSpec, truth: dict[str, float]) -> np.ndarray:
    return flatten_params(truth, spec.param_keys, spec.full_shapes)


def test_it_finds_the_truth_from_a_wrong_start() -> None:
    start = {"alpha_psi_dot": 0.6, "beta_psi_dot": -0.2, "alpha_accel": 1.8, "beta_accel": 2.0}
    steps: list[tuple[int, float]] = []
    found = fit(make_windows(make_store(120)), start=start, report=lambda *row: steps.append(row))
    np.testing.assert_allclose(found.values, truth_of(SPEC, TRUTH), rtol=1e-4)
    numbers, errors = zip(*steps, strict=True)
    assert numbers == tuple(range(1, len(found.cost) + 1))
    assert len(steps) < 50
    # What is reported falls: the error as a share of that at the start.
    assert all(after <= 1.001 * before for before, after in itertools.pairwise((1.0, *errors)))
    assert errors[-1] < 1e-3
    assert (found.sigma <= 1.001e-4 * SPEC.scales).all()
    assert found.accepted.all()
    assert found.params(SPEC).keys() == TRUTH.keys()


def test_it_finds_a_delay() -> None:
    spec = with_measurement(SPEC, Measurement(delay=("psi_dot",)))
    found = fit(make_windows(make_store(150, late=0.03)), spec)
    np.testing.assert_allclose(found.values, truth_of(spec, {**TRUTH, "delay_psi_dot": 0.03}), rtol=1e-3)


def test_further_starts_find_a_way_past_a_wrong_minimum() -> None:
    """A wave that is late by some of its period looks much like one that is early by the rest."""
    spec = with_measurement(SPEC, Measurement(delay=("psi_dot",)))
    windows = make_windows(make_store(150, late=0.03, wave=0.4))
    one, more = (
        fit(windows, spec, start={"delay_psi_dot": -0.3}, prior=3.0, iterations=25, starts=starts)
        for starts in (1, 3)
    )
    assert abs(one.params(spec)["delay_psi_dot"]) > 0.1
    np.testing.assert_allclose(more.params(spec)["delay_psi_dot"], 0.03, atol=1e-3)


YAW = ["alpha_psi_dot", "beta_psi_dot"]


@pytest.fixture(scope="module")
def noisy() -> WindowSet:
    """Every window starts at a row without noise, all others are noisy: errors are independent."""
    return make_windows(make_store(600, noise=NOISE, every=APART))


@pytest.fixture(scope="module")
def yaw_alone(noisy: WindowSet) -> Estimate:
    return fit(noisy, compare=("psi",), huber=1e6)


def linear_problem(windows: WindowSet) -> tuple[np.ndarray, np.ndarray]:
    """The heading is linear in gain and bias: columns of the equations, (W T, 2), and what they meet."""
    starts = np.asarray(windows.arrays.starts)
    rows = starts[:, None] + np.arange(HORIZON)
    columns = np.stack([windows.store.controls[rows, 0], np.ones(rows.shape)]).cumsum(axis=2)
    psi = windows.store.states[:, SPEC.state_indices["psi"]]
    return DT * columns.reshape(2, -1).T, (psi[rows + 1] - psi[starts, None]).ravel()


def test_a_linear_problem_has_the_answer_of_least_squares(noisy: WindowSet, yaw_alone: Estimate) -> None:
    """Values, information and errors are known."""
    design, heading = linear_problem(noisy)
    wanted, squares, *_ = np.linalg.lstsq(design, heading)
    deviation = np.sqrt(squares[0] / heading.size)
    yaw = [SPEC.param_keys.index(name) for name in YAW]
    spread = np.sqrt(np.diag(deviation**2 * np.linalg.inv(design.T @ design)))
    # To where the steps end: a small part of the error of the estimate.
    np.testing.assert_allclose(yaw_alone.values[yaw], wanted, atol=0.02 * spread.min())
    np.testing.assert_allclose(yaw_alone.sigma, [deviation], rtol=0.15)
    np.testing.assert_allclose(yaw_alone.deviations(SPEC)[yaw], spread, rtol=0.35)

    share = 1 / (1 + np.exp(-yaw_alone.raw[yaw]))
    low, high = flatten_bounds(SPEC.param_keys, SPEC.param_bounds, SPEC.full_shapes)
    slope = design * ((high - low)[yaw] * share * (1 - share))
    information = slope.T @ slope / yaw_alone.sigma**2
    np.testing.assert_allclose(yaw_alone.information[np.ix_(yaw, yaw)], information, rtol=1e-6)


def test_a_prior_draws_values_towards_the_defaults(noisy: WindowSet, yaw_alone: Estimate) -> None:
    """By its share of all that is known; the defaults are zero on the unbounded axis."""
    prior = 0.03
    found = fit(noisy, compare=("psi",), huber=1e6, prior=prior)
    yaw = [SPEC.param_keys.index(name) for name in YAW]
    told = found.information[np.ix_(yaw, yaw)]
    wanted = np.linalg.solve(told + np.eye(2) / prior**2, told @ yaw_alone.raw[yaw])
    np.testing.assert_allclose(found.raw[yaw], wanted, rtol=0.1)
    assert (np.abs(found.raw[yaw] / yaw_alone.raw[yaw]) < 0.9).all()


def test_errors_are_those_of_blocks() -> None:
    """How far the answer moves without each of them; five, so that each has drawn it far towards itself."""
    windows = make_windows(make_store(70, noise=NOISE, seed=3))
    found = fit(windows, compare=("psi",), huber=1e6)
    design, heading = linear_problem(windows)
    yaw = [SPEC.param_keys.index(name) for name in YAW]
    block = np.asarray(windows.arrays.starts).repeat(HORIZON) // (2 * (HISTORY + HORIZON))
    assert len(np.unique(block)) == 5
    without = [np.linalg.lstsq(design[block != number], heading[block != number])[0] for number in range(5)]
    shifts = np.stack(without) - found.values[yaw]
    wanted = np.sqrt(4 / 5 * np.sum(shifts**2, axis=0))
    np.testing.assert_allclose(found.deviations(SPEC)[yaw], wanted, rtol=0.05)
    assert found.blocks == 5


def test_what_the_compared_states_do_not_tell_stays_as_it_was(yaw_alone: Estimate) -> None:
    """Its error is the prior's."""
    accel = [SPEC.param_keys.index(name) for name in ("alpha_accel", "beta_accel")]
    np.testing.assert_allclose(yaw_alone.values[accel], [1.0, 0.0], atol=1e-9)
    np.testing.assert_allclose(yaw_alone.covariance[np.ix_(accel, accel)], WIDE**2 * np.eye(2), rtol=1e-9)
    np.testing.assert_array_equal(yaw_alone.information[accel], 0.0)
    assert yaw_alone.sigma.shape == (1,)


def test_what_was_not_driven_stays_as_it_was() -> None:
    """Without a command its gain says nothing, its bias does."""
    found = fit(make_windows(make_store(150, push=0.0)), prior=1.0)
    values, deviations = found.params(SPEC), dict(zip(SPEC.param_keys, found.deviations(SPEC), strict=True))
    np.testing.assert_allclose(values["alpha_accel"], 1.0, rtol=1e-9)
    # The prior's: 1 on the unbounded axis, at the middle of 0 to 2.
    np.testing.assert_allclose(deviations["alpha_accel"], 2.0 / 4, rtol=1e-9)
    np.testing.assert_allclose(values["beta_accel"], TRUTH["beta_accel"], rtol=1e-3)
    assert deviations["beta_accel"] < 0.05


@pytest.fixture(scope="module")
def all_noisy() -> Estimate:
    """Every row is noisy, also those that windows start at."""
    return fit(make_windows(make_store(600, noise=NOISE)))


@pytest.fixture(scope="module")
def clean(noisy: WindowSet) -> Estimate:
    return fit(noisy)


def test_errors_are_within_their_deviations(clean: Estimate, all_noisy: Estimate) -> None:
    for found in (all_noisy, clean):
        off = (found.values - truth_of(SPEC, TRUTH)) / found.deviations(SPEC)
        assert np.abs(off).max() < 4.0
        # And they are not said to be larger than they are by far.
        assert np.abs(off).max() > 0.2


def test_deviations_shrink_with_the_root_of_the_data(all_noisy: Estimate) -> None:
    few = fit(make_windows(make_store(150, noise=NOISE, seed=1)))
    ratio = few.deviations(SPEC) / all_noisy.deviations(SPEC)
    assert (ratio > 1.2).all()
    assert (ratio < 3.5).all()


def test_rows_that_windows_share_count_once() -> None:
    """A shove tells its part once, however many windows it is in."""
    store = make_store(400, shake=NOISE)
    apart, sharing = (fit(make_windows(store, stride)) for stride in (HORIZON, 1))
    ratio = sharing.deviations(SPEC) / apart.deviations(SPEC)
    assert (ratio > 0.5).all()
    assert (ratio < 2.0).all()
    information = np.diag(sharing.information) / np.diag(apart.information)
    np.testing.assert_allclose(information, 1.0, atol=0.3)


def spoiled(store: WindowStore, rows: Sequence[int], by: float) -> WindowStore:
    """Speed and heading off by so many scales at some rows."""
    states = store.states.copy()
    states[np.ix_(rows, [2, 3])] += by * SPEC.scales[2:]
    return store._replace(states=states)


def test_a_spoiled_row_moves_the_answer_little(noisy: WindowSet, clean: Estimate) -> None:
    # Three rows of one window, not those at which it starts, by 25 of the usual errors.
    windows = make_windows(spoiled(noisy.store, [HISTORY + APART * 30 + k for k in (2, 3, 4)], 25 * NOISE))
    moved, moved_more = (
        np.abs(fit(windows, huber=huber).values - clean.values) / clean.deviations(SPEC)
        for huber in (parameter_tuning.HUBER, 1e6)
    )
    assert moved.max() < 1.0
    assert moved_more.max() > 2 * moved.max()


def test_broken_windows_are_left_out(noisy: WindowSet) -> None:
    """As if they had not been there; a window is as broken by one row as by all."""
    broken = (7, 30, 31)
    rows = [HISTORY + APART * number + 2 for number in broken]
    windows = make_windows(spoiled(noisy.store, rows, 1e3))
    found = fit(windows)
    np.testing.assert_array_equal(np.flatnonzero(~found.accepted), broken)
    rest = fit_parameters(
        noisy,
        np.flatnonzero(found.accepted),
        SPEC,
        {**SPEC.default_params, "dt": DT},
        integrator="euler",
        prior=WIDE,
    )
    np.testing.assert_allclose(found.values, rest.values, atol=0.02 * rest.deviations(SPEC).min())
    np.testing.assert_allclose(found.deviations(SPEC), rest.deviations(SPEC), rtol=0.02)
    # Not let in again where iterations are few.
    few = fit(windows, iterations=6)
    np.testing.assert_array_equal(few.accepted, found.accepted)


def test_more_iterations_leave_no_larger_errors() -> None:
    windows, start = make_windows(make_store(120)), {"alpha_psi_dot": 0.6, "beta_accel": 2.5}
    left = []
    for iterations in (1, 4):
        found = fit(windows, start=start, iterations=iterations)
        assert len(found.cost) <= iterations
        left.append(found.sigma)
    assert (np.diff(left, axis=0) < 0).all()


def test_values_stay_within_their_bounds() -> None:
    outside = {**TRUTH, "alpha_psi_dot": 1.9, "beta_accel": -3.5}
    found = fit(make_windows(make_store(150, truth=outside)))
    values = found.params(SPEC)
    for name in TRUTH:
        low, high = SPEC.param_bounds[name]
        assert low <= values[name] <= high, name
    np.testing.assert_allclose([values["alpha_psi_dot"], values["beta_accel"]], [1.5, -3.0], rtol=0.02)
    assert np.isfinite(found.covariance).all()


def test_headings_wrap(yaw_alone: Estimate, noisy: WindowSet) -> None:
    states = noisy.store.states.copy()
    turned = np.random.default_rng(0).integers(-1, 2, len(states))
    states[:, SPEC.state_indices["psi"]] += 2 * np.pi * turned
    found = fit(make_windows(noisy.store._replace(states=states)), compare=("psi",), huber=1e6)
    np.testing.assert_allclose(found.values, yaw_alone.values, rtol=1e-6)


def test_windows_in_parts_give_the_same_answer(
    yaw_alone: Estimate, noisy: WindowSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the last part is not full."""
    assert len(noisy) % 32
    monkeypatch.setattr(rollout_errors, "CHUNK", 32)
    found = fit(noisy, compare=("psi",), huber=1e6)
    np.testing.assert_allclose(found.values, yaw_alone.values, rtol=1e-9)
    np.testing.assert_allclose(found.covariance, yaw_alone.covariance, rtol=1e-6)


def test_an_observer_leaves_less_of_noisy_starts(all_noisy: Estimate) -> None:
    """One noisy row is a poor start; the rows before it tell more."""
    spec = with_measurement(SPEC, Measurement(observer=True))
    found = fit(make_windows(make_store(600, noise=NOISE), spec=spec), spec, prior=1.0)
    speed = SPEC.state_indices["v"]
    assert found.sigma[speed] < 0.95 * all_noisy.sigma[speed]
    # Readings are noisy and the model is right: there is little to drift.
    assert found.noise is not None
    assert found.noise.reading == 1.0
    assert found.noise.drift < 1.0


def test_exact_readings_need_no_filter() -> None:
    """Where nothing is gained, windows begin as they are logged."""
    spec = with_measurement(SPEC, Measurement(observer=True))
    found = fit(make_windows(make_store(300), spec=spec), spec)
    assert found.noise is not None
    assert found.noise.reading == 0.0


def test_a_start_that_diverges_is_refused() -> None:
    with pytest.raises(DivergedError, match=r"unicycle: rollouts with the values to start at are not finite"):
        fit(make_windows(make_store(30)), start={"alpha_accel": np.nan})


def test_defaults_that_diverge_are_refused() -> None:
    store = make_store(30)
    store.controls[20] = np.nan
    with pytest.raises(DivergedError, match="unicycle: rollouts with the default parameters are not finite"):
        fit(make_windows(store))


@pytest.fixture(scope="module")
def free() -> RolloutErrors:
    return make_rollout_errors(
        SPEC,
        {**SPEC.default_params, "dt": DT},
        HISTORY,
        integrator="euler",
        compare=("psi",),
        free_start=True,
    )


@pytest.mark.parametrize("count", [100, 1])
def test_free_starts_are_least_squares_with_an_intercept_by_window(free: RolloutErrors, count: int) -> None:
    """Readings are noisy, those at the starts too; the heading is linear in gain, bias and its start."""
    windows = make_windows(make_store(HISTORY + APART * count, noise=NOISE))
    assert len(windows) == count
    found = fit_errors(free, windows, np.arange(count), prior=WIDE, huber=1e6)
    starts = np.asarray(windows.arrays.starts)
    rows = starts[:, None] + np.arange(HORIZON + 1)
    columns = np.stack([windows.store.controls[rows, 0], np.ones(rows.shape)])[..., :-1].cumsum(axis=2)
    columns = DT * np.pad(columns, ((0, 0), (0, 0), (1, 0)))
    heading = windows.store.states[rows, SPEC.state_indices["psi"]]
    design, target = (part - part.mean(axis=-1, keepdims=True) for part in (columns, heading))
    design, target = design.reshape(2, -1).T, target.ravel()
    wanted, *_ = np.linalg.lstsq(design, target)
    yaw = [SPEC.param_keys.index(name) for name in YAW]
    share = 1 / (1 + np.exp(-found.raw[yaw]))
    low, high = flatten_bounds(SPEC.param_keys, SPEC.param_bounds, SPEC.full_shapes)
    slope = design * ((high - low)[yaw] * share * (1 - share))
    information = slope.T @ slope / found.sigma**2
    np.testing.assert_allclose(found.information[np.ix_(yaw, yaw)], information, rtol=1e-6)
    if count > 1:
        spread = np.sqrt(np.diag(found.sigma**2 * np.linalg.inv(design.T @ design)))
        np.testing.assert_allclose(found.values[yaw], wanted, atol=0.02 * spread.min())
        np.testing.assert_allclose(found.deviations(SPEC)[yaw], spread, rtol=0.35)


def test_errors_are_compiled_once_for_many_logs(free: RolloutErrors) -> None:
    for seed in range(3):
        windows = make_windows(make_store(HISTORY + APART * 20, noise=NOISE, seed=seed))
        fit_errors(free, windows, np.arange(20), huber=3.0 + seed, prior=1.0 + seed, starts=2)
        compiled = free.errors._cache_size(), free.normal._cache_size()
        if seed == 0:
            first = compiled
    assert compiled == first


def test_free_starts_leave_no_work_to_an_observer() -> None:
    spec = with_measurement(SPEC, Measurement(observer=True))
    with pytest.raises(
        UsageError, match="`free_start`: the observer estimates the starts; add `observer=False`"
    ):
        fit(make_windows(make_store(30), spec=spec), spec, free_start=True)


def test_an_unknown_state_is_refused() -> None:
    with pytest.raises(UsageError, match=r"`compare=speed`: expected some of x, y, psi, v"):
        fit(make_windows(make_store(30)), compare=("v", "speed"))


def test_deviations_follow_the_bounds_map() -> None:
    """By finite differences, for linear and logarithmic bounds."""
    spec = with_measurement(SPEC, Measurement(lag=("v",)))
    keys = spec.param_keys
    low, high = flatten_bounds(keys, spec.param_bounds, spec.full_shapes)
    log_mask = np.array([spec.parameter(key).log for key in keys])
    assert log_mask.any()
    raw = np.linspace(-2.0, 1.5, len(keys))

    def values(raw: np.ndarray) -> np.ndarray:
        return np.asarray(Bounds(low, high, log_mask).to(jnp.asarray(raw)))

    covariance = np.diag(np.arange(1.0, len(keys) + 1) ** 2)
    found = Estimate(
        values(raw), raw, covariance, np.eye(len(keys)), np.ones(4), (), np.ones(1, bool)
    ).deviations(spec)
    slope = (values(raw + 1e-5) - values(raw - 1e-5)) / 2e-5
    np.testing.assert_allclose(found, slope * np.arange(1.0, len(keys) + 1), rtol=1e-6)


def test_what_is_rejected_stays_so_where_the_filter_is_not_used() -> None:
    spec = with_measurement(SPEC, Measurement(observer=True))
    broken = (7, 30, 31)
    rows = [HISTORY + APART * number + 2 for number in broken]
    found = fit(make_windows(spoiled(make_store(600), rows, 1e3), spec=spec), spec)
    assert found.noise is not None
    assert found.noise.reading == 0.0
    np.testing.assert_array_equal(np.flatnonzero(~found.accepted), broken)


def test_what_the_filter_leaves_weighs_as_it_did_before_it() -> None:
    """Else the rare large errors, which alone tell of the limit of grip, would hardly count."""
    spec = with_measurement(SPEC, Measurement(observer=True))
    found = fit(make_windows(make_store(600, noise=NOISE), spec=spec), spec, prior=1.0)
    assert found.noise is not None
    assert found.noise.least is not None
    assert (found.sigma <= found.noise.least * 1.01).all()
    # Information counts in units of the errors before the filter.
    again = fit(make_windows(make_store(600, noise=NOISE), spec=spec), spec, prior=1.0, noise=found.noise)
    plain = fit(
        make_windows(make_store(600, noise=NOISE), spec=spec),
        spec,
        prior=1.0,
        noise=found.noise._replace(least=None),
    )
    assert np.trace(again.information) < np.trace(plain.information)
