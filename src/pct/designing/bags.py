"""A ROS 2 bag of a drive's commands, by the package rosbags; no ROS is needed."""

from __future__ import annotations

from importlib import resources
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from pct.designing.drives import DesignedDrive
from pct.designing.limits import motion_of
from pct.errors import UsageError

TOPIC, FRAME = "/drive", "base_link"
PACKAGE = "ackermann_msgs"
DRIVE, STAMPED = f"{PACKAGE}/msg/AckermannDrive", f"{PACKAGE}/msg/AckermannDriveStamped"


def require_rosbags() -> None:
    """Raise UsageError where rosbags is not installed."""
    if find_spec("rosbags") is None:
        raise UsageError(
            '`bag`: writing a ROS 2 bag needs another package: pip install "pct-vehicle[rosbag]"'
        )


def write_bag(design: DesignedDrive, folder: Path) -> Path:
    """The guessed car's steering and speed as ``ackermann_msgs/AckermannDriveStamped`` on ``/drive``.

    Times begin at zero; ``ros2 bag play`` sends them at their pace.

    Args:
        design: the drive.
        folder: the new bag; must not be there.

    Raises:
        UsageError: rosbags is not installed.
        OSError: the bag cannot be written.
    """
    require_rosbags()
    from rosbags.rosbag2 import Writer
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    types = get_typestore(Stores.ROS2_HUMBLE)
    messages = resources.files("pct.logs.readers").joinpath("messages", PACKAGE, "msg")
    for kind in (DRIVE, STAMPED):
        text = messages.joinpath(f"{kind.rpartition('/')[2]}.msg").read_text(encoding="utf-8")
        types.register(get_types_from_msg(text, kind))
    stamp, header = types.types["builtin_interfaces/msg/Time"], types.types["std_msgs/msg/Header"]
    states = design.guess[0].astype(float)
    spec, dt = design.spec, design.settings.dt
    speed = motion_of(spec, states, spec.default_params, dt)["speed"]
    angle = states[:, spec.state_indices["delta"]] if "delta" in spec.state_indices else 0.0 * speed
    columns = np.stack([angle, np.gradient(angle, dt), speed, np.gradient(speed, dt)], axis=-1)
    with Writer(folder, version=9) as bag:
        topic = bag.add_connection(TOPIC, STAMPED, typestore=types)
        for k, row in enumerate(columns.tolist()):
            time = round(k * dt * 1e9)
            begin = header(stamp(time // 10**9, time % 10**9), FRAME)
            message = types.types[STAMPED](begin, types.types[DRIVE](*row, 0.0))
            bag.write(topic, time, types.serialize_cdr(message, STAMPED))
    return folder
