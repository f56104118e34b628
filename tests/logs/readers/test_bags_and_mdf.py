"""ROS bags of both generations and MDF files: names, clocks, units, custom messages, missing packages."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pct.errors import DataError
from pct.logs.map_files import read_map
from pct.logs.readers import read_log
from pct.logs.readers.base import optional_package
from pct.logs.readers.rosbag import _fields, _known_messages
from pct.mapping import propose
from pct.recordings.folder import read_folder

Written = Callable[[str, Path], Path]
# When the bags begin, in s.
START = 1_700_000_000
MAP = """
[time]
column = "/odom.time"
[channels.x]
column = "/odom.pose.pose.position.x"
[channels.y]
column = "/odom.pose.pose.position.y"
[channels.psi]
column = "/odom.pose.pose.orientation.yaw"
[channels.vx]
column = "/odom.twist.twist.linear.x"
[channels.delta]
column = "/drive.drive.steering_angle"
origin = "command"
["channels"."feature.servo"]
column = "/servo.data"
"""


@pytest.mark.parametrize("kind", ["ros1", "ros1 packed", "sqlite3", "mcap", "folder mcap", "folder packed"])
def test_a_bag_through_a_map(kind: str, tmp_path: Path, written: Written) -> None:
    folder = written(kind, tmp_path)
    (folder / "signals.toml").write_text(MAP)
    trajectories = [trajectory for trajectory in read_folder(folder) if trajectory.name == "log"]
    (trajectory,) = trajectories
    # The servo command has no stamp: its clock is the recorder's. The odometry's is its header's.
    assert (trajectory.dt, round(trajectory.start - START, 6)) == (0.05, 0.0)
    t = trajectory.start - START + 0.05 * np.arange(len(trajectory))
    assert len(trajectory) == 119
    np.testing.assert_allclose(trajectory.channels["psi"], 0.6 * t, atol=1e-6)
    np.testing.assert_allclose(trajectory.channels["x"], 5 * np.sin(0.6 * t), atol=1e-6)
    np.testing.assert_allclose(trajectory.channels["delta"], 0.066, atol=1e-6)
    np.testing.assert_allclose(trajectory.channels["feature.servo"], 0.5 + t, atol=1e-6)


def test_all_numbers_of_a_bag(tmp_path: Path, written: Written) -> None:
    raw = read_log(written("mcap", tmp_path) / "log.mcap", None, {})
    assert {"/odom.twist.twist.angular.z", "/drive.drive.speed", "/servo.data", "/drive.time"} <= set(
        raw.columns
    )
    assert not [name for name in raw.columns if "header" in name or "covariance" in name]
    assert {name.partition(".")[0] for name in raw.columns} == {"/odom", "/drive", "/servo"}
    assert raw.clocks["/drive.drive.speed"] == "/drive.time"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("/scan.ranges[0]", "expected column '/scan.ranges.0.', found: /drive, /odom, /servo"),
        ("/odom", "expected column '/odom', found: /odom.header.stamp.sec"),
        ("/odom.pose", "expected column '/odom.pose', found"),
        ("/odom.pose.covariance", "expected column '/odom.pose.covariance', found"),
        ("/odom.child_frame_id", "expected column '/odom.child_frame_id', found"),
        ("/odom.pose.covariance[36]", r"an element '\[36\]' in 'pose.covariance\[36\]', found 36 elements"),
    ],
)
def test_names_that_a_bag_does_not_have(tmp_path: Path, written: Written, name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_log(written("mcap", tmp_path) / "log.mcap", [name], {})


def test_an_element_of_an_array(tmp_path: Path, written: Written) -> None:
    raw = read_log(written("mcap", tmp_path) / "log.mcap", ["/odom.pose.covariance[7]"], {})
    np.testing.assert_array_equal(raw.columns["/odom.pose.covariance[7]"], 7.0)


def custom_bag(folder: Path) -> Path:
    """A bag of a team's own message, which describes itself nowhere."""
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store = get_typestore(Stores.ROS2_HUMBLE)
    store.register(get_types_from_msg("float32 wheel\nbool on\n", "team_msgs/msg/State"))
    with Writer(folder / "made", version=8, storage_plugin=StoragePlugin.SQLITE3) as bag:
        state = bag.add_connection("/state", "team_msgs/msg/State", typestore=store)
        for k in range(3):
            message = store.types["team_msgs/msg/State"](wheel=0.5 * k, on=k == 1)
            bag.write(state, 10**9 * k, store.serialize_cdr(message, "team_msgs/msg/State"))
    return folder / "made"


