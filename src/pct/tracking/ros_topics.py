"""Rows from ROS 2 topics as they come, by a map whose columns are ``/topic.field.sub`` as in a bag.

The topic that the map takes the time from makes a row with each of its messages; values of the other topics
that came since the row before are in it. Nothing is interpolated, as the next message is not known yet.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pct.errors import UsageError
from pct.logs.signals import Signal, SignalMap
from pct.recordings.derive import derive

# Seconds of a look at the topics.
LOOK = 0.1
# Each follows from the others at one point of time.
VELOCITIES = ("vx", "vy", "v", "beta")


def topic_rows(
    signals: SignalMap, known: Sequence[str], wait: float | None
) -> Iterator[dict[str, float] | str]:
    """Values by name of each message of the clock's topic, or what a user should know, as a sentence.

    Args:
        signals: the map.
        known: channels that are wanted.
        wait: s without a new row after which it ends; None for never.

    Raises:
        UsageError: ROS is not there, or the map needs a whole log.
    """
    rclpy, qos, types = (_module(name) for name in ("rclpy", "rclpy.qos", "rosidl_runtime_py.utilities"))
    clock = _topic_of(signals.time)
    wanted = _wanted(signals, known)
    missing = {clock, *map(_topic_of, (signal.column for signal in wanted.values()))}
    late = ", ".join(sorted(name for name, signal in wanted.items() if signal.delay))
    if late:
        yield f"{late}: the delay in the map is not made up for, as rows are taken as they come"
    rclpy.init()
    node = rclpy.create_node("pct_track")
    rows: list[dict[str, float]] = []
    newest: dict[str, float] = {}

    def take(topic: str, message: Any) -> None:
        for name, signal in wanted.items():
            if _topic_of(signal.column) == topic:
                newest[name] = float(signal.convert(np.array([_value(message, signal.column)]))[0])
        if topic == clock:
            rows.append(_complete(signals, newest, known) | {"t": _time(message, node)})
            newest.clear()

    try:
        quiet = 0.0
        while wait is None or quiet <= wait:
            for topic, kinds in node.get_topic_names_and_types() if missing else ():
                if topic in missing:
                    missing.remove(topic)
                    kind = types.get_message(kinds[0])
                    node.create_subscription(
                        kind,
                        topic,
                        lambda message, topic=topic: take(topic, message),
                        qos.qos_profile_sensor_data,
                    )
            rclpy.spin_once(node, timeout_sec=LOOK)
            quiet = 0.0 if rows else quiet + LOOK
            yield from rows
            rows.clear()
        if missing:
            yield f"no topic {', '.join(sorted(missing))} was there"
    finally:
        node.destroy_node()
        rclpy.shutdown()


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise UsageError(
            "`ros=True`: rclpy is not there: `source /opt/ros/DISTRO/setup.bash` first, with the Python of "
            "that ROS, or pipe rows into standard input"
        ) from None


def _wanted(signals: SignalMap, known: Sequence[str]) -> dict[str, Signal]:
    """The signals that rows are made of."""
    if not signals.time.startswith("/"):
        raise UsageError(
            f"`ros=True`: expected a map whose time is a topic's, /topic.time, found '{signals.time}'"
        )
    if signed := [name for name, signal in signals.channels.items() if signal.by_motion]:
        raise UsageError(f"`ros=True`: the sign of {', '.join(signed)} by the motion needs a whole log")
    useful = {*known, *VELOCITIES, "psi", "psi_dot"}
    wanted = {name: signal for name, signal in signals.channels.items() if name in useful}
    if not wanted:
        raise UsageError(f"`ros=True`: expected channels of {', '.join(known)} in the map, found none")
    return wanted


def _topic_of(column: str) -> str:
    return column.partition(".")[0]


def _value(message: Any, column: str) -> float:
    """The number behind ``/topic.field.sub``, ``.yaw`` of a quaternion, or an element, ``ranges[3]``."""
    for field in column.split(".")[1:]:
        name, _, index = field.partition("[")
        if name == "yaw" and not hasattr(message, name):
            x, y, z, w = (getattr(message, part) for part in "xyzw")
            return math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
        message = getattr(message, name, math.nan)
        if index:
            message = message[int(index.removesuffix("]"))]
    return float(message)


def _time(message: Any, node: Any) -> float:
    """Time of the header where it was set, else now, in s."""
    stamp = getattr(getattr(message, "header", message), "stamp", None)
    if stamp is not None and (stamp.sec or stamp.nanosec):
        return float(stamp.sec) + 1e-9 * float(stamp.nanosec)
    return 1e-9 * float(node.get_clock().now().nanoseconds)


def _complete(signals: SignalMap, newest: dict[str, float], known: Sequence[str]) -> dict[str, float]:
    """A row at the centre of gravity, with the velocities that follow from others."""
    row, ahead = dict(newest), signals.reference_ahead
    columns = {name: np.array([row[name]]) for name in VELOCITIES if name in row}
    for name in VELOCITIES:
        found = derive(name, columns, 1.0)
        if found is not None:
            row[name] = float(found[0])
    if ahead:
        if {"x", "y", "psi"} <= row.keys():
            row["x"] -= ahead * math.cos(row["psi"])
            row["y"] -= ahead * math.sin(row["psi"])
        # Without the yaw rate, nothing says how the centre of gravity moves sideways.
        turn = row.get("psi_dot", math.nan)
        if "vy" in row:
            row["vy"] -= ahead * turn
            row |= {"v": math.hypot(row["vx"], row["vy"]), "beta": math.atan2(row["vy"], row["vx"])}
    return {name: value for name, value in row.items() if name in known}
