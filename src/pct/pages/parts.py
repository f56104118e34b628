"""Parts of a page: values for the template of their kind, with the figures that they show.

A kind has one template, ``templates/parts/<kind>.html``. Everything is data until the template escapes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from pct.pages.figures import Figure

Tone = Literal["good", "mixed", "bad", "plain"]


class Part(NamedTuple):
    """A part of a page.

    Attributes:
        kind: names its template.
        values: what that reads.
        figures: by name; a name is used once in a page.
        parts: that it holds.
    """

    kind: str
    values: Mapping[str, Any]
    figures: Mapping[str, Figure] = {}
    parts: Sequence[Part] = ()


class Section(NamedTuple):
    """A part of a page with a heading, which its table of contents names.

    Attributes:
        title: the heading.
        parts: below it; a section without parts is left out.
    """

    title: str
    parts: Sequence[Part]

    @property
    def id(self) -> str:
        """Where the table of contents leads."""
        return slug(self.title)


def slug(name: str) -> str:
    """A name that a page may use as identifier.

    Examples:
        >>> slug("What to trust: <all>")
        'what-to-trust-all'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def verdict(sentence: str, tone: Tone = "plain") -> Part:
    """The one sentence that a reader must see first."""
    return Part("verdict", {"sentence": sentence, "tone": tone})


def paragraph(*sentences: str) -> Part:
    """Sentences in one paragraph."""
    return Part("paragraph", {"text": " ".join(sentences)})


def bullets(lines: Iterable[str]) -> Part:
    """A list of sentences."""
    return Part("bullets", {"lines": list(lines)})


def commands(lines: Iterable[str]) -> Part:
    """Commands to copy."""
    return Part("commands", {"lines": list(lines)})


def links(places: Mapping[str, str]) -> Part:
    """A list of links: addresses, relative to the page, by what they lead to."""
    return Part("links", {"links": places})


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    caption: str,
    strong: str | None = None,
    texts: Iterable[int] = (),
) -> Part:
    """A table that scrolls where it is too wide.

    Args:
        head: heading of each column.
        rows: cells; the first names its row.
        caption: what it shows.
        strong: the row that begins with this is bold.
        texts: columns that hold words; all others are numbers.
    """
    columns = {0, *texts}
    values = {"head": head, "rows": list(rows), "caption": caption, "strong": strong, "texts": columns}
    return Part("table", values)


def figure(name: str, shown: Figure, caption: str = "") -> Part:
    """A figure.

    Args:
        name: of the figure in the page.
        shown: the figure.
        caption: below it.
    """
    return Part("figure", {"name": slug(name), "says": shown.says, "caption": caption}, {slug(name): shown})


def picture(source: str, says: str) -> Part:
    """An image.

    Args:
        source: ``data:`` address, see `pct.pages.document.png_source`.
        says: what it shows, in words.
    """
    return Part("picture", {"source": source, "says": says})


def slider(name: str, label: str, steps: Sequence[str], jumps: Mapping[str, int] | None = None) -> Part:
    """A slider that steps through what figures show: those whose ``by`` has its name.

    Args:
        name: of the control.
        label: beside it.
        steps: each step in words.
        jumps: buttons that lead to a step, by their label.
    """
    return Part("slider", {"name": slug(name), "label": label, "steps": steps, "jumps": jumps or {}})


def select(name: str, label: str, options: Sequence[str]) -> Part:
    """A choice of what figures show: those whose ``by`` has its name; one option a step."""
    return Part("select", {"name": slug(name), "label": label, "options": options})


def grid(parts: Iterable[Part]) -> Part:
    """Parts side by side where there is room."""
    return Part("grid", {}, parts=list(parts))


def details(summary: str, parts: Iterable[Part]) -> Part:
    """Parts that are shown on demand, and in print."""
    return Part("details", {"summary": summary}, parts=list(parts))


def subheading(title: str) -> Part:
    """A heading within a section."""
    return Part("subheading", {"title": title})


def figures_in(parts: Iterable[Part]) -> dict[str, Figure]:
    """All figures of parts, by name.

    Raises:
        ValueError: two have one name.
    """
    found: dict[str, Figure] = {}
    for part in parts:
        for name, shown in [*part.figures.items(), *figures_in(part.parts).items()]:
            if name in found:
                raise ValueError(f"two figures of the name {name}")
            found[name] = shown
    return found
