"""Proposed maps: right columns, units, signs and doubts, from names or without, on made and on real logs."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from mapping.made_logs import DT, by_channel, drive, proposed, raw
from pct.errors import DataError
from pct.logs.map_files import read_map
from pct.logs.readers import read_log
from pct.mapping import Line, propose
from pct.types import Column

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("PCT_DATA", ROOT.parent / "shared" / "data"))


def renamed(**names: str) -> dict[str, Column]:
    return {names.get(name, name): column for name, column in drive().items()}


def columns_of(lines: dict[str, Line]) -> dict[str, str]:
    return {channel: line.column for channel, line in lines.items() if channel != "time"}


@pytest.mark.parametrize(
    "names",
    [
        {},
        {
            "x": "pose_x",
            "y": "pose_y",
            "psi": "yaw",
            "psi_dot": "yawRate",
            "delta": "steering_angle",
            "vx": "linear_vel_x",
        },
        {
            "x": "position.x",
            "y": "position.y",
            "psi": "heading",
            "psi_dot": "gyro_z",
            "delta": "road_wheel_angle",
        },
        {
            "x": "easting",
            "y": "northing",
            "psi": "theta",
            "psi_dot": "omega",
            "vx": "v_lon",
            "vy": "v_lat",
            "t": "timestamp",
        },
    ],
)
def test_columns_by_name(names: dict[str, str]) -> None:
    lines = proposed(renamed(**names))
    expected = {name: names.get(name, name) for name in ("x", "y", "psi", "vx", "vy", "psi_dot", "delta")}
    assert columns_of(lines) == expected
    assert {lines[name].sure for name in ("time", "x", "y", "psi", "vx", "psi_dot", "delta")} == {"high"}
    assert all(not line.keys for line in lines.values())


def test_columns_without_names() -> None:
    log = {f"states[{i}]": column for i, column in enumerate(drive().values())}
    lines = proposed(log)
    expected = dict(zip(drive(), log, strict=True))
    for channel in ("x", "y", "psi", "vx", "psi_dot", "delta"):
        assert lines[channel].column == expected[channel]
        assert lines[channel].sure == "medium"
        assert "not by its name" in lines[channel].reason
    assert lines["time"].column == "states[0]"


@pytest.mark.parametrize(
    ("name", "factor", "keys"),
    [
        ("psi_dot", 180 / np.pi, {"unit": "deg/s"}),
        ("psi_dot", -1.0, {"sign": -1}),
        ("psi", 180 / np.pi, {"unit": "deg"}),
        ("psi", -1.0, {"sign": -1}),
        ("vx", 3.6, {"unit": "km/h"}),
        ("vx", 4350.0, {"unit": "m/s/4350"}),
        ("delta", 180 / np.pi, {"unit": "deg"}),
        ("delta", -1.0, {"sign": -1}),
    ],
)
def test_units_and_signs(name: str, factor: float, keys: dict[str, object]) -> None:
    log = drive()
    line = proposed({**log, name: factor * log[name]})[name]
    if "4350" in str(keys):
        assert str(line.keys["unit"]).startswith("m/s/4")
        assert abs(float(str(line.keys["unit"])[4:]) - 4350) < 100
        assert line.sure == "medium"
    else:
        assert (line.column, dict(line.keys)) == (name, keys)


@pytest.mark.parametrize(("factor", "keys"), [(1.0, {}), (1 / 9.81, {"unit": "g"})])
def test_accelerations(factor: float, keys: dict[str, str]) -> None:
    log = drive()
    random = np.random.default_rng(3)
    noise = random.normal(0, 0.1, (2, len(log["t"])))
    v, turn = 3.0 + np.sin(0.7 * log["t"]), log["psi_dot"]
    log["imu_acc_x"] = factor * (0.7 * np.cos(0.7 * log["t"]) - log["vy"] * turn + noise[0])
    log["imu_acc_y"] = -factor * (v * turn + noise[1])
    log["acc_z"] = factor * (9.81 + noise[0])
    lines = proposed(log)
    assert (lines["ax"].column, lines["ay"].column) == ("imu_acc_x", "imu_acc_y")
    assert (lines["ax"].keys, lines["ay"].keys) == (keys, {**keys, "sign": -1})
    # One that shows nothing is left out, and it is said.
    proposal = propose(Path("log.csv"), raw({**log, "imu_acc_x": noise[0]}))
    assert "ax" not in by_channel(proposal)
    assert any(note.startswith("imu_acc_x: matches by name, but") for note in proposal.notes)


def test_spikes_hide_nothing() -> None:
    random, log = np.random.default_rng(4), drive()
    for name in ("x", "psi", "vx", "vy", "psi_dot", "delta"):
        rows = random.random(len(log[name])) < 0.005
        log[name] = np.where(rows, random.choice([1e8, -1e8, np.nan], len(rows)), log[name])
    proposal = propose(Path("log.csv"), raw(log))
    lines = by_channel(proposal)
    assert proposal.head == {"faults": "cut"}
    assert "vy: left out for its spikes; vy is derived from the pose" in proposal.notes
    assert {lines[name].sure for name in ("x", "psi", "vx", "psi_dot", "delta")} == {"high"}
    assert all(not lines[name].keys for name in ("psi", "vx", "psi_dot", "delta"))


def test_a_log_at_1_khz_with_a_late_gyro() -> None:
    log = drive()
    fast = np.arange(0, log["t"][-1], 0.001)
    many = {name: np.interp(fast, log["t"], column) for name, column in log.items()}
    many["psi_dot"] = np.roll(many["psi_dot"], 123)
    lines = proposed(many)
    # The heading of the drive is half a step of 0.02 s late by itself.
    assert abs(float(lines["psi_dot"].keys["delay"]) - 0.113) < 0.005
    assert {lines[name].sure for name in ("psi", "vx", "psi_dot", "delta")} == {"high"}


def test_units_at_the_end_of_names() -> None:
    log = drive()
    new = {"x_m": log["x"], "y_m": log["y"], "yaw_deg": np.degrees(log["psi"]), "t": log["t"]}
    new |= {"speed_kmh": 3.6 * log["vx"], "yaw_rate_dps": np.degrees(log["psi_dot"])}
    new |= {"steering_angle_deg": np.degrees(log["delta"])}
    lines = proposed(new)
    assert {
        name: line.keys.get("unit") for name, line in lines.items() if name not in ("time", "x", "y")
    } == {
        "psi": "deg",
        "v": "km/h",
        "psi_dot": "deg/s",
        "delta": "deg",
    }


def test_a_header_that_contradicts_the_values() -> None:
    log = drive()
    stated = {"psi": "deg", "vx": "km/h", "psi_dot": "deg/s", "delta": "rad"}
    lines = proposed({**log, "delta": np.degrees(0.1 * log["delta"])}, **stated)
    assert {name: lines[name].keys.get("unit") for name in ("psi", "vx", "psi_dot")} == {
        "psi": "rad",
        "vx": "m/s",
        "psi_dot": "rad/s",
    }
    assert {lines[name].sure for name in ("psi", "vx", "psi_dot")} == {"medium"}
    assert "the file says deg" in lines["psi"].reason


def test_positions_in_millimetres() -> None:
    log = drive()
    lines = proposed({**log, "x": 1e3 * log["x"], "y": 1e3 * log["y"]})
    assert [lines[name].keys for name in ("x", "y", "vx")] == [{"unit": "mm"}, {"unit": "mm"}, {}]


def test_wheel_speeds_and_a_steering_wheel() -> None:
    log = drive()
    log["WheelSpeed_FL"], log["WheelSpeed_RR"] = 3.7 * log["vx"], 3.6 * (log["vx"] + 0.1 * log["psi_dot"])
    log["SteeringWheelAngle"] = 60 * np.degrees(log.pop("delta"))
    del log["vx"], log["vy"]
    lines = proposed(log)
    assert (lines["vx"].column, lines["vx"].sure) == ("WheelSpeed_RR", "medium")
    assert lines["vx"].keys == {"unit": "km/h"}
    assert lines["delta"].sure == "low"
    assert "over the vehicle's wheelbase" in lines["delta"].reason


def pedals(log: dict[str, Column]) -> tuple[Column, Column]:
    """Shares of full pedals that make the speed of a log."""
    smooth = np.convolve(np.gradient(log["vx"], DT), np.ones(25) / 25, mode="same")
    smooth /= np.abs(smooth).max()
    return np.clip(smooth, 0.0, 1.0), np.clip(-smooth, 0.0, 1.0)


@pytest.mark.parametrize(
    ("names", "units", "full", "keys"),
    [
        (("throttle", "brake"), {}, 1.0, {}),
        (("Throttle_Pos", "brake_pedal"), {}, 100.0, {"unit": "percent"}),
        (("gas_cmd", "brake_cmd"), {"gas_cmd": "%"}, 100.0, {"unit": "percent", "origin": "command"}),
        (("throttle_pct", "brake_pct"), {}, 255.0, {"unit": "1/255"}),
    ],
)
def test_pedals(names: tuple[str, str], units: dict[str, str], full: float, keys: dict[str, str]) -> None:
    log = drive()
    columns = dict(zip(names, (full * pedal for pedal in pedals(log)), strict=True))
    lines = proposed({**log, **columns}, **units)
    for channel, name in zip(("throttle", "brake"), names, strict=True):
        assert (lines[channel].column, lines[channel].keys) == (name, keys)
        assert lines[channel].sure == "high"


def test_pedals_that_the_speed_does_not_follow_are_left_out() -> None:
    """Those of another vehicle, a brake that makes faster, and a pressure."""
    log = drive()
    throttle, brake = pedals(log)
    log |= {"throttle": throttle[::-1] * 0.5, "brake": throttle, "brake_pos": 4000 * brake}
    proposal = propose(Path("log.csv"), raw(log, brake_pos="kPa"))
    assert not {"throttle", "brake", "drive"} & set(by_channel(proposal))
    notes = [note for note in proposal.notes if ": left out" in note or ": neither" in note]
    assert [note.split(":")[0] for note in notes] == ["throttle", "brake", "brake_pos"]
    assert 'unit = "1/80"' in notes[2]


def test_one_command_for_drive_and_brake() -> None:
    log = drive()
    throttle, brake = pedals(log)
    line = proposed({**log, "duty_cycle": throttle - brake})["drive"]
    assert (line.column, line.keys, line.sure) == ("duty_cycle", {}, "high")


def test_wheels_that_turn() -> None:
    """An axle before one of its wheels; speeds at the rim say nothing of how fast a wheel turns."""
    log = drive()
    turns = log["vx"] / 0.05
    log |= {"omega_fl": turns, "omega_rl": turns, "omega_rear": turns, "wheel_speed_fr": log["vx"]}
    units = {"omega_fl": "rad/s", "omega_rl": "rad/s", "wheel_speed_fr": "m/s"}
    lines = proposed(log | {"omega_rear": turns * 30 / np.pi}, **units, omega_rear="rpm")
    assert columns_of(lines).items() >= {"omega_f": "omega_fl", "omega_r": "omega_rear"}.items()
    assert (lines["omega_f"].sure, lines["omega_r"].sure) == ("medium", "high")
    assert (lines["omega_f"].keys, lines["omega_r"].keys) == ({}, {})
    assert "radius of 0.05" in lines["omega_r"].reason
    assert lines["vx"].column == "vx"
    # A unit in the name, and none at all.
    lines = proposed(drive() | {"front_wheel_rpm": turns * 30 / np.pi, "rear_wheel": turns})
    assert lines["omega_f"].keys == {"unit": "rpm"}
    assert "omega_r" not in lines


def test_velocities_along_the_axes_of_the_map_are_left_out() -> None:
    log = drive()
    vx, vy, psi = log.pop("vx"), log.pop("vy"), log["psi"]
    log |= {"vel_x": vx * np.cos(psi) - vy * np.sin(psi), "vel_y": vx * np.sin(psi) + vy * np.cos(psi)}
    proposal = propose(Path("log.csv"), raw(log))
    assert not {"vx", "vy"} & set(by_channel(proposal))
    assert sum("along the map's axes" in note for note in proposal.notes) == 2


def test_a_heading_from_north() -> None:
    log = drive()
    compass = (90.0 - np.degrees(log["psi"])) % 360.0
    line = proposed({**log, "psi": compass})["psi"]
    assert dict(line.keys) == {"unit": "deg", "sign": -1, "offset": -90.0}


@pytest.mark.parametrize(("scale", "unit"), [(1e3, "ms"), (1e6, "us"), (1e9, "ns")])
def test_units_of_time(scale: float, unit: str) -> None:
    log = drive()
    assert proposed({**log, "t": scale * log["t"]})["time"].keys == {"unit": unit}


def test_what_the_file_says_of_units() -> None:
    log = drive()
    lines = proposed({**log, "vx": 3.6 * log["vx"]}, vx="km/h")
    assert (lines["vx"].keys, lines["vx"].sure) == ({"unit": "km/h"}, "high")
    # A header that is wrong.
    lines = proposed({**log, "psi_dot": np.degrees(log["psi_dot"])}, psi_dot="rad/s")
    assert lines["psi_dot"].keys == {"unit": "deg/s"}


def test_a_heading_in_stated_degrees_is_the_reference_of_the_others() -> None:
    log = drive()
    degrees = {name: np.degrees(log[name]) for name in ("psi", "psi_dot")}
    lines = proposed({**log, **degrees}, psi="deg", psi_dot="deg/s")
    assert lines["psi_dot"].keys == {"unit": "deg/s"}
    assert (lines["vx"].keys, lines["vx"].sure) == ({}, "high")


def test_a_header_that_is_wrong_on_the_time() -> None:
    assert proposed(drive(), t="ms")["time"].keys == {"unit": "s"}


def test_a_delay_is_seen() -> None:
    log = drive()
    late = {**log, "psi_dot": np.roll(log["psi_dot"], 6)}
    assert abs(float(proposed(late)["psi_dot"].keys["delay"]) - 0.12) < 0.01


def test_the_direction_of_travel_is_no_heading() -> None:
    log = drive()
    course = log["psi"] + np.arctan2(log["vy"], log["vx"])
    lines = proposed({**log, "psi": course})
    assert "psi" not in lines
    assert lines["course"].column == "psi"


def test_a_difference_of_the_pose_is_no_measurement() -> None:
    log = drive()
    rate = np.append(np.diff(log["psi"]) / DT, 0.0)
    assert (
        proposed({"yaw_rate_derived": rate, **log, "psi_dot": log["psi_dot"]})["psi_dot"].column == "psi_dot"
    )


def test_unity_counts_to_the_right() -> None:
    log = drive()
    unity = {"time": log["t"], "pos.x": -log["y"], "pos.y": 0.1 + 0 * log["x"], "pos.z": log["x"]}
    unity["pos.y"][::7] += 1e-3 * np.arange(len(unity["pos.y"][::7])) % 0.01
    unity["yaw"] = np.degrees(-log["psi"]) % 360.0
    unity |= {"localVelocity.x": -log["vy"], "localVelocity.z": log["vx"]}
    unity |= {"localVelocity.y": unity["pos.y"], "angularVelocity.y": -log["psi_dot"]}
    proposal = propose(Path("log.csv"), raw(unity))
    lines = by_channel(proposal)
    assert proposal.head["frame"] == "Unity"
    assert (lines["vx"].column, lines["vy"].column) == ("localVelocity.z", "localVelocity.x")
    assert (lines["psi_dot"].column, lines["psi_dot"].keys) == ("angularVelocity.y", {})
    level = by_channel(propose(Path("log.csv"), raw({**unity, "pos.y": np.zeros_like(log["x"])})))
    assert (level["x"].column, level["y"].column) == ("pos.z", "pos.x")
    assert (lines["x"].column, lines["y"].column) == ("pos.z", "pos.x")
    assert lines["psi"].keys == {"unit": "deg"}


def test_a_rotation_about_the_axis_up_is_the_heading_in_unity() -> None:
    log = drive()
    unity = {"time": log["t"], "pos.x": -log["y"], "pos.y": 0 * log["x"], "pos.z": log["x"]}
    lines = proposed({**unity, "rotation.y": np.degrees(-log["psi"]) % 360.0})
    assert (lines["psi"].column, lines["psi"].keys) == ("rotation.y", {"unit": "deg"})
    assert (lines["x"].column, lines["y"].column) == ("pos.z", "pos.x")


def test_the_slip_angle_is_no_delay_of_the_yaw_rate() -> None:
    # The path of this car turns sooner than the car: beta grows with the steering.
    log = drive()
    del log["psi"], log["vx"], log["vy"]
    assert "delay" not in proposed(log)["psi_dot"].keys


def test_glued_recordings_are_to_be_cut() -> None:
    log = drive(700)
    twice = {name: np.concatenate([column, column]) for name, column in log.items()}
    proposal = propose(Path("log.csv"), raw(twice))
    assert proposal.head == {"faults": "cut"}
    assert by_channel(proposal)["psi"].sure == "high"


def test_what_is_missing_is_said() -> None:
    log = drive()
    del log["delta"]
    proposal = propose(Path("log.csv"), raw(log))
    assert "delta: no column found; a model needs it" in proposal.notes
    with pytest.raises(DataError, match="expected a column of the time"):
        propose(Path("log.csv"), raw({"a": np.zeros(100), "b": np.ones(100)}))
    random = np.random.default_rng(0)
    with pytest.raises(DataError, match="expected columns of positions"):
        propose(
            Path("log.csv"),
            raw({"t": log["t"], "a": random.normal(size=1500), "b": random.normal(size=1500)}),
        )


def test_doubt_where_columns_contradict_names() -> None:
    log = drive()
    random = np.random.default_rng(0)
    lines = proposed({**log, "psi_dot": random.normal(size=1500)})
    assert (lines["psi_dot"].sure, lines["x"].sure) == ("low", "high")


# Folder, preset, and channels that a proposal may leave out because they can be derived.
SETS = [
    ("f1tenth", "f1tenth-gym-csv", set()),
    ("iac", "iac-csv", set()),
    ("roboracer", "roboracer-csv", set()),
    ("bayesrace", "bayesrace-npz", {"vy"}),
    ("fullscale_sim", "fullscale-sim-json", set()),
]


@pytest.mark.parametrize(("folder", "preset", "derived"), SETS)
def test_real_logs_are_mapped_as_their_presets_do(
    folder: str, preset: str, derived: set[str], tmp_path: Path
) -> None:
    if not (DATA / folder).is_dir():
        pytest.skip(f"no logs at {DATA / folder}: set PCT_DATA to the folder that holds '{folder}'")
    (tmp_path / "signals.toml").write_text(f'preset = "{preset}"')
    signals = read_map(tmp_path / "signals.toml")
    path = max((DATA / folder).iterdir(), key=lambda file: file.stat().st_size)
    lines = by_channel(propose(path, read_log(path, None, {})))
    assert lines["time"].column == signals.time
    expected = {
        channel: signal.column for channel, signal in signals.channels.items() if channel not in derived
    }
    # Accelerations and pedals are no part of the presets.
    more = {"ax", "ay", "throttle"} - set(expected)
    assert {name: column for name, column in columns_of(lines).items() if name not in more} == expected
    if folder == "roboracer":
        assert [lines[name].keys for name in ("ax", "ay")] == [{"unit": "g"}] * 2
    for channel in expected:
        unit = str(lines[channel].keys.get("unit", ""))
        head, _, number = unit.partition("m/s/")
        given = signals.channels[channel].unit
        if number:
            assert abs(float(number) / float(given.removeprefix("m/s/")) - 1) < 0.02
        else:
            assert head == given


def test_no_map_is_made_by_the_name_of_a_file() -> None:
    """The path is for messages only."""
    log = drive()
    assert propose(Path("a.csv"), raw(log)) == propose(Path("roboracer/b.npz"), raw(log))
