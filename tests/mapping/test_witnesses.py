"""Two columns contradict each other, and a third decides which of them is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mapping.made_logs import by_channel, drive, raw
from pct.mapping import propose
from pct.types import Column


def wandering(rows: int, size: float) -> Column:
    """What an estimator without a reference drifts by."""
    steps = np.random.default_rng(11).normal(size=rows + 49)
    smooth = np.convolve(steps, np.ones(50), mode="valid")
    return size * smooth / smooth.std()


@pytest.mark.parametrize("gyro", [True, False])
@pytest.mark.parametrize("bias", [-0.8, 0.0, 0.5])
def test_a_bad_sideways_speed_leaves_the_heading_alone(gyro: bool, bias: float) -> None:
    log = drive()
    log["vy"] = bias + wandering(len(log["t"]), 1.5)
    if not gyro:
        del log["psi_dot"]
    proposal = propose(Path("log.csv"), raw(log))
    lines = by_channel(proposal)
    assert (lines["psi"].column, lines["psi"].sure, dict(lines["psi"].keys)) == ("psi", "high", {})
    assert not {"vy", "course"} & set(lines)
    assert any(note.startswith("vy: unlike the sideways speed") for note in proposal.notes)


@pytest.mark.parametrize("gyro", [True, False])
def test_a_direction_of_travel_is_still_found(gyro: bool) -> None:
    log = drive()
    log["psi"] = log["psi"] + np.arctan2(log["vy"], log["vx"])
    if not gyro:
        del log["psi_dot"]
    lines = by_channel(propose(Path("log.csv"), raw(log)))
    assert lines["course"].column == "psi"
    assert dict(lines["vy"].keys) == {}


def reversing() -> dict[str, Column]:
    """A drive whose last third goes backwards."""
    log = drive(1800)
    t = log["t"]
    v = np.where(t < 24.0, 3.0 + np.sin(0.7 * t), -1.5 - 0.4 * np.sin(0.9 * t)) * np.clip(
        np.abs(t - 24.0), 0, 1
    )
    delta = 0.25 * np.sin(1.3 * t)
    psi_dot = v * np.tan(delta) / 0.33
    psi = np.concatenate([[0.3], 0.3 + np.cumsum(psi_dot[:-1] * 0.02)])
    x, y = (np.concatenate([[0.0], np.cumsum((v * f(psi))[:-1] * 0.02)]) for f in (np.cos, np.sin))
    noise = np.random.default_rng(2).normal(0, 0.003, (4, len(t)))
    return {"t": t, "x": x + noise[0], "y": y + noise[1], "yaw": psi + noise[2], "speed": v + noise[3],
            "yaw_rate": psi_dot, "steering_angle": delta}  # fmt: skip


def test_a_drive_in_reverse_keeps_its_signs() -> None:
    lines = by_channel(propose(Path("log.csv"), raw(reversing())))
    assert {lines[name].sure for name in ("x", "psi", "v", "psi_dot", "delta")} == {"high"}
    assert not any(lines[name].keys for name in ("psi", "v", "psi_dot", "delta"))


def test_a_speed_without_direction_takes_that_of_the_path() -> None:
    log = reversing()
    lines = by_channel(propose(Path("log.csv"), raw({**log, "speed": np.abs(log["speed"])})))
    assert (lines["v"].sure, lines["v"].keys) == ("medium", {"sign": "motion"})
    assert {lines[name].sure for name in ("x", "psi", "psi_dot", "delta")} == {"high"}
    assert not any(lines[name].keys for name in ("psi", "psi_dot", "delta"))


@pytest.mark.parametrize(("scale", "unit"), [(57.29578**2, "deg/57.29578"), (1 / 57.29578, "57.29578 rad")])
def test_a_heading_that_was_converted_once_too_often(scale: float, unit: str) -> None:
    log = drive()
    wrapped = np.angle(np.exp(1j * log["psi"]))
    lines = by_channel(propose(Path("log.csv"), raw({**log, "psi": scale * wrapped})))
    assert (lines["psi"].sure, lines["psi"].keys) == ("medium", {"unit": unit})
    assert {lines[name].sure for name in ("vx", "psi_dot", "delta")} == {"high"}
    assert not any(lines[name].keys for name in ("vx", "psi_dot", "delta"))


def test_what_fills_half_a_turn_in_rad_is_not_degrees() -> None:
    """On an arc so wide that a standing heading fits it nearly as well."""
    log = drive()
    lines = by_channel(propose(Path("log.csv"), raw({**log, "psi": np.angle(np.exp(1j * log["psi"]))})))
    assert (lines["psi"].sure, lines["psi"].keys) == ("high", {})


def test_names_of_our_own_and_what_is_left_out() -> None:
    log = drive()
    v, vy = log.pop("vx"), log.pop("vy")
    log |= {"v": np.hypot(v, vy), "beta": np.arctan2(vy, v), "delta_dot": np.gradient(log["delta"], 0.02)}
    log |= {
        "accel": 0.7 * np.cos(0.7 * log["t"]),
        "omega_r": v / 0.05,
        "engine": 90 + 0 * v,
        "gps_speed": 0.98 * v,
    }
    log["slip"] = np.random.default_rng(1).normal(size=len(v))
    proposal = propose(Path("log.csv"), raw(log))
    lines = by_channel(proposal)
    assert {"v", "beta", "delta_dot", "accel", "omega_r"} <= set(lines)
    assert {lines[name].column for name in ("beta", "accel", "omega_r")} == {"beta", "accel", "omega_r"}
    notes = "\n".join(proposal.notes)
    assert "left out, one value only: engine" in notes
    assert "left out, not a name of a channel: temp" in notes
    assert "left out, another column is the channel: gps_speed" in notes
    assert "slip: matches by name, but not the angle from the heading to the path: left out" in notes
