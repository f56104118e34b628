"""One self-contained HTML document of sections; `environment` gives its templates to other pages."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pct.pages.library import inlined_library, packed_json
from pct.pages.parts import Part, Section, figures_in

if TYPE_CHECKING:
    import jinja2

TEMPLATES = Path(__file__).parent / "templates"
LARGEST = 3_000_000
"""Bytes of a page at most."""


def environment(*folders: Path) -> jinja2.Environment:
    """The templates, and those of further folders first; every value is escaped.

    Args:
        folders: that hold templates which may extend ``base.html``.
    """
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader([*folders, TEMPLATES]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def page(
    title: str,
    sections: Sequence[Section],
    *,
    lead: Sequence[Part] = (),
    library: str | None = None,
) -> str:
    """A document: heading, verdict, table of contents, sections, and the figures that they show.

    Args:
        title: heading and title.
        sections: those without parts are left out.
        lead: parts before the table of contents, the verdict first.
        library: address of plotly.js on the server that hands out the page; None puts it into the page, which
            then needs nothing else.

    Raises:
        ValueError: two figures have one name.
    """
    shown = [section for section in sections if section.parts]
    figures = figures_in([*lead, *(part for section in shown for part in section.parts)])
    data = {name: one.as_json() for name, one in figures.items()}
    return (
        environment()
        .get_template("page.html")
        .render(
            title=title,
            lead=lead,
            sections=shown,
            figures=packed_json(data) if figures else "",
            library=library,
            inlined=inlined_library() if figures and library is None else "",
        )
    )


def png_source(content: bytes) -> str:
    """A PNG as an address within the page, for `pct.pages.parts.picture`."""
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"
