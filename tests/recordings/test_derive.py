"""Derived channels agree with the drive that they come from, and a missing one is named."""

import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS
from pct.errors import DataError
from pct.recordings.derive import (
    derive,
    forward_difference,
    model_columns,
    smooth_derivative,
)
from pct.recordings.relations import slip_angle, speed
from pct.recordings.trajectory import Trajectory
from pct.types import Column

DT = 0.02
T = DT * np.arange(400)
# A weave at changing speed with a slip angle, all in closed form but the positions.
PSI = 2.0 + 0.8 * T + 0.3 * np.sin(1.5 * T)
PSI_DOT = 0.8 + 0.45 * np.cos(1.5 * T)
V = 4.0 + np.sin(0.7 * T)
BETA = 0.1 * np.sin(1.5 * T + 0.4)
DELTA = 0.2 * np.sin(1.5 * T)


def positions() -> tuple[Column, Column]:
    """Positions of the drive by integration on a grid a hundred times finer."""
    t = np.linspace(0.0, T[-1], 100 * (len(T) - 1) + 1)
    course = np.interp(t, T, PSI + BETA)
    v = np.interp(t, T, V)
    x, y = (
        np.concatenate([[0.0], np.cumsum((f(course) * v)[:-1]) * (t[1] - t[0])]) for f in (np.cos, np.sin)
    )
    return x[::100], y[::100]


X, Y = positions()
UNITS = {"x": "m", "y": "m", "v": "m/s", "vx": "m/s", "vy": "m/s", "psi_dot": "rad/s"}
FULL = {"x": X, "y": Y, "psi": PSI, "vx": V * np.cos(BETA), "vy": V * np.sin(BETA), "delta": DELTA}


def log(channels: dict[str, Column]) -> Trajectory:
    units = {name: UNITS.get(name, "rad") for name in channels}
    return Trajectory("log", DT, channels, units, dict.fromkeys(channels, "measured"), source="log.csv")


def test_states_of_the_single_track_model() -> None:
    states, controls = model_columns(log(FULL), MODEL_SPECS["singletrack"])
    assert states.dtype == controls.dtype == np.float64
    expected = np.stack([X, Y, DELTA, V, PSI, PSI_DOT, BETA], axis=-1)
    inner = slice(6, -6)
    np.testing.assert_allclose(states[inner], expected[inner], atol=2e-3)


def test_everything_from_the_pose() -> None:
    """The log of a motion-capture system: position, heading and steering."""
    wrapped = {
        **{name: FULL[name] for name in ("x", "y", "delta")},
        "psi": (PSI + np.pi) % (2 * np.pi) - np.pi,
    }
    states, _ = model_columns(log(wrapped), MODEL_SPECS["singletrack"])
    expected = np.stack([X, Y, DELTA, V, PSI, PSI_DOT, BETA], axis=-1)
    inner = slice(6, -6)
    np.testing.assert_allclose(states[inner, :4], expected[inner, :4], atol=0.01)
    np.testing.assert_allclose(states[inner, 4] - PSI[inner], states[6, 4] - PSI[6], atol=1e-9)
    np.testing.assert_allclose(states[inner, 5:], expected[inner, 5:], atol=0.01)


def test_heading_from_the_course() -> None:
    course = {name: FULL[name] for name in ("x", "y", "vx", "vy", "delta")} | {"course": PSI + BETA}
    states, _ = model_columns(log(course), MODEL_SPECS["singletrack"])
    np.testing.assert_allclose(states[:, 4], PSI, atol=1e-6)


@pytest.mark.parametrize("model", ["singletrack", "kinematic-singletrack", "unicycle", "tv-linear"])
def test_control_held_over_a_step_leads_to_the_next_sample(model: str) -> None:
    spec = MODEL_SPECS[model]
    states, controls = model_columns(log(FULL), spec)
    column = {name: states[:, i] for name, i in spec.state_indices.items()}
    moved = {"delta_dot": "delta", "accel": "v", "psi_dot": "yaw" if "yaw" in column else "psi"}
    for i, name in enumerate(spec.control_names):
        state = column[moved[name]]
        np.testing.assert_allclose(state[:-1] + DT * controls[:-1, i], state[1:], atol=1e-9)


def test_drive_command_from_two_pedals() -> None:
    throttle, brake = np.array([0.0, 0.5, 1.0, 0.2]), np.array([0.7, 0.0, 0.0, 0.2])
    drive = derive("drive", {"throttle": throttle, "brake": brake}, DT)
    np.testing.assert_allclose(drive, [-0.7, 0.5, 1.0, 0.0])
    assert derive("drive", {"throttle": throttle}, DT) is None


def test_logged_channels_are_not_replaced() -> None:
    logged = {**FULL, "psi_dot": np.full_like(PSI, 0.123)}
    states, _ = model_columns(log(logged), MODEL_SPECS["singletrack"])
    assert np.all(states[:, 5] == 0.123)


def test_missing_channel_is_named_with_its_map_line() -> None:
    without = {name: column for name, column in FULL.items() if name != "delta"}
    with pytest.raises(DataError) as error:
        model_columns(log(without), MODEL_SPECS["singletrack"])
    for part in ("'delta'", "rad", "log.csv", "x, y, psi, vx, vy", "[channels.delta]"):
        assert part in str(error.value)


def test_another_unit_is_refused() -> None:
    wrong = log(FULL)
    wrong.units["delta"] = "deg"  # type: ignore[index]
    with pytest.raises(DataError, match="expected channel 'delta' in rad, found deg"):
        model_columns(wrong, MODEL_SPECS["singletrack"])


def test_slip_angle_stays_small_at_standstill_and_in_reverse() -> None:
    noise = np.random.default_rng(0).normal(scale=0.005, size=(2, 500))
    assert np.abs(slip_angle(*noise)).max() < 0.01
    vx = np.linspace(2.0, -2.0, 81)
    assert np.abs(slip_angle(vx, 0.03 * vx)).max() < 0.031
    np.testing.assert_allclose(speed(vx, 0.0 * vx), vx, atol=1e-12)


def test_a_spin_keeps_speed_positive_and_turns_the_slip_angle() -> None:
    angle = np.linspace(0.0, 2.8, 200)
    vx, vy = 3.0 * np.cos(angle), 3.0 * np.sin(angle)
    np.testing.assert_allclose(speed(vx, vy), 3.0)
    np.testing.assert_allclose(slip_angle(vx, vy), angle, atol=1e-4)
    # After a stop, forward is forward again.
    vx, vy = np.append(vx, [0.0, 1.0]), np.append(vy, [0.0, 0.0])
    assert speed(vx, vy)[-1] == 1.0


def test_short_logs_are_derived_too() -> None:
    for rows in (1, 2, 4, 5):
        assert (
            smooth_derivative(2.0 * T[:rows], DT).shape == forward_difference(T[:rows], DT).shape == (rows,)
        )
    np.testing.assert_allclose(smooth_derivative(2.0 * T[:4], DT), 2.0)
