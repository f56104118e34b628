"""Rows one by one: the same as the whole drive, and what is refused."""

import numpy as np
import pytest

import pct
from pct.errors import UsageError


def test_rows_one_by_one_give_what_the_drive_gives(car: pct.Car, drive: pct.Drive) -> None:
    levels = pct.track_levels(car)
    causal = pct.track(car, drive, levels=levels).tracked[0].causal["mu"]
    tracker = pct.Tracker(car, levels=levels)
    rows = [tracker.update(row["t"], row, row) for row in drive.table().iter_rows(named=True)]
    # The drive is stored in single precision.
    np.testing.assert_allclose([row.median[0] for row in rows], causal.middle, atol=1e-5)
    np.testing.assert_allclose([row.low[0] for row in rows], causal.low, atol=1e-4)


def test_readings_may_be_missing(car: pct.Car, drive: pct.Drive) -> None:
    tracker = pct.Tracker(car)
    for number, row in enumerate(drive.table().iter_rows(named=True)):
        if number % 3 == 0:
            del row["psi_dot"]
        if number % 5 == 0:
            row["v"] = float("nan")
        last = tracker.update(row["t"], row, row)
    truth = drive.trajectory.channels["truth.mu"][-1]
    assert abs(last.median[0] - truth) < 0.03
    assert last.low[0] < last.median[0] < last.high[0]


def test_a_gap_keeps_what_is_known(car: pct.Car, drive: pct.Drive) -> None:
    tracker = pct.Tracker(car)
    rows = list(drive.table().iter_rows(named=True))[:150]
    for row in rows:
        before = tracker.update(row["t"], row, row)
    after = tracker.update(row["t"] + 60.0, row, row)
    assert after.median == pytest.approx(before.median, abs=0.02)


def test_bands_stay_within_the_bounds(car: pct.Car) -> None:
    first = pct.Tracker(car).update(0.0, np.zeros(7), np.zeros(2))
    assert (first.low[0], first.high[0]) == (0.1, 1.6)


def test_what_is_refused(car: pct.Car) -> None:
    tracker = pct.Tracker(car)
    tracker.update(1.0, np.zeros(7), np.zeros(2))
    with pytest.raises(UsageError, match="a time that grows from row to row after 1 s"):
        tracker.update(1.0, np.zeros(7), np.zeros(2))
    with pytest.raises(UsageError, match="expected 7 values"):
        tracker.update(2.0, np.zeros(3), np.zeros(2))
    with pytest.raises(UsageError, match="unknown parameter 'grip'"):
        pct.Tracker(car, vary="grip")
    with pytest.raises(UsageError, match=r"expected LOW:HIGH within 0\.1 and 1\.6"):
        pct.Tracker(car, vary={"mu": (0.0, 1.0)})
    other = pct.track_levels(pct.model("unicycle"), vary="alpha_psi_dot")
    with pytest.raises(UsageError, match="found none of beta, delta"):
        pct.Tracker(car, levels=other)
    with pytest.raises(UsageError, match="one to 3 parameters, got 4"):
        pct.Tracker(car, vary=["mu", "m", "I", "C_Sf"])
