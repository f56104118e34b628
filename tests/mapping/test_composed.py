"""Quaternions and geodetic positions as columns of a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mapping.made_logs import by_channel, drive, proposed, raw
from pct.logs.readers import read_log
from pct.mapping import propose
from pct.types import Column

# One degree of latitude at 48 degrees north, and one of longitude, in m (NIMA tables of WGS 84).
NORTH, EAST = 111_196.0, 74_629.0


def turned(psi: Column) -> dict[str, Column]:
    """Parts of the quaternion of a heading, on a body that rolls and pitches a little."""
    roll, pitch = 0.02 * np.sin(3 * psi), 0.03 * np.cos(2 * psi)
    (cr, sr), (cp, sp), (cy, sy) = ((np.cos(a / 2), np.sin(a / 2)) for a in (roll, pitch, psi))
    return {
        "x": sr * cp * cy - cr * sp * sy,
        "y": cr * sp * cy + sr * cp * sy,
        "z": cr * cp * sy - sr * sp * cy,
        "w": cr * cp * cy + sr * sp * sy,
    }


@pytest.mark.parametrize(
    "names",
    ["qx qy qz qw", "pose.orientation.x pose.orientation.y pose.orientation.z pose.orientation.w",
     "Q_X Q_Y Q_Z Q_W", "field.q[1] field.q[2] field.q[3] field.q[0]", "rot0 rot1 rot2 rot3"],
)  # fmt: skip
def test_a_quaternion_is_a_heading(names: str) -> None:
    log = drive()
    parts = turned(log.pop("psi"))
    log |= {name: parts[axis] for name, axis in zip(names.split(), "xyzw", strict=True)}
    lines = proposed(log)
    assert lines["psi"].column == f"yaw({', '.join(names.split())})"
    assert (lines["psi"].sure, dict(lines["psi"].keys)) == ("high", {})
    assert (lines["x"].column, lines["y"].column, lines["psi_dot"].sure) == ("x", "y", "high")


def test_parts_of_rotations_and_compasses_are_no_positions() -> None:
    log = drive()
    for name in ("q", "mag", "rot"):
        log |= {f"{name}_{axis}": part for axis, part in turned(log["psi"]).items() if axis in "xyz"}
    log = dict(reversed(log.items()))
    lines = proposed(log)
    assert (lines["x"].column, lines["y"].column, lines["psi"].column) == ("x", "y", "psi")


def test_a_part_of_a_rotation_is_no_steering() -> None:
    """In a small bend a component goes as the curvature does; what holds one value is named by its topic."""
    log = drive()
    steering = log.pop("delta")
    log |= {"/odom.pose.orientation.w": np.abs(steering) + 0.5}
    assert "delta" not in proposed(log)
    assert proposed({**log, "/steering_angle.data": steering})["delta"].column == "/steering_angle.data"


@pytest.mark.parametrize(("unit", "scale"), [("rad", 1.0), ("deg", 180 / np.pi)])
def test_a_heading_that_is_askew_gets_its_zero(unit: str, scale: float) -> None:
    log = drive()
    lines = proposed({**log, "psi": (log["psi"] - 0.4) * scale}, psi=unit)
    line = lines["psi"]
    assert float(line.keys["offset"]) == pytest.approx(0.4 * scale, abs=0.03 * scale)
    assert line.sure == "medium"
    assert "straight on it is" in line.reason
    assert lines["psi_dot"].sure == "high"
    # What a slip angle may be is none.
    assert "offset" not in proposed({**log, "psi": log["psi"] - 0.1})["psi"].keys


def test_a_logged_heading_goes_before_a_quaternion_of_the_same() -> None:
    log = drive()
    parts = {f"q{axis}": part for axis, part in turned(log["psi"]).items()}
    assert proposed({**parts, **log})["psi"].column == "psi"


@pytest.mark.parametrize(
    ("names", "scale"),
    [(("latitude", "longitude"), 1.0), (("GPS Lat [deg]", "GPS Lon [deg]"), 1.0), (("lat", "lng"), 1e7)],
)
def test_geodetic_positions_become_metres(names: tuple[str, str], scale: float) -> None:
    """With a compass heading, and a first row without a fix."""
    log = drive()
    x, y = log.pop("x"), log.pop("y")
    latitude, longitude = 48.0 + y / NORTH, 11.66 + x / EAST
    latitude[0] = longitude[0] = 0.0
    log |= {names[0]: scale * latitude, names[1]: scale * longitude, "altitude": 480.0 + 0.1 * np.sin(x)}
    log["psi"] = (90.0 - np.degrees(log["psi"])) % 360.0
    lines = proposed(log)
    assert [lines[name].column for name in "xy"] == [
        f"{kind}({', '.join(names)})" for kind in ("east", "north")
    ]
    assert dict(lines["psi"].keys) == {"unit": "deg", "sign": -1, "offset": -90.0}
    assert {lines[name].sure for name in ("x", "y", "psi", "vx", "psi_dot", "delta")} == {"high"}
    assert all(not lines[name].keys for name in ("vx", "psi_dot", "delta"))


def test_degrees_and_minutes_of_nmea() -> None:
    """4807.038 is 48 degrees and 7.038 minutes; the minutes begin anew within the drive."""
    log = drive()
    x, y = log.pop("x"), log.pop("y")
    for name, degrees in (("Latitude", 48.0 + y / NORTH), ("Longitude", 9.5 + x / EAST)):
        log[name] = 100 * np.floor(degrees) + 60 * (degrees % 1)
    lines = proposed(log)
    assert (lines["x"].column, lines["psi"].sure) == ("east(Latitude, Longitude)", "high")
    assert (lines["vx"].sure, dict(lines["vx"].keys)) == ("high", {})


def test_lateral_and_longitudinal_are_no_latitude() -> None:
    log = drive()
    log |= {"acc_lat": 0.3 * np.sin(log["t"]), "acc_lon": 0.2 * np.cos(log["t"])}
    del log["x"], log["y"]
    log |= {"p": np.cumsum(log["vx"]), "q": np.cumsum(log["vy"])}
    proposal = propose(Path("log.csv"), raw({**log, "p": drive()["x"], "q": drive()["y"]}))
    assert (by_channel(proposal)["x"].column, by_channel(proposal)["y"].column) == ("p", "q")


def test_formulas_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    angle = np.linspace(0.0, 1.0, 20)
    rows = np.stack([angle, 0 * angle, 0 * angle, np.sin(angle), np.cos(angle), 48 + angle / 1e3], axis=1)
    header = "t,qx,qy,qz,qw,lat"
    np.savetxt(path, np.append(rows, rows[:, -1:] - 40, axis=1), delimiter=",", header=header + ",lon")
    names = ["t", "yaw(qx, qy, qz, qw)", "east(lat, lon)", "north(lat, lon)"]
    log = read_log(path, names, {})
    np.testing.assert_allclose(log.columns[names[1]], 2 * angle, atol=1e-12)
    np.testing.assert_allclose(log.columns[names[2]], EAST * angle / 1e3, rtol=1e-3)
    np.testing.assert_allclose(log.columns[names[3]], NORTH * angle / 1e3, rtol=1e-3)


def test_positions_of_a_zone_in_single_precision_are_noted() -> None:
    log = drive()
    x, y = 512_000.0 + log["x"], 5_343_000.0 + log["y"]
    proposal = propose(Path("log.csv"), raw({**log, "x": x, "y": y.astype(np.float32).astype(float)}))
    (note,) = [note for note in proposal.notes if "single precision" in note]
    assert note.startswith("y: ")
    assert "steps of 0.5 m" in note
