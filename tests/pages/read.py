"""What every page promises, without a browser: it is whole, needs nothing else, and is not too large."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

from pct.pages.document import LARGEST
from pct.pages.library import unpacked_json


class _Elements(HTMLParser):
    """Addresses, identifiers, labels and figures of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, list[str]] = {}
        self.headings: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if re.fullmatch(r"h\d", tag):
            self.headings.append(tag)
        for name, value in attrs:
            self.found.setdefault(name, []).append(value or "")


def figures_of_page(page: str) -> dict[str, Any]:
    """The figures of a page by name, as its script reads them; what the page promises is asserted."""
    assert len(page.encode()) <= LARGEST
    elements = _Elements()
    elements.feed(page)
    found = elements.found
    # Nothing is fetched, and what is linked lies beside the page.
    assert all(address.startswith("data:") for address in found.get("src", ()))
    assert all(re.match(r"data:|#|[\w./]+$", address) for address in found["href"])
    assert not re.search(r"url\(|@import|https?://", page)
    ids = found["id"]
    assert len(ids) == len(set(ids))
    referred = [name for key in ("for", "aria-labelledby") for name in found.get(key, ())]
    assert {*referred, *(a[1:] for a in found["href"] if a.startswith("#"))} <= set(ids)
    assert elements.headings.count("h1") == 1
    packed = re.search(r'id="packed-figures">([^<]+)<', page)
    figures = {} if packed is None else unpacked_json(packed[1])
    assert set(figures) == set(found.get("data-figure", ()))
    controls = {name for figure in figures.values() for name in figure["by"]}
    assert controls == set(found.get("data-control", ()))
    return figures
