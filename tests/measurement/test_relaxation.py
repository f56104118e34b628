"""`relaxation`: side forces that follow slip angles over a length of road."""

from __future__ import annotations

import numpy as np
import pytest

from measurement.driving import CAR, DRIVE, PLAIN, START, STEERING, assert_same, drive
from pct.dynamics import MODEL_SPECS, with_fixed
from pct.errors import UsageError
from pct.measurement import Measurement, with_measurement
from pct.optimization.constants.estimate import fit_parameters
from pct.windows.store import WindowStore, window_starts
from pct.windows.window_set import make_window_set

RELAXED = with_measurement(CAR, Measurement(relaxation=True))
SIGMA, SPEED = 0.2, 5.0


def heavy_step(angle: float, count: int, h: float, **start: float) -> dict[str, np.ndarray]:
    """A car too heavy to turn at a fixed speed, whose steering has just jumped."""
    still = np.zeros((count, 1))
    heavy = {"m": 1e9, "I": 1e9, "relaxation_length": SIGMA}
    begin = {"vx": SPEED, "delta": angle, "delta_felt": 0.0, **start}
    return drive(RELAXED, begin, still, still, h=h, **heavy)


def test_the_force_follows_a_step_over_the_relaxation_length() -> None:
    """Pacejka: 1 - exp(-s / sigma) of the force after s of road."""
    h, count = 1e-3, 120
    shown = heavy_step(0.01, count, h)
    road = SPEED * h * np.arange(count + 1)
    np.testing.assert_allclose(
        shown["delta_felt"][:, 0], 0.01 * (1 - np.exp(-road / SIGMA)), rtol=0, atol=1e-6
    )
    lagged = CAR.default_params | {"relaxation_length": SIGMA}
    x = tuple(shown[name][:, 0] for name in (*CAR.state_names, *(c.name for c in RELAXED.hidden)))
    still = np.zeros(count + 1)
    rate = RELAXED.lane_rates(x, (still, still), lagged, np)[CAR.state_indices["psi_dot"]]
    straight = [*x[:7]]
    straight[CAR.state_indices["delta"]] = shown["delta_felt"][:, 0]
    # At small angles the yaw moment is in proportion to the slip angle that the front tyres feel.
    wanted = CAR.lane_rates(tuple(straight), (still, still), CAR.default_params, np)
    np.testing.assert_allclose(rate, wanted[CAR.state_indices["psi_dot"]], rtol=1e-3, atol=1e-9)


def test_slip_angles_that_the_motion_makes_lag_too() -> None:
    """Each axle's slip angle against a first-order lag of it, integrated by itself."""
    count, h = 400, 2e-3
    t = h * np.arange(count)[:, None]
    shown = drive(
        RELAXED, {"vx": 6.0}, 1.5 * np.cos(8.0 * t), 0.4 + 0.0 * t, h=h, relaxation_length=SIGMA
    )  # fmt: skip
    lf, lr = (CAR.default_params[key] for key in ("lf", "lr"))
    vx, vy, turn = (shown[name][:, 0] for name in ("vx", "vy", "psi_dot"))
    assert np.abs(shown["delta_lag_r"]).max() > 0.01
    for axle, alpha, late in (
        (
            "front",
            shown["delta"][:, 0] - np.arctan((vy + lf * turn) / vx),
            shown["delta_felt"][:, 0] - shown["delta"][:, 0],
        ),
        ("rear", np.arctan((lr * turn - vy) / vx), 0.0),
    ):
        felt = alpha[:1]
        for k in range(count):
            # Exact over a step for a slip angle that runs along a straight line.
            pace = 0.5 * (vx[k] + vx[k + 1]) / SIGMA
            slope, fade = (alpha[k + 1] - alpha[k]) / h, np.exp(-pace * h)
            end = alpha[k + 1] - slope / pace
            felt = np.append(felt, end + (felt[-1] - alpha[k] + slope / pace) * fade)
        found = alpha + late + shown[f"delta_lag_{axle[0]}"][:, 0]
        np.testing.assert_allclose(found, felt, rtol=0, atol=2e-5, err_msg=axle)


