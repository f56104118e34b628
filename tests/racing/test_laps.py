"""Drives in closed loop on CommonRoad's cars."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

import pct
from pct.api.racing import safe
from pct.racing.controllers import PurePursuit
from pct.racing.laps import drive
from pct.racing.plants import CommonRoad
from pct.racing.profile import speed_profile
from pct.racing.tracks import load_track
from rollout.native.windows import needs_compiler

pytest.importorskip("vehiclemodels", reason="commonroad-vehicle-models is not installed")
BELIEVED = pct.model("singletrack-drift", vehicle="bmw-320i").spec.default_params


@pytest.mark.parametrize("body", ["multi-body", "drift"])
def test_the_road_bounds_the_forces(body: str) -> None:
    slow, fast = [], []
    for grip, speeds in ((0.3, slow), (0.9, fast)):
        car = CommonRoad(body, grip=grip)
        car.reset(0.0, 0.0, 0.0, 25.0)
        car.advance((0.0, -8.0), 1.0)
        speeds.append(car.readings()["v"])
    assert slow[0] > 25.0 - 0.3 * 1.2 * 9.81
    assert fast[0] < 25.0 - 0.55 * 9.81


def test_the_road_changes_under_the_car() -> None:
    car = CommonRoad("drift", grip=0.9)
    car.reset(0.0, 0.0, 0.0, 25.0)
    car.set_grip(0.3)
    car.advance((0.0, -8.0), 1.0)
    assert car.readings()["v"] > 25.0 - 0.3 * 1.2 * 9.81


@pytest.mark.parametrize(
    ("lower", "finished", "left", "expected"),
    [
        (0.5, [], [1.0], 0.5),
        (0.8, [], [0.6], 0.48),  # well below what left the track
        (0.6, [0.5], [], 0.6),
        (0.4, [0.5], [], 0.5),  # what finished is the least
        (0.9, [0.7], [1.0], 0.8),  # what left the track is not forgotten by a lap that finished
        (0.1, [], [0.4], 0.35),
    ],
)
def test_what_is_believed_next(
    lower: float, finished: list[float], left: list[float], expected: float
) -> None:
    assert safe(lower, finished=finished, left=left) == pytest.approx(expected)


def test_left_and_right_are_alike() -> None:
    seen = []
    for side in (1.0, -1.0):
        car = CommonRoad("multi-body", grip=0.8)
        car.reset(0.0, 0.0, 0.0, 15.0)
        car.advance((side * 0.1, 0.0), 0.5)
        seen.append(car.readings())
    left, right = seen
    assert left["psi_dot"] == pytest.approx(-right["psi_dot"], rel=0.02)
    assert left["y"] == pytest.approx(-right["y"], rel=0.02)


@pytest.mark.parametrize(("grip", "finished"), [(0.4, True), (1.6, False)])
def test_pure_pursuit_stays_on_where_it_believes_in_less(grip: float, finished: bool) -> None:
    track = load_track("trefoil")
    speed = speed_profile(track, grip, accel=2.0, brake=3.0, top=40.0, margin=0.8)
    driver = PurePursuit({**BELIEVED, "mu": grip}, track, speed)
    done = drive(CommonRoad("drift", grip=0.6), driver, track, speed=min(speed[0], 15.0), seed=1)
    assert done.finished == finished
    if finished:
        assert done.times[0] == pytest.approx(np.sum(track.step / speed), rel=0.1)
        assert set(done.log) >= {"x", "y", "v", "psi_dot", "omega_f", "delta_dot", "accel"}
    else:
        assert done.reason.startswith(("off the track at", "spun at"))


@pytest.mark.slow
@needs_compiler
def test_what_was_learned_beats_caution() -> None:
    done = pct.race("kidney", grip=0.6, seed=3)
    assert not done["guess"].laps.finished
    learned, cautious, oracle = (done[name].laps for name in ("learned", "cautious", "oracle"))
    assert learned.finished
    assert learned.times[0] < 0.9 * cautious.times[0]
    assert learned.times[0] < 1.06 * oracle.times[0]


def test_a_race_without_a_lap_has_the_column_of_lap_times() -> None:
    laps = SimpleNamespace(finished=False, times=[], reason="spun", true={"v": [1.0], "beta": [0.1]})
    race = pct.Race(
        SimpleNamespace(), (SimpleNamespace(name="guess", believed={"mu": 1.0}, laps=laps),), None
    )
    assert race.table().schema["lap [s]"] == pl.Float64
