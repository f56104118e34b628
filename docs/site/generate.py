"""Writes the pages of the documentation site, and its configuration; `make docs` builds the site from them.

Guides are the files of `docs/`; everything that the code knows, such as models, vehicles, commands and the
Python API, is written from the code, so that it cannot differ from it.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import re
import shutil
import sys
from collections.abc import Iterable
from typing import Any

import checks
import exchange
import tutorials
from equations import typeset
from responses import draw_tyres
from rooms import picture
from writing import (
    COPIES,
    FROM_README,
    PAGES,
    ROOT,
    number,
    paragraphs,
    table,
    write,
    write_figure,
)

from pct.cli.main import COMMANDS
from pct.dynamics import MODEL_SPECS, ModelSpec, Parameter
from pct.dynamics.vehicles import VEHICLES
from pct.export.targets import TARGETS
from pct.lazy import PUBLIC

# The heading below which the picture of the rooms stands.
TREE = "## The tree"
CONFIG = ROOT / "build" / "docs" / "zensical.toml"
GUIDES = (
    "run", "data", "doctor", "import", "fit", "design", "evaluate", "reports", "sweep", "fleet", "track",
    "show", "export", "race", "native",
)  # fmt: skip


def main() -> None:
    """Write all pages and the configuration."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="do not run the tutorials, nor plant faults for the doctor"
    )
    quick = parser.parse_args().quick
    shutil.rmtree(PAGES, ignore_errors=True)
    PAGES.mkdir(parents=True)
    for page in (ROOT / "docs" / "site").glob("*.md"):
        write(page.stem, page.read_text())
    guides = sorted(page.stem for page in (ROOT / "docs").glob("*.md"))
    for name in guides:
        write(name, (ROOT / "docs" / f"{name}.md").read_text())
    readme = sections((ROOT / "README.md").read_text())
    for name, heading, title in FROM_README:
        write(name, f"# {title}\n\n{readme[heading]}")
    for name, path in COPIES.items():
        write(name, (ROOT / path).read_text())
    contributing = (ROOT / COPIES["architecture"]).read_text()
    write("architecture", contributing.replace(TREE, f"{TREE}\n\n{picture()}", 1))
    shutil.copytree(ROOT / "docs" / "images", PAGES / "images")
    known = [name for name in GUIDES if name in guides]
    nav = [
        "index.md",
        {"Tutorials": tutorials.write_pages(run=not quick)},
        {
            "Guides": pages(
                [*known, *(name for name in guides if name not in GUIDES), *(n for n, *_ in FROM_README)]
            )
        },
        {"Reference": reference(quick)},
        {"How it works": ["intervals.md", {"Architecture": "architecture.md"}, "benchmarks.md"]},
        "changelog.md",
    ]
    CONFIG.write_text(configuration(nav))


def reference(quick: bool) -> list[Any]:
    """Write what the code knows; its part of the navigation.

    Args:
        quick: without examples of the doctor's findings.
    """
    overview()
    return [
        {"Models": ["reference/models.md", *map(model_page, MODEL_SPECS.values())]},
        vehicles_page(),
        {"Commands": ["reference/commands.md", *map(command_page, COMMANDS)]},
        exchange.formats_page(),
        exchange.presets_page(),
        checks.page({} if quick else checks.examples()),
        {"Export targets": [exchange.targets_overview(), *map(exchange.target_page, TARGETS)]},
        python_page(),
    ]


