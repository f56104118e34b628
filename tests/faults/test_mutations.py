"""Damaged files of every kind are read or refused in a line or two, soon, in little memory."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from faults.fuzzing import LIMIT, MEMORY, Outcomes, fuzz
from faults.mutations import mutate
from faults.targets import COMPILED, PLAIN, RECORDED, RESUMED, RUNS, TABLES, TARGETS, Target

# What starts few processes and compiles nothing.
QUICK = (*TABLES, *PLAIN)


def lines_of(outcomes: Outcomes) -> str:
    return "\n".join(f"{outcomes.times[key]} x {key}: {line}" for key, line in outcomes.lines.items())


def test_damaged_files(tmp_path: Path) -> None:
    outcomes = fuzz(tmp_path / "inputs", range(300), seed=1, names=[target.name for target in QUICK])
    assert outcomes.cases == 300
    assert not outcomes.lines, lines_of(outcomes)
    assert 0.3 < outcomes.refused / outcomes.cases < 1
    assert outcomes.slowest[0] < LIMIT
    assert outcomes.memory << 20 < MEMORY


@pytest.mark.slow
@pytest.mark.parametrize("targets", [TABLES, RECORDED, PLAIN, RUNS, RESUMED, COMPILED])
def test_many_damaged_files(targets: tuple[Target, ...], tmp_path: Path) -> None:
    outcomes = fuzz(
        tmp_path / "inputs", range(5000), seed=2, names=[target.name for target in targets], workers=2
    )
    assert not outcomes.lines, lines_of(outcomes)


@pytest.mark.slow
def test_a_hundred_thousand_damaged_files(tmp_path: Path) -> None:
    names = [target.name for target in TARGETS]
    outcomes = fuzz(tmp_path / "inputs", range(100_000), seed=3, names=names, workers=2)
    assert outcomes.cases == 100_000
    assert not outcomes.lines, lines_of(outcomes)


def test_the_same_seed_does_the_same_damage() -> None:
    content = b'{"a": [1, 2.5, "x"], "b": {"c": null}}'
    for number in range(50):
        damaged = [mutate(content, [b"other"], random.Random(number)) for _ in range(2)]
        assert damaged[0] == damaged[1]
    kinds = {mutate(content, [], random.Random(number)) for number in range(50)}
    assert len(kinds) > 40
