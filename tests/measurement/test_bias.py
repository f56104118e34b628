"""`bias`: sensors with an error."""

from __future__ import annotations

import numpy as np

from measurement.driving import CAR, DRIVE, DT, PLAIN, START, STEERING, STEPS, assert_same, drive
from pct.measurement import Measurement, with_measurement


def test_a_bias_shifts_what_is_shown_and_fades() -> None:
    spec = with_measurement(CAR, Measurement(bias=("vx", "psi_dot")))
    bias = {"vx": 0.4, "psi_dot": -0.1}
    start = {**START, **{f"{n}_bias": b for n, b in bias.items()}, **{n: START[n] + bias[n] for n in bias}}
    shown = drive(spec, start, STEERING, DRIVE, fade_vx_bias=0.5, fade_psi_dot_bias=0.2)
    for name, fade in (("vx", 0.5), ("psi_dot", 0.2)):
        np.testing.assert_allclose(shown[name] - shown[f"{name}_bias"], PLAIN[name], rtol=1e-9)
        left = bias[name] * np.exp(-DT * np.arange(STEPS + 1) / fade)
        np.testing.assert_allclose(shown[f"{name}_bias"][:, 0], left, rtol=5e-3)
    assert_same(shown, PLAIN, ("x", "y", "psi", "vy", "delta"))


def test_a_lag_and_a_bias_add_up() -> None:
    """The bias is the sensor's: it stands at once, behind the lag there is none of it."""
    lag = drive(
        with_measurement(CAR, Measurement(lag=("vx",))),
        {**START, "vx_true": START["vx"] + 0.5},
        STEERING,
        DRIVE,
    )
    both = drive(
        with_measurement(CAR, Measurement(lag=("vx",), bias=("vx",))),
        {**START, "vx": START["vx"] + 0.2, "vx_true": START["vx"] + 0.5, "vx_bias": 0.2},
        STEERING,
        DRIVE,
    )
    np.testing.assert_allclose(both["vx"] - both["vx_bias"], lag["vx"], rtol=1e-9)
    assert_same(both, lag, ("x", "y", "psi", "vy", "psi_dot", "delta", "vx_true"))
