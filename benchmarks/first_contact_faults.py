"""What is wrong or unusual with the logs of `first_contact.py`, one function a kind, and how it is named."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from first_contact_logs import DEG, Log

EARTH = 6_371_000.0
# What only a file of text shows.
TEXT = ("csv", "excel", "tabs", "motec", "comments")
TABLES = (*TEXT, "json", "json lines", "parquet", "npz")


def _nothing(log: Log) -> None:
    pass


def _as(log: Log, *formats: str) -> None:
    """One of these formats."""
    if log.write not in formats:
        log.write = str(log.rng.choice(formats))


# Values.


def _twice(log: Log) -> None:
    wrapped = (log.values["psi"] + np.pi) % (2 * np.pi) - np.pi
    log.values["psi"], log.wraps = DEG * DEG * wrapped, False
    log.names["psi"] = (log.names["psi"][0], "")
    _as(log, *TABLES)


def _estimated(log: Log) -> None:
    """A vy of a bad estimator: biased, and on its own way."""
    exact = log.car.drive.columns
    if "vx" not in log.values:
        log.values["vx"] = log.values.pop("v") * np.cos(exact["beta"])
        log.values.pop("beta", None)
    rows = round(1.0 / log.step)
    own = np.convolve(
        log.rng.standard_normal(len(exact["v"]) + rows - 1), np.ones(rows) / math.sqrt(rows), "valid"
    )
    size = float(np.std(exact["v"] * np.sin(exact["beta"])))
    log.values["vy"] = size * (own + 1.0)


def _magnitude(log: Log) -> None:
    log.values["delta"] = np.abs(log.values["delta"])


def _turned(name: str) -> Callable[[Log], None]:
    def plant(log: Log) -> None:
        name_there = name if name in log.values and name in log.names else "delta"
        log.values[name_there] = -log.values[name_there]

    return plant


def _steering_wheel(log: Log) -> None:
    log.values["delta"] = log.rng.uniform(13, 17) * log.values["delta"]
    log.names["delta"] = (
        ("SteeringWheelAngle", "deg") if log.rng.random() < 0.5 else ("steering_wheel_angle", "rad")
    )
    _as(log, *TABLES)


def _share(log: Log) -> None:
    log.values["delta"] = log.values["delta"] / log.rng.uniform(0.4, 0.6) * log.rng.choice([1.0, 100.0])
    log.names["delta"] = (str(log.rng.choice(["steering", "steer_cmd"])), "")
    _as(log, *TABLES)


def _compass(log: Log) -> None:
    """x is east, y north, and the heading counts from north to the right."""
    log.values["psi"] = np.pi / 2 - log.values["psi"]
    log.names["psi"] = ("heading", "deg")
    _as(log, *TABLES)


def _down(log: Log) -> None:
    """North, east, down: y and all that turns count to the right."""
    for name in ("y", "psi", "psi_dot", "delta", "vy", "ay", "beta"):
        if name in log.values:
            log.values[name] = -log.values[name]


def _geodetic(log: Log) -> None:
    north, east = log.values["y"], log.values["x"]
    latitude = 52.0 + DEG * north / EARTH
    log.values["x"] = 4.4 + DEG * east / EARTH / math.cos(math.radians(52.0))
    log.values["y"] = latitude
    short = log.rng.random() < 0.5
    log.names |= {"x": ("lon" if short else "Longitude", ""), "y": ("lat" if short else "Latitude", "")}
    _as(log, *TABLES)


def _quaternion(log: Log) -> None:
    half = log.values["psi"] / 2
    names = [("qx", "qy", "qz", "qw"), ("orientation.x", "orientation.y", "orientation.z", "orientation.w")]
    for name, values in zip(
        names[log.rng.integers(2)],
        (np.zeros(len(half)), np.zeros(len(half)), np.sin(half), np.cos(half)),
        strict=True,
    ):
        log.extra[name] = values
    del log.names["psi"]
    _as(log, *TABLES)


def _millimetres(log: Log) -> None:
    for name in ("x", "y"):
        log.values[name] = 1000.0 * log.values[name]
        log.names[name] = (f"pos_{name}_mm", "mm")
    _as(log, *TABLES)


def _spikes(log: Log) -> None:
    name = str(log.rng.choice([name for name in ("psi_dot", "v", "vx") if name in log.values]))
    rows = log.rng.choice(len(log.values["x"]), 6, replace=False)
    log.values[name] = log.values[name].copy()
    log.values[name][rows] += 8.0 * np.ptp(log.values[name]) * log.rng.choice([-1.0, 1.0], 6)


def _holes(log: Log) -> None:
    rows = log.rng.choice(len(log.values["x"]), 8, replace=False)
    for name in ("v", "vx", "psi_dot"):
        if name in log.values:
            log.values[name] = log.values[name].copy()
            log.values[name][rows] = np.nan
    _as(log, *TABLES)


def _sparse(log: Log) -> None:
    for name, every in {"psi_dot": 2, "v": 3, "vx": 3, "vy": 3}.items():
        if name in log.values:
            thin = np.full(len(log.values[name]), np.nan)
            thin[::every] = log.values[name][::every]
            log.values[name] = thin
    _as(log, *TABLES)


def _late(log: Log) -> None:
    name = "psi_dot" if "psi_dot" in log.values and "psi_dot" in log.names else "v"
    name = name if name in log.values else "vx"
    rows = round(0.2 / log.step)
    log.values[name] = np.concatenate([np.full(rows, log.values[name][0]), log.values[name][:-rows]])


def _zero(log: Log) -> None:
    """A heading whose sensor is mounted askew."""
    log.values["psi"] = log.values["psi"] + log.rng.choice([-1.0, 1.0]) * log.rng.uniform(0.3, 1.5)


def _stands(log: Log) -> None:
    """Stands for 4 s before it drives off, the encoder at exactly 0."""
    rows = round(4.0 / log.step)
    for name, values in log.values.items():
        first = values[0] if name in ("x", "y", "psi", "delta") else 0.0
        noise = 0.0 if name in ("v", "vx") else log.car.noise.get(name, 0.0)
        log.values[name] = np.concatenate([first + noise * log.rng.standard_normal(rows), values])


def _lacks(name: str) -> Callable[[Log], None]:
    def plant(log: Log) -> None:
        log.names.pop(name, None)
        _as(log, *TABLES)

    return plant


# Time.


def _gap(log: Log) -> None:
    rows = len(log.values["x"])
    begin = round(0.45 * rows)
    log.keep = np.r_[:begin, begin + round(3.0 / log.step) : rows]
    _as(log, *TABLES)


def _set_back(log: Log) -> None:
    half = len(log.values["x"]) // 2
    log.shift = np.where(np.arange(len(log.values["x"])) < half, 0.0, -7.0)


def _jitter(log: Log) -> None:
    log.shift = 0.2 * log.step * log.rng.uniform(-1.0, 1.0, len(log.values["x"]))


# Files.


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def _first_row(lines: list[str]) -> int:
    """The line behind the header and the units: the first that is not quoted text or a comment."""
    return next(
        n for n, line in enumerate(lines) if line[:1].strip('"').isdigit() or line[:2].strip('"-').isdigit()
    )


def _header_again(log: Log) -> None:
    _as(log, "csv", "tabs", "excel")

    def change(path: Path) -> None:
        lines = _lines(path)
        half = len(lines) // 2
        path.write_text("\n".join([*lines[:half], lines[0], *lines[half:], ""]), encoding="utf-8")

    log.after.append(change)


def _zeros(log: Log) -> None:
    _as(log, *TEXT)
    log.after.append(lambda path: path.write_bytes(path.read_bytes() + b"\0" * 3000))


def _bad_cell(log: Log) -> None:
    _as(log, "csv", "tabs")

    def change(path: Path) -> None:
        lines = _lines(path)
        separator = "\t" if path.suffix == ".tsv" else ","
        cells = lines[300].split(separator)
        cells[-1] = "ERR"
        lines[300] = separator.join(cells)
        path.write_text("\n".join([*lines, ""]), encoding="utf-8")

    log.after.append(change)


def _cut_line(log: Log) -> None:
    """The recorder died within the last line."""
    _as(log, "csv", "tabs", "excel")
    log.after.append(lambda path: path.write_bytes(path.read_bytes()[:-25]))


def _twice_named(log: Log) -> None:
    _as(log, "csv")
    log.extra["engine temperature"] = 80.0 + np.cumsum(log.rng.normal(0, 0.01, len(log.values["x"])))

    def change(path: Path) -> None:
        lines = _lines(path)
        lines[0] = lines[0].replace("engine temperature", log.names["psi"][0])
        path.write_text("\n".join([*lines, ""]), encoding="utf-8")

    log.after.append(change)


def _two_cars(log: Log) -> None:
    """Two cars of the same kind in the rows of one table."""
    _as(log, "csv")

    def change(path: Path) -> None:
        head, *rows = _lines(path)
        half, clocks = len(rows) // 2, len(log.clock)
        lines = [f"{head},car_id"]
        for one, other in zip(rows[:half], rows[half:], strict=False):
            both = ",".join([*one.split(",")[:clocks], *other.split(",")[clocks:]])
            lines += [f"{one},4", f"{both},7"]
        path.write_text("\n".join([*lines, ""]), encoding="utf-8")

    log.after.append(change)


def _killed(log: Log) -> None:
    log.write = "bag"

    def change(path: Path) -> None:
        storage = next(path.glob("*.mcap"))
        storage.write_bytes(storage.read_bytes()[: int(0.8 * storage.stat().st_size)])

    log.after.append(change)


def _no_metadata(log: Log) -> None:
    log.write = "bag"
    log.after.append(lambda path: (path / "metadata.yaml").unlink())


def _no_storage(log: Log) -> None:
    log.write = "bag"

    def change(path: Path) -> None:
        file = path / "metadata.yaml"
        file.write_text(file.read_text().replace("storage_identifier: mcap", 'storage_identifier: ""'))

    log.after.append(change)


# Each with what a message must name where parameters are not right.
FAULTS: Mapping[str, tuple[Callable[[Log], None], str]] = {
    "none": (_nothing, "(?!)"),
    "heading converted twice": (_twice, r"converted once too often|deg/57"),
    "bad vy": (_estimated, r"\bvy\b"),
    "steering without sign": (_magnitude, r"magnitude|sign"),
    "steering turned": (_turned("delta"), r"sign"),
    "yaw rate turned": (_turned("psi_dot"), r"sign"),
    "compass": (_compass, r"north|heading"),
    "north-east-down": (_down, r"sign|right"),
    "latitude, longitude": (_geodetic, r"latitude"),
    "quaternion": (_quaternion, r"quaternion|yaw\("),
    "millimetres": (_millimetres, r"mm"),
    "spikes": (_spikes, r"spike|fault"),
    "holes": (_holes, r"missing|without|fault"),
    "several rates": (_sparse, r"rate|rows"),
    "late sensor": (_late, r"late|lag|delay"),
    "askew heading": (_zero, r"heading|psi|askew|misaligned"),
    "standstill": (_stands, r"stand"),
    "gap": (_gap, r"gap|recordings"),
    "clock set back": (_set_back, r"back|recordings"),
    "jitter": (_jitter, r"jitter|uneven|steps"),
    "header again": (_header_again, r"header"),
    "zeros at the end": (_zeros, r"NUL|zero"),
    "bad cell": (_bad_cell, r"ERR|number"),
    "cut last line": (_cut_line, r"line|row"),
    "name twice": (_twice_named, r"twice|\.2"),
    "two cars": (_two_cars, r"car_id|vehicles|group"),
    "killed recorder": (_killed, r"breaks off|lost"),
    "no metadata": (_no_metadata, r"metadata"),
    "no storage named": (_no_storage, r"storage"),
}  # fmt: skip
# Logs that do not tell the steering angle: nobody can know parameters of tyres from them.
UNKNOWABLE: Mapping[str, tuple[Callable[[Log], None], str]] = {
    "steering wheel": (_steering_wheel, r"steering wheel|ratio"),
    "share of full lock": (_share, r"lock|not named an angle"),
    "no steering": (_lacks("delta"), r"delta|steering"),
}
