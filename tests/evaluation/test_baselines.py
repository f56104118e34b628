"""Baselines are exact where their assumption is, and dashes where they know nothing."""

import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS, ModelSpec
from pct.errors import DataError
from pct.evaluation.baselines.arx import STRENGTHS, fit_ridge_arx
from pct.evaluation.baselines.base import motion_channels, with_pose
from pct.evaluation.baselines.extrapolation import ConstantAcceleration, HoldLast
from pct.evaluation.conditions import conditions
from pct.windows.store import WindowStore, window_starts
from pct.windows.window_set import WindowSet, make_window_set

DT = 0.05
UNICYCLE, SINGLETRACK, PACEJKA = (
    MODEL_SPECS[name] for name in ("unicycle", "singletrack", "singletrack-pacejka")
)


def windows_of(
    spec: ModelSpec, states: np.ndarray, controls: np.ndarray, *, horizon: int = 10, history: int = 8
) -> WindowSet:
    size = len(states)
    store = WindowStore(
        states=states,
        controls=controls,
        exogenous=np.zeros((size, 0)),
        truth=np.zeros((size, 0)),
        times=DT * np.arange(size),
        recording=np.zeros(size, np.int32),
        recordings=("drive",),
        exogenous_names=(),
        truth_names=(),
        dt=DT,
    )
    shape = {"horizon": horizon, "history": history}
    return make_window_set(store, window_starts(store, **shape), spec, feature_mode="context", **shape)


def turning_car(spec: ModelSpec, rate: float = 0.8, jerk: float = 0.0) -> WindowSet:
    """Speed 3 + 0.5 t, and yaw rate ``rate + jerk t``, slip angle and lateral speed constant."""
    t = np.linspace(0, 4, 8001)
    v, yaw_rate, beta = 3 + 0.5 * t, rate + jerk * t, np.full_like(t, 0.1)
    psi = 1.0 + np.cumsum(np.append(0.0, yaw_rate[:-1] * np.diff(t)))
    slip = 0.1 if "beta" in spec.state_names else np.arctan2(0.4, v) if "vy" in spec.state_names else 0.0
    speed = np.hypot(v, 0.4) if "vy" in spec.state_names else v
    x, y = (np.cumsum(np.append(0.0, (speed * f(psi + slip))[:-1] * np.diff(t))) for f in (np.cos, np.sin))
    columns = {"x": x, "y": y, "psi": psi, "v": v, "psi_dot": yaw_rate, "beta": beta, "vx": v}
    columns |= {"vy": np.full_like(t, 0.4), "delta": 0.05 * t}
    states = np.stack([columns[name] for name in spec.state_names], axis=-1)[::100]
    return windows_of(spec, states, np.zeros((len(states), spec.control_dim)))


@pytest.mark.parametrize("spec", [UNICYCLE, SINGLETRACK, PACEJKA], ids=lambda spec: spec.name)
def test_constant_acceleration_is_exact_on_lines(spec: ModelSpec) -> None:
    windows = turning_car(spec)
    predicted = ConstantAcceleration(spec).predict(windows)
    np.testing.assert_allclose(predicted, windows.batch.targets, atol=2e-3)
    # The truth turns by 0.4 rad and goes 1.5 m or more, so that is no small thing.
    assert np.ptp(np.asarray(windows.batch.targets)[..., spec.pose_indices[2]]) > 0.3


def test_a_yaw_rate_that_is_a_state_goes_on_along_its_line() -> None:
    windows = turning_car(SINGLETRACK, jerk=0.6)
    predicted = ConstantAcceleration(SINGLETRACK).predict(windows)
    # The trapezoidal rule cuts the corners of a step by millimetres.
    np.testing.assert_allclose(predicted, windows.batch.targets, atol=6e-3)


def test_hold_repeats_the_first_state() -> None:
    windows = turning_car(UNICYCLE)
    predicted = HoldLast().predict(windows)
    assert predicted.shape == windows.batch.targets.shape
    assert (predicted == np.asarray(windows.batch.initial_states)[:, None]).all()


def test_the_history_is_seen_from_the_start() -> None:
    windows = turning_car(UNICYCLE)
    states, controls = windows.past
    assert controls.shape == (len(windows), 8, UNICYCLE.control_dim)
    assert states.shape == (len(windows), 9, 4)
    np.testing.assert_allclose(states[:, -1], windows.batch.initial_states, atol=1e-12)
    np.testing.assert_allclose(states[:, -1, :3], 0.0, atol=1e-12)
    # Going ahead, the car was behind.
    assert (states[:, 0, 0] < -1.0).all()
    # A window's history holds what the window before had as its future.
    step = states[0, -1] - states[0, -2]
    assert np.hypot(*step[:2]) == pytest.approx(3.2 * DT, rel=0.01)


