"""Positions as eastings and northings of UTM or another grid, and altitudes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import pct
from mapping.made_logs import by_channel, drive, raw
from pct.errors import DataError
from pct.logs.readers import read_log
from pct.mapping import Proposal, propose
from pct.mapping.grid_positions import convergence
from pct.recordings.folder import read_raw
from pct.types import Column

# A place in zone 32, the border of the zone there, and how far that is from itself in zone 33, in m.
EAST, NORTH, BORDER, NEXT_ZONE = 512_000.0, 5_343_000.0, 723_000.0, -446_000.0


def in_grid(east: str, north: str, scale: float = 1.0) -> dict[str, Column]:
    log = drive()
    x, y = log.pop("x"), log.pop("y")
    return {"t": log["t"], east: scale * (EAST + x), north: scale * (NORTH + y)} | log


def proposal_of(log: dict[str, Column], zone: str = "", **units: str) -> Proposal:
    made = dataclasses.replace(raw(log, **units), texts={"utm_zone": zone} if zone else {})
    return propose(Path("log.csv"), made)


@pytest.mark.parametrize(
    "names",
    ["easting northing", "UTM_Easting UTM_Northing", "utm_x utm_y", "gps.utmE gps.utmN", "x_utm y_utm",
     "East[m] North[m]", "/gps_utm.pose.position.x /gps_utm.pose.position.y"],
)  # fmt: skip
def test_grid_coordinates_are_positions_from_the_first_fix(names: str) -> None:
    """By name and range, with rows without a fix."""
    east, north = names.split()
    log = in_grid(east, north)
    for name in (east, north):
        log[name][:2] = 0.0
    lines = by_channel(proposal_of(log))
    assert [lines[axis].column for axis in "xy"] == [f"grid_east({east})", f"grid_north({north})"]
    assert {lines[name].sure for name in ("x", "y", "psi", "vx", "psi_dot", "delta")} == {"high"}
    assert not any(lines[name].keys for name in ("x", "y", "psi", "vx"))


def test_a_stated_unit_is_kept() -> None:
    log = in_grid("easting", "northing", scale=1 / 0.3048)
    lines = by_channel(proposal_of(log, easting="ft", northing="ft"))
    assert [dict(lines[axis].keys) for axis in "xy"] == [{"unit": "ft"}] * 2
    assert lines["vx"].sure == "high"
    assert not lines["vx"].keys


@pytest.mark.parametrize("names", ["x y", "easting_std northing_std", "utm_vel_x utm_vel_y"])
def test_other_names_are_no_grid(names: str) -> None:
    lines = by_channel(proposal_of({**drive(), **in_grid(*names.split())}))
    assert [lines[axis].column for axis in "xy"] == ["x", "y"]


def test_steps_of_single_precision_are_those_of_the_logged_column() -> None:
    log = in_grid("easting", "northing")
    log["northing"] = log["northing"].astype(np.float32).astype(float)
    (note,) = [note for note in proposal_of(log).notes if "single precision" in note]
    assert note.startswith("northing: ")
    assert "steps of 0.5 m" in note


def test_degrees_in_single_precision_are_noted() -> None:
    log = drive(3000)
    # Far enough about that the steps do not hide the motion.
    x, y = 30 * log.pop("x"), 30 * log.pop("y")
    log |= {"lat": 48.0 + y / 111_196.0, "lon": (11.66 + x / 74_629.0).astype(np.float32).astype(float)}
    (note,) = [note for note in proposal_of(log).notes if "single precision" in note]
    assert note.startswith("lon: ")
    assert "steps of 0.11 m" in note


def written(folder: Path, *, crossed: bool, wrong: bool = False) -> Path:
    """A log as a file, which may go on in the next zone, or have two fixes of another place."""
    log = in_grid("easting", "northing")
    log["easting"] += BORDER - EAST
    zone = np.full(len(log["t"]), 32.0)
    if crossed:
        log["easting"][800:] += NEXT_ZONE
        zone[800:] = 33.0
    if wrong:
        log["easting"][400:402] = 1.0
    rows = np.column_stack([*log.values(), zone])
    np.savetxt(
        folder / "log.csv", rows, delimiter=",", header=",".join([*log, "zone"]), comments="", fmt="%.9g"
    )
    return folder / "log.csv"


def test_another_zone_is_refused_by_name_and_line(tmp_path: Path) -> None:
    path = written(tmp_path, crossed=True)
    with pytest.raises(DataError, match=r"expected 'easting' in one zone of its grid, .* in line 802: write"):
        read_log(path, ["t", "grid_east(easting)", "grid_north(northing)"], {})
    # What is not made of grid coordinates is read as it is.
    assert read_log(path, ["t", "easting"], {}).columns["easting"][0] == pytest.approx(BORDER, abs=1)


def test_single_wrong_fixes_are_no_zone(tmp_path: Path) -> None:
    path = written(tmp_path, crossed=False, wrong=True)
    east = read_log(path, ["grid_east(easting)"], {}).columns["grid_east(easting)"]
    assert np.median(np.abs(east - drive()["x"] + drive()["x"][0])) < 1e-2


def test_a_drive_through_two_zones_is_cut_at_the_border(tmp_path: Path) -> None:
    path = written(tmp_path, crossed=True)
    proposal = propose(path, read_log(path, None, {}))
    assert proposal.head["faults"] == "cut"
    assert any("another zone" in note for note in proposal.notes)
    (tmp_path / "signals.toml").write_text(proposal.to_toml(), encoding="utf-8")
    pct.import_logs(path, tmp_path / "car", split="none", processes=1)
    assert len(pct.load(tmp_path / "car")) == 2
    parts = read_raw(tmp_path)
    assert len(parts) == 2
    assert all(np.ptp(part.channels["x"]) < 1000 for part in parts)
    assert "faults" not in propose(path, read_log(written(tmp_path, crossed=False), None, {})).head


@pytest.mark.parametrize(
    ("easting", "northing", "southern", "degrees"),
    # Slopes of the meridian in the series of Snyder, Map Projections (1987), eq. 8-9 and 8-10.
    [(649_188.0, 5_318_236.0, False, 1.4866), (649_074.0, 5_348_657.0, True, -1.2047),
     (667_295.0, 6_655_205.0, False, 2.5987), (350_812.0, 5_318_236.0, False, -1.4866),
     (5e5, 5e6, False, 0.0)],
)  # fmt: skip
def test_convergence_of_the_meridians(
    easting: float, northing: float, southern: bool, degrees: float
) -> None:
    assert np.degrees(convergence(easting, northing, southern=southern)) == pytest.approx(degrees, abs=0.02)


@pytest.mark.parametrize(
    ("zone", "off"), [("32U", 1.48), ("32 n", 1.48), ("32H", -1.22), ("32S", -1.22), ("", 0.0)]
)
@pytest.mark.parametrize("true", [True, False])
def test_a_compass_is_brought_to_the_grid_where_the_path_shows_it(zone: str, off: float, true: bool) -> None:
    """Clockwise from north, in both halves of the earth; nothing is done where the zone is not known."""
    log = in_grid("easting", "northing")
    log["easting"] += 137_000.0
    log["northing"] -= 25_000.0
    log["psi"] = (90.0 - np.degrees(log["psi"]) + true * off) % 360.0
    proposal = proposal_of(log, zone)
    line = by_channel(proposal)["psi"]
    assert not [note for note in proposal.notes if "true north" in note]
    assert line.keys["sign"] == -1
    assert line.keys["offset"] == pytest.approx(-90.0 - true * off, abs=0.02)
    assert ("counts from true north" in line.reason) == (true and bool(zone))


@pytest.mark.parametrize("positions", ["grid", "fixes"])
def test_latitudes_beside_a_grid_tell_how_far_its_north_is_off(positions: str) -> None:
    """A heading from true north beside a grid, or from grid north beside fixes: 12.2 deg east in zone 33."""
    off = np.radians(-2.8 * np.sin(np.radians(52.0)))
    log = in_grid("easting", "northing")
    east, north = log["easting"] - EAST, log["northing"] - NORTH
    log["psi"] += -off if positions == "grid" else 0.0
    places = (east + 1j * north) * np.exp(-1j * off)
    log |= {"lat": 52.0 + places.imag / 111_265.0, "lon": 12.2 + places.real / 68_678.0}
    if positions == "fixes":
        del log["easting"], log["northing"]
    line = by_channel(proposal_of(log))["psi"]
    beside = off if positions == "grid" else -off
    assert line.keys == {"offset": pytest.approx(beside, abs=2e-3)}


def test_a_path_that_tells_too_little_leaves_a_note() -> None:
    log = in_grid("easting", "northing")
    log["easting"] += 137_000.0
    log["psi"] += np.radians(4.0)
    notes = [note for note in proposal_of(log, "32U").notes if "true north" in note]
    assert float(notes[0].split(" add ")[1].split()[0]) == pytest.approx(np.radians(1.48), abs=1e-3)


def test_altitudes_are_left_out_with_the_reason() -> None:
    log = drive()
    log |= {"Altitude [m]": 480.0 + 0.1 * np.sin(log["t"]), "ride_height": 0.1 * np.cos(log["t"])}
    (note,) = [note for note in proposal_of(log).notes if "altitude" in note]
    assert note == "left out, an altitude (models are planar): Altitude [m]"


def test_an_altitude_is_no_position_without_a_name() -> None:
    log = drive()
    x, y = log.pop("x"), log.pop("y")
    lines = by_channel(proposal_of({"t": log["t"], "altitude": x, "p": x, "q": y, **log}))
    assert [lines[axis].column for axis in "xy"] == ["p", "q"]
