"""The same command gives the same bytes, whatever the machine gives it."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from faults.commands import COMMANDS, Inputs
from faults.kills import results_of
from faults.processes import Place, run

ONE_CORE = ("taskset", "--cpu-list", str(min(os.sched_getaffinity(0))))
# What differs, the program that starts the command, and its variables.
MACHINES: dict[str, tuple[tuple[str, ...], dict[str, str | None]]] = {
    "a cold cache": ((), {}),
    "a warm cache": ((), {}),
    "one core": (ONE_CORE, {}),
    "more threads": ((), {"OPENBLAS_NUM_THREADS": "4", "POLARS_MAX_THREADS": "3", "OMP_NUM_THREADS": "4"}),
    "other hashes": ((), {"PYTHONHASHSEED": "7"}),
    "another place": ((), {"TZ": "Pacific/Auckland", "LC_ALL": "C"}),
    "no cache": ((), {"HOME": None, "XDG_CACHE_HOME": "/proc/none"}),
}
NAMES = [
    "simulate",
    "data check --fix",
    "data import",
    "fit",
    "fit --by",
    "train",
    "train native",
    "evaluate",
]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_same_bytes_over_cores_threads_and_caches(name: str, tmp_path: Path) -> None:
    (command,) = [command for command in COMMANDS if command.name == name]
    inputs, place = Inputs(tmp_path / "inputs"), Place.make(tmp_path / "place")
    inputs.prepare(["train", *command.needs])
    found = {}
    for machine, (program, variables) in MACHINES.items():
        shutil.rmtree(place.work)
        place.work.mkdir()
        ended = run(
            command.arguments(inputs, place.work),
            place,
            env=place.environment(**variables),
            program=(*program, sys.executable, "-P", "-m", "pct"),
        )
        assert not ended.faults(command.codes), machine
        found[machine] = results_of(command, place)
    first = found["a cold cache"]
    assert any(first.values())
    differ = {
        machine: sorted(path for path in first if first[path] != one.get(path))
        for machine, one in found.items()
    }
    assert differ == {machine: [] for machine in MACHINES}
