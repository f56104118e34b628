"""The documentation site: its pages come from the code, and all its links lead somewhere."""

from __future__ import annotations

import ast
import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import pct
from pct.cli.main import COMMANDS
from pct.doctor.examine import CHECKS
from pct.dynamics import MODEL_SPECS
from pct.export.targets import TARGETS
from pct.logs.readers import FORMATS

ROOT = Path(__file__).parents[2]
SITE = ROOT / "docs" / "site"
NOTEBOOKS = sorted((ROOT / "docs" / "tutorials").glob("*.ipynb"))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of its own that the writers write into."""
    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SITE))
        patch.setattr(writer("writing"), "PAGES", folder)
        yield folder


def writer(name: str) -> ModuleType:
    return importlib.import_module(name)


def headings(page: Path) -> set[str]:
    return set(re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE))


def test_every_finding_of_the_doctor_has_its_section(pages: Path) -> None:
    checks = writer("checks")
    checks.page({})
    text = (pages / "reference" / "checks.md").read_text()
    sources = "".join(path.read_text() for path in (ROOT / "src/pct/doctor").glob("*.py"))
    names = set(re.findall(r'check="([a-z_]+)"', sources)) | {"yaw_mismatch", "repeated_recording"}
    assert names == set(checks.finding_names())
    assert names <= headings(pages / "reference" / "checks.md")
    assert all(f"`{check.__name__}`" in text for check in CHECKS)


def test_the_picture_shows_every_room(pages: Path) -> None:
    rooms = writer("rooms")
    shown = rooms.picture()
    package = ROOT / "src" / "pct"
    names = {path.stem for path in package.iterdir() if (path / "__init__.py").is_file()}
    assert names <= {name for layer in rooms.layers() for name in layer} | {"demo"}
    assert all(f">{name}</text>" in shown for name in names)
    assert shown.startswith("<div>"), "Markdown would read __main__ as bold"
    assert "## The tree" in (ROOT / "CONTRIBUTING.md").read_text()


def test_every_format_has_its_reader(pages: Path) -> None:
    writer("exchange").formats_page()
    text = (pages / "reference" / "formats.md").read_text()
    assert all(f"| `{ending}` |" in text for ending in FORMATS)
    assert {reader.__module__.rpartition(".")[2] for reader in FORMATS.values()} <= headings(
        pages / "reference" / "formats.md"
    )
    assert text.count("pct-vehicle[rosbag]") == 3


def test_every_target_has_a_page_that_says_what_it_needs(pages: Path) -> None:
    files = writer("exchange")
    files.targets_overview()
    overview = (pages / "reference" / "targets.md").read_text()
    for name, listed in TARGETS.items():
        text = (pages / files.target_page(name)).read_text()
        assert f"(targets/{name}.md)" in overview
        assert (f"pct-vehicle[{name}]" in text) == bool(listed.extra)
        assert len(text) > 400


def test_the_reference_lists_every_model_command_and_target(
    pages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sympy", reason="make docs installs it")
    pytest.importorskip("latex2mathml", reason="make docs installs it")
    pytest.importorskip("nbformat", reason="make docs installs it")
    generate = writer("generate")
    monkeypatch.setattr(generate, "model_page", lambda spec: f"reference/models/{spec.name}.md")
    monkeypatch.setattr(generate, "command_page", lambda name: f"reference/commands/{name}.md")
    listed = str(generate.reference(quick=True))
    for folder, names in (("models", MODEL_SPECS), ("commands", COMMANDS), ("targets", TARGETS)):
        assert all(f"'reference/{folder}/{name}.md'" in listed for name in names)
    for name in ("vehicles", "formats", "presets", "checks", "python"):
        assert f"'reference/{name}.md'" in listed
        assert (pages / "reference" / f"{name}.md").is_file()


def test_links_of_the_repository_become_links_of_the_site(pages: Path) -> None:
    write = writer("writing").write
    write(
        "plain", "[a](../benchmarks/README.md) [b](../CONTRIBUTING.md) [c](fit.md#x) [d](https://e.org/f.md)"
    )
    assert (pages / "plain.md").read_text() == (
        "[a](benchmarks.md) [b](architecture.md) [c](fit.md#x) [d](https://e.org/f.md)"
    )
    text = "[a](../export.md) [b](own_model.ipynb) [c](../../README.md#your-own-model) [d](x/y.png)"
    write("tutorials/one", text, root="../")
    assert (pages / "tutorials" / "one.md").read_text() == (
        "[a](../export.md) [b](own_model.md) [c](../own_model.md) [d](x/y.png)"
    )


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_tutorial_is_clean_and_knows_the_library(notebook: Path) -> None:
    read = json.loads(notebook.read_text())
    assert (read["nbformat"], read["nbformat_minor"], read["metadata"]["kernelspec"]["name"]) == (
        4,
        5,
        "python3",
    )
    texts = ["".join(cell["source"]) for cell in read["cells"]]
    assert texts[0].startswith("# ")
    assert len({cell["id"] for cell in read["cells"]}) == len(texts)
    code = [cell["cell_type"] == "code" for cell in read["cells"]]
    assert all(cell["outputs"] == [] for cell, is_code in zip(read["cells"], code, strict=True) if is_code)
    assert all(cell.get("execution_count") is None for cell in read["cells"])
    tree = ast.parse("\n".join(text for text, is_code in zip(texts, code, strict=True) if is_code))
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "pct"
    }
    assert used
    assert used <= set(dir(pct))
    written = "".join(text for text, is_code in zip(texts, code, strict=True) if not is_code)
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", written)
    assert all((notebook.parent / link).exists() for link in links if not link.startswith("http"))


def test_every_tutorial_is_in_the_order_of_the_site(pages: Path) -> None:
    pytest.importorskip("nbconvert", reason="make docs installs it")
    pytest.importorskip("latex2mathml", reason="make docs installs it")
    tutorials = writer("tutorials")
    assert sorted(tutorials.ORDER) == [path.stem for path in NOTEBOOKS]
    written = tutorials.write_pages(run=False)
    assert written == ["tutorials/index.md", *(f"tutorials/{name}.md" for name in tutorials.ORDER)]
    text = (pages / "tutorials" / "own_model.md").read_text()
    assert text.count("<math") > 5
    assert not re.search(r'^ *<math.*"inline"', text, flags=re.MULTILINE)
    assert ".ipynb" not in text


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_tutorial_runs(notebook: Path, pages: Path) -> None:
    pytest.importorskip("nbclient", reason="make docs installs it")
    read = writer("tutorials").run_notebook(notebook.stem)
    printed = [output for cell in read.cells for output in cell.get("outputs", ())]
    assert not [output for output in printed if output.get("name") == "stderr"]
    assert any("image/png" in output.get("data", {}) for output in printed)


@pytest.mark.slow
def test_the_site_builds_without_a_warning() -> None:
    pytest.importorskip("zensical", reason="make docs installs it")
    subprocess.run([sys.executable, SITE / "generate.py", "--quick"], check=True)
    config = ROOT / "build/docs/zensical.toml"
    subprocess.run(
        [Path(sys.executable).with_name("zensical"), "build", "--strict", "-f", config], check=True
    )
    reference = ROOT / "build/docs/site/reference"
    for folder, names in (("models", MODEL_SPECS), ("commands", COMMANDS), ("targets", TARGETS)):
        assert all((reference / folder / f"{name.replace(' ', '_')}.html").is_file() for name in names)
    model = (reference / "models" / "unicycle.html").read_text()
    assert model.count("<math") == len(MODEL_SPECS["unicycle"].states)
    assert (reference / "models" / "singletrack-pacejka.png").is_file()
