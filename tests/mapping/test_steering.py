"""Steering columns that are no angle of road wheels, and one that has lost its sign."""

from __future__ import annotations

import numpy as np
import pytest

from mapping.made_logs import drive, proposed
from pct.types import Column

CAR = 2.6 / 0.33


def full_size() -> dict[str, Column]:
    """The drive of a car of 2.6 m: eight times as long and as fast, on the same clock."""
    log = drive()
    return {name: CAR * c if name in ("x", "y", "vx", "vy") else c for name, c in log.items()}


def steered(name: str, column: Column, log: dict[str, Column]) -> dict[str, Column]:
    return {key: c for key, c in log.items() if key != "delta"} | {name: column}


@pytest.mark.parametrize(
    ("name", "factor", "unit"),
    [
        ("steering_wheel_angle", 16.0, "rad/15"),
        ("SteeringWheelAngle", np.degrees(14.0), "deg/15"),
        ("handwheel_angle_rad", 15.0, "rad/15"),
        ("swa", 13.0, "rad/15"),
    ],
)
def test_a_steering_wheel_is_never_sure(name: str, factor: float, unit: str) -> None:
    log = full_size()
    line = proposed(steered(name, factor * log["delta"], log))["delta"]
    assert (line.column, line.sure, line.keys) == (name, "low", {"unit": unit})
    assert "divide by its ratio" in line.reason


@pytest.mark.parametrize("factor", [4.5, 8.0, 16.0])
def test_an_angle_that_makes_no_vehicle_is_doubted(factor: float) -> None:
    """Named an angle of road wheels: as rad it makes a lorry or more, as deg a toy at 30 m/s."""
    log = full_size()
    line = proposed(steered("steering_angle", factor * log["delta"], log))["delta"]
    assert line.sure == "low"
    assert "over the vehicle's wheelbase" in line.reason
    if factor == 16.0:
        assert 'unit = "rad/15"' in line.reason


@pytest.mark.parametrize(
    ("name", "scale", "zero"),
    [("steering", 1 / 0.35, 0.0), ("steer", 1 / 0.35, 0.0), ("steer_cmd", 100 / 0.4, 0.0),
     ("steering", 1200.0, 1500.0), ("steering_cmd", 1.4, 0.5)],
)  # fmt: skip
def test_a_share_of_full_lock_is_never_high(name: str, scale: float, zero: float) -> None:
    """-1 to 1, percent, pulses in us and a servo's position."""
    log = drive()
    line = proposed(steered(name, zero + scale * log["delta"], log))["delta"]
    assert line.column == name
    assert line.sure != "high"
    assert "unit = " in line.reason
    if zero:
        assert abs(float(str(line.keys["offset"])) + zero) < 0.02 * scale


@pytest.mark.parametrize("name", ["delta", "steering_angle", "road_wheel_angle", "steer_deg"])
def test_an_angle_of_road_wheels_stays_sure(name: str) -> None:
    for log in (drive(), full_size()):
        column = np.degrees(log["delta"]) if name == "steer_deg" else log["delta"]
        line = proposed(steered(name, column, log))["delta"]
        assert (line.sure, line.keys) == ("high", {"unit": "deg"} if name == "steer_deg" else {})


@pytest.mark.parametrize(("name", "unit"), [("delta", {}), ("psi_dot", {}), ("delta", {"unit": "deg"})])
def test_a_magnitude_takes_its_sign_from_the_motion(name: str, unit: dict[str, str]) -> None:
    log = drive()
    factor = np.degrees(1.0) if unit else 1.0
    lines = proposed({**log, name: np.abs(factor * log[name])})
    assert (lines[name].sure, lines[name].keys) == ("medium", {**unit, "sign": "motion"})
    assert {lines[other].sure for other in ("psi", "vx") if other != name} == {"high"}


def test_steering_to_one_side_only_keeps_its_sign() -> None:
    log = drive()
    t, v = log["t"], log["vx"]
    delta = 0.15 + 0.1 * np.sin(1.3 * t)
    psi = np.concatenate([[0.0], np.cumsum((v * np.tan(delta) / 0.33)[:-1] * 0.02)])
    x, y = (np.concatenate([[0.0], np.cumsum((v * f(psi))[:-1] * 0.02)]) for f in (np.cos, np.sin))
    lines = proposed({"t": t, "x": x, "y": y, "yaw": psi, "speed": v, "steering_angle": delta})
    assert (lines["delta"].sure, lines["delta"].keys) == ("high", {})


def test_few_degrees_may_be_the_radians_of_a_steering_wheel() -> None:
    log = drive()
    line = proposed(steered("steering_angle", 15.0 * log["delta"], log))["delta"]
    assert (line.sure, line.keys) == ("medium", {"unit": "deg"})
