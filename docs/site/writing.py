"""How pages are written: files, links, tables and numbers in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "build" / "docs" / "pages"
# Files at other places that are pages.
COPIES = {
    "architecture": "CONTRIBUTING.md",
    "benchmarks": "benchmarks/README.md",
    "changelog": "CHANGELOG.md",
}
# Sections of the README that are guides as well: page, heading, title.
FROM_README = (
    ("train", "Train", "Train a network"),
    ("python", "In Python", "The library"),
    ("own_model", "Your own model", "A model of your own"),
)
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)(#[^)]*)?\)")


def write(name: str, text: str, *, root: str = "") -> str:
    """Write a page; its file. Links of files of the repository become links of the site.

    Args:
        name: of the page, with its folder.
        text: in Markdown.
        root: from the page to the root of the site, where the text's links are those of the repository.
    """
    path = PAGES / f"{name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    linked = LINK.sub(lambda match: link(match, root), text) if root or "/" not in name else text
    path.write_text(linked)
    return f"{name}.md"


def link(match: re.Match[str], root: str = "") -> str:
    """A link of the repository as one of the site."""
    target, anchor = match[1], match[2] or ""
    if root and not target.startswith("../"):
        return f"]({target.replace('.ipynb', '.md')}{anchor})"
    moved = {path: f"{name}.md" for name, path in COPIES.items()}
    moved |= {"tutorials": "tutorials/index.md"}
    sections = {f"#{heading.lower().replace(' ', '-')}": f"{name}.md" for name, heading, _ in FROM_README}
    while target.startswith("../"):
        target = target.removeprefix("../")
    target = target.removeprefix("docs/")
    if target == "README.md" and anchor in sections:
        return f"]({root}{sections[anchor]})"
    return f"]({root}{moved.get(target, target).replace('.ipynb', '.md')}{anchor})"


def write_figure(name: str, png: bytes) -> None:
    """Write a figure beside the pages."""
    path = PAGES / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png)


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table in Markdown."""
    cells = [[str(cell).replace("|", r"\|").replace("\n", " ") for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in [list(head), ["---"] * len(head), *cells])


def number(value: Any) -> str:
    """A value of a table, the range of an array."""
    array = np.asarray(value)
    return f"{array:g}" if array.ndim == 0 else f"{array.min():g} to {array.max():g}"


def paragraphs(docstring: str) -> str:
    """A docstring as Markdown: names of code in its double backquotes in single ones."""
    return docstring.strip().replace("``", "`")
