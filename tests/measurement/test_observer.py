"""The observer: its correction and its gains."""

from __future__ import annotations

import numpy as np

from measurement.driving import CAR, UNICYCLE
from pct.measurement import Measurement, with_measurement
from pct.measurement.observer import GAINS, corrected


def test_a_correction_is_gains_times_errors() -> None:
    spec = with_measurement(UNICYCLE, Measurement(lag=("v",), bias=("v",), observer=True))
    assert [c.name for c in spec.hidden] == ["v_true", "v_bias"]
    x = tuple(np.array([value]) for value in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0))
    logged = tuple(np.array([value]) for value in (1.5, 2.5, 3.5, 4.5))
    params = {GAINS: np.array([[0.2], [0.4], [-0.6]])}
    after = corrected(spec, params, x, logged, np.ones(()))
    # The pose is taken from the log, moving states go part of the way.
    np.testing.assert_allclose(np.concatenate(after), [1.5, 2.5, 3.5, 4.1, 5.2, 5.7])
    np.testing.assert_array_equal(corrected(spec, params, x, logged, np.zeros(())), x)


def test_gains_start_at_a_channels_own_error() -> None:
    spec = with_measurement(CAR, Measurement(lag=("vy",), drift=("vx",), observer=True))
    gains = spec.default_params[GAINS]
    corrects = [c.name for c in (*CAR.states[3:], *spec.hidden)]
    assert corrects == ["vx", "vy", "psi_dot", "delta", "vy_true", "vx_drift"]
    np.testing.assert_array_equal(gains[:4], 0.3 * np.eye(4))
    np.testing.assert_array_equal(gains[4:], [[0.0, 0.3, 0.0, 0.0], [0.0] * 4])
