"""Windows by recording, file and lap."""

from __future__ import annotations

import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS
from pct.errors import UsageError
from pct.optimization.constants import groups
from pct.optimization.constants.fitting import fit_windows
from pct.optimization.constants.groups import group_windows
from pct.optimization.settings import FitSettings
from pct.recordings.trajectory import Trajectory
from pct.windows.store import make_window_store
from pct.windows.window_set import WindowSet

SPEED, RADIUS, DT, LAPS = 5.0, 10.0, 0.05, 3.4
LAP = round(2 * np.pi * RADIUS / SPEED / DT)


def circles(name: str, laps: float = LAPS) -> tuple[str, Trajectory]:
    """A car that drives in circles at constant speed."""
    t = DT * np.arange(round(laps * LAP))
    turn = SPEED / RADIUS
    channels = {
        "x": RADIUS * np.sin(turn * t),
        "y": -RADIUS * np.cos(turn * t),
        "psi": turn * t,
        "v": np.full(t.size, SPEED),
        "psi_dot": np.full(t.size, turn),
        "accel": np.zeros(t.size),
    }
    units = {"x": "m", "y": "m", "psi": "rad", "v": "m/s", "psi_dot": "rad/s", "accel": "m/s^2"}
    return name, Trajectory(name, DT, channels, units, dict.fromkeys(channels, "measured"))


def windows_of(*recordings: tuple[str, Trajectory]) -> WindowSet:
    spec = MODEL_SPECS["unicycle"]
    return fit_windows(spec, make_window_store(recordings, spec), FitSettings(horizon=5, history=5))


def test_laps_go_from_line_to_line_and_the_rest_is_in_none() -> None:
    windows = windows_of(circles("one"), circles("two", 0.6))
    laps = group_windows(windows, "lap")
    assert laps.names == ("one lap 1", "one lap 2", "one lap 3")[: len(laps.names)]
    assert len(laps.names) >= 2
    lengths = [len(numbers) for numbers in laps.numbers]
    assert all(abs(length - LAP) <= 6 for length in lengths)
    together = np.concatenate(laps.numbers)
    assert len(np.unique(together)) == len(together) < len(windows)
    assert (windows.store.recording[windows.starts[together]] == 0).all()


def test_recordings_and_files_hold_all_windows() -> None:
    windows = windows_of(circles("a_00"), circles("a_01"), circles("b"))
    by_recording = group_windows(windows)
    assert by_recording.names == ("a_00", "a_01", "b")
    by_file = group_windows(windows, "file", ("a", "a", "b"))
    assert by_file.names == ("a", "b")
    for found in (by_recording, by_file):
        assert np.concatenate(found.numbers).tolist() == list(range(len(windows)))
    with pytest.raises(UsageError, match="`by=file`: the files of these drives are not known"):
        group_windows(windows, "file")


def test_too_many_groups_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "MOST_GROUPS", 2)
    windows = windows_of(*(circles(name, 0.5) for name in "abcde"))
    found = group_windows(windows)
    assert found.names == ("a ... c", "d ... e")
    assert np.concatenate(found.numbers).tolist() == list(range(len(windows)))
