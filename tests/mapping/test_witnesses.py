"""Two columns contradict each other, and a third decides which of them is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mapping.made_logs import by_channel, drive, raw
from pct.mapping import propose
from pct.types import Column


def wandering(rows: int, size: float) -> Column:
    """What an estimator without a reference drifts by."""
    steps = np.random.default_rng(11).normal(size=rows + 49)
    smooth = np.convolve(steps, np.ones(50), mode="valid")
    return size * smooth / smooth.std()


@pytest.mark.parametrize("gyro", [True, False])
@pytest.mark.parametrize("bias", [-0.8, 0.0, 0.5])
def test_a_bad_sideways_speed_leaves_the_heading_alone(gyro: bool, bias: float) -> None:
    log = drive()
    log["vy"] = bias + wandering(len(log["t"]), 1.5)
    if not gyro:
        del log["psi_dot"]
    proposal = propose(Path("log.csv"), raw(log))
    lines = by_channel(proposal)
    assert (lines["psi"].column, lines["psi"].sure, dict(lines["psi"].keys)) == ("psi", "high", {})
    assert not {"vy", "course"} & set(lines)
    assert any(note.startswith("vy: unlike the sideways speed") for note in proposal.notes)


@pytest.mark.parametrize("gyro", [True, False])
def test_a_direction_of_travel_is_still_found(gyro: bool) -> None:
    log = drive()
    log["psi"] = log["psi"] + np.arctan2(log["vy"], log["vx"])
    if not gyro:
        del log["psi_dot"]
    lines = by_channel(propose(Path("log.csv"), raw(log)))
    assert lines["course"].column == "psi"
    assert dict(lines["vy"].keys) == {}
