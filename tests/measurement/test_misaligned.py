"""`misaligned`: the velocity along other axes."""

from __future__ import annotations

import numpy as np

from measurement.driving import CAR, DRIVE, PLAIN, START, STEERING, assert_same, drive
from pct.measurement import Measurement, with_measurement


def test_turned_axes_show_the_velocity_in_them() -> None:
    spec = with_measurement(CAR, Measurement(misaligned=True))
    turn = 0.05  # the sensor's axes are to the left of the car's
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    vx, vy = rotation @ [START["vx"], START["vy"]]
    shown = drive(spec, {**START, "vx": vx, "vy": vy}, STEERING, DRIVE, misalignment=turn)
    wanted = rotation @ np.stack([PLAIN["vx"].ravel(), PLAIN["vy"].ravel()])
    np.testing.assert_allclose([shown["vx"].ravel(), shown["vy"].ravel()], wanted, rtol=1e-9, atol=1e-9)
    assert_same(shown, PLAIN, ("x", "y", "psi", "psi_dot", "delta"))
