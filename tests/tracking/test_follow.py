"""Rows of recordings that grow, and of ROS 2 topics by a pretended rclpy."""

from __future__ import annotations

import dataclasses
import itertools
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pct.errors import DataError, UsageError
from pct.logs.map_files import read_map
from pct.recordings.trajectory import Trajectory
from pct.tracking.follow import grown_rows
from pct.tracking.ros_topics import topic_rows

MAP = """
vehicle = "made up"
reference_ahead = -0.2
[time]
column = "/pose.time"
[channels.psi]
column = "/pose.pose.orientation.yaw"
[channels.vx]
column = "/pose.speed"
unit = "km/h"
[channels.vy]
column = "/imu.across[1]"
[channels.psi_dot]
column = "/imu.turn"
sign = -1
[channels.delta]
column = "/drive.angle"
delay = -0.05
origin = "command"
"""
KNOWN = ("psi", "v", "beta", "psi_dot", "delta")


def drive(rows: int) -> Trajectory:
    speed = 3.0 + np.arange(rows)
    return Trajectory("d", 0.1, {"vx": speed, "vy": 0.0 * speed}, {}, {}, "made up", start=7.0)


def test_a_recording_that_grows_is_read_again(tmp_path: Path) -> None:
    log = tmp_path / "log.mcap"
    log.write_bytes(b"1")
    length = 2
    rows = grown_rows(log, lambda: [drive(length)], ("v", "delta"), None)
    assert [next(rows), next(rows)] == [{"t": 7.0, "v": 3.0}, {"t": pytest.approx(7.1), "v": 4.0}]
    length = 3
    log.write_bytes(b"12")
    assert next(rows) == {"t": pytest.approx(7.2), "v": 5.0}
    assert len(list(grown_rows(log, lambda: [drive(3)], ("v",), 0.0))) == 3


def test_one_that_has_just_begun_is_waited_for(tmp_path: Path) -> None:
    log = tmp_path / "log.mcap"
    log.touch()
    outcomes: Iterator[Any] = itertools.chain([DataError("breaks off"), [drive(1)]], itertools.repeat([]))

    def read() -> list[Trajectory]:
        found: Any = next(outcomes)
        if isinstance(found, DataError):
            raise found
        return list(found)

    assert next(grown_rows(log, read, ("v",), 1.0)) == {"t": 7.0, "v": 3.0}
    outcomes = itertools.repeat(DataError("breaks off"))
    with pytest.raises(DataError, match="breaks off"):
        next(grown_rows(log, read, ("v",), 0.0))
    with pytest.raises(DataError, match=r"none: cannot read"):
        next(grown_rows(tmp_path / "none", read, ("v",), 0.0))


@dataclasses.dataclass
class FakeRos:
    """A node whose topics appear at the second look; each look brings the next message."""

    messages: list[tuple[str, Any]]
    looks: int = 0
    ended: list[str] = dataclasses.field(default_factory=list)
    heard: dict[str, Callable[[Any], None]] = dataclasses.field(default_factory=dict)

    def get_topic_names_and_types(self) -> list[tuple[str, list[str]]]:
        self.looks += 1
        topics = ["/pose", "/imu", "/drive", "/other"]
        return [(topic, ["made/msg/Up"]) for topic in topics] if self.looks > 1 else []

    def create_subscription(self, kind: Any, topic: str, take: Callable[[Any], None], qos: Any) -> None:
        assert (kind, qos) == ("class of made/msg/Up", "sensors")
        assert topic not in self.heard
        self.heard[topic] = take

    def get_clock(self) -> Any:
        return SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=9_500_000_000))

    def destroy_node(self) -> None:
        self.ended.append("node")

    def spin_once(self, node: FakeRos, timeout_sec: float) -> None:
        assert (node, timeout_sec) == (self, 0.1)
        if self.heard and self.messages:
            topic, message = self.messages.pop(0)
            if topic in self.heard:
                self.heard[topic](message)


