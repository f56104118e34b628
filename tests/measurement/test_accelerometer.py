"""`accelerometer`: readings of a sensor at a place, behind its lag, with its part of gravity."""

from __future__ import annotations

import numpy as np
import pytest

from measurement.driving import CAR, DRIVE, DT, PLAIN, START, STEERING, UNICYCLE, assert_same, drive
from pct.dynamics import MODEL_SPECS
from pct.dynamics.limits import GRAVITY
from pct.errors import UsageError
from pct.measurement import Measurement, with_measurement
from pct.measurement.accelerometer import acceleration
from pct.measurement.filter import read_states

BOTH = ("ax", "ay")


def turned(shown: dict[str, np.ndarray]) -> np.ndarray:
    """Velocity along the axes of the map, (2, N, B)."""
    cos, sin = np.cos(shown["psi"]), np.sin(shown["psi"])
    return np.stack([cos * shown["vx"] - sin * shown["vy"], sin * shown["vx"] + cos * shown["vy"]])


def felt(shown: dict[str, np.ndarray]) -> np.ndarray:
    """Acceleration along the vehicle's axes between rows by differences of the velocity, (2, N - 1, B)."""
    along_map = np.diff(turned(shown), axis=1) / DT
    psi = 0.5 * (shown["psi"][1:] + shown["psi"][:-1])
    cos, sin = np.cos(psi), np.sin(psi)
    return np.stack([cos * along_map[0] + sin * along_map[1], cos * along_map[1] - sin * along_map[0]])


def test_readings_follow_the_acceleration_behind_their_lag() -> None:
    spec = with_measurement(CAR, Measurement(accelerometer=BOTH))
    assert spec.state_names == (*CAR.state_names, *BOTH)
    tau = 0.05
    shown = drive(spec, {**START, "ax": 0.3, "ay": -0.2}, STEERING, DRIVE)
    assert_same(shown, PLAIN, CAR.state_names)
    for name, wanted in zip(BOTH, felt(PLAIN), strict=True):
        middle = 0.5 * (shown[name][1:] + shown[name][:-1])
        found = middle + tau * np.diff(shown[name], axis=0) / DT
        # The first window slips least; the others have stiff returns to rolling.
        np.testing.assert_allclose(found[:, 0], wanted[:, 0], atol=0.15)


def test_all_kinds_of_models_feel_the_same_circle() -> None:
    """A steady circle: speed times yaw rate across, seen along an axis that the slip angle turns."""
    v, beta, rate = 5.0, 0.2, 0.8
    still: dict[str, float] = {"psi": rate, "v": 0.0, "beta": 0.0}
    wanted = -v * rate * np.sin(beta), v * rate * np.cos(beta)
    by_slip = acceleration(still, {"v": v, "beta": beta, "psi_dot": rate}, np)
    parts = {"vx": v * np.cos(beta), "vy": v * np.sin(beta), "psi_dot": rate}
    by_parts = acceleration({"psi": rate, "vx": 0.0, "vy": 0.0}, parts, np)
    np.testing.assert_allclose(by_slip, wanted)
    np.testing.assert_allclose(by_parts, wanted)
    np.testing.assert_allclose(acceleration({"yaw": rate, "v": 1.5}, {"v": v}, np), (1.5, v * rate))


def test_place_and_tilt_change_the_readings_as_of_a_rigid_body() -> None:
    measured = Measurement(accelerometer=BOTH, accelerometer_place=True, accelerometer_tilt=BOTH)
    spec = with_measurement(CAR, measured)
    values = {"accelerometer_ahead": 0.1, "accelerometer_aside": -0.05}
    values |= {"tilt_ax": 0.03, "tilt_ay": -0.02, "lean_ax": 0.002, "lean_ay": 0.01}
    x = {**dict.fromkeys(spec.state_names, 0.0), "vx": 6.0, "vy": 0.2, "psi_dot": 1.0, "delta": 0.1}
    u = tuple(np.zeros(1) for _ in spec.controls)
    lanes = tuple(np.full(1, x[name]) for name in spec.state_names)
    rates = dict(
        zip(spec.state_names, spec.lane_rates(lanes, u, {**spec.default_params, **values}, np), strict=True)
    )
    own = dict(zip(CAR.state_names, CAR.lane_rates(lanes[:-2], u, CAR.default_params, np), strict=True))
    ax, ay = acceleration(own, x, np)
    ahead, aside, turning = 0.1, -0.05, own["psi_dot"]
    ax, ay = ax - turning * aside - ahead, ay + turning * ahead - aside
    wanted = {
        "ax": (1 + 0.002 * GRAVITY) * ax + GRAVITY * np.sin(0.03),
        "ay": (1 + 0.01 * GRAVITY) * ay + GRAVITY * np.sin(-0.02),
    }
    for name in BOTH:
        np.testing.assert_allclose(0.05 * rates[name], wanted[name], rtol=1e-12)


def test_the_observer_reads_it_and_finds_its_bias() -> None:
    spec = with_measurement(UNICYCLE, Measurement(accelerometer=("ay",), bias=("ay",), observer=True))
    assert [channel.name for channel in read_states(spec)] == ["v", "ay"]
    assert {"ay_bias", "ay_drift"} <= {channel.name for channel in spec.hidden}


def test_options_that_lead_nowhere_are_refused() -> None:
    with pytest.raises(UsageError, match="`accelerometer`: unknown channel 'az' of model"):
        with_measurement(CAR, Measurement(accelerometer=("az",)))
    with pytest.raises(UsageError, match="model 'kinematic-singletrack' has no channel 'psi_dot'"):
        with_measurement(
            MODEL_SPECS["kinematic-singletrack"], Measurement(accelerometer=BOTH, accelerometer_place=True)
        )
    with pytest.raises(UsageError, match="`accelerometer_tilt`: no such reading is compared; add"):
        Measurement(accelerometer=("ax",), accelerometer_tilt=("ay",)).validate()
    with pytest.raises(UsageError, match="`accelerometer_place`: no such reading"):
        Measurement(accelerometer_place=True).validate()
