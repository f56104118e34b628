"""The commands that PCT prints, in results, advice, help and documents, can be copied to a shell."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import tyro

import pct
from pct.cli.flags import _fields as fields
from pct.cli.flags import flag_name
from pct.cli.main import COMMANDS, choose, main
from pct.recordings.trajectory import write_dataset

ROOT = Path(__file__).parents[2]
# A command in a text: in backticks, behind a word and a colon, or at the start of a line of a document.
IN_TEXT = re.compile(r"`(pct [a-z][^`]*)`|: (pct [a-z][^\n]*)|^ {4}(pct [a-z][^\n]*)", re.MULTILINE)
PRINTED = re.compile(r"(?:^|: |^ +)(pct [a-z].*)$")
# Those that end in a moment; the others take seconds to minutes.
QUICK = {"data open", "data map", "data import", "data check"}


def commands_in(text: str) -> Iterator[str]:
    for found in IN_TEXT.finditer(text):
        yield next(filter(None, found.groups()))


def texts_of_code() -> Iterator[tuple[str, str]]:
    """Place and text of each string in the package, with X for what is filled in."""
    for path in sorted((ROOT / "src" / "pct").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else "X" for part in node.values)
                yield f"{path.name}:{node.lineno}", "".join(map(str, parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield f"{path.name}:{node.lineno}", node.value


def texts_of_documents() -> Iterator[tuple[str, str]]:
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        yield path.name, path.read_text()


def unknown_words(line: str) -> list[str]:
    """What is wrong with a command: its name or its flags."""
    words = re.split(r"\s+", re.sub(r"\s#.*|[.,;:)\]]+(?=\s|$)", "", line))[1:]
    if words[:1] in (["data"], ["export"], ["fleet"]):
        # One target of an export has the flags of all; alone it is the group, which lists its commands.
        if not words[1:] or not words[1]:
            return []
        target = "forzaeth" if words[0] == "export" and words[1] in ("TARGET", "X") else words[1]
        words = [f"{words[0]} {target}", *words[2:]]
    name = words[0]
    if name not in COMMANDS:
        return [name]
    config = importlib.import_module(COMMANDS[name][0]).CONFIG
    known = {"--help", "--version", *(flag_name(field) for field, _ in fields(config))}
    given = [word.partition("=")[0] for word in words if re.match(r"--[a-z]", word)]
    return [flag for flag in given if flag not in known and flag.replace("--no-", "--") not in known]


@pytest.mark.parametrize("texts", [texts_of_code, texts_of_documents])
def test_every_command_that_is_named_exists_with_its_flags(texts: object) -> None:
    assert callable(texts)
    named = [(place, line) for place, text in texts() for line in commands_in(text)]
    assert len(named) > 40
    wrong = {f"{place}: {line}": bad for place, line in named if (bad := unknown_words(line))}
    assert not wrong
    assert unknown_words("pct fit --dataste X") == ["--dataste"]
    assert unknown_words("pct data maps X") == ["data maps"]


class Shell:
    """Runs commands as they are printed, and collects those that they print."""

    def __init__(self, capsys: pytest.CaptureFixture[str], replaced: dict[str, str] | None = None) -> None:
        self.capsys, self.replaced = capsys, replaced or {}
        self.printed: list[str] = []

    def run(self, line: str, *more: str) -> str:
        """The name of the command, which must end as its printed results say."""
        words = [self.replaced.get(word, word) for word in shlex.split(line)[1:]]
        code: object = 0
        try:
            main([*words, *more])
        except SystemExit as stop:
            code = stop.code
        told = self.capsys.readouterr()
        # 5 and 6: what `pct data check` finds.
        assert code in (0, 5, 6), (line, told.err)
        found = (PRINTED.search(text) for text in (*told.out.splitlines(), *told.err.splitlines()))
        self.printed += [match[1] for match in found if match and not match[1].startswith("pct run run.toml")]
        return choose(words)[0]

    def parse(self, line: str) -> str:
        """The name of a command whose flags can be read."""
        words = shlex.split(line)[1:]
        name, rest = choose(words)
        if not name.startswith("export "):
            tyro.cli(importlib.import_module(COMMANDS[name][0]).CONFIG, args=rest)
        return name


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log whose name the shell must not split, in the working directory."""
    monkeypatch.chdir(tmp_path)
    drive = pct.simulate(pct.model("singletrack"), duration=30.0, mu=(0.7,), noise=0.3)[0]
    drive.table().select("t", "x", "y", "psi", "v", "delta").write_csv("my log.csv")
    return Path("my log.csv")


def test_from_columns_to_a_fit_each_command_names_the_next(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shell = Shell(capsys)
    shell.run(f"pct data open '{log}'")
    ran, read = [], []
    while shell.printed:
        line = shell.printed.pop(0)
        if shell.parse(line) in QUICK:
            ran.append(shell.run(line))
            assert len(ran) < 9
        else:
            read.append(shell.parse(line))
    assert ran == ["data map", "data map", "data import", "data check"]
    assert read == ["fit"]


@pytest.mark.slow
def test_what_the_long_commands_print_runs(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unseen = pct.simulate(pct.model("singletrack"), duration=20.0, mu=(0.7,), noise=0.3, seed=9)
    write_dataset(tmp_path / "unseen", [drive.trajectory for drive in unseen], vehicle="simulated")
    road = ROOT / "src/pct/racing/tracks/kidney.csv"
    shell = Shell(capsys, {"UNSEEN_DRIVES": "unseen", "ROAD.csv": str(road)})
    shell.run(f"pct run '{log}' --no-report --model singletrack")
    shell.run("pct simulate --output made --recordings 2 --duration 10")
    shell.run("pct fit --dataset made --model singletrack --no-report")
    ran: list[str] = []
    quicker = {"train": "--epochs 1 --samples 64", "design": "--generations 2 --draws 2"}
    while shell.printed:
        line = shell.printed.pop(0)
        name = shell.parse(line)
        if name not in ran:
            ran.append(shell.run(line, *quicker.get(name, "").split()))
    assert {"run", "export c", "design", "train", "evaluate"} <= set(ran)