@pytest.fixture
def ros(monkeypatch: pytest.MonkeyPatch) -> FakeRos:
    def pose(t: float, yaw: float, speed: float) -> Any:
        stamp = SimpleNamespace(sec=int(t), nanosec=round(t % 1 * 1e9))
        turned = SimpleNamespace(x=0.0, y=0.0, z=math.sin(yaw / 2), w=math.cos(yaw / 2))
        header = SimpleNamespace(stamp=stamp)
        return SimpleNamespace(header=header, pose=SimpleNamespace(orientation=turned), speed=speed)

    node = FakeRos(
        [
            ("/imu", SimpleNamespace(turn=-0.5, across=[0.0, 0.3])),
            ("/drive", SimpleNamespace(angle=0.1)),
            ("/pose", pose(2.25, 0.7, 18.0)),
            ("/drive", SimpleNamespace(angle=0.2)),
            ("/pose", pose(0.0, 0.8, 36.0)),
        ]
    )
    rclpy: Any = ModuleType("rclpy")
    rclpy.init, rclpy.shutdown = lambda: None, lambda: node.ended.append("all")
    rclpy.create_node, rclpy.spin_once = lambda name: node, node.spin_once
    qos, utilities = ModuleType("rclpy.qos"), ModuleType("rosidl_runtime_py.utilities")
    qos.__dict__["qos_profile_sensor_data"] = "sensors"
    utilities.__dict__["get_message"] = lambda kind: f"class of {kind}"
    for name, module in {
        "rclpy": rclpy, "rclpy.qos": qos, "rosidl_runtime_py": ModuleType("rosidl_runtime_py"),
        "rosidl_runtime_py.utilities": utilities,
    }.items():  # fmt: skip
        monkeypatch.setitem(sys.modules, name, module)
    return node


def test_topics_make_rows_by_the_map(ros: FakeRos, tmp_path: Path) -> None:
    (tmp_path / "signals.toml").write_text(MAP)
    said, *rows = topic_rows(read_map(tmp_path / "signals.toml"), KNOWN, 1.0)
    assert said == "delta: the delay in the map is not made up for, as rows are taken as they come"
    # The point that is logged is 0.2 m behind the centre of gravity.
    vx, vy = 5.0, 0.3 + 0.2 * 0.5
    assert rows[0] == pytest.approx(
        {
            "t": 2.25,
            "psi": 0.7,
            "v": math.hypot(vx, vy),
            "beta": math.atan2(vy, vx),
            "psi_dot": 0.5,
            "delta": 0.1,
        }
    )
    # No new reading of the yaw rate, and no time in the header.
    assert rows[1] == pytest.approx({"t": 9.5, "psi": 0.8, "delta": 0.2})
    assert len(rows) == 2
    assert set(ros.heard) == {"/pose", "/imu", "/drive"}
    assert ros.ended == ["node", "all"]


def test_topics_that_are_not_there_are_named(ros: FakeRos, tmp_path: Path) -> None:
    (tmp_path / "signals.toml").write_text(MAP.replace("/drive.", "/servo.").replace("delay = -0.05\n", ""))
    found = list(topic_rows(read_map(tmp_path / "signals.toml"), KNOWN, 1.0))
    assert found[-1] == "no topic /servo was there"


def test_without_ros_one_line_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "signals.toml").write_text(MAP)
    signals = read_map(tmp_path / "signals.toml")
    with pytest.raises(UsageError, match="rclpy is not there: `source /opt/ros"):
        next(iter(topic_rows(signals, KNOWN, None)))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("/pose.time", "stamp", "a topic's, /topic.time, found 'stamp'"),
        ("sign = -1", 'sign = "motion"', "the sign of psi_dot by the motion needs a whole log"),
    ],
)
def test_maps_that_need_a_whole_log_are_refused(
    ros: FakeRos, tmp_path: Path, old: str, new: str, message: str
) -> None:
    (tmp_path / "signals.toml").write_text(MAP.replace(old, new))
    with pytest.raises(UsageError, match=message):
        next(iter(topic_rows(read_map(tmp_path / "signals.toml"), KNOWN, None)))
