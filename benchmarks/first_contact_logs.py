"""The logs of `first_contact.py`: a drive with known parameters, as some recorder leaves it.

`make_log` draws a car, its channels and sensors, a style (names and units), a frame, a clock, a format and
one fault, and writes the file. Nothing here knows how PCT reads a log.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import pct
from doctor import Car, Drive, Profile, equip, sensed
from pct.choices.car import to_scale

DEG = 180 / math.pi
DURATION = 60.0
Columns = dict[str, Any]


class Kind(NamedTuple):
    """Cars of a size and how they are driven; ``wheelbase`` in m where it is another than the vehicle's."""

    vehicle: str
    speed: tuple[float, float]
    steps: tuple[float, ...]
    wheelbase: float | None = None


CARS = (
    Kind("f1tenth", (1.5, 6.0), (0.02, 0.04, 0.05)),
    Kind("bmw-320i", (6.0, 28.0), (0.02, 0.05)),
    Kind("av-21", (10.0, 45.0), (0.02, 0.04)),
    Kind("f1tenth", (2.0, 9.0), (0.02, 0.05), 0.75),
)
# Names and units of several recorders; a channel that a style lacks has the name of the first.
STYLES: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "plain": {
        "time": ("time", "s"), "x": ("x", "m"), "y": ("y", "m"), "psi": ("yaw", "rad"), "v": ("speed", "m/s"),
        "vx": ("vx", "m/s"), "vy": ("vy", "m/s"), "psi_dot": ("yaw_rate", "rad/s"), "ax": ("ax", "m/s^2"),
        "ay": ("ay", "m/s^2"), "delta": ("steering_angle", "rad"), "beta": ("beta", "rad"),
    },
    "units": {
        "time": ("timestamp", "s"), "x": ("pos_x", "m"), "y": ("pos_y", "m"), "psi": ("heading_deg", "deg"),
        "v": ("speed_kmh", "km/h"), "vx": ("vx_kmh", "km/h"), "vy": ("vy_kmh", "km/h"),
        "psi_dot": ("yaw_rate_deg_s", "deg/s"), "ax": ("acc_x_g", "g"), "ay": ("acc_y_g", "g"),
        "delta": ("steer_angle_deg", "deg"), "beta": ("slip_angle_deg", "deg"),
    },
    "motec": {
        "time": ("Time", "s"), "x": ("Car Coord X", "m"), "y": ("Car Coord Y", "m"), "psi": ("Yaw", "deg"),
        "v": ("Ground Speed", "km/h"), "vx": ("Velocity Long", "km/h"), "vy": ("Velocity Lat", "km/h"),
        "psi_dot": ("Gyro Yaw Velocity", "deg/s"), "ax": ("G Force Long", "G"), "ay": ("G Force Lat", "G"),
        "delta": ("Steered Angle", "deg"), "beta": ("Slip Angle", "deg"),
    },
    "camel": {
        "time": ("TimeStamp", "s"), "x": ("PosX", "m"), "y": ("PosY", "m"), "psi": ("Heading", "rad"),
        "v": ("Velocity", "m/s"), "vx": ("VelX", "m/s"), "vy": ("VelY", "m/s"),
        "psi_dot": ("YawRate", "rad/s"), "ax": ("AccX", "m/s^2"), "ay": ("AccY", "m/s^2"),
        "delta": ("SteerAngle", "rad"), "beta": ("SideSlip", "rad"),
    },
    "short": {
        "time": ("t", "s"), "x": ("px", "m"), "y": ("py", "m"), "psi": ("theta", "rad"), "v": ("v", "m/s"),
        "vx": ("v_x", "m/s"), "vy": ("v_y", "m/s"), "psi_dot": ("omega", "rad/s"), "ax": ("a_x", "m/s^2"),
        "ay": ("a_y", "m/s^2"), "delta": ("delta", "rad"), "beta": ("beta", "rad"),
    },
    "racing": {
        "time": ("Elapsed Time (s)", "s"), "x": ("X [m]", "m"), "y": ("Y [m]", "m"),
        "psi": ("Heading [deg]", "deg"), "v": ("Speed [mph]", "mph"), "vx": ("Long Velocity [m/s]", "m/s"),
        "vy": ("Lat Velocity [m/s]", "m/s"), "psi_dot": ("Yaw Rate [deg/s]", "deg/s"),
        "ax": ("Longitudinal Acceleration [g]", "g"), "ay": ("Lateral Acceleration [g]", "g"),
        "delta": ("Road Wheel Angle [deg]", "deg"), "beta": ("Side Slip Angle [deg]", "deg"),
    },
    "nested": {
        "time": ("header.stamp", "s"), "x": ("pose.position.x", "m"), "y": ("pose.position.y", "m"),
        "psi": ("pose.yaw", "rad"), "v": ("twist.speed", "m/s"), "vx": ("twist.linear.x", "m/s"),
        "vy": ("twist.linear.y", "m/s"), "psi_dot": ("twist.angular.z", "rad/s"),
        "ax": ("imu.linear_acceleration.x", "m/s^2"), "ay": ("imu.linear_acceleration.y", "m/s^2"),
        "delta": ("ackermann.steering_angle", "rad"), "beta": ("beta", "rad"),
    },
}  # fmt: skip
# How many of a unit one SI unit is.
UNITS = {"deg": DEG, "deg/s": DEG, "km/h": 3.6, "mph": 1 / 0.44704, "g": 1 / 9.80665, "G": 1 / 9.80665}


