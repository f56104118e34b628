"""`lag`: sensors that follow."""

from __future__ import annotations

import numpy as np

from measurement.driving import CAR, DRIVE, PLAIN, START, STEERING, UNICYCLE, assert_same, drive
from pct.measurement import Measurement, with_measurement


def test_a_lag_answers_a_step_as_a_first_order_system() -> None:
    spec = with_measurement(UNICYCLE, Measurement(lag=("v",)))
    tau, count = 0.05, 100
    still = np.zeros((count, 1))
    shown = drive(spec, {"v": 1.0, "v_true": 3.0}, still, still, h=1e-3, tau_v=tau)
    t = 1e-3 * np.arange(count + 1)[:, None]
    np.testing.assert_allclose(shown["v"], 3.0 - 2.0 * np.exp(-t / tau), rtol=1e-4)
    np.testing.assert_allclose(shown["x"], 3.0 * t, atol=1e-12)


def test_several_lags_in_a_row_answer_a_step_as_a_cascade() -> None:
    spec = with_measurement(UNICYCLE, Measurement(lag=("v", "v", "v")))
    tau, count = 0.09, 200
    still = np.zeros((count, 1))
    start = {"v": 1.0, "v_stage1": 1.0, "v_stage2": 1.0, "v_true": 3.0}
    shown = drive(spec, start, still, still, h=1e-3, tau_v=tau)
    s = 3 * 1e-3 * np.arange(count + 1)[:, None] / tau
    np.testing.assert_allclose(shown["v"], 3.0 - 2.0 * np.exp(-s) * (1 + s + s**2 / 2), rtol=1e-4)


def test_behind_a_lag_the_car_moves_as_without() -> None:
    spec = with_measurement(CAR, Measurement(lag=("psi_dot", "vx")))
    shown = drive(spec, START, STEERING, DRIVE, tau_psi_dot=0.3, tau_vx=0.05)
    assert_same(shown, PLAIN, ("x", "y", "psi", "vy", "delta"))
    for name in ("psi_dot", "vx"):
        np.testing.assert_allclose(shown[f"{name}_true"], PLAIN[name], rtol=1e-9)
        assert np.abs(shown[name] - PLAIN[name]).max() > 0.05
