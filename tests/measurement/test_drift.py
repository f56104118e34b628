"""`drift`: rates with an error."""

from __future__ import annotations

import numpy as np

from measurement.driving import UNICYCLE, drive
from pct.measurement import Measurement, with_measurement


def test_a_drift_adds_its_rate_and_fades() -> None:
    spec = with_measurement(UNICYCLE, Measurement(drift=("v",)))
    count, fade = 100, 0.1
    still = np.zeros((count, 1))
    shown = drive(spec, {"v": 1.0, "v_drift": 0.7}, still, still, h=1e-3, fade_v_drift=fade)
    t = 1e-3 * np.arange(count + 1)[:, None]
    np.testing.assert_allclose(shown["v_drift"], 0.7 * np.exp(-t / fade), rtol=1e-4)
    np.testing.assert_allclose(shown["v"], 1.0 + 0.7 * fade * (1.0 - np.exp(-t / fade)), rtol=1e-5)
