"""The observer of earlier versions: its gains."""

from __future__ import annotations

import numpy as np

from measurement.driving import CAR
from pct.measurement import Measurement, with_measurement
from pct.measurement.filter import filters
from pct.measurement.observer import GAINS, observes


def test_gains_start_at_a_channels_own_error() -> None:
    spec = with_measurement(CAR, Measurement(lag=("vy",), drift=("vx",), observer=True), gains=True)
    assert observes(spec)
    assert not filters(spec)
    gains = spec.default_params[GAINS]
    corrects = [c.name for c in (*CAR.states[3:], *spec.hidden)]
    assert corrects == ["vx", "vy", "psi_dot", "delta", "vy_true", "vx_drift"]
    np.testing.assert_array_equal(gains[:4], 0.3 * np.eye(4))
    np.testing.assert_array_equal(gains[4:], [[0.0, 0.3, 0.0, 0.0], [0.0] * 4])
