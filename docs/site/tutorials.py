"""Tutorials: the notebooks of `docs/tutorials`, run, as pages with their outputs."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import nbformat
from latex2mathml.converter import convert
from writing import write, write_figure

TUTORIALS = Path(__file__).resolve().parents[1] / "tutorials"
# In the order in which they are read.
ORDER = ("first_log", "own_model", "tracking_grip", "designing_a_drive", "closing_the_loop")
# A notebook is promised to take a minute on a quiet machine; a busy one may take longer.
SECONDS = 600
FORMULA = re.compile(r"\$\$(.+?)\$\$|\$([^$\n]+)\$", re.DOTALL)


def write_pages(*, run: bool = True) -> list[str]:
    """Write all tutorials and the page that lists them; their files.

    Args:
        run: whether they are run; else they are as committed, without outputs.
    """
    written, rows = [], []
    for name in ORDER:
        text, figures = as_markdown(name, run_notebook(name) if run else read(name))
        written.append(write(f"tutorials/{name}", text, root="../"))
        for file, png in figures.items():
            write_figure(f"tutorials/{file}", png)
        title, _, rest = text.lstrip("# ").partition("\n")
        rows.append(f"## [{title}]({name}.md)\n\n{rest.strip().partition(chr(10) * 2)[0]}")
    notebooks = "They are notebooks, `docs/tutorials` in the repository; these pages show them as they ran."
    first = write("tutorials/index", "\n\n".join(["# Tutorials", notebooks, *rows]))
    return [first, *written]


def run_notebook(name: str) -> nbformat.NotebookNode:
    """A notebook with the outputs of its cells, run in an empty folder of its own.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell fails.
    """
    from nbclient import NotebookClient

    notebook = read(name)
    with tempfile.TemporaryDirectory() as folder:
        place = {"metadata": {"path": folder}}
        NotebookClient(notebook, timeout=SECONDS, kernel_name="python3", resources=place).execute()
    return notebook


def read(name: str) -> nbformat.NotebookNode:
    """A notebook as it is committed."""
    notebook: nbformat.NotebookNode = nbformat.read(TUTORIALS / f"{name}.ipynb", as_version=4)
    return notebook


def as_markdown(name: str, notebook: nbformat.NotebookNode) -> tuple[str, dict[str, bytes]]:
    """The text of the page, and its figures by file name; formulas as MathML."""
    from nbconvert import MarkdownExporter

    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = FORMULA.sub(_typeset, cell.source)
    resources = {"unique_key": name, "output_files_dir": f"{name}_figures"}
    text, made = MarkdownExporter().from_notebook_node(notebook, resources=resources)
    return text, made["outputs"]


def _typeset(match: re.Match[str]) -> str:
    block, inline = match.groups()
    # A line that begins with an element that Markdown does not know would be a block of its own.
    return convert(block.strip(), display="block") if block else f"<span>{convert(inline)}</span>"
