"""What stands in place of channels that a log does not hold."""

from __future__ import annotations

import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS
from pct.dynamics.channels import known_channels
from pct.recordings.derive import model_columns
from pct.recordings.feeding import feeding, feeding_lines, shared_channels
from pct.recordings.trajectory import Trajectory
from pct.recordings.unlogged import ASSUMED, SMOOTHED, assumed_lines, complete, goes_straight
from pct.types import Column
from pct.windows.inputs import origins_of, told_by_controls, with_inputs, with_unlogged

DT = 0.02
T = DT * np.arange(200)
SINGLE, PACEJKA, KINEMATIC, UNICYCLE = (
    MODEL_SPECS[name] for name in ("singletrack", "singletrack-pacejka", "kinematic-singletrack", "unicycle")
)


def log(origin: str = "measured", **columns: Column | float) -> Trajectory:
    """A recording with these channels, constants among them."""
    channels = {name: np.zeros(len(T)) + value for name, value in columns.items()}
    units = {name: known_channels()[name].unit for name in channels}
    return Trajectory("log", DT, channels, units, dict.fromkeys(channels, origin))


def assumed(trajectory: Trajectory) -> set[str]:
    return {name for name, origin in trajectory.origins.items() if origin == ASSUMED}


def test_the_pose_of_a_circle_is_reckoned() -> None:
    made = complete(log(v=5.0, psi_dot=0.5, delta=0.03, beta=0.1), SINGLE)
    assert assumed(made) == {"x", "y", "psi"}
    states, _ = model_columns(made, SINGLE)
    x, y, psi = (states[:, i] for i in SINGLE.pose_indices)
    np.testing.assert_allclose(psi, 0.5 * T, atol=1e-12)
    # A circle of 10 m, tangential to the direction of travel.
    np.testing.assert_allclose(x, 10.0 * (np.sin(0.5 * T + 0.1) - np.sin(0.1)), atol=1e-3)
    np.testing.assert_allclose(y, 10.0 * (np.cos(0.1) - np.cos(0.5 * T + 0.1)), atol=1e-3)


def test_a_whole_log_stays_as_it_is() -> None:
    whole = log(x=T, y=0.0, psi=0.0, v=1.0, psi_dot=0.0, delta=0.0, beta=0.0)
    assert complete(whole, SINGLE) is whole


@pytest.mark.parametrize("speed", ["v", "vx"])
def test_a_sideways_velocity_begins_as_that_of_rolling_wheels(speed: str) -> None:
    made = complete(log(**{speed: 4.0}, psi_dot=0.5, delta=0.1, drive=0.0), PACEJKA)
    rolling = PACEJKA.default_params["lr"] * 0.5
    np.testing.assert_allclose(made.channels["vy"], rolling)
    assert "vy" in assumed(made)
    assert "vx" not in assumed(made)
    slip = complete(log(**{speed: 4.0}, psi_dot=0.5, delta=0.1), SINGLE).channels["beta"]
    np.testing.assert_allclose(np.tan(slip), rolling / 4.0, rtol=2e-2)


def test_a_log_of_a_straight_test_goes_straight_ahead() -> None:
    made = complete(log("command", vx=10.0, brake=0.5), PACEJKA)
    assert goes_straight({"vx", "brake"})
    for name in ("delta", "psi_dot", "vy", "psi", "y"):
        assert name in assumed(made)
        np.testing.assert_array_equal(made.channels[name], 0.0)
    np.testing.assert_allclose(made.channels["x"], 10.0 * T)
    # A pedal that no column shows was not pressed; the drive stays a command.
    _, controls = model_columns(made, PACEJKA)
    np.testing.assert_array_equal(controls[:, PACEJKA.control_names.index("drive")], -0.5)
    origins = origins_of([made], PACEJKA)
    assert origins["drive"] == "command"
    assert "Not logged: throttle; taken as never pressed." in assumed_lines(PACEJKA, origins)


def test_a_yaw_rate_that_is_not_logged_is_that_of_the_steering() -> None:
    made = complete(log(v=3.0, delta=0.1), SINGLE)
    length = SINGLE.default_params["lf"] + SINGLE.default_params["lr"]
    np.testing.assert_allclose(made.channels["psi_dot"], 3.0 * np.tan(0.1) / length)
    assert {"psi_dot", "beta", "psi"} <= assumed(made)