@dataclasses.dataclass
class Log:
    """A log while it is made.

    Attributes:
        truth: parameters by name; ``m`` is what no log tells.
        car: its exact drive and sensors.
        values: what the sensors show by channel, SI and ISO 8855, later in the recorder's units and frame.
        names: name and unit of the column of each channel.
        extra: further columns by name.
        clock: columns of the time by name.
        write: the format.
        wraps: whether the heading may jump by full turns.
        shift: by how much the clock is off in each row, in s.
        keep: rows that are written; None for all.
        after: what happens to the file.
        said: how it was made, in a few words.
    """

    truth: dict[str, float]
    car: Car
    values: dict[str, np.ndarray]
    rng: np.random.Generator
    names: dict[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    extra: Columns = dataclasses.field(default_factory=dict)
    clock: Columns = dataclasses.field(default_factory=dict)
    write: str = "csv"
    wraps: bool = True
    shift: np.ndarray | float = 0.0
    keep: np.ndarray | None = None
    after: list[Callable[[Path], object]] = dataclasses.field(default_factory=list)
    said: list[str] = dataclasses.field(default_factory=list)

    @property
    def step(self) -> float:
        """Time from row to row in s."""
        return self.car.drive.profile.dt

    @property
    def time(self) -> np.ndarray:
        """What the recorder's clock shows, in s."""
        return self.step * np.arange(len(self.values["x"])) + self.shift


def make_log(rng: np.random.Generator, fault: Callable[[Log], object], folder: Path) -> tuple[Path, Log]:
    """Write a log with a fault; its path, and how it was made."""
    log = _driven(rng, CARS[rng.integers(len(CARS))])
    style = str(rng.choice(list(STYLES)))
    log.names = {**STYLES["plain"], **STYLES[style]}
    log.write = str(rng.choice(list(FORMATS)))
    clock = str(rng.choice(list(CLOCKS)))
    # Without a clock, only the yaw rate tells how fast the rows came.
    if clock != "none" and rng.random() < 0.2:
        del log.names["psi_dot"]
    fault(log)
    _convert(log)
    log.clock = CLOCKS[clock](log)
    log.said = [log.car.drive.profile.vehicle or "", style, clock, log.write]
    path = FORMATS[log.write](log, folder)
    for change in log.after:
        change(path)
    return path, log


def _driven(rng: np.random.Generator, kind: Kind) -> Log:
    """A drive of a car whose parameters differ from all defaults, and what its sensors show."""
    car = pct.model("singletrack", vehicle=kind.vehicle)
    if kind.wheelbase is not None:
        car = dataclasses.replace(car, base=to_scale(car.base, kind.wheelbase))
    defaults = car.base.default_params
    truth = {name: float(defaults[name]) * rng.uniform(0.88, 1.12) for name in ("C_Sf", "C_Sr", "I")}
    truth["mu"] = float(rng.uniform(0.6, 1.0))
    step = float(rng.choice(kind.steps))
    fixed = {name: value for name, value in truth.items() if name != "mu"}
    drive = pct.simulate(
        car,
        duration=DURATION,
        dt=step,
        mu=(truth["mu"],),
        speed=kind.speed,
        grip=0.9,
        fixed=fixed,
        noise=0.0,
        recordings=1,
        seed=int(rng.integers(1 << 31)),
    )[0]
    columns = dict(drive.trajectory.channels)
    profile = Profile("singletrack", kind.vehicle, kind.speed, step, (0.2, 0.8))
    truth |= {name: float(defaults[name]) for name in ("m", "lf", "lr")}
    sensors = equip(Drive(profile, columns), rng)
    return Log(truth, sensors, sensed(sensors, rng), rng)


def _convert(log: Log) -> None:
    """From SI to the units of the columns."""
    for name in list(log.values):
        if name in log.names:
            log.values[name] = UNITS.get(log.names[name][1], 1.0) * log.values[name]
        else:
            del log.values[name]
    if "psi" in log.values and log.wraps and log.rng.random() < 0.5:
        turn = 360.0 if log.names["psi"][1] == "deg" else 2 * np.pi
        log.values["psi"] = (log.values["psi"] + turn / 2) % turn - turn / 2


# Clocks: columns of the time.

START = 1_714_557_600.0  # 2024-05-01, 10:00 UTC


def _stamps(log: Log, form: str) -> list[str]:
    begin = dt.datetime(2024, 5, 1, 10, 0, 0)
    return [
        (begin + dt.timedelta(milliseconds=round(1000 * t))).strftime(form)[: -3 if "%f" in form else None]
        for t in log.time
    ]


def _named(log: Log, values: Any) -> Columns:
    return {log.names["time"][0]: values}


def _carried(log: Log) -> Columns:
    nanoseconds = (int(START) * 10**9 + 250_000_000) + np.round(1e9 * log.time).astype(np.int64)
    return {"stamp_sec": nanoseconds // 10**9, "stamp_nsec": nanoseconds % 10**9}


def _gps(log: Log) -> Columns:
    # The week ends within the drive, or near it.
    tow = 302_400.0 + log.time
    return {"gps_week": np.full(len(tow), 2312), "tow": np.round(tow, 3)}


CLOCKS: Mapping[str, Callable[[Log], Columns]] = {
    "s": lambda log: _named(log, np.round(log.time, 4)),
    "s from 100": lambda log: _named(log, np.round(100 + log.time, 4)),
    "epoch s": lambda log: _named(log, np.round(START + log.time, 4)),
    "epoch ms": lambda log: _named(log, np.round(1e3 * (START + log.time)).astype(np.int64)),
    "epoch ns": lambda log: _named(log, int(START) * 10**9 + np.round(1e9 * log.time).astype(np.int64)),
    "ms": lambda log: _named(log, np.round(1e3 * log.time).astype(np.int64)),
    "us": lambda log: _named(log, np.round(1e6 * log.time).astype(np.int64)),
    "ticks": lambda log: _named(log, 638_501_544_000_000_000 + np.round(1e7 * log.time).astype(np.int64)),
    "iso": lambda log: _named(log, _stamps(log, "%Y-%m-%dT%H:%M:%S.%f")),
    "h:m:s": lambda log: _named(log, _stamps(log, "%H:%M:%S.%f")),
    "date and time": lambda log: {
        "Date": _stamps(log, "%d.%m.%Y"),
        "Time": _stamps(log, "%H:%M:%S.%f"),
    },
    "split": _carried,
    "gps": _gps,
    "none": lambda log: {},
}


# Formats.


def _table(log: Log) -> Columns:
    table = dict(log.clock)
    for name, values in log.values.items():
        table[log.names[name][0]] = values
    table |= log.extra
    if log.keep is None:
        return table
    return {name: np.asarray(values)[log.keep] for name, values in table.items()}


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | np.integer):
        return str(value)
    return "" if math.isnan(value) else f"{value:.12g}"


def rows_of(table: Columns) -> list[list[str]]:
    """Cells of the rows."""
    return [[_cell(value) for value in row] for row in zip(*table.values(), strict=True)]


def _text(folder: Path, name: str, lines: list[str], ending: str = "\n") -> Path:
    path = folder / name
    path.write_text(ending.join([*lines, ""]), encoding="utf-8")
    return path


def _csv(log: Log, folder: Path) -> Path:
    table = _table(log)
    return _text(folder, "log.csv", [",".join(table), *(",".join(row) for row in rows_of(table))])


def _excel(log: Log, folder: Path) -> Path:
    """As a spreadsheet of half of Europe writes it."""
    table = _table(log)
    # Dots of dates and times stay.
    texts = [isinstance(values[0], str) for values in table.values()]
    lines = [
        ";".join(cell if text else cell.replace(".", ",") for cell, text in zip(row, texts, strict=True))
        for row in rows_of(table)
    ]
    return _text(folder, "log.csv", [";".join(table), *lines], "\r\n")


def _tabs(log: Log, folder: Path) -> Path:
    table = _table(log)
    return _text(folder, "log.tsv", ["\t".join(table), *("\t".join(row) for row in rows_of(table))])


def _motec(log: Log, folder: Path) -> Path:
    """With metadata before the table and a line of units below its header."""
    table = _table(log)
    units = dict(log.names.values())
    head = ['"Format","MoTeC CSV File",,,"Workbook",""', '"Venue","Track"', '"Vehicle","car"', ""]
    head.append(",".join(f'"{name}"' for name in table))
    if any(name in units for name in log.clock):  # the recorder's own clock has a unit
        head += [",".join(f'"{units.get(name, "")}"' for name in table), ""]
    return _text(
        folder, "log.csv", [*head, *(",".join(f'"{c}"' for c in row) for row in rows_of(table))], "\r\n"
    )


def _comments(log: Log, folder: Path) -> Path:
    table = _table(log)
    head = ["# recorded by hand", "# driver: D", "#", ",".join(table)]
    return _text(folder, "log.csv", [*head, *(",".join(row) for row in rows_of(table))])


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and math.isnan(value) else value


def _json(log: Log, folder: Path) -> Path:
    table = {name: [_plain(value) for value in values] for name, values in _table(log).items()}
    return _text(folder, "log.json", [json.dumps(table)])


def _lines(log: Log, folder: Path) -> Path:
    table = _table(log)
    rows = zip(*table.values(), strict=True)
    return _text(
        folder,
        "log.jsonl",
        [json.dumps(dict(zip(table, map(_plain, row), strict=True))) for row in rows],
    )


def _parquet(log: Log, folder: Path) -> Path:
    import polars as pl

    pl.DataFrame(_table(log)).write_parquet(folder / "log.parquet")
    return folder / "log.parquet"


def _npz(log: Log, folder: Path) -> Path:
    table = {name: np.asarray(values) for name, values in _table(log).items()}
    if any(values.dtype.kind not in "fiu" for values in table.values()):
        return _csv(log, folder)  # arrays of texts are no log
    np.savez(folder / "log.npz", **table)
    return folder / "log.npz"


def write_bag(log: Log, folder: Path) -> Path:
    """Stamped odometry and, at the same rate and without stamps, the steering in a topic of its own."""
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_HUMBLE)
    types = store.types
    exact = {name: values / UNITS.get(log.names[name][1], 1.0) for name, values in log.values.items()}
    vx = exact.get("vx", exact.get("v"))
    vy = exact.get("vy", np.zeros(len(log.time)))
    turn = exact.get("psi_dot", np.zeros(len(log.time)))
    vector, path = types["geometry_msgs/msg/Vector3"], folder / "log"
    with Writer(path, version=8, storage_plugin=StoragePlugin.MCAP) as bag:
        odometry = bag.add_connection("/odom", "nav_msgs/msg/Odometry", typestore=store)
        steer = bag.add_connection("/steering_angle", "std_msgs/msg/Float64", typestore=store)
        for n, t in enumerate(log.time):
            now = int(START) * 10**9 + round(1e9 * t)
            half = exact["psi"][n] / 2
            pose = types["geometry_msgs/msg/Pose"](
                position=types["geometry_msgs/msg/Point"](x=exact["x"][n], y=exact["y"][n], z=0.0),
                orientation=types["geometry_msgs/msg/Quaternion"](
                    x=0.0, y=0.0, z=math.sin(half), w=math.cos(half)
                ),
            )
            twist = types["geometry_msgs/msg/Twist"](
                linear=vector(x=vx[n], y=vy[n], z=0.0), angular=vector(x=0.0, y=0.0, z=turn[n])
            )
            stamp = types["builtin_interfaces/msg/Time"](sec=now // 10**9, nanosec=now % 10**9)
            message = types["nav_msgs/msg/Odometry"](
                header=types["std_msgs/msg/Header"](stamp=stamp, frame_id="map"),
                child_frame_id="base_link",
                pose=types["geometry_msgs/msg/PoseWithCovariance"](pose=pose, covariance=np.zeros(36)),
                twist=types["geometry_msgs/msg/TwistWithCovariance"](twist=twist, covariance=np.zeros(36)),
            )
            bag.write(odometry, now, store.serialize_cdr(message, "nav_msgs/msg/Odometry"))
            number = types["std_msgs/msg/Float64"](data=float(exact["delta"][n]))
            bag.write(steer, now, store.serialize_cdr(number, "std_msgs/msg/Float64"))
    return path


def _bag(log: Log, folder: Path) -> Path:
    log.said[2] = "stamps"
    return write_bag(log, folder)


FORMATS: Mapping[str, Callable[[Log, Path], Path]] = {
    "csv": _csv,
    "excel": _excel,
    "tabs": _tabs,
    "motec": _motec,
    "comments": _comments,
    "json": _json,
    "json lines": _lines,
    "parquet": _parquet,
    "npz": _npz,
    "bag": _bag,
}