def test_custom_messages(tmp_path: Path, undescribed: Callable[[Path], None]) -> None:
    bag = custom_bag(tmp_path)
    undescribed(bag / "made.db3")
    with pytest.raises(
        DataError, match=r"known type of message on '/state', found team_msgs/msg/State[\s\S]*msg_path"
    ):
        read_log(bag, ["/state.wheel"], {})
    texts = tmp_path / "msgs" / "team_msgs" / "msg"
    texts.mkdir(parents=True)
    (texts / "State.msg").write_text("float32 wheel\nbool on\n")
    raw = read_log(bag, ["/state.wheel", "/state.on"], {"msg_path": str(tmp_path / "msgs")})
    assert raw.columns["/state.wheel"].tolist() == [0.0, 0.5, 1.0]
    assert raw.columns["/state.on"].tolist() == [0.0, 1.0, 0.0]
    assert raw.columns["/state.time"].tolist() == [0.0, 1.0, 2.0]
    (texts / "State.msg").write_text("float32 = wheel ;\n")
    with pytest.raises(DataError, match=r"State\.msg: expected the text of a ROS message"):
        read_log(bag, ["/state.wheel"], {"msg_path": str(tmp_path / "msgs")})
    with pytest.raises(DataError, match=r"expected messages PACKAGE/msg/NAME\.msg, found none"):
        read_log(bag, ["/state.wheel"], {"msg_path": str(tmp_path / "nowhere")})


@pytest.mark.parametrize(
    ("name", "module", "command"),
    [
        ("log.bag", "rosbags.highlevel", r'pip install "pct-vehicle\[rosbag\]"'),
        ("log.mcap", "rosbags.highlevel", r'pip install "pct-vehicle\[rosbag\]"'),
        ("log.mf4", "asammdf", r'pip install "pct-vehicle\[mdf\]"'),
    ],
)
def test_a_missing_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, module: str, command: str
) -> None:
    (tmp_path / name).write_bytes(b"MDF     4.10    ")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(DataError, match=command) as refused:
        read_log(tmp_path / name, ["t"], {})
    assert "\n" not in str(refused.value)


def test_mdf_through_a_map(tmp_path: Path, written: Written) -> None:
    written("mdf", tmp_path)
    (tmp_path / "signals.toml").write_text(
        '[time]\ncolumn = "group0.time"\n[channels.v]\ncolumn = "speed"\n[channels.x]\ncolumn = "group0.x"\n'
        '[channels.delta]\ncolumn = "steer"\n'
    )
    (trajectory,) = read_folder(tmp_path)
    assert (trajectory.dt, len(trajectory)) == (0.05, 77)
    np.testing.assert_allclose(trajectory.channels["v"], 3.0)
    np.testing.assert_allclose(trajectory.channels["delta"], 0.01 * 0.05 * np.arange(77), atol=1e-12)
    raw = read_log(tmp_path / "log.mf4", None, {})
    assert {"speed", "steer", "group0.x", "group1.x"} <= set(raw.columns)
    assert "gear" not in raw.columns
    for name, message in (
        ("x", "expected column 'x', found: group0.time"),
        ("gear", "expected numbers in 'gear'"),
    ):
        with pytest.raises(DataError, match=message):
            read_log(tmp_path / "log.mf4", [name], {})


# What the topics of the presets carry, by the interfaces of the two stacks.
TOPICS = {
    "/pf/pose/odom": "nav_msgs/msg/Odometry",
    "/odom": "nav_msgs/msg/Odometry",
    "/sensors/imu/raw": "sensor_msgs/msg/Imu",
    "/drive": "ackermann_msgs/msg/AckermannDriveStamped",
    "/localization/kinematic_state": "nav_msgs/msg/Odometry",
    "/vehicle/status/velocity_status": "autoware_vehicle_msgs/msg/VelocityReport",
    "/vehicle/status/steering_status": "autoware_vehicle_msgs/msg/SteeringReport",
}


@pytest.mark.parametrize("preset", ["f1tenth-ros2", "autoware"])
def test_presets_name_fields_of_their_messages(preset: str, tmp_path: Path) -> None:
    (tmp_path / "signals.toml").write_text(f'preset = "{preset}"')
    signals = read_map(tmp_path / "signals.toml")
    types = _known_messages(None)
    for column in (signal.column for signal in signals.channels.values()):
        topic, _, field = column.partition(".")
        assert _fields(types, TOPICS[topic])[field] in ("number", "heading")
    assert signals.time.partition(".")[2] == "time"


def test_every_message_that_is_shipped_can_be_read() -> None:
    types = _known_messages(None)
    for name in (*TOPICS.values(), "vesc_msgs/msg/VescStateStamped", "vesc_msgs/msg/VescImuStamped"):
        assert "number" in _fields(types, name).values()
    assert "lateral.steering_tire_angle" in _fields(types, "autoware_control_msgs/msg/Control")


def test_a_map_is_proposed_for_a_bag(tmp_path: Path, written: Written) -> None:
    path = written("mcap", tmp_path) / "log.mcap"
    proposal = propose(path, read_log(path, None, {}))
    assert proposal.time.column == "/odom.time"
    found = {line.channel: line.column for line in proposal.lines}
    expected = {name: column for name, column in columns_of_map().items() if name in ("x", "y", "psi")}
    assert {name: found[name] for name in expected} == expected
    # Topics that begin later are no fault.
    assert "faults" not in proposal.head


def columns_of_map() -> dict[str, str]:
    return {name: table["column"] for name, table in tomllib.loads(MAP)["channels"].items()}


def test_a_package_that_lacks_another_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "half_a_package.py").write_text("import a_package_that_nobody_has\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DataError, match=r'pip install "pct-vehicle\[rosbag\]"'):
        optional_package("half_a_package", "rosbag", "log.bag: a ROS bag")
