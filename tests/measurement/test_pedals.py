"""`pedals`: throttle and brake for one command."""

from __future__ import annotations

import numpy as np

from measurement.driving import CAR, DRIVE, START, STEERING, assert_same, drive
from pct.measurement import Measurement, with_measurement


def test_pedals_make_the_drive_command() -> None:
    spec = with_measurement(CAR, Measurement(pedals=True))
    assert spec.control_names == ("delta_dot", "throttle", "brake")
    assert spec.control_dim == 3
    brakes = {"C_b": 20.0, "k_b": 0.0}
    shown = drive(spec, START, STEERING, np.maximum(DRIVE, 0), np.maximum(-DRIVE, 0), **brakes)
    assert_same(shown, drive(CAR, START, STEERING, DRIVE, **brakes), CAR.state_names)


def test_a_brake_that_was_released_lets_the_throttle_act() -> None:
    """Behind its lag the brake never is exactly zero again."""
    spec = with_measurement(CAR, Measurement(pedals=True, actuator_lag=("brake",)))
    count = 100
    throttle, zero = np.ones((count, 1)), np.zeros((count, 1))
    shown = drive(spec, {"vx": 3.0, "brake_acting": 0.5}, zero, throttle, zero, tau_brake_acting=0.02)
    assert shown["brake_acting"][-1] > 0
    full = drive(CAR, {"vx": shown["vx"][50]}, zero[50:], throttle[50:])
    np.testing.assert_allclose(shown["vx"][-1], full["vx"][-1], rtol=1e-3)
