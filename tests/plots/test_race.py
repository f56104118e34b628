"""The figure of a race."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from pct.plots import draw_race
from pct.plots.race import way_of


def ring() -> SimpleNamespace:
    angle = np.linspace(0.0, 2.0 * np.pi, 60, endpoint=False)
    return SimpleNamespace(
        name="ring",
        length=100.0 * np.pi,
        x=50.0 * np.cos(angle),
        y=50.0 * np.sin(angle),
        heading=angle + np.pi / 2,
        left=np.full(60, 4.0),
        right=np.full(60, 4.0),
        locate=lambda x, y: (50.0 * (np.arctan2(y, x) % (2 * np.pi)), 50.0 - float(np.hypot(x, y))),
    )


def lap(rows: int = 40) -> dict[str, np.ndarray]:
    way = np.linspace(0.1, 2.2 * np.pi, rows)
    return {"x": 50.0 * np.cos(way), "y": 50.0 * np.sin(way), "v": 10.0 + way, "beta": -0.01 * way}


@pytest.mark.parametrize(("course", "labels"), [(0.0, 2), (0.3, 3)])
def test_beliefs_are_drawn_where_they_change(course: float, labels: int) -> None:
    true = lap()
    beliefs = {"fixed": np.full(40, 0.8), "adaptive": np.linspace(0.8, 0.8 - course, 40)}
    figure = draw_race(track=ring(), drives=dict.fromkeys(beliefs, true), beliefs=beliefs)
    chart, *charts = figure.axes
    drawn = {axes.get_ylabel(): axes.lines[-1].get_ydata() for axes in charts}
    assert list(drawn) == ["speed [m/s]", "slip angle [rad]", "believed mu"][:labels]
    np.testing.assert_allclose(drawn["slip angle [rad]"], true["beta"])
    assert chart.get_aspect() == 1.0
    assert charts[-1].get_xlabel() == "distance along the track [m]"


def test_the_way_goes_on_from_lap_to_lap() -> None:
    way = way_of(ring(), lap())
    assert (np.diff(way) > 0).all()
    assert way[-1] == pytest.approx(110.0 * np.pi)
