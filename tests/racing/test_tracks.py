"""Tracks: places along them, files, and the speed that a grip allows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pct.errors import DataError, UsageError
from pct.racing.profile import speed_profile
from pct.racing.tracks import Track, load_track, track_names


def circle(path: Path, radius: float = 50.0) -> Track:
    angle = np.linspace(0.0, 2.0 * np.pi, 80, endpoint=False)
    rows = np.stack(
        [radius * np.cos(angle), radius * np.sin(angle), 0 * angle + 3.0, 0 * angle + 4.0], axis=1
    )
    np.savetxt(path, rows, delimiter=",", header="x_m, y_m, w_tr_right_m, w_tr_left_m")
    return load_track(path)


def test_a_circle_is_one(tmp_path: Path) -> None:
    track = circle(tmp_path / "circle.csv")
    assert track.name == "circle"
    assert track.length == pytest.approx(100.0 * np.pi, rel=1e-5)
    np.testing.assert_allclose(track.curvature, 0.02, rtol=1e-3)
    s, offset = track.locate(0.0, 48.0)  # inside, which is left
    assert s == pytest.approx(25.0 * np.pi, abs=0.01)
    assert offset == pytest.approx(2.0, abs=0.01)
    assert track.is_on(s, 3.9)
    assert not track.is_on(s, 4.1)
    assert not track.is_on(s, -3.1)


@pytest.mark.parametrize("name", track_names())
def test_places_and_distances_agree(name: str) -> None:
    track = load_track(name)
    s = np.linspace(0.0, 2.5 * track.length, 50)
    places = track.at(s)
    assert np.abs(np.diff(places[:, 2])).max() < np.pi  # the heading goes on from lap to lap
    for way, (x, y, _) in zip(s, places, strict=True):
        found, offset = track.locate(x, y)
        assert abs((found - way + track.length / 2) % track.length - track.length / 2) < 0.02
        assert abs(offset) < 0.01
    assert np.abs(track.curvature).max() < 1.0 / max(
        track.left.max(), track.right.max()
    )  # edges do not cross


@pytest.mark.parametrize("name", track_names())
def test_the_profile_keeps_to_the_grip(name: str) -> None:
    track = load_track(name)
    speed = speed_profile(track, 0.7, accel=4.0, brake=6.0, top=40.0, margin=0.9)
    across = speed**2 * np.abs(track.curvature)
    along = (np.roll(speed, -1) ** 2 - speed**2) / (2.0 * track.step)
    most = 0.9 * 0.7 * 9.81
    assert np.hypot(across, along).max() < 1.03 * most
    assert along.max() < 4.05
    assert along.min() > -6.05


def test_time_falls_with_the_root_of_the_grip(tmp_path: Path) -> None:
    track = circle(tmp_path / "circle.csv")
    slow, fast = (speed_profile(track, grip, accel=4.0, brake=6.0, top=80.0) for grip in (0.3, 1.2))
    np.testing.assert_allclose(fast / slow, 2.0, rtol=1e-6)


def test_each_place_has_its_own_grip(tmp_path: Path) -> None:
    track = circle(tmp_path / "circle.csv")
    grip = np.where(track.s < track.length / 2, 0.8, 0.2)
    speed = speed_profile(track, grip, accel=5.0 * grip, brake=8.0 * grip, top=80.0)
    even = speed_profile(track, 0.2, accel=1.0, brake=1.6, top=80.0)
    slippery = speed[grip == 0.2]
    np.testing.assert_allclose(slippery, even[grip == 0.2], rtol=1e-3)
    assert speed.max() > 1.3 * slippery.max()
    braking = np.diff(speed**2)[: np.argmax(grip == 0.2) - 1] / (2 * track.step)
    assert braking.min() > -8.0 * 0.8 - 1e-6  # slower already where the grip ends


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x,y\n1,2\n", "expected rows of x_m, y_m, w_tr_right_m, w_tr_left_m, found something else"),
        ("1,2,3\n" * 12, "found 12 of 3"),
        ("1,2,3,4\n", "found 1 of 4"),
        (
            "\n".join(f"{n},{n * n},3,{n - 5}" for n in range(12)),
            "expected widths above zero, found -5 in row 1",
        ),
    ],
)
def test_what_is_no_track(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=said):
        load_track(path)


def test_an_unknown_track() -> None:
    with pytest.raises(
        UsageError, match="`track=monza`: expected a file or one of hairpins, kidney, trefoil"
    ):
        load_track("monza")
