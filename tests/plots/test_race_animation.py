"""The animation of a race."""

from __future__ import annotations

import io
import itertools
from types import SimpleNamespace

import numpy as np
from PIL import Image

from pct.plots import animate_race


def test_all_drivers_move_and_who_left_stays() -> None:
    angle = np.linspace(0.0, 2.0 * np.pi, 60, endpoint=False)
    track = SimpleNamespace(
        name="ring",
        x=50.0 * np.cos(angle),
        y=50.0 * np.sin(angle),
        heading=angle + np.pi / 2,
        left=np.full(60, 4.0),
        right=np.full(60, 4.0),
    )
    rows = np.linspace(0.0, np.pi, 41)
    drives = {
        name: {"x": 50.0 * np.cos(way), "y": 50.0 * np.sin(way), "v": np.full(len(way), 15.0)}
        for name, way in (("guess", rows[:12]), ("learned", rows))
    }
    ends = [(False, "off the track at 40 m of lap 1"), (True, "2.05 s")]
    with Image.open(io.BytesIO(animate_race(track=track, drives=drives, ends=ends, dt=0.05))) as film:
        assert film.size == (512, 320)
        assert film.n_frames > 5
        frames = []
        for number in (0, 2, 3, film.n_frames - 1):
            film.seek(number)
            frames.append(np.asarray(film.convert("RGB"), float))
    moved = [np.abs(after - before).max(axis=2) > 60 for before, after in itertools.pairwise(frames)]
    assert all(part.any() for part in moved)
