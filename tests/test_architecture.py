"""The rules on imports bite: each contract of pyproject.toml is broken once, in a copy of the package.

And what the documents promise of the package's form holds.
"""

import ast
import importlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS, load_model_file

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "pct"
SLOW_TO_IMPORT = {"jax", "flax", "optax", "matplotlib", "polars", "scipy", "pint", "wandb"}

# Contract, file in the package, line added to it.
VIOLATIONS = [
    ("rooms", "utils.py", "X = 1"),
    ("rooms", "errors.py", "import pct.files"),
    ("rooms", "optimization/network/loop.py", "from pct.runs import directory"),
    ("rooms", "simulation/manoeuvres.py", "import pct.optimization"),
    ("rooms", "runs/model_files.py", "from pct.evaluation import evaluate"),
    ("siblings", "plots/style.py", "from pct.plots import card"),
    ("models", "dynamics/singletrack.py", "from pct.dynamics import unicycle"),
    ("integration", "rollout/integration.py", "from pct.dynamics import singletrack"),
    ("tables", "windows/batch.py", "from pct.rollout.integration import rollout"),
    ("tables", "plots/losses.py", "from pct.dynamics import MODEL_SPECS"),
    ("equations", "dynamics/singletrack.py", "import flax.linen"),
    ("drawing", "optimization/network/loop.py", "import matplotlib.pyplot"),
    ("tracking", "optimization/network/loop.py", "def log():\n    import wandb"),
    ("pickle", "runs/checkpoint.py", "from pickle import loads"),
]


def run_python(*arguments: str, path: Path, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(path)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )


def lint_imports(contract: str, path: Path) -> subprocess.CompletedProcess[str]:
    config = str(ROOT / "pyproject.toml")
    code = "from importlinter.cli import lint_imports_command as c; c()"
    arguments = ["--config", config, "--no-cache", "--no-logo", "--contract", contract]
    return run_python("-c", code, *arguments, path=path, folder=path)


@pytest.mark.parametrize(("contract", "file", "line"), VIOLATIONS)
def test_contract_refuses(contract: str, file: str, line: str, tmp_path: Path) -> None:
    copy = shutil.copytree(PACKAGE, tmp_path / "pct", ignore=shutil.ignore_patterns("__pycache__"))
    with (copy / file).open("a") as module:
        module.write(f"\n{line}\n")
    linted = lint_imports(contract, tmp_path)
    assert linted.returncode == 1, linted.stdout + linted.stderr
    assert "0 kept, 1 broken" in linted.stdout
    # Siblings are named from their room on.
    module = Path(file).stem if contract == "siblings" else file.removesuffix(".py").replace("/", ".")
    assert f".{module}" in linted.stdout.replace("\n", "")


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("print(1)", "T201"),
        ("from rich.console import Console", "TID251"),
        ("import sys\nsys.stdout.write('')", "TID251"),
        ("import sys\nsys.stderr.write('')", "TID251"),
        ("import logging\nlogging.basicConfig()", "TID251"),
        ("import traceback\ntraceback.print_exc()", "TID251"),
    ],
)
def test_only_the_console_prints(line: str, rule: str) -> None:
    """Names reach a terminal through `pct.cli.console` alone."""
    arguments = ["-m", "ruff", "check", "--select", rule, "--stdin-filename"]
    for file, code in (("cli/fit.py", 1), ("runs/directory.py", 1), ("cli/console.py", 0)):
        command = [sys.executable, *arguments, str(PACKAGE / file), "-"]
        done = subprocess.run(command, input=f"{line}\n", capture_output=True, text=True, cwd=ROOT)
        assert (done.returncode, rule in done.stdout) == (code, code == 1), done.stdout + done.stderr


def test_every_contract_has_a_violation() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = config["tool"]["importlinter"]["contracts"]
    assert {contract["id"] for contract in contracts} == {contract for contract, _, _ in VIOLATIONS}


