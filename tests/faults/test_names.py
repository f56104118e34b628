"""Names of files and folders are data: no pattern, no markup, no address, no code."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from faults.commands import SMALL, Inputs
from faults.processes import Place, run

ALL_AT_ONCE = "a[1] ?#%25 $\\frac$ [red] '\"`id` <b>&amp;*ü"
NAMES = (
    *(
        "[1]",
        "[!a]*",
        "?",
        "#x",
        "a?mode=ro",
        "%41",
        "$\\frac$",
        "$HOME",
        "[red]x",
        "[bold",
        "a\nb",
        "a\tb",
    ),
    *(
        "it's",
        '"',
        "<script>alert(1)<",
        "int x; *",
        "-rf",
        "--help",
        " ",
        "~",
        "a;b",
        "日本",
        "\u202e",
    ),
)


def faults_of_names(name: str, lines: list[str], folder: Path) -> list[str]:
    """Of commands that read logs, a dataset and a run of such a name, and write beside them."""
    inputs, place = Inputs(folder / "inputs"), Place.make(folder / "place")
    for given in ("train", "logs"):
        shutil.copytree(getattr(inputs, given), place.work / name / given)
    for log in sorted((place.work / name / "logs").glob("*.csv")):
        log.rename(log.with_name(f"{name}{log.name}"))
    found = []
    for line in lines:
        words = [word.replace("{name}", f"./{name}") for word in line.split()]
        ended = run(words, place)
        found += [f"{words[0]}: {fault}" for fault in ended.faults((0, 5, 6))]
        if "\x1b" in ended.out + ended.err:
            found.append(f"{words[0]}: a control character on the terminal")
    found += [f"left: {path}" for path in place.leftovers()]
    for page in place.work.rglob("*.html"):
        if "<script>alert" in page.read_text():
            found.append(f"code in {page.name}")
    for source in place.work.rglob("*.c"):
        if re.search(r"^ int x;", source.read_text(), re.M):
            found.append(f"code in {source.name}")
    assert {path.name for path in place.work.iterdir()} == {name}
    return found


FIT = f"fit --dataset {{name}}/imported --model unicycle {SMALL} --results {{name}}/results"
READ = ["data check {name}/logs", "data import {name}/logs --output {name}/imported --processes 2"]


def test_a_name_of_everything_that_means_something(tmp_path: Path) -> None:
    assert faults_of_names(ALL_AT_ONCE, READ[1:], tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_names(name: str, tmp_path: Path) -> None:
    lines = [*READ, FIT, "export c --model singletrack --output {name}/car.c"]
    assert faults_of_names(name, lines, tmp_path) == []