def sections(text: str) -> dict[str, str]:
    """The text below each heading of the second level."""
    parts = re.split(r"^## (.*)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))


def pages(names: Iterable[str]) -> list[str]:
    """Files of pages."""
    return [f"{name}.md" for name in names]


def model_page(spec: ModelSpec) -> str:
    """What a model is: equations, channels, parameters and references, from its module."""
    text = sys.modules[spec.derivative.__module__].__doc__ or ""
    summary, _, rest = text.partition("References:")
    head = ("name", "unit", "what", "default", "bounds", "")

    def tabulated(rows: Iterable[Parameter]) -> str:
        cells = (
            (
                f"`{row.name}`",
                row.unit,
                row.doc,
                number(row.default),
                f"{number(row.low)} to {number(row.high)}" if row.shape == () else "by entry",
                row.scope,
            )
            for row in rows
        )
        return table(head, cells)

    channels = table(
        ("channel", "unit", "kind"),
        [
            *((f"`{row.name}`", row.unit, "state") for row in spec.states),
            *((f"`{row.name}`", row.unit, "control") for row in spec.controls),
        ],
    )
    lines = typeset(spec)
    equations = (
        "\n\n".join(f'<div style="margin: 1em 0; overflow-x: auto">{line}</div>' for line in lines)
        if lines
        else "The equations take arrays; they stand in the module's source."
    )
    options = "".join(
        f"\n## {spec.name}+{name}\n\nOption: {option.doc}.\n\n{tabulated(option.parameters)}\n"
        for name, option in spec.options.items()
    )
    references = f"\n## References\n\n{rest.strip()}\n" if rest else ""
    curves = ""
    if (drawn := draw_tyres(spec)) is not None:
        write_figure(f"reference/models/{spec.name}.png", drawn)
        curves = f"## Curves\n\n![Side force over slip angle at the default values]({spec.name}.png)\n\n"
    return write(
        f"reference/models/{spec.name}",
        f"# {spec.name}\n\n{paragraphs(summary)}\n\n"
        f"Module `{spec.derivative.__module__}`; `pct models {spec.name}` prints the tables below.\n\n"
        f"## Channels\n\n{channels}\n\n## Equations\n\n{equations}\n\n{curves}"
        f"## Parameters\n\n{tabulated(map(spec.parameter, spec.default_params))}\n{options}{references}",
    )


def vehicles_page() -> str:
    """All vehicles with the values and bounds that each brings."""
    parts = [
        "# Vehicles",
        "`--vehicle NAME` takes these values and bounds, in the units of the models; "
        "what a vehicle does not name is the model's own.",
    ]
    for name, vehicle in sorted(VEHICLES.items()):
        rows = []
        for key, value in vehicle.values.items():
            low, default, high = map(number, value) if isinstance(value, tuple) else ("", number(value), "")
            rows.append((f"`{key}`", low, default, high))
        source = f" Source: <{vehicle.url}>" if vehicle.url else ""
        parts += [
            f"## {name}",
            f"{vehicle.doc}.{source}",
            table(("parameter", "low", "default", "high"), rows),
        ]
    return write("reference/vehicles", "\n\n".join(parts))


def command_page(name: str) -> str:
    """The help of a command, as a terminal shows it."""
    module, what = COMMANDS[name]
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
        importlib.import_module(module).main(["--help"])
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown.getvalue())
    return write(
        f"reference/commands/{name.replace(' ', '_')}",
        f"# pct {name}\n\n{what.capitalize()}.\n\n```text\n{plain}```\n",
    )


def python_page() -> str:
    """The public functions and values, from their docstrings."""
    parts = ["# Python API", "Names of `import pct`; each is imported when it is first used."]
    for name, module in PUBLIC.items():
        parts.append(f"::: {module}" if module.endswith(f".{name}") else f"::: {module}.{name}")
    return write("reference/python", "\n\n".join(parts))


def overview() -> None:
    """The lists of models and of commands."""
    head = ("model", "states", "controls", "learned numbers")
    rows = [
        (
            f"[{spec.name}](models/{spec.name}.md)",
            ", ".join(row.name for row in spec.states),
            ", ".join(row.name for row in spec.controls),
            len(spec.param_keys),
        )
        for spec in MODEL_SPECS.values()
    ]
    write("reference/models", f"# Models\n\n{table(head, rows)}\n")
    rows_of_commands = [
        (f"[pct {name}](commands/{name.replace(' ', '_')}.md)", what) for name, (_, what) in COMMANDS.items()
    ]
    write("reference/commands", f"# Commands\n\n{table(('command', 'what it does'), rows_of_commands)}\n")


def configuration(nav: list[Any]) -> str:
    """The configuration of the site; nothing is fetched from the network when a page is read."""
    return f"""[project]
site_name = "PCT"
site_description = "Vehicle parameters from driving logs"
docs_dir = "pages"
site_dir = "site"
use_directory_urls = false
nav = {toml(nav)}

[project.theme]
font = false
features = ["navigation.indexes", "navigation.top", "content.code.copy", "toc.follow", "search.highlight"]

[[project.theme.palette]]
media = "(prefers-color-scheme: light)"
scheme = "default"

[[project.theme.palette]]
media = "(prefers-color-scheme: dark)"
scheme = "slate"

[project.plugins.mkdocstrings.handlers.python]
paths = [{json.dumps(str(ROOT / "src"))}]

[project.plugins.mkdocstrings.handlers.python.options]
docstring_style = "google"
show_source = false
show_root_heading = true
show_root_full_path = false
heading_level = 2
separate_signature = true
show_signature_annotations = true
"""


def toml(value: Any) -> str:
    """A list of pages and sections as TOML."""
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {toml(item)}" for key, item in value.items()) + " }"
    return "[" + ", ".join(map(toml, value)) + "]"


if __name__ == "__main__":
    main()
