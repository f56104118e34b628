"""The pages of what is read and written: log formats with their presets, and export targets."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from pathlib import Path
from typing import Any

from writing import paragraphs, table, write

import pct
from pct.export.targets import TARGETS, Listed
from pct.logs.readers import FORMATS


def formats_page() -> str:
    """Write the page of log formats, one section a reader; its file."""
    endings: dict[Any, list[str]] = {}
    for ending, reader in FORMATS.items():
        endings.setdefault(reader, []).append(ending)
    parts = [
        "# Log formats",
        "The format of a file follows from its ending. A folder is read as a ROS 2 bag where it holds one. "
        "[Bring your own logs](../data.md) says how a map names the columns.",
        table(
            ("ending", "reader", "needs"),
            (
                (f"`{ending}`", f"[{_name(reader)}](#{_name(reader)})", _needs(reader))
                for reader, of in endings.items()
                for ending in of
            ),
        ),
    ]
    for reader, of in endings.items():
        module = sys.modules[reader.__module__]
        parts += [
            f"## {_name(reader)}",
            f"Endings: {', '.join(f'`{ending}`' for ending in of)}.",
            paragraphs(module.__doc__ or ""),
            paragraphs(_before_args(reader.__doc__)),
        ]
    return write("reference/formats", "\n\n".join(parts))


def presets_page() -> str:
    """Write the presets for recorders, whole; its file."""
    folder = Path(pct.__file__).parent / "logs" / "presets"
    parts = [
        "# Presets",
        "Maps for the logs of common recorders: `--map NAME`. [Bring your own logs](../data.md) says more.",
    ]
    for path in sorted(folder.glob("*.toml")):
        parts.append(f"## {path.stem}\n\n```toml\n{path.read_text().strip()}\n```")
    return write("reference/presets", "\n\n".join(parts))


def targets_overview() -> str:
    """Write the list of export targets; its file."""
    rows = (
        (f"[{name}](targets/{name}.md)", listed.doc, f"`{listed.file}`", _install(name, listed))
        for name, listed in TARGETS.items()
    )
    return write(
        "reference/targets",
        "# Export targets\n\n`pct export TARGET RUN`, or `.export(TARGET, path)` of a fit or network. Each "
        "is compared with its reader before anything is written; [Export](../export.md) says how.\n\n"
        + table(("target", "writes", "name of the file or folder", "needs"), rows),
    )


def target_page(name: str) -> str:
    """Write what a target writes and for whom, from its module; its file."""
    listed = TARGETS[name]
    text = _module_of(listed.module)
    summary, _, references = text.partition("References:")
    summary = re.sub(rf"^`{name}`: ", "", summary)
    facts = [
        f"Writes {listed.doc}, as `{listed.file}` unless `--output` names another place.",
        f"Needs {_install(name, listed)}." if listed.extra else "Needs nothing beside PCT.",
    ]
    cited = f"\n## References\n\n{references.strip()}\n" if references else ""
    return write(
        f"reference/targets/{name}",
        f"# {name}\n\n{' '.join(facts)}\n\n"
        f"    pct export {name} results/MODEL/run_TIME\n\n"
        f"{summary[:1].upper()}{paragraphs(summary)[1:]}\n{cited}\n"
        "[Export](../../export.md) says what is checked, what differs by design and what is refused.\n",
    )


def _module_of(name: str) -> str:
    """Docstring of a target's module, unimported; of the file of its ``export`` where it is a folder."""
    place = Path(pct.__file__).parents[1].joinpath(*name.split("."))
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    tree = ast.parse(file.read_text())
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and any(alias.asname == "export" for alias in node.names):
            return _module_of(node.module)
    return ast.get_docstring(tree) or ""


def _install(name: str, listed: Listed) -> str:
    return f'`pip install "pct-vehicle[{name}]"`' if listed.extra else ""


def _name(reader: Any) -> str:
    return reader.__module__.rpartition(".")[2]


def _needs(reader: Any) -> str:
    """The extra that a reader asks for, where it does."""
    source = inspect.getsource(sys.modules[reader.__module__])
    extra = re.search(r'optional_package\("[\w.]+", "(\w+)"', source)
    return f'`pip install "pct-vehicle[{extra[1]}]"`' if extra else ""


def _before_args(docstring: str | None) -> str:
    return inspect.cleandoc(docstring or "").partition("\n\nArgs:")[0]