def test_the_position_needs_a_velocity() -> None:
    tv = MODEL_SPECS["tv-linear"]
    assert motion_channels(UNICYCLE) == ["psi", "v"]
    assert motion_channels(SINGLETRACK) == ["delta", "v", "psi_dot", "beta"]
    assert "yaw" in motion_channels(tv)
    circle = np.stack(np.broadcast_arrays(2.0 * DT * np.arange(11), 4.0), axis=-1)[None]
    states = with_pose(circle, UNICYCLE, DT)[0, -1]
    np.testing.assert_allclose(states[:3], [2 * np.sin(1.0), 2 * (1 - np.cos(1.0)), 1.0], rtol=2e-3)


def linear_drive(noise: float, size: int = 1500, seed: int = 0) -> WindowSet:
    """Speed and yaw rate follow their controls through first-order lags, of which ARX knows nothing."""
    rng = np.random.default_rng(seed)
    controls = np.repeat(rng.normal(size=(size // 10, 2)), 10, axis=0)
    states = np.zeros((size, 7))
    index = SINGLETRACK.state_indices
    states[0, index["v"]] = 5.0
    for k in range(size - 1):
        x, u = states[k], controls[k]
        states[k + 1] = x
        states[k + 1, index["v"]] += 0.1 * (u[1] - 0.2 * (x[index["v"]] - 5.0))
        states[k + 1, index["delta"]] += 0.1 * (u[0] - x[index["delta"]])
        states[k + 1, index["psi_dot"]] += 0.3 * (2 * x[index["delta"]] - x[index["psi_dot"]])
        states[k + 1, index["psi"]] += DT * x[index["psi_dot"]]
    states[:, 3:] += noise * rng.normal(size=(size, 4))
    return windows_of(SINGLETRACK, states, controls)


def test_ridge_arx_finds_a_linear_car() -> None:
    training, test = linear_drive(0.0), linear_drive(0.0, seed=1)
    arx = fit_ridge_arx(training, SINGLETRACK)
    moving = [SINGLETRACK.state_indices[name] for name in ("delta", "v", "psi_dot", "beta")]
    residual = (arx.predict(test) - np.asarray(test.batch.targets))[..., moving]
    assert np.abs(residual).max() < 1e-3
    assert np.abs(np.asarray(test.batch.targets)[..., moving]).max() > 1.0


def test_the_ridge_grows_with_the_noise_and_the_want_of_data() -> None:
    plenty, little = linear_drive(0.0), linear_drive(0.3, size=200)
    assert fit_ridge_arx(plenty, SINGLETRACK).strength < fit_ridge_arx(little, SINGLETRACK).strength
    assert fit_ridge_arx(little, SINGLETRACK).strength > STRENGTHS[0]


def test_too_little_data_for_a_ridge_is_told() -> None:
    with pytest.raises(DataError, match="too short to choose its ridge"):
        fit_ridge_arx(linear_drive(0.0, size=40), SINGLETRACK)


def test_bins_hold_equally_many_windows() -> None:
    windows = turning_car(SINGLETRACK, jerk=0.6)
    speed, lateral = conditions(windows, SINGLETRACK)
    for condition in (speed, lateral):
        counts = [int(inside.sum()) for inside in condition.inside]
        assert len(counts) == 4
        assert sum(counts) == len(windows)
        assert max(counts) - min(counts) <= 2
    true = np.asarray(windows.batch.targets)[..., SINGLETRACK.state_indices["v"]].mean(axis=1)
    assert speed.edges[0] == pytest.approx(true.min(), abs=0.1)
    assert true[speed.inside[3]].min() > true[speed.inside[0]].max()
    # 3 m/s at 0.8 rad/s to 5 m/s at 3.2 rad/s.
    assert lateral.edges[0] == pytest.approx(3.3 * 1.2, abs=0.6)
    (_, by_heading) = conditions(turning_car(UNICYCLE), UNICYCLE)
    assert by_heading.edges[-1] == pytest.approx(4.8 * 0.8, rel=0.05)


def test_equal_values_share_one_bin() -> None:
    states = np.zeros((40, 4))
    states[:, 3] = 2.0
    speed, _ = conditions(windows_of(UNICYCLE, states, np.zeros((40, 2))), UNICYCLE)
    assert [inside.all() for inside in speed.inside] == [True]
