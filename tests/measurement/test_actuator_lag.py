"""`actuator_lag`: actuators that follow their commands."""

from __future__ import annotations

import numpy as np

from measurement.driving import CAR, UNICYCLE, drive
from pct.measurement import Measurement, with_measurement


def test_an_actuator_follows_its_control_as_a_first_order_system() -> None:
    spec = with_measurement(UNICYCLE, Measurement(actuator_lag=("accel",)))
    tau, count = 0.05, 100
    still, push = np.zeros((count, 1)), np.full((count, 1), 2.0)
    shown = drive(spec, {"accel_acting": -1.0}, still, push, h=1e-3, tau_accel_acting=tau)
    t = 1e-3 * np.arange(count + 1)[:, None]
    np.testing.assert_allclose(shown["accel_acting"], 2.0 - 3.0 * np.exp(-t / tau), atol=1e-4)
    np.testing.assert_allclose(shown["v"], 2.0 * t - 3.0 * tau * (1.0 - np.exp(-t / tau)), atol=1e-4)


def test_a_state_acts_late_and_is_shown_as_it_is() -> None:
    spec = with_measurement(CAR, Measurement(actuator_lag=("delta",)))
    rng = np.random.default_rng(0)
    x, u = rng.uniform(0.1, 2.0, (8, 5)), rng.uniform(-0.2, 0.2, (2, 5))
    params = {**CAR.default_params, "tau_delta_acting": 0.25}
    seen = x[:7].copy()
    seen[CAR.state_indices["delta"]] = x[7]
    rates = spec.lane_rates(tuple(x), tuple(u), params, np)
    wanted = CAR.lane_rates(tuple(seen), tuple(u), CAR.default_params, np)
    for found, plain in zip(rates[:7], wanted, strict=True):
        np.testing.assert_allclose(found, plain, rtol=1e-12)
    np.testing.assert_allclose(rates[7], (x[CAR.state_indices["delta"]] - x[7]) / 0.25, rtol=1e-12)
