"""The filter: its arithmetic against the textbook's, what it estimates, and that it is stable."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from measurement.driving import CAR, UNICYCLE
from pct.dynamics import MODEL_SPECS, ModelSpec
from pct.measurement import Measurement, with_measurement
from pct.measurement.filter import (
    NOISE,
    PROCESS,
    SCALE,
    Noise,
    Uncertainty,
    corrected,
    filters,
    layout,
    noise_names,
    noise_values,
    predicted,
    read_states,
    uncertainty,
    update,
)
from pct.rollout.history import make_history_rollout
from pct.types import WholeWindows

OBSERVED = Measurement(observer=True)
FILTERED = [name for name in sorted(MODEL_SPECS) if filters(with_measurement(MODEL_SPECS[name], OBSERVED))]


def test_it_estimates_what_no_control_moves_and_the_errors_of_its_rates() -> None:
    spec = with_measurement(CAR, Measurement(lag=("psi_dot",), observer=True))
    assert [channel.name for channel in read_states(spec)] == ["vx", "vy", "psi_dot"]
    assert [channel.name for channel in spec.hidden] == [
        "psi_dot_true", "vx_drift", "vy_drift", "psi_dot_drift",
    ]  # fmt: skip
    places = layout(spec)
    assert [CAR.state_names[i] for i in places.logged] == ["x", "y", "psi", "delta"]
    # What only the filter reads is nothing to fit.
    assert not {*NOISE, "fade_vx_drift"} & {*spec.param_keys}
    assert "tau_psi_dot" in spec.param_keys


def test_a_steering_angle_is_estimated_where_its_sensor_has_an_error() -> None:
    spec = with_measurement(CAR, Measurement(lag=("delta",), observer=True))
    assert [channel.name for channel in read_states(spec)] == ["vx", "vy", "psi_dot", "delta"]
    assert [channel.name for channel in read_states(with_measurement(UNICYCLE, OBSERVED))] == ["v"]


def uncertain(count: int, read: int, reading: float = 0.5) -> Uncertainty:
    one = jnp.ones(count)
    return Uncertainty(one, one, 0.1 * one, jnp.asarray(reading), np.eye(count, read))


def spread(rng: np.random.Generator, count: int) -> np.ndarray:
    """A covariance of each of two windows, (count, count, 2)."""
    root = rng.standard_normal((2, count, count))
    return np.einsum("bij,bkj->ikb", root, root)


def test_readings_one_after_another_are_those_of_all_at_once() -> None:
    rng = np.random.default_rng(0)
    before = spread(rng, 5)
    after, gains = update(jnp.asarray(before), jnp.zeros((2, 2)), uncertain(5, 2), jnp)
    for b in range(2):
        whole = before[:, :, b]
        innovation = whole[:2, :2] + 0.5 * np.eye(2)
        wanted = whole[:, :2] @ np.linalg.inv(innovation)
        np.testing.assert_allclose(gains[:, :, b], wanted, rtol=1e-9)
        np.testing.assert_allclose(after[:, :, b], whole - wanted @ whole[:2], rtol=1e-9, atol=1e-12)


def test_a_prediction_is_moved_and_widened() -> None:
    rng = np.random.default_rng(1)
    before, move = spread(rng, 4), rng.standard_normal((4, 4, 2))
    after = predicted(jnp.asarray(before), jnp.asarray(move), uncertain(4, 2), jnp)
    for b in range(2):
        wanted = move[:, :, b] @ before[:, :, b] @ move[:, :, b].T + 0.1 * np.eye(4)
        np.testing.assert_allclose(after[:, :, b], wanted, rtol=1e-9)


def test_an_error_beyond_expectation_is_a_jump_of_what_is_read_alone() -> None:
    before = jnp.asarray(spread(np.random.default_rng(2), 4))
    _, usual = update(before, jnp.zeros((2, 2)), uncertain(4, 2), jnp)
    after, jumped = update(before, jnp.full((2, 2), 1e3), uncertain(4, 2), jnp)
    np.testing.assert_allclose(jumped[:2], np.eye(2)[:, :, None] * np.ones(2), atol=1e-4)
    assert (np.abs(jumped[2:]) < 1e-3 * np.abs(usual[2:]).max()).all()
    for b in range(2):
        assert np.linalg.eigvalsh(after[:, :, b]).min() > -1e-9


def test_single_precision_keeps_the_covariance_positive() -> None:
    covariance = jnp.full((6, 6, 1), 1e4, jnp.float32) + 1e-3 * jnp.eye(6, dtype=jnp.float32)[:, :, None]
    tight = uncertain(6, 3, reading=1e-3)
    for _ in range(50):
        covariance, _ = update(covariance, jnp.zeros((3, 1), jnp.float32), tight, jnp)
        covariance = covariance.astype(jnp.float32)
    assert np.linalg.eigvalsh(np.asarray(covariance[:, :, 0], float)).min() > -1e-3


def test_correction_takes_the_pose_and_what_controls_move_from_the_log() -> None:
    spec = with_measurement(CAR, OBSERVED)
    x = tuple(np.full(1, float(i)) for i in range(10))
    logged = tuple(np.full(1, i + 1.0) for i in range(7))
    gains = np.zeros((6, 3, 1))
    gains[0, 0], gains[3, 2] = 0.5, 2.0
    after = np.concatenate(corrected(spec, layout(spec), x, logged, gains, np.ones(())))
    # x, y, psi from the log; vx half way; vy and yaw rate stay; delta from the log; a drift by the yaw rate.
    np.testing.assert_allclose(after, [1, 2, 3, 3.5, 4, 5, 7, 9, 8, 9])
    still = np.concatenate(corrected(spec, layout(spec), x, logged, gains, np.zeros(())))
    np.testing.assert_array_equal(still, np.arange(10.0))


def random_windows(spec: ModelSpec, rng: np.random.Generator, rows: int, count: int = 64) -> WholeWindows:
    """Windows at any speed and slip: states and controls walk over their usual ranges."""
    shape = (rows + 1, count)

    def walk(typical: float, size: tuple[int, int], signed: bool = True) -> np.ndarray:
        start = rng.uniform(-typical if signed else 0.0, typical, size[1])
        return np.clip(start + 0.02 * typical * rng.standard_normal(size).cumsum(axis=0), -typical, typical)

    states = tuple(jnp.asarray(walk(min(c.typical, 20.0), shape)) for c in spec.states)
    controls = tuple(jnp.asarray(walk(min(c.typical, 2.0), (rows, count))) for c in spec.controls)
    return WholeWindows(states, controls)


@pytest.mark.parametrize("name", FILTERED)
def test_it_is_stable_at_any_speed_and_slip(name: str) -> None:
    """Two filters that begin apart meet, whatever the log shows, where learned gains ran away."""
    spec = with_measurement(MODEL_SPECS[name], OBSERVED)
    rows, horizon, dt = 40, 2, 0.02
    windows = random_windows(spec, np.random.default_rng(0), rows + horizon)
    roll = make_history_rollout(spec, spec.base_params(dt), "rk4", 2, rows)
    assert roll.gains is not None
    gains = jax.jit(roll.gains)({}, windows)
    assert np.isfinite(gains).all()
    states = jax.jit(roll.states)
    first = [c.name in {r.name for r in read_states(spec)} for c in spec.states]
    apart = windows._replace(
        states=tuple(
            x.at[0].add(1e-3 * c.scale) if moved else x
            for x, c, moved in zip(windows.states, spec.states, first, strict=True)
        )
    )
    places = layout(spec)
    begun, other = states({}, windows, gains)[0], states({}, apart, gains)[0]
    scales = [*spec.scales[list(places.read)], *(c.scale for c in spec.hidden)]
    for i, scale in zip(places.estimated, scales, strict=True):
        left = np.abs(np.asarray(other[i] - begun[i])) / (1e-3 * scale)
        assert left.max() < 0.5


def test_readings_trusted_whole_begin_as_logged() -> None:
    noise = Noise(1.0, 0.0, 1.0, np.array([0.1, 0.1, 0.2]), reading=0.0)
    spec = with_measurement(CAR, OBSERVED)
    windows = random_windows(spec, np.random.default_rng(3), 12)
    base = {**spec.base_params(0.02), **noise_values(spec, noise)}
    start = jax.jit(make_history_rollout(spec, base, "rk4", 2, 10).states)({}, windows)[0]
    for found, logged in zip(start, windows.states, strict=False):
        np.testing.assert_allclose(found, logged[10], rtol=1e-12)
    for drift in start[len(spec.states) :]:
        np.testing.assert_array_equal(drift, 0.0)


def test_what_no_log_shows_is_estimated_without_being_read() -> None:
    spec = dataclasses.replace(with_measurement(CAR, OBSERVED), unlogged=("x", "vy"))
    assert [channel.name for channel in read_states(spec)] == ["vx", "psi_dot"]
    places, index = layout(spec), CAR.state_indices
    assert places.read == (index["vx"], index["psi_dot"])
    assert places.estimated[:3] == (*places.read, index["vy"])
    # Its place among what is taken from the log is that of no state that moves.
    assert index["vy"] not in places.logged
    assert index["x"] in places.logged
    noise = Noise(1.0, 2.0, 1.0, np.array([0.1, 0.2, 0.3]))
    values = {**spec.base_params(0.02), **noise_values(spec, noise)}
    uncertain = uncertainty(spec, values, 0.02, np.float64, np)
    np.testing.assert_allclose(uncertain.scale[:3], [0.1, 0.3, 0.2])
    assert uncertain.first[2] > uncertain.first[0]
    # Nothing could tell an error of its rate from itself, and starts as logged leave it to the model.
    drift = 3 + [channel.name for channel in spec.hidden].index("vy_drift")
    assert (uncertain.first[drift], uncertain.process[drift]) == (0.0, 0.0)
    assert uncertain.plain.shape == (len(places.estimated), 2)
    np.testing.assert_array_equal(uncertain.plain[:3], [[1, 0], [0, 1], [0, 0]])


def test_it_finds_a_constant_error_of_a_rate() -> None:
    """A car that is slowed by what the equations lack: the drift is that force over the mass."""
    spec = with_measurement(CAR, OBSERVED)
    base = CAR.base_params(0.02)
    slowed = {**base, "C_r0": base["C_r0"] + 0.8 * base["m"]}
    rows = 60
    controls = jnp.zeros((rows, 1)), jnp.full((rows, 1), 0.3)
    start = tuple(jnp.full((rows + 1, 1), v) for v in (0.0, 0.0, 0.0, 5.0, 0.0, 0.0, 0.0))
    plain = make_history_rollout(CAR, slowed, "rk4", 1, 0)
    states = plain.states({}, WholeWindows(start, controls))[1]
    logged = tuple(jnp.concatenate([first[:1], x]) for first, x in zip(start, states, strict=True))
    noise = Noise(0.1, 10.0, 20.0, np.array([0.05, 0.05, 0.05]))
    base = {**spec.base_params(0.02), **noise_values(spec, noise)}
    begun = make_history_rollout(spec, base, "rk4", 1, rows - 2).states({}, WholeWindows(logged, controls))[0]
    names = [channel.name for channel in (*spec.states, *spec.hidden)]
    assert float(begun[names.index("vx_drift")][0]) == pytest.approx(-0.8, rel=0.1)


def test_noise_has_names_in_the_models_table() -> None:
    spec = with_measurement(CAR, OBSERVED)
    values = noise_values(spec, Noise(2.0, 3.0, 0.7, np.ones(3)))
    assert noise_names(spec) == values.keys() <= spec.default_params.keys()
    assert noise_names(CAR) == set()
    assert values[PROCESS] == 2.0
    assert values["fade_vy_drift"] == 0.7
    assert values[SCALE].shape == (3,)
