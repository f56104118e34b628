"""Drivers whose belief in the friction follows a tracker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from pct.racing.beliefs import FASTEST, RESTART, Following, Tracked, restarting, slides
from pct.racing.controllers import DT
from pct.tracking.live import Estimate

RADIUS = 0.3
STATE = {"v": 12.0, "psi_dot": 0.3, "beta": -0.02, "omega_f": 40.0, "omega_r": 40.0}
SLIDING = {**STATE, "omega_r": 60.0}


class Driver:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[float, float]] = []

    def control(self, state: Mapping[str, float], s: float) -> tuple[float, float]:
        return 0.1, -1.0

    def believe(self, params: Mapping[str, Any], speed: np.ndarray) -> None:
        self.told.append((params["mu"], float(speed[0])))


class Band:
    """A tracker that says the same at each row."""

    def __init__(self, low: float, high: float, told: float = 0.9) -> None:
        self.estimate = (low + high) / 2, low, high, told
        self.times: list[float] = []

    def __call__(self, t: float, state: Mapping[str, float], controls: Mapping[str, float]) -> Estimate:
        assert controls == {"delta_dot": 0.1, "accel": -1.0}
        self.times.append(t)
        return Estimate(t, *((value,) for value in self.estimate), (0.0,))


def belief(band: Band) -> Tracked:
    return Tracked(band, 0.6, least=0.35, most=0.9, radius=RADIUS)


def after(tracked: Tracked, rows: int, state: Mapping[str, float] = STATE) -> float:
    for _ in range(rows):
        found = tracked(0.0, state, (0.1, -1.0))
    return found


@pytest.mark.parametrize(
    ("low", "high", "told", "believed"),
    [
        (0.4, 0.7, 0.9, 0.6),  # within: it stays
        (0.7, 0.8, 0.9, 0.7),  # the road gives more: so much is sure
        (0.4, 0.5, 0.9, 0.5),  # less
        (0.1, 0.2, 0.9, 0.35),  # no less than the least
        (1.1, 1.2, 0.9, 0.9),  # no more than the most
        (0.3, 0.5, 0.4, 0.6),  # the drive tells nothing
    ],
)
def test_a_belief_goes_to_the_nearer_end_of_the_band(
    low: float, high: float, told: float, believed: float
) -> None:
    assert after(belief(Band(low, high, told)), 200) == pytest.approx(believed)


def test_a_belief_falls_and_rises_no_faster_than_it_may() -> None:
    assert after(belief(Band(0.4, 0.5)), 1) == pytest.approx(0.6 - FASTEST * DT)
    assert after(belief(Band(0.7, 0.8)), 1) == pytest.approx(0.6 + FASTEST * DT)


def test_rows_of_a_sliding_wheel_are_left_out_and_the_filter_begins_anew() -> None:
    band = Band(0.4, 0.5)
    tracked = belief(band)
    after(tracked, 2)
    before = after(tracked, 3, SLIDING)
    assert before == after(tracked, 1, SLIDING)
    after(tracked, 2)
    assert band.times == pytest.approx([0.0, DT, DT + RESTART, 2 * DT + RESTART])


@pytest.mark.parametrize(
    ("changes", "sliding"),
    [
        ({}, True),
        ({"omega_r": 40.5}, False),
        ({"psi_dot": 0.05}, False),  # straight on both wheels spin, which the road does
        ({"omega_r": 40.0, "omega_f": 30.0}, True),  # a wheel that locks
    ],
)
def test_what_counts_as_a_wheel_that_slides_by_itself(changes: Mapping[str, float], sliding: bool) -> None:
    assert slides({**SLIDING, **changes}, RADIUS) == sliding
    columns = {name: np.array([value, 0.0]) for name, value in {**SLIDING, **changes}.items()}
    assert slides(columns, RADIUS).tolist() == [sliding, False]


def test_times_leap_where_rows_are_left_out() -> None:
    t = np.array([0.0, 0.1, 0.2, 0.3, 0.4])
    kept = np.array([True, True, False, True, True])
    np.testing.assert_allclose(restarting(t, kept)[kept], [0.0, 0.1, 0.1 + RESTART, 0.2 + RESTART])


def test_the_driver_hears_of_news_alone() -> None:
    course = iter([0.8, 0.79, 0.6, 0.605])
    driver = Driver()
    following = Following(
        driver, lambda s, state, controls: next(course), {"mu": 0.8, "m": 9.0}, lambda mu: np.array([10 * mu])
    )
    for place in range(4):
        assert following.control(STATE, float(place)) == (0.1, -1.0)
    assert driver.told == [(0.6, pytest.approx(6.0))]
    assert following.course == [0.8, 0.8, 0.8, 0.6]
