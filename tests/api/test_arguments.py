"""What a user may pass by mistake: each is named, with what was expected, before anything is computed."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

import pct
from api import wrong_arguments
from pct.api.drives import as_drives
from pct.errors import UsageError
from pct.optimization.settings import FitSettings, make_settings


@pytest.fixture(scope="module")
def said() -> list[str]:
    """What each wrong call says."""
    ran = subprocess.run(
        [sys.executable, wrong_arguments.__file__], capture_output=True, text=True, check=True
    )
    told: list[str] = json.loads(ran.stdout)
    return told


@pytest.mark.parametrize("number", range(len(wrong_arguments.CASES)))
def test_a_wrong_argument_is_named(number: int, said: list[str]) -> None:
    assert wrong_arguments.CASES[number][1] in said[number]


def test_one_name_is_as_good_as_a_list_of_it(drives: pct.Drives) -> None:
    assert [drive.name for drive in pct.load(drives, names="recording_01")] == ["recording_01"]
    assert make_settings(FitSettings, {"compare": "v"}).compare == ("v",)


def test_drives_of_one_name_are_told_apart(drives: pct.Drives) -> None:
    """What is held out of a training is found again by its name."""
    names = [drive.name for drive in drives + drives[0] + drives]
    assert names == [
        "recording_00",
        "recording_01",
        "recording_00 (2)",
        "recording_00 (3)",
        "recording_01 (2)",
    ]
    assert [drive.name for drive in as_drives([drives, drives[0]])] == names[:3]


def test_a_prediction_wants_one_drive(fit: pct.Fit, drives: pct.Drives, unseen: pct.Drives) -> None:
    with pytest.raises(UsageError, match=r"`drive`: expected one drive, got 2: take one of them"):
        fit.predict(drives, start=1.0)
    along = [fit.predict(what, start=1.0, horizon=5) for what in (unseen, unseen[0], unseen[0].table())]
    for other in along[1:]:
        np.testing.assert_allclose(other.predicted, along[0].predicted, atol=1e-5)


def test_friction_and_speed_may_be_one_number() -> None:
    one, two = (
        pct.simulate(pct.model("singletrack"), duration=1.0, mu=mu, speed=speed)[0].table()
        for mu, speed in ((0.7, 5.0), ((0.7,), (5.0, 5.0)))
    )
    assert one.equals(two)
