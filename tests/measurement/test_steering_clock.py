"""`steering_clock`: a steering angle that is logged some milliseconds late."""

from __future__ import annotations

import numpy as np
import pytest

from measurement.driving import CAR, DRIVE, START, STEERING, assert_same, drive
from pct.dynamics import MODEL_SPECS
from pct.errors import UsageError
from pct.measurement import Measurement, with_measurement

LATE = 0.008


def test_a_late_angle_drives_the_car_as_the_true_one() -> None:
    turning = np.full_like(STEERING, 0.3)
    wanted = drive(CAR, START, turning, DRIVE)
    spec = with_measurement(CAR, Measurement(steering_clock=True))
    logged = {**START, "delta": START["delta"] - LATE * turning[0]}
    shown = drive(spec, logged, turning, DRIVE, steering_late=LATE)
    assert_same(shown, wanted, ("x", "y", "psi", "vx", "vy", "psi_dot"))
    np.testing.assert_allclose(shown["delta"], wanted["delta"] - LATE * 0.3, atol=1e-12)


def test_a_car_without_a_steering_angle_has_no_such_clock() -> None:
    with pytest.raises(UsageError, match="steering_clock"):
        with_measurement(MODEL_SPECS["unicycle"], Measurement(steering_clock=True))
