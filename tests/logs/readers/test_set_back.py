"""Bags whose clock was set back: what lies behind goes on later, on all topics alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from pct.logs.readers.rosbag import read_here
from pct.logs.readers.set_back import APART

START = 1_700_000_000
STEPS = {"/fast": 0.05, "/slow": 0.1}
FLOAT = "std_msgs/msg/Float64"


def write(folder: Path, kind: str, *, back: float, at: float = 6.0, until: float = 10.0) -> Path:
    """A bag whose messages hold their true time, and whose stamps are set back once; its file."""
    ros1 = kind == "ros1"
    store: Any = get_typestore(Stores.ROS1_NOETIC if ros1 else Stores.ROS2_HUMBLE)
    plugin = StoragePlugin.SQLITE3 if kind == "sqlite3" else StoragePlugin.MCAP
    bag: Any = (
        Writer1(folder / "log.bag") if ros1 else Writer(folder / "log", version=8, storage_plugin=plugin)
    )
    serialize = store.serialize_ros1 if ros1 else store.serialize_cdr
    with bag:
        ids = {topic: bag.add_connection(topic, FLOAT, typestore=store) for topic in STEPS}
        times = [(t, topic) for topic, step in STEPS.items() for t in np.arange(0.0, until, step)]
        for t, topic in sorted(times):
            stamp = START * 10**9 + round(1e9 * (t if t < at else t - back))
            bag.write(ids[topic], stamp, serialize(store.types[FLOAT](data=float(t)), FLOAT))
    return folder / "log.bag" if ros1 else next((folder / "log").glob("log*"))


@pytest.mark.parametrize("kind", ["ros1", "sqlite3", "mcap"])
def test_a_clock_that_is_set_back_begins_a_recording_of_its_own(kind: str, tmp_path: Path) -> None:
    raw = read_here(write(tmp_path, kind, back=3.0), None, {})
    for topic, step in STEPS.items():
        true, read = raw.columns[f"{topic}.data"], raw.columns[f"{topic}.time"]
        np.testing.assert_allclose(true, np.arange(0.0, 10.0, step))
        before = true < 6.0
        np.testing.assert_allclose(read[before] - START, true[before], atol=1e-5)
        # All topics are moved by as much: from the last stamp of the busiest before it.
        np.testing.assert_allclose(read[~before] - START, true[~before] - 0.05 + APART, atol=1e-5)
    assert raw.notes == [
        "the clock is set back by 2.95 s in message 120 of '/fast': a recording of its own begins there, its "
        "times 13 s later than they are stamped"
    ]


@pytest.mark.parametrize("back", [0.3, -3.0, 20.0])
def test_stamps_that_do_not_overlap_stay_as_they_are(back: float, tmp_path: Path) -> None:
    """Threads that write in another order, a gap, and a clock that is set far back."""
    raw = read_here(write(tmp_path, "mcap", back=back), None, {})
    assert not raw.notes
    for topic in STEPS:
        seconds = raw.columns[f"{topic}.time"]
        assert (np.diff(seconds) >= 0).all()
        true = raw.columns[f"{topic}.data"]
        np.testing.assert_allclose(seconds - START, np.where(true < 6.0, true, true - back), atol=1e-5)
