"""What runs for long holds no more memory at its end than after its first tenth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import pct
from faults.commands import Inputs
from pct.runs.sinks.jsonl import JsonlTracker

MB = 1 << 20


def held() -> int:
    """Bytes of this process that are in memory."""
    (line,) = (one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def grown(do: Callable[[int], object], times: int) -> int:
    """By how many bytes the process grew over the last nine tenths of the calls."""
    for number in range(times // 10):
        do(number)
    before = held()
    for number in range(times // 10, times):
        do(number)
    return held() - before


@pytest.mark.slow
def test_a_hundred_thousand_rollouts(tmp_path: Path) -> None:
    inputs = Inputs(tmp_path)
    fit, drive = pct.open(inputs.fit), pct.load(inputs.train)[0]
    steps = round(drive.duration / drive.dt) - 10
    assert grown(lambda n: fit.predict(drive, start=drive.dt * (4 + n % (steps - 4))), 100_000) < 8 * MB


@pytest.mark.slow
def test_a_million_rows_of_metrics(tmp_path: Path) -> None:
    tracker = JsonlTracker(tmp_path / "metrics.jsonl")
    assert grown(lambda n: tracker.log({"loss": 1 / (1 + n)}, step=n), 1_000_000) < 8 * MB
    tracker.close()
