"""Drivers whose belief in the friction follows a tracker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from pct.racing.beliefs import Following, Tracked
from pct.tracking.live import Estimate

STATE = {"v": 12.0}


class Driver:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[float, float]] = []

    def control(self, state: Mapping[str, float], s: float) -> tuple[float, float]:
        return 0.1, -1.0

    def believe(self, params: Mapping[str, Any], speed: np.ndarray) -> None:
        self.told.append((params["mu"], float(speed[0])))


@pytest.mark.parametrize(
    ("low", "median", "told", "believed"),
    [
        (0.4, 0.7, 0.9, 0.6),  # within: it stays
        (0.65, 0.7, 0.9, 0.6),  # no more than it began with
        (0.3, 0.5, 0.9, 0.5),  # likely less
        (0.1, 0.2, 0.9, 0.35),  # no less than the least
        (0.3, 0.5, 0.4, 0.6),  # the drive tells nothing
    ],
)
def test_a_tracked_belief_moves_to_the_nearer_end(
    low: float, median: float, told: float, believed: float
) -> None:
    times = []

    def update(t: float, state: Mapping[str, float], controls: Mapping[str, float]) -> Estimate:
        times.append(t)
        assert controls == {"delta_dot": 0.1, "accel": -1.0}
        return Estimate(t, (median,), (low,), (1.0,), (told,), (0.0,))

    belief = Tracked(update, 0.6, 0.35)
    assert belief(0.0, STATE, (0.1, -1.0)) == believed
    belief(1.0, STATE, (0.1, -1.0))
    assert times == [0.0, pytest.approx(0.05)]


def test_a_tracked_belief_rises_again_with_what_is_sure() -> None:
    rows = iter([(0.3, 0.4), (0.45, 0.55)])
    belief = Tracked(
        lambda t, state, controls: Estimate(t, ((row := next(rows))[1],), (row[0],), (1.0,), (0.9,), (0.0,)),
        0.6,
        0.35,
    )
    assert [belief(0.0, STATE, (0.1, -1.0)) for _ in range(2)] == [0.4, 0.45]


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
