"""Areas and references: paths stay inside, derivatives are exact, speeds brake in time."""

from pathlib import Path

import numpy as np
import pytest

from pct.designing.area import Rectangle, Track, closed_path, periodic_basis
from pct.designing.reference import Shapes, braking_in_time
from pct.designing.tracks import read_track
from pct.errors import DataError, UsageError

SHAPES = Shapes(Rectangle(20.0, 12.0, 0.5, 9), knots=5, speed=5.0, demand=8.0, braking=4.0, steering=0.4)


def circle(radius: float, points: int = 720) -> np.ndarray:
    turn = np.linspace(0, 2 * np.pi, points, endpoint=False)
    return radius * np.stack([np.cos(turn), np.sin(turn)], axis=-1)


def test_every_vector_stays_in_the_rectangle() -> None:
    vectors = np.random.default_rng(0).uniform(-3, 3, (50, SHAPES.size))
    path = SHAPES.references(vectors).path
    assert np.abs(path.x).max() <= 9.5 + 1e-9
    assert np.abs(path.y).max() <= 5.5 + 1e-9


def test_splines_have_their_derivatives() -> None:
    place, first, second = periodic_basis(7)
    np.testing.assert_allclose(place.sum(axis=1), 1.0)
    np.testing.assert_allclose(first[1:-1], (place[2:] - place[:-2]) / 2, atol=3e-5)
    np.testing.assert_allclose(second[1:-1], (first[2:] - first[:-2]) / 2, atol=4e-5)


def test_a_circle_has_its_curvature() -> None:
    path = closed_path(circle(4.0))
    np.testing.assert_allclose(path.curvature, 0.25, rtol=1e-3)
    assert path.along.sum() == pytest.approx(8 * np.pi, rel=1e-3)


def test_speeds_brake_in_time_round_the_end() -> None:
    speed, along = np.full((1, 100), 5.0), np.full((1, 100), 0.1)
    speed[0, 2] = 1.0
    slowed = braking_in_time(speed, along, 4.0)
    assert slowed[0, 2] == 1.0
    squares = np.append(slowed[0], slowed[0, 0]) ** 2
    assert (squares[:-1] <= squares[1:] + 2 * 4.0 * 0.1 + 1e-9).all()
    assert slowed[0, -1] < 5.0  # the end leads to the beginning


def test_references_ask_for_no_more_than_they_may() -> None:
    vectors = np.random.default_rng(1).uniform(-1, 1, (40, SHAPES.size))
    reference = SHAPES.references(vectors)
    assert reference.speed.max() <= 5.0 + 1e-9
    assert np.abs(reference.extra).max() <= 0.5 * 0.4 + 1e-9


def test_a_tracks_paths_keep_to_its_road() -> None:
    centre = circle(10.0, 400)
    track = Track(centre, np.full(400, 1.0), np.full(400, 2.0), 0.25, laps=2, controls=8)
    numbers = np.random.default_rng(2).uniform(-1, 1, (30, track.size))
    path = track.paths(numbers)
    radius = np.hypot(path.x, path.y)  # to the left is inwards
    assert radius.min() >= 10 - 0.75 - 0.01
    assert radius.max() <= 10 + 1.75 + 0.01
    np.testing.assert_allclose(path.left + path.right, 2.5, atol=1e-6)
    assert np.ptp(radius) > 0.5


def test_a_rectangle_without_room_is_refused() -> None:
    with pytest.raises(UsageError, match="`area=2 20`: expected more than twice the margin"):
        Rectangle(2.0, 20.0, 1.0, 8)
    with pytest.raises(UsageError, match="narrowest road, 3 m"):
        Track(circle(10.0), np.full(720, 1.0), np.full(720, 2.0), 1.6, 1, 8)


def test_reads_the_tracks_of_tum(tmp_path: Path) -> None:
    file = tmp_path / "track.csv"
    rows = [f"{x:.4f},{y:.4f},2.0,1.0" for x, y in circle(10.0, 90)]
    file.write_text("\n".join(["# x_m,y_m,w_tr_right_m,w_tr_left_m", *rows]))
    road = read_track(file)
    np.testing.assert_allclose(np.hypot(*road.centre.T), 10.0, atol=0.01)
    np.testing.assert_allclose(road.right, 2.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "found no 'x' among nothing"),
        ("a,b\n1,2", "found no 'x' among a, b"),
        ("x,y,right,left\n1,2,3\n", "list index"),
        ("x,y,right,left\n" + "1,2,1,1\n" * 3, "8 finite points or more"),
        ("x,y,right,left\n" + "nan,2,1,1\n" * 9, "8 finite points or more"),
        ("x,y,right,left\n" + "1,2,-1,1\n" * 9, "zero or more"),
        ("x,y,right,left\n" + "q,2,1,1\n" * 9, "could not convert"),
    ],
)
def test_what_is_no_track_is_refused(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "track.csv"
    file.write_text(text)
    with pytest.raises(DataError, match=message):
        read_track(file)