def test_a_short_length_is_the_model_itself() -> None:
    """Lags of 10 ms, the least there are, in a slow drive: the plain car but for what they are late."""
    slow, h = {name: 0.1 * value if name != "vx" else value for name, value in START.items()}, 2e-3
    count = 100
    controls = np.full((count, 3), 0.1), np.full((count, 3), 0.2)
    plain = drive(CAR, slow, *controls, h=h)
    shown = drive(
        RELAXED, slow, *controls, h=h, relaxation_length=RELAXED.param_bounds["relaxation_length"][0]
    )
    assert np.abs(shown["psi_dot"] - plain["psi_dot"]).max() < 0.05 * np.ptp(plain["psi_dot"])


def test_steady_cornering_knows_no_relaxation() -> None:
    """Off a constant circle, only the way there differs."""
    count, h = 900, 6e-3
    still = np.zeros((count, 1))
    start = {"vx": 4.0, "delta": 0.05}
    plain, shown = (drive(spec, start, still, still + 0.1, h=h) for spec in (CAR, RELAXED))
    assert np.abs(plain["psi_dot"] - shown["psi_dot"])[:33].max() > 0.02
    np.testing.assert_allclose(shown["psi_dot"][-1], plain["psi_dot"][-1], rtol=1e-3)


@pytest.mark.slow
def test_a_fit_finds_the_length() -> None:
    """From a slalom at 5 m/s with the noise of usual sensors, tyres and inertia learned as well."""
    learned = ("relaxation_length", "B_f", "B_r", "I")
    spec = with_fixed(RELAXED, {key: None for key in RELAXED.param_keys if key not in learned})
    steps, dt, fine = 400, 0.02, 10
    t = dt * np.arange(steps)[:, None]
    turning = sum(0.3 * a * w * np.cos(w * t) for a, w in ((0.25, 1.8 * np.pi), (0.15, 4.6 * np.pi)))
    controls = np.concatenate([turning, 0.0 * t + 0.25], axis=1)
    held = (np.repeat(column[:, None], fine, axis=0) for column in controls.T)
    log = drive(RELAXED, {"vx": 5.0}, *held, h=dt / fine, relaxation_length=0.14)
    states = np.stack([log[name][::fine][:steps, 0] for name in spec.state_names], axis=1)
    noise = [channel.noise for channel in spec.states]
    states = states + noise * np.random.default_rng(0).standard_normal(states.shape)
    empty = np.zeros((steps, 0))
    store = WindowStore(
        states, controls, empty, empty, t[:, 0], np.zeros(steps, np.int32), ("slalom",), (), (), dt
    )  # fmt: skip
    shape = {"history": 5, "horizon": 20}
    windows = make_window_set(
        store, window_starts(store, stride=10, **shape), spec, feature_mode="context", **shape
    )
    fit = fit_parameters(
        windows, np.arange(len(windows)), spec, spec.base_params(dt), compare=("psi", "vx", "vy", "psi_dot")
    )
    errors = fit.values - [{**CAR.default_params, "relaxation_length": 0.14}[key] for key in spec.param_keys]
    assert (np.abs(errors) < 4 * fit.deviations(spec)).all()
    assert fit.deviations(spec)[-1] < 0.05 * 0.14


def test_it_is_off_and_asks_for_tyres() -> None:
    assert_same(drive(with_measurement(CAR, Measurement()), START, STEERING, DRIVE), PLAIN, CAR.state_names)
    with pytest.raises(UsageError, match="`relaxation`: model 'singletrack' has no channel 'vx'"):
        with_measurement(MODEL_SPECS["singletrack"], Measurement(relaxation=True))
