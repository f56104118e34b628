"""`steering`: ratio, its change, and offset."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from measurement.driving import CAR, DRIVE, START, STEERING, assert_same, drive
from pct.dynamics import MODEL_SPECS
from pct.measurement import Measurement, with_measurement
from pct.measurement.chain import vehicle_motion


@pytest.mark.parametrize("model", ["singletrack-pacejka", "kinematic-singletrack"])
def test_steering_is_that_of_the_changed_angle(model: str) -> None:
    spec = MODEL_SPECS[model]
    ratio, offset = 0.8, 0.02
    names = {"vx": "v", "vy": "", "psi_dot": ""} if "v" in spec.state_names else {}
    start = {names.get(name, name): value for name, value in START.items()}
    changed = {**start, "delta": ratio * start["delta"] + offset}
    wanted = drive(spec, changed, ratio * STEERING, DRIVE)
    shown = drive(
        with_measurement(spec, Measurement(steering=True)),
        start,
        STEERING,
        DRIVE,
        steering_ratio=ratio,
        steering_offset=offset,
    )
    np.testing.assert_allclose(ratio * shown["delta"] + offset, wanted["delta"], rtol=1e-9)
    assert_same(shown, wanted, set(spec.state_names) - {"delta"})


def test_a_ratio_that_rises_with_the_angle_steers_more() -> None:
    ratio, curve = 0.9, 0.8

    def wheel(angle: Any) -> Any:
        return ratio * angle * (1 + curve * angle**2)

    def rate(angle: Any) -> Any:
        return ratio * (1 + 3 * curve * angle**2)

    spec = with_measurement(CAR, Measurement(steering=True))
    rng = np.random.default_rng(0)
    x, u = rng.uniform(0.1, 0.3, (7, 5)), rng.uniform(-0.2, 0.2, (2, 5))
    x[CAR.state_indices["vx"]] += 4.0
    params = {**CAR.default_params, "steering_ratio": ratio, "steering_curve": curve, "steering_offset": 0.0}
    bent, faster = x.copy(), u.copy()
    i = CAR.state_indices["delta"]
    bent[i] = wheel(x[i])
    faster[0] = rate(x[i]) * u[0]
    wanted = list(CAR.lane_rates(tuple(bent), tuple(faster), CAR.default_params, np))
    wanted[i] = wanted[i] / rate(x[i])
    for found, plain in zip(spec.lane_rates(tuple(x), tuple(u), params, np), wanted, strict=True):
        np.testing.assert_allclose(found, plain, rtol=1e-12)


@pytest.mark.parametrize("curve", [-4.0, 4.0])
def test_a_bent_ratio_never_turns_the_steering_round(curve: float) -> None:
    angle = np.linspace(-1.5, 1.5, 301)
    p = SimpleNamespace(steering_ratio=1.0, steering_curve=curve, steering_offset=0.0)
    shown = vehicle_motion(with_measurement(CAR, Measurement(steering=True)), p, {"delta": angle}, np)[
        "delta"
    ]
    assert np.diff(shown).min() > 0
