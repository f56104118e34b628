"""Full disks, closed streams, missing rights, homes, programs and memory end in a line or two."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from faults.commands import COMMANDS, Command, Inputs
from faults.environments import CONDITIONS, HANGING, Condition, faults_of, possible
from faults.processes import Place, run

# Commands that start fast, under what each of them meets in another way.
QUICK = {
    "data map": ("disk full", "stdout full", "stdout closed", "all closed", "16 files", "256 MB", "locale C"),
    "simulate": ("disk full", "no right to write", "working directory deleted", "cache is a file"),
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return Inputs(tmp_path_factory.mktemp("environments") / "inputs")


def all_faults(command: Command, conditions: list[Condition], inputs: Inputs, folder: Path) -> list[str]:
    """Of a command under some conditions, one after the other, with a cache that is warm where it may be."""
    place = Place.make(folder)
    inputs.prepare(["train", *command.needs])
    found = []
    for condition in conditions:
        if possible(condition):
            faults = faults_of(command, condition, inputs, place)
            found += [f"{command.name}, {condition.name}: {fault}" for fault in faults]
            for path in (place.work, place.tmp):
                shutil.rmtree(path)
            Place.make(folder)
    return found


@pytest.mark.parametrize("name", QUICK)
def test_a_fault_of_the_machine_is_said_in_two_lines(name: str, inputs: Inputs, tmp_path: Path) -> None:
    (command,) = [command for command in COMMANDS if command.name == name]
    conditions = [condition for condition in CONDITIONS if condition.name in QUICK[name]]
    assert len(conditions) == len(QUICK[name])
    found = all_faults(command, conditions, inputs, tmp_path)
    assert not found, "\n".join(found)


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_fault_of_the_machine(command: Command, inputs: Inputs, tmp_path: Path) -> None:
    place = Place.make(tmp_path)
    inputs.prepare(["train", *command.needs])
    run(command.arguments(inputs, place.work), place)  # warms the cache
    shutil.rmtree(place.work)
    found = all_faults(command, list(CONDITIONS), inputs, tmp_path)
    assert not found, "\n".join(found)


@pytest.mark.slow
def test_a_compiler_that_hangs_is_given_up(inputs: Inputs, tmp_path: Path) -> None:
    (train,) = [command for command in COMMANDS if command.name == "train native"]
    inputs.prepare(["train", *train.needs])
    found = faults_of(dataclasses.replace(train, codes=(0,)), HANGING, inputs, Place.make(tmp_path))
    assert not found, "\n".join(found)
