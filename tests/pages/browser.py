"""A real browser without a window, which looks at pages."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# Text that every figure has is checked by its label: what plotly draws is one image to a screen reader.
AXE = "axe.run({exclude: [['.plot .plot-container']], resultTypes: ['violations']})"
BAD = ("serious", "critical")


@dataclasses.dataclass
class View:
    """A page in the browser, with what went wrong in it."""

    page: Any
    errors: list[str]

    def open(self, path: Path) -> None:
        """Load a file and wait until its figures are drawn."""
        self.page.goto(path.as_uri())
        drawn = "!document.querySelector('[data-figure]') || document.documentElement.dataset.figures"
        self.page.wait_for_function(drawn)

    def faults(self, *, axe: bool = True) -> list[str]:
        """Errors of scripts, requests, missing figures, what scrolls sideways, and what axe finds."""
        found = list(self.errors)
        missing = "e => e.filter(x => !x.dataset.drawn || !x.querySelector('svg')).map(x => x.id)"
        found += [f"missing: {name}" for name in self.page.eval_on_selector_all("[data-figure]", missing)]
        wide, room = self.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        if wide > room:
            found.append(f"{wide} pixels wide in {room}")
        if axe:
            import axe_playwright_python

            self.page.add_script_tag(path=Path(axe_playwright_python.__file__).parent / "axe.min.js")
            for one in self.page.evaluate(AXE)["violations"]:
                if one["impact"] in BAD:
                    found.append(f"{one['id']}: {one['nodes'][0]['html'][:200]}")
        return found

    def drawn(self, name: str) -> str:
        """What a figure shows now, as SVG."""
        return str(self.page.inner_html(f"#figure-{name} .plot-container"))


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    """The browser of this machine; the test is skipped where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"no browser on this machine: none of {', '.join(NAMES)}")
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright, which drives the browser, is missing"
    )
    with playwright.sync_playwright() as driver:
        # In a container there is no sandbox within the sandbox.
        opened = driver.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield opened
        finally:
            opened.close()


@contextlib.contextmanager
def view(opened: Any, *, width: int = 1200, scheme: str = "light", **more: Any) -> Iterator[View]:
    """A new page of so many pixels for who prefers ``light`` or ``dark``."""
    context = opened.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce", **more
    )
    errors: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(f"script: {error}"))
    page.on("console", lambda said: errors.append(said.text) if said.type in ("error", "warning") else None)
    page.on("request", lambda sent: _note_request(sent.url, errors))
    try:
        yield View(page, errors)
    finally:
        context.close()


def _note_request(address: str, errors: list[str]) -> None:
    if not address.startswith(("file:", "data:", "blob:")):
        errors.append(f"fetched {address}")
