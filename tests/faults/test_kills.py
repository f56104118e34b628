"""Commands that are stopped at any moment lose nothing, leave nothing, and go on as if nothing had been."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults.commands import COMMANDS
from faults.kills import kill_all


# Another machine stops elsewhere, as moments are seconds: a search for faults, no check of a change.
@pytest.mark.slow
@pytest.mark.parametrize("name", ["simulate", "data map", "data check --fix"])
def test_a_stopped_command_leaves_nothing(name: str, tmp_path: Path) -> None:
    commands = [command for command in COMMANDS if command.name == name]
    tally = kill_all(tmp_path, 3, seed=1, commands=commands)
    assert tally.kills >= 3
    assert not tally.lines, "\n".join(tally.lines)


@pytest.mark.slow
def test_a_thousand_kills(tmp_path: Path) -> None:
    tally = kill_all(tmp_path, 1000, seed=2, workers=2)
    assert tally.kills >= 1000
    assert not tally.lines, "\n".join(tally.lines)
