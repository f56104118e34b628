"""Kinds of logs that a stranger brings: an input of each kind, and what is right about it.

A check takes a case, so that it holds for an input that is made here and for any other of its kind with the
same names.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import pct
from mapping.made_logs import DT, drive
from pct.doctor import Finding
from pct.logs.map_files import read_map
from pct.logs.readers import read_log
from pct.mapping import propose
from pct.recordings.folder import read_file
from pct.recordings.trajectory import Trajectory

Table = dict[str, Any]
ROWS = 600
NAMES = {"t": "time", "psi": "yaw", "psi_dot": "yaw_rate", "delta": "steering_angle"}
USUAL = ("time", "x", "y", "yaw", "vx", "vy", "yaw_rate", "steering_angle")


@dataclasses.dataclass(frozen=True)
class Case:
    """A log in a folder, read by the map that is proposed for it; what is made goes elsewhere."""

    folder: Path
    output: Path

    @property
    def log(self) -> Path:
        return self.folder / "bag" if (self.folder / "bag").is_dir() else self.folder / "log.csv"

    @functools.cached_property
    def map(self) -> Path:
        path = self.output / "signals.toml"
        path.write_text(propose(self.log, read_log(self.log, None, {})).to_toml())
        return path

    @functools.cached_property
    def tables(self) -> dict[str, str]:
        """Tables of the map by name, each with its comment; ``head`` above them."""
        head, *blocks = re.split(r"\n\n(?=# )", self.map.read_text())
        return {"head": head, **{re.findall(r"^\[([^\]]+)\]", block, re.M)[0]: block for block in blocks}}

    @functools.cached_property
    def recordings(self) -> list[Trajectory]:
        return read_file(self.log, read_map(self.map))

    @functools.cached_property
    def findings(self) -> list[Finding]:
        return pct.check(self.log, map=self.map).findings


class Kind(NamedTuple):
    """Writes an input into a folder, and asserts what is right about a case of its kind."""

    make: Callable[[Path], object]
    right: Callable[[Case], object]


def table(rows: int = ROWS) -> Table:
    """A drive as a log of usual names."""
    columns = {NAMES.get(name, name): values for name, values in drive(rows).items()}
    return {name: columns[name] for name in USUAL}


def write(folder: Path, columns: Table, **changed: Any) -> Path:
    """Write ``log.csv``; None leaves a column out."""
    columns = {name: values for name, values in {**columns, **changed}.items() if values is not None}
    rows = [",".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    path = folder / "log.csv"
    path.write_text("\n".join([",".join(columns), *rows, ""]))
    return path


def agrees(case: Case, *, reverse: bool = False) -> None:
    """What is measured says the same of the motion as the positions."""
    for one in case.recordings:
        channels, step = one.channels, one.dt
        x_dot, y_dot = (np.gradient(channels[name], step) for name in "xy")
        moving = np.hypot(x_dot, y_dot) > 0.5
        v = channels["vx"] if "vx" in channels else channels["v"]
        ahead = x_dot * np.cos(channels["psi"]) + y_dot * np.sin(channels["psi"])
        assert abs(slope(v[moving], ahead[moving]) - 1) < 0.05
        turned = np.gradient(np.unwrap(channels["psi"]), step)
        assert abs(slope(channels["psi_dot"][moving], turned[moving]) - 1) < 0.1
        assert (ahead[moving] < -0.3).any() == reverse
        bend = channels["psi_dot"][moving] / v[moving]
        assert np.corrcoef(np.tan(channels["delta"][moving]), bend)[0, 1] > 0.8


def slope(of: Any, what: Any) -> float:
    """How many times ``what`` a reading ``of`` is, noise in the other aside."""
    return float(of @ of / (of @ what))


# Clocks.


def in_ticks(folder: Path) -> None:
    stamps = 638_617_439_233_577_216 + np.round(1e7 * table()["time"]).astype(np.int64)
    columns = table()
    del columns["time"]
    write(folder, {"SimTs": stamps, **columns})


def ticks(case: Case) -> None:
    assert 'unit = "100 ns"' in case.tables["time"]
    agrees(case)


def in_iso(folder: Path) -> None:
    begin = dt.datetime(2024, 5, 1, 12)
    stamps = [begin + dt.timedelta(seconds=float(t)) for t in table()["time"]]
    write(folder, table(), time=[stamp.isoformat(timespec="milliseconds") for stamp in stamps])


def without_time(folder: Path) -> None:
    write(folder, table(), time=None)


def step_told(case: Case) -> None:
    assert re.search(r"^step = 0\.(1|02)$", case.tables["time"], re.M)
    agrees(case)


def in_two_stamps(folder: Path) -> None:
    stamps = 1_700_000_000_310_000_000 + np.round(1e9 * table()["time"]).astype(np.int64)
    columns = table()
    del columns["time"]
    write(folder, {"s": stamps // 10**9, "ns": stamps % 10**9, **columns})


def stamps_summed(case: Case) -> None:
    assert 'column = ["s", "ns"]' in case.tables["time"]
    agrees(case)
    assert len(case.recordings) == 1


# Files.


def with_name_twice(folder: Path) -> None:
    path = write(folder, table())
    path.write_text(path.read_text().replace("steering_angle", "time", 1))


def second_kept(case: Case) -> None:
    assert 'column = "time.2"' in case.tables["channels.delta"]
    agrees(case)


def with_header_again(folder: Path) -> None:
    lines = write(folder, table()).read_text().splitlines()
    (folder / "log.csv").write_text("\n".join([*lines[:300], lines[0], *lines[300:], ""]))


def two_recordings(case: Case) -> None:
    assert "repeats the header" in case.tables["head"]
    agrees(case)
    assert len(case.recordings) == 2


def in_preamble(folder: Path) -> None:
    columns = table()
    names = (
        "Time",
        "Car Coord X",
        "Car Coord Y",
        "Yaw",
        "Ground Speed",
        "Gyro Yaw Velocity",
        "Steered Angle",
    )
    units = ("s", "m", "m", "deg", "km/h", "deg/s", "deg")
    degrees = 180 / np.pi
    values = [columns["time"], columns["x"], columns["y"], degrees * columns["yaw"], 3.6 * columns["vx"],
              degrees * columns["yaw_rate"], degrees * columns["steering_angle"]]  # fmt: skip
    head = [
        '"Format","MoTeC CSV File",,,"Workbook",""',
        '"Venue","Track"',
        '"Sample Rate","50.000","Hz"',
        "",
        "",
    ]
    rows = [",".join(f'"{cell:.6f}"' for cell in row) for row in zip(*values, strict=True)]
    lines = [*head, *(",".join(f'"{cell}"' for cell in line) for line in (names, units)), "", *rows, ""]
    (folder / "log.csv").write_text("\n".join(lines))


def preamble_passed(case: Case) -> None:
    found = case.tables
    for name, column in {"time": "Time", "channels.psi": "Yaw", "channels.delta": "Steered Angle"}.items():
        assert f'column = "{column}"' in found[name]
    assert 'unit = "km/h"' in found["channels.v"]
    agrees(case)


def in_several_rates(folder: Path) -> None:
    columns, rows = table(), np.arange(ROWS)
    names = {"time": "timestamp", "x": "pose/x", "y": "pose/y", "yaw": "pose/yaw", "vx": "speed"}
    thin = {"vx": 5, "yaw_rate": 2, "steering_angle": 3}
    cells = {
        names.get(name, name): [
            f"{value}" if row % thin.get(name, 1) == 0 else ""
            for row, value in zip(rows, values, strict=True)
        ]
        for name, values in columns.items()
        if name != "vy"
    }
    write(folder, cells)


def rates_read(case: Case) -> None:
    assert {"channels.v", "channels.psi_dot", "channels.delta"} <= set(case.tables)
    agrees(case)


def of_two_cars(folder: Path) -> None:
    columns = {name: np.repeat(values, 2) for name, values in table().items()}
    other = np.tile([0.0, 1.0], ROWS)
    ids = {"time": columns["time"], "id": 1 + other.astype(int)}
    write(folder, {**ids, **columns, "x": columns["x"] + 3 * other, "y": columns["y"] - 2 * other})


def cars_told_apart(case: Case) -> None:
    assert 'group = "id"' in case.tables["head"]
    agrees(case)
    assert len(case.recordings) == 2


# Quantities.


def with_bad_vy(folder: Path) -> None:
    own = np.convolve(np.random.default_rng(1).standard_normal(ROWS + 49), np.ones(50), "valid")
    write(folder, table(), vy=own / own.std() * 0.5 - 0.7)


def heading_kept(case: Case) -> None:
    found = case.tables
    assert "# high" in found["channels.psi"]
    assert "channels.vy" not in found
    assert "vy: unlike the sideways speed" in found["head"]
    assert "heading_is_course" not in {finding.check for finding in case.findings}
    agrees(case)


def in_degrees_twice(folder: Path) -> None:
    write(folder, table(), yaw=np.angle(np.exp(1j * table()["yaw"])) * (180 / np.pi) ** 2)


def converted_back(case: Case) -> None:
    assert 'unit = "deg/57.29578"' in case.tables["channels.psi"]
    agrees(case)


def in_degrees_of_the_earth(folder: Path) -> None:
    columns, radius = table(), 6_371_000.0
    north = {"latitude": 48.26 + np.degrees(columns["y"] / radius)}
    east = {"longitude": 11.66 + np.degrees(columns["x"] / radius / np.cos(np.radians(48.26)))}
    heading = {"heading_deg": (90 - np.degrees(columns["yaw"])) % 360}
    rest = {name: columns[name] for name in ("vx", "vy", "yaw_rate", "steering_angle")}
    write(folder, {"time": columns["time"], **north, **east, **heading, **rest})


def in_metres(case: Case) -> None:
    found = case.tables
    assert 'column = "east(latitude, longitude)"' in found["channels.x"]
    agrees(case)
    assert all(finding.severity == "info" for finding in case.findings)


def in_quaternions(folder: Path) -> None:
    columns = table()
    half = columns["yaw"] / 2
    parts = {"qx": 0 * half, "qy": 0 * half, "qz": np.sin(half), "qw": np.cos(half)}
    write(folder, {**columns, **parts, "yaw": None})


def turned_to_a_heading(case: Case) -> None:
    assert 'column = "yaw(qx, qy, qz, qw)"' in case.tables["channels.psi"]
    agrees(case)


def in_reverse_unsigned(folder: Path) -> None:
    t = DT * np.arange(1500)
    v = np.where(t < 20, 3.0, -2.0) * np.clip(np.abs(t - 20), 0, 1)
    delta = 0.25 * np.sin(1.3 * t)
    turn = v * np.tan(delta) / 0.33
    psi = np.cumsum(turn) * DT
    x, y = (np.cumsum(v * f(psi)) * DT for f in (np.cos, np.sin))
    noise = np.random.default_rng(2).normal(0, 0.002, (4, 1500))
    columns = {"time": t, "x": x + noise[0], "y": y + noise[1], "yaw": psi + noise[2]}
    write(folder, {**columns, "speed": np.abs(v), "yaw_rate": turn, "steering_angle": delta + noise[3]})


def reverse_signed(case: Case) -> None:
    assert 'sign = "motion"' in case.tables["channels.v"]
    assert "unsigned" in {finding.check for finding in case.findings}
    agrees(case, reverse=True)


def with_standstill(folder: Path) -> None:
    columns, rows = table(), 200
    stopping = np.clip((ROWS - 100 - np.arange(ROWS)) / 100, 0, 1)
    v = columns["vx"] * stopping
    psi = columns["yaw"][0] + np.cumsum(columns["yaw_rate"] * stopping) * DT
    x, y = (np.cumsum(v * f(psi)) * DT for f in (np.cos, np.sin))
    moved = {"x": x, "y": y, "yaw": psi, "speed": v, "yaw_rate": columns["yaw_rate"] * stopping}
    held = {name: np.concatenate([values, np.full(rows, values[-1])]) for name, values in moved.items()}
    noise = np.random.default_rng(3).normal(0, 0.002, (3, ROWS + rows))
    for name, column in zip(("x", "y", "yaw"), noise, strict=True):
        held[name] = held[name] + column
    held["speed"] = np.round(held["speed"], 2)
    write(folder, {"time": DT * np.arange(ROWS + rows), **held})


def standstill_is_none_of_a_sensor(case: Case) -> None:
    found = {finding.check: finding.severity for finding in case.findings}
    assert "clipping" not in found
    assert found.get("standstill") == "info"


def without_sign(folder: Path) -> None:
    write(folder, table(), steering_angle=np.abs(table()["steering_angle"]))


def steering_signed(case: Case) -> None:
    found = case.tables["channels.delta"]
    assert 'sign = "motion"' in found
    assert "# high" not in found
    assert "unsigned" in {finding.check for finding in case.findings}
    agrees(case)


def by_steering_wheel(folder: Path) -> None:
    # Eight times as large and three times as fast as the drive: a car of 2.6 m.
    columns = table()
    larger = {
        "x": 8.0 * columns["x"],
        "y": 8.0 * columns["y"],
        "vx": 8.0 * columns["vx"],
        "vy": 8.0 * columns["vy"],
    }
    wheel = 15.6 * columns["steering_angle"]
    write(folder, {**columns, **larger, "steering_angle": None, "steering_wheel_angle": wheel})


def ratio_asked_for(case: Case) -> None:
    found = case.tables["channels.delta"]
    assert found.startswith("# low")
    assert "named a steering wheel" in found
    assert 'unit = "rad/15"' in found


KINDS: Mapping[str, Kind] = {
    "dotnet-ticks": Kind(in_ticks, ticks),
    "iso-time": Kind(in_iso, agrees),
    "no-time-column": Kind(without_time, step_told),
    "split-stamp": Kind(in_two_stamps, stamps_summed),
    "duplicate-name": Kind(with_name_twice, second_kept),
    "header-in-the-middle": Kind(with_header_again, two_recordings),
    "motec-csv": Kind(in_preamble, preamble_passed),
    "sparse-columns": Kind(in_several_rates, rates_read),
    "two-cars": Kind(of_two_cars, cars_told_apart),
    "heading-blamed-for-bad-vy": Kind(with_bad_vy, heading_kept),
    "heading-double-degrees": Kind(in_degrees_twice, converted_back),
    "lat-lon": Kind(in_degrees_of_the_earth, in_metres),
    "quaternion-columns": Kind(in_quaternions, turned_to_a_heading),
    "reverse-unsigned": Kind(in_reverse_unsigned, reverse_signed),
    "standstill-as-clipping": Kind(with_standstill, standstill_is_none_of_a_sensor),
    "steering-unsigned": Kind(without_sign, steering_signed),
    "steering-wheel-rad": Kind(by_steering_wheel, ratio_asked_for),
}
