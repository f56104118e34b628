"""Windows by the drive that they come from: by recording, by log file or by lap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np

from pct.errors import UsageError
from pct.recordings.segments import find_laps
from pct.recordings.trajectory import Trajectory
from pct.recordings.unlogged import ASSUMED
from pct.types import Int
from pct.windows.window_set import WindowSet

By = Literal["recording", "file", "lap"]
# More groups than that add time and little knowledge: neighbours are put together.
MOST_GROUPS = 40


class Groups(NamedTuple):
    """Windows by group.

    Attributes:
        by: what a group is.
        names: of each of the M groups.
        numbers: windows of each group, in the order of driving.
    """

    by: str
    names: tuple[str, ...]
    numbers: tuple[Int[np.ndarray, " K"], ...]


def group_windows(windows: WindowSet, by: str = "recording", files: Sequence[str] = ()) -> Groups:
    """Windows of each recording, file or lap; those with none are left out.

    A lap goes from the line where the car first was at speed to that line again; what lies before the first
    crossing and after the last belongs to none, nor do recordings that do not come back.

    Args:
        windows: of the logs.
        by: what a group is.
        files: the file that each recording is of; needed by ``file``.

    Raises:
        UsageError: ``by`` is none of these, or the files are not known.
    """
    store = windows.store
    recording = store.recording[windows.starts]
    if by == "recording":
        label, names = recording, list(store.recordings)
    elif by == "file":
        if len(files) != len(store.recordings):
            raise UsageError("`by=file`: the files of these drives are not known: use `by=recording`")
        names = list(dict.fromkeys(files))
        label = np.array([names.index(file) for file in files])[recording]
    elif by == "lap":
        label, names = _laps(windows, recording)
    else:
        raise UsageError(f"`by={by}`: expected one of {', '.join(get_args(By))}")
    filled = [(name, np.flatnonzero(label == number)) for number, name in enumerate(names)]
    filled = [(name, numbers) for name, numbers in filled if numbers.size]
    if len(filled) > MOST_GROUPS:
        filled = [
            (f"{filled[part[0]][0]} ... {filled[part[-1]][0]}", np.concatenate([filled[i][1] for i in part]))
            for part in np.array_split(np.arange(len(filled)), MOST_GROUPS)
        ]
    return Groups(by, tuple(name for name, _ in filled), tuple(numbers for _, numbers in filled))


def _laps(windows: WindowSet, recording: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Number of the lap in which each window starts, -1 for none, and the laps' names."""
    store = windows.store
    x, y, _ = windows.pose
    origins = list(store.origins.values())
    if origins and ASSUMED in (origins[x], origins[y]):
        raise UsageError("`by=lap`: the drives hold no position to find laps by: use `by=recording`")
    label = np.full(len(windows), -1)
    names: list[str] = []
    for number, name in enumerate(store.recordings):
        rows = np.flatnonzero(store.recording == number)
        if not rows.size:
            continue
        path = {"x": store.states[rows, x].astype(float), "y": store.states[rows, y].astype(float)}
        crossings = find_laps(Trajectory(name, store.dt, path, {}, {}))
        lap = np.searchsorted(crossings, windows.starts - rows[0], side="right") - 1
        inside = (recording == number) & (lap >= 0) & (lap < len(crossings) - 1)
        label[inside] = len(names) + lap[inside]
        names += [f"{name} lap {k + 1}" for k in range(len(crossings) - 1)]
    return label, names
