"""Choices are said, kept, and given again."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from pct.choices.plan import Plan, read_plan
from pct.errors import DataError


def test_what_is_chosen_is_read_back(tmp_path: Path) -> None:
    said: list[str] = []
    plan = Plan({}, said.append)
    values: dict[str, Any] = {
        "data.logs": [str(tmp_path / 'a "b" #.csv')],
        "fit.dt": 0.04,
        "car.vehicle": "orca",
        "measurement.steering": True,
        "car.fixed": ["m", "lf=0.1"],
    }
    for key, value in values.items():
        assert plan.choose(key, lambda value=value: (value, "because\nof it")) == value
    assert said[1] == "dt: 0.04 (because\nof it)"
    path = tmp_path / "run.toml"
    path.write_text(plan.to_toml())
    assert read_plan(path) == values
    again = Plan(read_plan(path), said.append)
    assert again.choose("fit.dt", lambda: (1.0, "never asked")) == 0.04
    assert again.chosen["fit.dt"] == (0.04, "given")


def test_paths_count_from_the_folder_of_the_plan(tmp_path: Path) -> None:
    (tmp_path / "log.csv").touch()
    (tmp_path / "run.toml").write_text('[data]\nlogs = ["log.csv"]\nmap = "auto"\n')
    assert read_plan(tmp_path / "run.toml") == {"data.logs": [str(tmp_path / "log.csv")], "data.map": "auto"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[car]\nwheels = 4", "unknown key 'car.wheels'. Known keys: data.logs"),
        ("seed = 4", "unknown key 'seed'"),
        ("[fit]\ndt = '1'", "fit.dt to be a time step in s, found 1"),
        ("[fit]\nhorizon = true", "fit.horizon to be a number of steps, found yes"),
        ("[data]\nlogs = [1]", "data.logs to be a list of paths, found other values in it"),
        ("[data", "expected TOML, found '[data' in line 1: write data in brackets"),
        ("#" * (2 << 20), "expected a few lines, found 2 MB"),
    ],
)
def test_what_no_plan_holds_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(text)
    with pytest.raises(DataError, match=re.escape(message)):
        read_plan(path)