def test_an_acceleration_is_smoothed_where_no_position_is_compared() -> None:
    """Differences of a noisy speed would shift the loads of the tyres; their rate stays no prediction."""
    speed = 5.0 + 2.0 * T + np.random.default_rng(0).normal(0, 0.03, len(T))
    bare = log(v=speed, psi_dot=0.5, delta=0.1 * np.sin(T))
    made = complete(bare, SINGLE)
    np.testing.assert_allclose(made.channels["accel"][10:-10], 2.0, atol=0.6)
    origins = origins_of([made], SINGLE)
    assert origins["accel"] == SMOOTHED
    spec = with_inputs(SINGLE, origins, "auto")
    assert "accel" in spec.interpolated
    assert {*told_by_controls(spec, origins)} == {"v", "delta"}
    placed = complete(log(v=speed, psi_dot=0.5, delta=0.1, x=T, y=0.0, psi=0.0), SINGLE)
    assert "accel" not in placed.channels
    assert "accel" not in complete(bare, KINEMATIC).channels


def test_what_drives_a_model_is_never_assumed() -> None:
    assert "psi_dot" not in complete(log(v=3.0, delta=0.1), UNICYCLE).channels
    assert "delta" not in complete(log(v=3.0, psi_dot=0.1), SINGLE).channels


def test_a_position_without_a_heading_serves_for_nothing() -> None:
    made = complete(log(x=7.0 * T, y=3.0, v=7.0, psi_dot=0.0, delta=0.0, beta=0.0), SINGLE)
    assert assumed(made) == {"x", "y", "psi"}
    np.testing.assert_array_equal(made.channels["y"], 0.0)


def test_a_measured_yaw_rate_makes_a_heading_where_the_model_has_no_other() -> None:
    """The kinematic car has no yaw rate to compare, so its heading is; the unicycle is driven by it."""
    made = log(v=3.0, psi_dot=0.5, delta=0.1)
    assert assumed(complete(made, KINEMATIC)) == {"x", "y"}
    assert assumed(complete(made, UNICYCLE)) == {"x", "y", "psi"}


def test_no_loss_counts_what_is_not_logged() -> None:
    bare = log(v=3.0 + 0.1 * T, psi_dot=0.5, delta=0.1 * np.sin(T))
    with_slip = log(v=3.0 + 0.1 * T, psi_dot=0.5, delta=0.1 * np.sin(T), beta=0.0)
    one, other = (complete(trajectory, SINGLE) for trajectory in (bare, with_slip))
    origins = origins_of([one, other], SINGLE)
    assert origins["beta"] == ASSUMED  # where one recording lacks it
    spec = with_inputs(SINGLE, origins, "auto")
    assert spec.unlogged == ("x", "y", "psi", "beta")
    scales = dict(zip(spec.state_names, spec.train_loss_kwargs["scales"], strict=True))
    assert {name for name, scale in scales.items() if np.isinf(scale)} == {*spec.unlogged}
    assert {*told_by_controls(spec, origins)} == {"v", "delta"}
    logged = dict.fromkeys(origins, "measured")
    assert with_unlogged(spec, logged, only=False).unlogged == spec.unlogged
    again = with_unlogged(spec, logged)
    assert again.unlogged == ()
    np.testing.assert_array_equal(again.train_loss_kwargs["scales"], SINGLE.scales)


@pytest.mark.parametrize(
    ("logged", "lines"),
    [
        (
            ("v", "psi_dot", "delta"),
            [
                "singletrack: yes, compares psi_dot; without x, y, psi, beta",
                "kinematic-singletrack: yes, compares psi; without x, y",
                "unicycle: nothing to compare; needs accel",
                "singletrack-pacejka: needs drive",
                "tv-linear: needs x, y, yaw",  # its equations read the pose
            ],
        ),
        (
            ("vx", "brake"),
            ["singletrack-pacejka: yes, compares vx; without x, y, psi, vy, psi_dot, delta"],
        ),
        (("x", "y", "psi", "v"), ["singletrack: needs delta, delta_dot"]),
        (("psi_dot",), ["unicycle: needs v, accel"]),
    ],
)
def test_a_line_says_what_a_log_feeds(logged: tuple[str, ...], lines: list[str]) -> None:
    found = feeding_lines(logged)
    assert {*lines} <= {*found}
    fed = [": yes" in line for line in found]
    assert fed == sorted(fed, reverse=True)


def test_channels_that_all_recordings_hold() -> None:
    assert shared_channels([("a", "b", "c"), ("c", "b")]) == ("b", "c")
    assert shared_channels([]) == ()
    assert feeding(SINGLE, ("v", "psi_dot", "delta")).feeds
