"""Maps of logs that hold no positions: units from what the columns say of each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mapping.made_logs import DT, by_channel, drive, proposed, raw
from pct.dynamics.limits import GRAVITY
from pct.errors import DataError
from pct.mapping import propose
from pct.types import Column

KMH, MPH, DEG = 3.6, 2.236936, 180 / np.pi


@pytest.fixture(scope="module")
def motion() -> dict[str, Column]:
    """A drive without its pose, with what an accelerometer shows."""
    log = {name: column for name, column in drive().items() if name not in ("x", "y", "psi", "vy")}
    ax = np.gradient(3.0 + np.sin(0.7 * log["t"]), DT)
    return {**log, "ax": ax, "ay": log["vx"] * log["psi_dot"]}


@pytest.mark.parametrize(("speed", "unit"), [(1.0, None), (KMH, "km/h"), (MPH, "mph")])
@pytest.mark.parametrize("gravity", [1.0, GRAVITY])
def test_ratios_tell_all_units(
    motion: dict[str, Column], speed: float, unit: str | None, gravity: float
) -> None:
    lines = proposed(
        {
            "t": motion["t"],
            "Speed": speed * motion["vx"],
            "yawRate": DEG * motion["psi_dot"],
            "LongAcc": motion["ax"] / gravity,
            "LatAcc": motion["ay"] / gravity,
            "steer_angle": motion["delta"],
        }
    )
    assert {name for name in lines if name != "time"} == {"v", "psi_dot", "ax", "ay", "delta"}
    assert lines["v"].keys.get("unit") == unit
    assert lines["psi_dot"].keys["unit"] == "deg/s"
    assert all(lines[name].keys.get("unit") == (None if gravity == 1.0 else "g") for name in ("ax", "ay"))
    assert {lines[name].sure for name in ("v", "psi_dot", "ax", "ay", "delta")} == {"high"}


def test_names_and_headers_state_units(motion: dict[str, Column]) -> None:
    given = {"t": motion["t"], "speed_mph": MPH * motion["vx"], "yaw_rate_deg_s": DEG * motion["psi_dot"]}
    lines = proposed(given)
    assert (lines["v"].keys["unit"], lines["psi_dot"].keys["unit"]) == ("mph", "deg/s")
    stated = proposed({"t": motion["t"], "v": KMH * motion["vx"]}, v="km/h")
    assert stated["v"].keys["unit"] == "km/h"
    assert stated["v"].sure == "high"


def test_wheels_and_a_brake_are_enough(motion: dict[str, Column]) -> None:
    brake = np.clip(-motion["ax"], 0.0, 1.0)
    wheels = {f"wheel_speed_{name}": motion["vx"] for name in ("fl", "fr", "rl", "rr")}
    proposal = propose(Path("log.csv"), raw({"t": motion["t"], **wheels, "brake": brake}))
    lines = by_channel(proposal)
    assert lines["vx"].column.startswith("wheel_speed_r")
    assert lines["vx"].sure == "medium"
    assert lines["brake"].sure != "low"
    assert any("goes straight ahead" in note for note in proposal.notes)
    assert any(note.startswith("x, y, psi: no columns found") for note in proposal.notes)


def test_columns_that_only_look_like_positions_are_none(motion: dict[str, Column]) -> None:
    """Three columns that fit each other by chance, beside a speed that does not fit them."""
    pose = drive()
    chance = {f"signal_{i}": 40.0 * pose[name] for i, name in enumerate(("x", "y"))}
    chance["signal_2"] = pose["psi"]
    assert "x" in proposed({"t": motion["t"], **chance})
    slow = 5.0 + np.cumsum(np.random.default_rng(0).normal(0, 0.02, len(motion["t"])))
    lines = proposed({"t": motion["t"], **chance, "speed": np.abs(slow)})
    assert {"x", "y", "psi"}.isdisjoint(lines)
    lines = proposed({"t": motion["t"], **chance, "speed": motion["vx"], "yaw_rate": slow - slow.mean()})
    assert {"x", "y", "psi"}.isdisjoint(lines)
    named = {name.replace("signal", "nearest"): column for name, column in chance.items()}
    lines = proposed({"t": motion["t"], **named, "speed": motion["vx"]})
    assert {"x", "y", "psi"}.isdisjoint(lines)


def test_a_log_without_any_speed_is_refused(motion: dict[str, Column]) -> None:
    with pytest.raises(DataError, match="expected columns of positions or of a speed, found none by name"):
        proposed({"t": motion["t"], "temperature": motion["temp"]})


@pytest.mark.parametrize(("size", "unit"), [(1.0, None), (KMH, "km/h"), (MPH, "mph")])
@pytest.mark.parametrize("turn", [1.0, DEG])
def test_speed_times_yaw_rate_tells_the_unit_of_the_speed(
    motion: dict[str, Column], size: float, unit: str | None, turn: float
) -> None:
    given = {"t": motion["t"], "speed": size * motion["vx"], "yaw_rate": turn * motion["psi_dot"]}
    lines = proposed({**given, "ay": motion["ay"] / GRAVITY})
    assert (lines["v"].keys.get("unit"), lines["v"].sure) == (unit, "high")
    assert lines["psi_dot"].keys.get("unit") == (None if turn == 1.0 else "deg/s")
    # A speed alone tells none.
    assert proposed(given)["v"].sure == "medium"


def test_an_accelerometer_leaves_feet_and_knots_open(motion: dict[str, Column]) -> None:
    for size, unit, rare in ((1 / 0.3048, "km/h", "ft/s"), (3600 / 1852, "mph", "knot")):
        line = proposed({"t": motion["t"], "speed": size * motion["vx"], "ax": motion["ax"]})["v"]
        assert (line.keys["unit"], line.sure) == (unit, "medium")
        assert f"it may be {rare}" in line.reason
