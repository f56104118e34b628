"""`lever_arm`: the velocity of another point."""

from __future__ import annotations

import numpy as np
import pytest

from measurement.driving import CAR, DRIVE, PLAIN, START, STEERING, assert_same, drive
from pct.measurement import Measurement, with_measurement


@pytest.mark.parametrize("lag", [(), ("vy", "psi_dot")])
def test_a_lever_arm_shows_the_motion_of_another_point(lag: tuple[str, ...]) -> None:
    spec = with_measurement(CAR, Measurement(lever_arm=True, lag=lag))
    ahead = 0.15
    point = START["vy"] + ahead * START["psi_dot"]
    shown = drive(spec, {**START, "vy": point}, STEERING, DRIVE, ahead=ahead)
    vy, psi_dot = (shown[f"{name}_true" if lag else name] for name in ("vy", "psi_dot"))
    np.testing.assert_allclose(vy, PLAIN["vy"] + ahead * PLAIN["psi_dot"], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(psi_dot, PLAIN["psi_dot"], rtol=1e-9)
    assert_same(shown, PLAIN, ("x", "y", "psi", "vx", "delta"))