def test_tables_load_without_slow_packages() -> None:
    """They are read for `pct --help`."""
    code = "import pct.dynamics, pct.rollout.integration, pct.errors, pct.files, sys; print(*sys.modules)"
    loaded = run_python("-c", code, path=PACKAGE.parent)
    assert loaded.returncode == 0, loaded.stderr
    assert SLOW_TO_IMPORT.isdisjoint(loaded.stdout.split())


def test_numpy_files_are_read_without_pickle() -> None:
    found = [
        (f"{path}:{node.value.lineno}", isinstance(node.value, ast.Constant) and node.value.value is False)
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle"
    ]
    assert found
    assert [place for place, allowed in found if not allowed] == []


def test_readme_shows_a_model_that_works(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (code,) = (block for block in blocks if "define_model(" in block)
    path = tmp_path / "point_mass.py"
    path.write_text(code)
    before = set(MODEL_SPECS)
    try:
        spec = load_model_file(path)
    finally:
        for added in set(MODEL_SPECS) - before:
            del MODEL_SPECS[added]
    x_and_u = np.ones((2, len(spec.states) + spec.control_dim))
    rates = spec.dynamics_fn(x_and_u, spec.build_base_params(5), np)
    assert rates.shape == x_and_u.shape
    assert np.isfinite(rates).all()


def test_documents_name_what_exists() -> None:
    """Every ``pct.name`` and every path of the package in backticks."""
    documents = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "benchmarks" / "README.md"]
    text = "\n".join(path.read_text() for path in documents)
    names = set(re.findall(r"`(pct(?:\.\w+)+)", text)) - {"pct.models"}  # an entry-point group
    assert names
    for name in names:
        parts = name.split(".")
        module = next(".".join(parts[:n]) for n in range(len(parts), 0, -1) if is_module(parts[:n]))
        value: object = importlib.import_module(module)
        for part in parts[module.count(".") + 1 :]:
            value = getattr(value, part)
    rooms = "|".join(path.stem for path in PACKAGE.iterdir() if path.is_dir() and path.stem.isalpha())
    places = re.findall(rf"`((?:src/pct/|(?:{rooms})/)[\w/.]*)`", text)
    assert places
    for place in places:
        assert (PACKAGE / place.removeprefix("src/pct/")).exists(), place


def is_module(parts: list[str]) -> bool:
    path = PACKAGE.parent.joinpath(*parts)
    return path.is_dir() or path.with_suffix(".py").is_file()


# Commands that files print for their reader, and flags of git.
SPEAK_OF_FLAGS = {
    "designing/advice.py",
    "evaluation/fit_page.py",
    "importing/card_page.py",
    "runs/directory.py",
    "showing/results.py",
}


@pytest.mark.parametrize("folder", ["benchmarks", "tests"])
def test_only_tests_of_commands_import_the_command_line(folder: str) -> None:
    """All others use the library: a benchmark measures what a notebook calls, too."""
    # Faults are looked for in what commands read, too.
    commands = {ROOT / "tests" / "cli", ROOT / "tests" / "faults"}
    files = [path for path in (ROOT / folder).rglob("*.py") if commands.isdisjoint(path.parents)]
    assert files
    importing = re.compile(r"^\s*(from|import) pct\.cli\b|^\s*from pct import cli\b", re.MULTILINE)
    assert [str(path) for path in files if importing.search(path.read_text())] == []


def test_messages_below_the_command_line_name_arguments() -> None:
    """`pct.cli.flags.as_flags` turns them into flags; a notebook has none."""
    rooms = [path for path in PACKAGE.rglob("*.py") if path.parent.name != "cli"]
    assert rooms
    for path in rooms:
        texts = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant))
        flags = [node for node in texts if re.search(r"(^|[\s`])--[a-z]", str(node.value))]
        if str(path.relative_to(PACKAGE)) not in SPEAK_OF_FLAGS:
            assert not flags, f"{path}:{flags[0].lineno}: {flags[0].value!r}"
