"""Bags and MDF files of a drive, written by the libraries that read them."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asammdf import MDF, Signal
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from pct.logs.readers.rosbag import _known_messages

START = 1_700_000_000
ACKERMANN = "ackermann_msgs/msg/AckermannDriveStamped"


def messages(store: Any, rows: int = 120) -> dict[str, tuple[str, list[tuple[float, Any]]]]:
    """Type and messages of each topic of a car in a left turn at 3 m/s: recording time in s, and message.

    Odometry comes at 20 Hz and is recorded 0.3 s late; the drive command at 10 Hz; the servo without a stamp.
    """
    types = store.types
    header = types["std_msgs/msg/Header"]
    time = types["builtin_interfaces/msg/Time"]
    vector, point = types["geometry_msgs/msg/Vector3"], types["geometry_msgs/msg/Point"]

    def stamped(t: float, frame: str) -> Any:
        stamp = time(sec=START + int(t), nanosec=round(t % 1 * 1e9))
        fields = {"seq": 0} if "seq" in header.__dataclass_fields__ else {}
        return header(stamp=stamp, frame_id=frame, **fields)

    odometry, commands, servo = [], [], []
    for t in 0.05 * np.arange(rows):
        psi = 0.6 * t
        pose = types["geometry_msgs/msg/Pose"](
            position=point(x=5 * np.sin(psi), y=5 * (1 - np.cos(psi)), z=0.0),
            orientation=types["geometry_msgs/msg/Quaternion"](
                x=0.0, y=0.0, z=np.sin(psi / 2), w=np.cos(psi / 2)
            ),
        )
        twist = types["geometry_msgs/msg/Twist"](
            linear=vector(x=3.0, y=0.0, z=0.0), angular=vector(x=0.0, y=0.0, z=0.6)
        )
        message = types["nav_msgs/msg/Odometry"](
            header=stamped(t, "map"),
            child_frame_id="base_link",
            pose=types["geometry_msgs/msg/PoseWithCovariance"](pose=pose, covariance=np.arange(36.0)),
            twist=types["geometry_msgs/msg/TwistWithCovariance"](twist=twist, covariance=np.zeros(36)),
        )
        odometry.append((t + 0.3, message))
    for t in np.arange(0, 0.05 * rows, 0.1):
        drive = types["ackermann_msgs/msg/AckermannDrive"](
            steering_angle=0.066, steering_angle_velocity=0.0, speed=3.0, acceleration=0.0, jerk=0.0
        )
        commands.append((t, types[ACKERMANN](header=stamped(t, ""), drive=drive)))
        servo.append((t, types["std_msgs/msg/Float64"](data=0.5 + t)))
    return {
        "/odom": ("nav_msgs/msg/Odometry", odometry),
        "/drive": (ACKERMANN, commands),
        "/servo": ("std_msgs/msg/Float64", servo),
    }


def in_order(topics: dict[str, tuple[str, list[tuple[float, Any]]]]) -> list[tuple[int, str, Any]]:
    rows = [(t, topic, message) for topic, (_, found) in topics.items() for t, message in found]
    return [
        (START * 10**9 + round(t * 1e9), topic, m) for t, topic, m in sorted(rows, key=lambda row: row[0])
    ]


def with_ackermann(kind: Stores) -> Any:
    known, store = _known_messages(None), get_typestore(kind)
    names = ("ackermann_msgs/msg/AckermannDrive", ACKERMANN)
    store.register({name: known.fielddefs[name] for name in names})
    return store


def write_ros1(path: Path, *, packed: bool = False) -> None:
    store = with_ackermann(Stores.ROS1_NOETIC)
    topics = messages(store)
    bag = Writer1(path)
    if packed:
        bag.set_compression(Writer1.CompressionFormat.BZ2)
    with bag:
        ids = {topic: bag.add_connection(topic, kind, typestore=store) for topic, (kind, _) in topics.items()}
        for stamp, topic, message in in_order(topics):
            bag.write(ids[topic], stamp, store.serialize_ros1(message, topics[topic][0]))


def write_ros2(folder: Path, storage: str = "sqlite3", *, packed: bool = False) -> Path:
    """Write a bag with descriptions of its messages (mcap) or, like older recorders, without (sqlite3).

    Returns:
        The storage file inside the folder.
    """
    store = with_ackermann(Stores.ROS2_HUMBLE)
    topics = messages(store)
    plugin = StoragePlugin.SQLITE3 if storage == "sqlite3" else StoragePlugin.MCAP
    bag = Writer(folder, version=8, storage_plugin=plugin)
    if packed:
        bag.set_compression(CompressionMode.FILE, CompressionFormat.ZSTD)
    with bag:
        ids = {topic: bag.add_connection(topic, kind, typestore=store) for topic, (kind, _) in topics.items()}
        for stamp, topic, message in in_order(topics):
            bag.write(ids[topic], stamp, store.serialize_cdr(message, topics[topic][0]))
    path = next(path for path in folder.iterdir() if path.name != "metadata.yaml")
    if path.suffix == ".db3":
        forget_messages(path)
    return path


def forget_messages(path: Path) -> None:
    """Take the descriptions of messages out of a bag."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("DELETE FROM message_definitions")
        database.commit()


def write_mdf(path: Path) -> None:
    t, slow = 0.05 * np.arange(80), 0.2 * np.arange(20)
    with MDF(version="4.10") as mdf:
        mdf.append(
            [Signal(10.8 + 0 * t, t, name="speed", unit="km/h"), Signal(3.0 * t, t, name="x", unit="m")]
        )
        mdf.append(
            [Signal(np.degrees(0.01 * slow), slow, name="steer", unit="deg"), Signal(slow, slow, name="x")]
        )
        mdf.append([Signal(np.array([b"N", b"D"]), t[:2], name="gear", encoding="utf-8")])
        mdf.save(path)


def write(kind: str, folder: Path) -> Path:
    """A log with the name ``log`` or in a folder of that name."""
    if kind == "ros1":
        write_ros1(folder / "log.bag")
    elif kind == "ros1 packed":
        write_ros1(folder / "log.bag", packed=True)
    elif kind == "mdf":
        write_mdf(folder / "log.mf4")
    elif kind == "folder packed":
        write_ros2(folder / "log", packed=True)
    elif kind.startswith("folder"):
        write_ros2(folder / "log", kind.removeprefix("folder "))
    else:
        path = write_ros2(folder / "made", kind)
        path.rename(folder / f"log{path.suffix}")
        shutil.rmtree(folder / "made")
    return folder


@pytest.fixture
def written() -> Callable[[str, Path], Path]:
    """Writes a log of a kind into a folder."""
    return write


@pytest.fixture
def undescribed() -> Callable[[Path], None]:
    """Takes the descriptions of messages out of a bag."""
    return forget_messages
