"""Pages of results: the list, and one a result. Served and written pages differ in what is live alone."""

from __future__ import annotations

import base64
import datetime
import functools
import hashlib
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pct.pages import environment
from pct.showing.index import kinds
from pct.showing.results import Result

if TYPE_CHECKING:
    import jinja2

TEMPLATES = Path(__file__).parent / "templates"
SCRIPT = "show.js"
# Addresses from the page of all results.
LIST, LIVE = "index.html", "live.json"
PAGES, FILES = "runs", "files"


def list_page(results: Sequence[Result], root: Path, *, live: bool, version: int = 0) -> str:
    """The page of all results.

    Args:
        results: to show, in this order.
        root: their folder.
        live: whether a server answers the page.
        version: of the list, see `Index`.
    """
    choices = {field: kinds(list(results), field) for field in ("kind", "model", "state")}
    data = {result.id: _for_comparison(result) for result in results}
    return _render(
        "list.html",
        title=f"Results in {_name(root)}",
        results=results,
        root=root,
        choices=choices,
        data=data,
        live=live,
        version=version,
        now=f"{datetime.datetime.now():%Y-%m-%d %H:%M}",
    )


def _name(root: Path) -> str:
    """What a folder of results is called; that of a project has its name.

    Examples:
        >>> _name(Path("/home/me/my_car/results")), _name(Path("/data/fleet"))
        ('my_car', 'fleet')
    """
    named = root.parent if root.name == "results" else root
    return named.name or str(root)


def result_page(result: Result, curve: Mapping[str, Any] | None, *, live: bool, version: int = 0) -> str:
    """The page of one result.

    Args:
        result: the result.
        curve: of a training, as of `Follower.progress`.
        live: whether a server answers the page.
        version: of the list, see `Index`.
    """
    return _render("result.html", title=result.place, result=result, curve=curve, live=live, version=version)


def page_of(result: Result) -> str:
    """Address of a result's page."""
    return f"{PAGES}/{result.id}.html"


def file_address(place: str) -> str:
    r"""Address of a file of the results, whatever its name.

    Examples:
        >>> file_address("a b/<1>.png"), file_address("\udcff.png")
        ('files/a%20b/%3C1%3E.png', 'files/%FF.png')
    """
    return f"{FILES}/{quote(os.fsencode(place))}"


def script_hash() -> str:
    """The one script of these pages, as a content security policy names it."""
    digest = hashlib.sha256((TEMPLATES / SCRIPT).read_bytes()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _render(template: str, **values: Any) -> str:
    return _environment().get_template(template).render(list_address=LIST, **values)


@functools.cache
def _environment() -> jinja2.Environment:
    from markupsafe import Markup

    found = environment(TEMPLATES).overlay(finalize=_encodable)
    found.globals |= {"script": Markup((TEMPLATES / SCRIPT).read_text(encoding="utf-8"))}
    found.filters |= {"page_of": page_of, "file_address": file_address, "day": _day, "short": _short}
    found.policies["json.dumps_kwargs"] = {}  # parameters stay in the order of their model
    found.filters["page_kind"] = lambda page: "Dataset" if page.endswith("card.html") else "Report"
    return found


def _encodable(value: Any) -> Any:
    """Text that UTF-8 can say: names of files may hold any byte."""
    return value.encode("utf-8", "backslashreplace").decode() if type(value) is str else value


def _day(time: str) -> str:
    """A time as a reader wants it, e.g. ``2026-11-29 14:05``."""
    return time[:16].replace("T", " ")


def _short(place: str) -> str:
    """The last two parts of a path."""
    return "/".join(place.rstrip("/").split("/")[-2:])


def _for_comparison(result: Result) -> dict[str, Any]:
    """What a comparison shows of a result."""
    quantities = {
        part: {
            one.name: {"text": one.text, "value": one.value, "low": one.low, "high": one.high,
                       "interval": one.interval, "note": one.note}
            for one in getattr(result, part)
        }
        for part in ("parameters", "scores")
    }  # fmt: skip
    path = str(result.path)
    return {
        "place": result.place,
        "page": page_of(result),
        # For a line to copy into a shell, where that is safe.
        "fit": shlex.quote(path) if result.kind == "fit" and path.isprintable() else None,
        "about": {
            "kind": result.kind,
            "model": result.model,
            "data": ", ".join(result.data),
            "started": _day(result.started),
            "state": result.state,
        },
        "settings": dict(result.settings),
        "made with": {name: result.facts[name] for name in ("versions", "commit") if name in result.facts},
        **quantities,
    }
