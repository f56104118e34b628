"""The facts of a drive that is known in closed form, and samples that stand for all its rows."""

import json

import numpy as np
import pytest

from pct.importing import card
from pct.importing.card import card_facts, collect, fact_lines
from pct.recordings.trajectory import Trajectory
from pct.types import Column

DT, ROWS = 0.02, 1000
T = DT * np.arange(ROWS)
UNITS = {"x": "m", "y": "m", "psi": "rad", "delta": "rad", "vx": "m/s", "vy": "m/s", "v": "m/s"}


def circle(radius: float, speed: float, slip: float, name: str = "a", dt: float = DT) -> Trajectory:
    """A circle, to the left for a positive radius, with constant speed and slip angle."""
    course = speed / radius * T
    channels = {
        "x": radius * np.sin(course),
        "y": radius * (1 - np.cos(course)),
        "psi": course - slip,
        "vx": np.full(ROWS, speed * np.cos(slip)),
        "vy": np.full(ROWS, speed * np.sin(slip)),
        "delta": np.full(ROWS, 1.0 / radius),
    }
    return log(channels, name, dt)


def log(channels: dict[str, Column], name: str = "a", dt: float = DT) -> Trajectory:
    units = {key: UNITS[key] for key in channels}
    return Trajectory(name, dt, channels, units, dict.fromkeys(channels, "measured"))


def test_facts_of_a_circle() -> None:
    facts = card_facts(collect([circle(10.0, 4.0, -0.1)]))
    assert (facts["recordings"], facts["rows"], facts["dt"]) == (1, ROWS, [DT, DT])
    assert facts["hours"] == pytest.approx(ROWS * DT / 3600)
    assert facts["metres"] == pytest.approx(80.0, rel=0.07)
    assert facts["standstill"] == 0.0
    assert facts["speed"]["median"] == facts["speed"]["largest"] == pytest.approx(4.0)
    # Slip turns the acceleration towards the middle partly to the tail or the nose.
    assert facts["acceleration"]["across"] == pytest.approx(1.6 * np.cos(0.1), rel=1e-3)
    assert facts["acceleration"]["driving"] == pytest.approx(1.6 * np.sin(0.1), rel=1e-3)
    assert facts["steering"] == pytest.approx([0.1, 0.1])
    assert facts["left"] == 1.0
    assert facts["channels"]["vx"] == ["m/s", "measured"]


def test_facts_of_a_straight_drive_that_brakes_and_stands() -> None:
    v = np.clip(10.0 - 2.0 * T, 0.0, None)
    facts = card_facts(collect([log({"v": v})]))
    assert facts["acceleration"] is facts["steering"] is facts["left"] is None
    assert facts["standstill"] == pytest.approx(0.75, abs=0.005)
    straight = log({"vx": v, "vy": 0 * v, "psi": 0 * v})
    assert card_facts(collect([straight]))["acceleration"] == pytest.approx(
        {"across": 0.0, "driving": 0.0, "braking": 2.0}, abs=1e-6
    )


def test_recordings_are_added_up() -> None:
    facts = card_facts(collect([circle(10.0, 4.0, 0.0), circle(-5.0, 2.0, 0.0, "b", 2 * DT)]))
    assert facts["dt"] == [DT, 2 * DT]
    assert facts["hours"] == pytest.approx(3 * ROWS * DT / 3600)
    assert facts["steering"] == pytest.approx([-0.2, 0.1])
    # Both go through as many turns, the second, at twice the time step, half as fast.
    assert facts["left"] == pytest.approx(0.5)


def test_samples_stand_for_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    drives = [circle(10.0, speed, 0.0, f"{speed}") for speed in (1.0, 2.0, 3.0)]
    monkeypatch.setattr(card, "MOST_SAMPLES", 800)
    samples = collect(iter(drives)).samples
    rows = len(samples["seconds"])
    assert 400 <= rows <= 800
    assert all(len(column) == rows for column in samples.values())
    for number, speed in enumerate((1.0, 2.0, 3.0)):
        own = samples["recording"] == number
        assert samples["seconds"][own].sum() == pytest.approx(ROWS * DT)
        np.testing.assert_allclose(samples["v"][own], speed)


def test_what_a_recording_lacks_is_left_out() -> None:
    samples = collect([circle(10.0, 4.0, 0.1), log({"v": T}, "b")]).samples
    assert np.isnan(samples["x"]).mean() == 0.5
    assert np.isfinite(samples["v"]).all()
    assert set(collect([log({"v": T})]).samples) == {"v", "recording", "seconds"}
    # A slip angle at standstill is none.
    still = collect([circle(10.0, 0.05, 0.1)]).samples
    assert "beta" not in still


@pytest.mark.parametrize("rows", [2, 4, 6])
def test_short_recordings(rows: int) -> None:
    facts = card_facts(collect([circle(10.0, 4.0, 0.1).slice(0, rows)]))
    assert facts["acceleration"]["across"] == pytest.approx(1.6 * np.cos(0.1), rel=0.01)


def test_facts_are_written_and_told() -> None:
    facts = card_facts(collect([circle(10.0, 4.0, 0.1)]))
    assert json.loads(json.dumps(facts)) == facts
    told = dict(fact_lines(facts))
    assert told["driven"] == f"0.3 min, {facts['metres'] / 1000:.3g} km, 1 recording, 1000 rows"
    assert told["turning"] == "100 % left, 0 % right"
    assert set(dict(fact_lines(card_facts(collect([log({"delta": T})]))))) == {
        *("driven", "time step", "steering angle in rad")
    }
