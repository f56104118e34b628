"""Commands that start at once on one output, one run or one cache get in nobody's way."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from faults.commands import COMMANDS, Inputs
from faults.kills import metrics_of
from faults.processes import Ended, Place, Started, all_of
from faults.wholeness import broken


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return Inputs(tmp_path_factory.mktemp("concurrency") / "inputs")


def at_once(lines: list[list[str]], place: Place) -> list[Ended]:
    """Start all, then wait for all."""
    started: list[Started] = []
    with all_of(started):
        for line in lines:
            started.append(Started(line, place))
        return [one.end() for one in started]


def line_of(name: str, inputs: Inputs, out: Path) -> list[str]:
    (command,) = [command for command in COMMANDS if command.name == name]
    inputs.prepare(["train", *command.needs])
    return command.arguments(inputs, out)


def one_wins(ended: list[Ended], place: Place) -> None:
    """One ends well, the others say in a line that it was there first, and nothing stays behind."""
    assert sorted(one.code is not None and one.code > 0 for one in ended) == [False] + [True] * (
        len(ended) - 1
    )
    for one in ended:
        assert not one.faults((0, 2, 3)), one
        assert len(one.error_lines) <= 1, one.err
    assert not broken(place.work)
    assert not place.leftovers()


@pytest.mark.parametrize("name", ["data import", pytest.param("simulate", marks=pytest.mark.slow)])
def test_of_several_starts_on_one_output_one_wins(name: str, inputs: Inputs, tmp_path: Path) -> None:
    place = Place.make(tmp_path)
    one_wins(at_once([line_of(name, inputs, place.work)] * 3, place), place)


@pytest.mark.slow
def test_of_several_resumes_of_one_run_one_wins(inputs: Inputs, tmp_path: Path) -> None:
    place = Place.make(tmp_path)
    started = Started(line_of("train", inputs, place.work), place)
    assert not started.end().faults((0,))
    (run,) = place.work.glob("*/run_*")
    # What it says of its end is said anew.
    whole = [row for row in metrics_of(run) if "summary" not in row]
    one_wins(at_once([["train", "--resume", str(run), "--epochs", "8"]] * 3, place), place)
    assert metrics_of(run)[: len(whole)] == whole


@pytest.mark.slow
@pytest.mark.parametrize("name", ["train native", "train", "fit", "export c", "data check"])
def test_several_starts_share_a_cold_cache(name: str, inputs: Inputs, tmp_path: Path) -> None:
    place = Place.make(tmp_path)
    outputs = [place.work / str(number) for number in range(4)]
    for output in outputs:
        output.mkdir()
    ended = at_once([line_of(name, inputs, output) for output in outputs], place)
    for one in ended:
        assert not one.faults((0, 5, 6)), one
        assert one.code != 3, one.err
    assert not broken(place.work)
    assert not place.leftovers()
    if name.startswith("train"):
        results = [metrics_of(next(output.glob("*/run_*"))) for output in outputs]
        assert all(result == results[0] for result in results)
    shutil.rmtree(place.cache)
