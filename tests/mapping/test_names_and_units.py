"""Units that names tell, names of other recorders, and columns that are not what they are called."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from mapping.made_logs import by_channel, drive, proposed, raw
from pct.logs.map_files import read_map
from pct.logs.readers.base import RawLog
from pct.mapping import Proposal, propose
from pct.types import Column

KNOT, FOOT = 1852 / 3600, 0.3048


def proposal_of(columns: dict[str, Column], **units: str) -> Proposal:
    return propose(Path("log.csv"), raw(columns, **units))


def test_units_that_only_a_name_tells() -> None:
    log = drive()
    lines = proposed(
        {
            "t": log["t"],
            "x_ft": log["x"] / FOOT,
            "y_ft": log["y"] / FOOT,
            "yaw_cdeg": np.round(100 * np.degrees(log["psi"])),
            "speed_knots": log["vx"] / KNOT,
            "yaw_rate_mrad_s": 1000 * log["psi_dot"],
            "wheel_angle_mrad": 1000 * log["delta"],
            "lat_g": (log["vx"] * log["psi_dot"]) / 9.81,
        }
    )
    assert {name: line.keys.get("unit") for name, line in lines.items() if name != "time"} == {
        "x": "ft",
        "y": "ft",
        "psi": "deg/100",
        "vx": "knot",
        "psi_dot": "mrad/s",
        "delta": "mrad",
        "ay": "g",
    }
    assert {lines[name].sure for name in ("x", "psi", "vx", "psi_dot")} == {"high"}


def test_units_in_a_header_may_be_written_in_any_way(tmp_path: Path) -> None:
    log = drive()
    units = {"x": "M", "y": "Meters", "psi": "DEG", "vx": "KM/H", "psi_dot": "Deg/s", "delta": "DEGREES"}
    log |= {name: np.degrees(log[name]) for name in ("psi", "psi_dot", "delta")}
    proposal = proposal_of({**log, "vx": 3.6 * log["vx"]}, **units)
    assert {line.sure for line in proposal.lines if line.channel != "vy"} == {"high"}
    (tmp_path / "signals.toml").write_text(proposal.to_toml(), encoding="utf-8")
    channels = read_map(tmp_path / "signals.toml").channels
    assert channels["vx"].factor == pytest.approx(1 / 3.6)


def test_integers_of_hundredths_of_degrees_from_north() -> None:
    log = drive()
    heading = np.round(100 * ((90 - np.degrees(log["psi"])) % 360))
    line = proposed({**{n: c for n, c in log.items() if n != "psi"}, "hdg": heading})["psi"]
    assert (line.column, dict(line.keys)) == ("hdg", {"unit": "deg/100", "sign": -1, "offset": -9000.0})


def test_names_in_german() -> None:
    log = drive()
    german = {"t": "Zeit", "x": "Position X", "y": "Position Y", "psi": "Gierwinkel", "vx": "Geschwindigkeit"}
    german |= {"psi_dot": "ESP_Gierrate", "delta": "Radlenkwinkel"}
    lines = proposed({german[name]: log[name] for name in german})
    assert {line.column for line in lines.values()} == set(german.values())


def test_positions_are_no_heading() -> None:
    """Of a log with latitude, longitude and speed alone, the yaw rate tells the turning."""
    log = drive()
    places = {"lat": 48.0 + log["y"] / 111_196.0, "lon": 11.0 + log["x"] / 74_629.0}
    lines = proposed({"t": log["t"], **places, "delta": log["delta"]})
    assert "psi" not in lines
    proposal = proposal_of({"t": log["t"], **places, **{n: log[n] for n in ("vx", "psi_dot", "delta")}})
    assert {line.channel for line in proposal.lines} == {"vx", "psi_dot", "delta"}
    assert any("no column is a heading" in note for note in proposal.notes)


def test_exchanged_names_of_speeds_are_told() -> None:
    log = drive()
    proposal = proposal_of({**log, "vx": log["vy"], "vy": log["vx"]})
    assert not {"vx", "vy"} & set(by_channel(proposal))
    assert sum("are two names exchanged?" in note for note in proposal.notes) == 2


def test_a_steady_speed_is_kept_though_it_goes_with_nothing() -> None:
    log, random = drive(), np.random.default_rng(7)
    psi = 0.5 * np.sin(log["t"])
    x, y = (np.cumsum(0.06 * f(psi)) for f in (np.cos, np.sin))
    speed = 3.6 * (3.0 + random.normal(0, 0.05, len(psi)))
    columns = {"t": log["t"], "x": x, "y": y, "yaw": psi, "Ground Speed": speed}
    lines = proposed(columns, **{"Ground Speed": "km/h"})
    assert dict(lines["v"].keys) == {"unit": "km/h"}


def test_pulses_of_a_servo_get_a_unit_that_can_be_read() -> None:
    log = drive()
    line = proposed(
        {**{n: c for n, c in log.items() if n != "delta"}, "steering_pwm": 1500 - 900 * log["delta"]}
    )
    assert line["delta"].sure == "low"
    assert str(line["delta"].keys["unit"]).startswith("rad/")
    assert "0.4 rad is taken for its largest" in line["delta"].reason


def test_rows_of_one_sensor_or_another() -> None:
    """As a log with one message a line: positions in one row, the steering in the next."""
    log = drive()
    both: dict[str, Column] = {"t": np.sort(np.concatenate([log["t"], log["t"] + 0.004]))}
    for name, column in log.items():
        if name != "t":
            both[name] = np.full(2 * len(column), np.nan)
            both[name][int(name == "delta") :: 2] = column
    made = RawLog(both, np.arange(len(both["t"])), "line")
    lines = by_channel(propose(Path("log.jsonl"), made))
    assert {lines[name].sure for name in ("x", "psi", "vx", "psi_dot", "delta")} == {"high"}


def test_of_two_clocks_the_one_that_goes_on_evenly() -> None:
    log = drive()
    jitter = np.random.default_rng(2).choice([-0.01, 0.0, 0.0, 0.01], len(log["t"]))
    made = dataclasses.replace(raw({"sys_time": 100 + log["t"] + jitter, "gps_time": log.pop("t"), **log}))
    assert propose(Path("log.csv"), made).time.column == "gps_time"


@pytest.mark.parametrize(("unit", "size"), [("mph", 2.236936), ("knot", 1 / KNOT), ("ft/s", 1 / FOOT)])
def test_a_speed_beside_positions_in_m_tells_its_unit(unit: str, size: float) -> None:
    """Knots are near to mph and ft/s to km/h: an exact ratio tells them, but not for certain."""
    log = drive()
    lines = proposed({**{n: c for n, c in log.items() if n != "vy"}, "vx": size * log["vx"]})
    assert dict(lines["vx"].keys) == {"unit": unit}
    assert lines["vx"].sure == ("high" if unit == "mph" else "medium")


@pytest.mark.parametrize(("unit", "size"), [("m/s", 1.0), ("mph", 2.236936)])
def test_positions_in_feet_beside_a_speed_that_tells_them(unit: str, size: float) -> None:
    log = drive()
    log |= {"x": log["x"] / FOOT, "y": log["y"] / FOOT, "vx": size * log["vx"]}
    lines = proposed({name: column for name, column in log.items() if name != "vy"})
    assert [lines[name].keys.get("unit") for name in ("x", "y")] == ["ft", "ft"]
    assert {lines["x"].sure, lines["y"].sure} == {"medium"}
    assert (lines["vx"].keys.get("unit", "m/s"), lines["vx"].sure) == (unit, "high")
    assert "beside positions in ft" in lines["x"].reason


@pytest.mark.parametrize(("unit", "size"), [("ft/s", 1 / FOOT), ("km/h", 3.6)])
def test_an_accelerometer_tells_feet_where_a_speed_cannot(unit: str, size: float) -> None:
    """A speed 1 and 1.1 times that of the positions tells none; the lateral acceleration does."""
    log = drive()
    # Ten times as large and as fast: a car.
    log |= {name: 10 * log[name] for name in ("x", "y", "vx")}
    lateral = log["vx"] * log["psi_dot"] / 9.80665
    feet = {**log, "x": log["x"] / FOOT, "y": log["y"] / FOOT, "vx": size * log["vx"]}
    del feet["vy"]
    proposal = proposal_of(feet)
    assert "unit" not in by_channel(proposal)["x"].keys
    assert any("as km/h beside ft are" in note for note in proposal.notes) == (unit == "km/h")
    lines = proposed({**feet, "acc_y": lateral})
    assert [lines[name].keys.get("unit") for name in ("x", "y", "vx", "ay")] == ["ft", "ft", unit, "g"]
    assert "'acc_y' in g is 0.30" in lines["x"].reason
    # In m it is not, whatever the speed says.
    assert "unit" not in proposed({**log, "acc_y": lateral})["x"].keys


def test_an_angle_in_degrees_a_second_is_a_yaw_rate() -> None:
    log = drive()
    columns = {**{n: c for n, c in log.items() if n not in ("psi", "psi_dot", "vy")}, "Heading": log["psi"]}
    columns["Yaw"] = np.degrees(log["psi_dot"])
    lines = proposed(columns, Yaw="Deg/Sec")
    assert (lines["psi"].column, lines["psi_dot"].column) == ("Heading", "Yaw")
    assert (lines["psi_dot"].keys["unit"], lines["psi_dot"].sure) == ("deg/s", "high")


def test_a_steering_angle_of_a_wheel_is_read_by_the_usual_ratio() -> None:
    """Ten times the size and speed: a car. It is named an angle, not a steering wheel."""
    log = drive()
    log |= {name: 10 * log[name] for name in ("x", "y", "vx")}
    columns = {**{n: c for n, c in log.items() if n not in ("vy", "delta")}}
    columns["carState.steeringAngleDeg"] = np.degrees(12.0 * log["delta"])
    line = proposed(columns)["delta"]
    assert (line.sure, line.keys["unit"]) == ("low", "deg/15")
    assert "15 is taken until you write yours" in line.reason
