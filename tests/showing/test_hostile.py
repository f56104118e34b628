"""Whatever stands in the place of any value of any file, the page is made, and the rest is shown."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pct.showing.index import Index
from pct.showing.view import list_page, result_page
from showing.made_results import COMPARISON, DESIGN, EVALUATION, FLEET, HOSTILE, TRACK, fit, training, write

VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    1e308,
    "",
    HOSTILE,
    "\ud800",
    "\x00\x1b[31m",
    [],
    {},
    [[1]],
    {"a": {}},
)
FILES = {
    "evaluation.json": EVALUATION,
    "track.json": TRACK,
    "design.json": DESIGN,
    "tyres.json": COMPARISON,
    "fleet.json": FLEET,
}
OF_A_FIT = ("config.json", "provenance.json", "DONE", "pct_predicted_params.json", "fit.json")


def places(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Keys on the way to each value, the whole among them."""
    yield before
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, item in entries:
        yield from places(item, (*before, key))


def changed(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    if not place:
        return new
    copied = copy.deepcopy(value)
    inside = copied
    for key in place[:-1]:
        inside = inside[key]
    inside[place[-1]] = new
    return copied


def shown(root: Path) -> str:
    """The page of all results, and those of each."""
    index = Index(root)
    results = index.results()
    assert results
    pages = [list_page(results, root, live=True)]
    pages += [result_page(result, index.curve(result), live=True) for result in results]
    text = "".join(pages)
    text.encode()
    assert "<img src=x" not in text
    return text


@pytest.mark.parametrize("name", [*FILES, *OF_A_FIT, "FAILED", "network.json"])
def test_any_value_may_be_another(name: str, tmp_path: Path) -> None:
    run = training(tmp_path / "run") if name == "network.json" else fit(tmp_path / "run")
    if name in FILES:
        content = FILES[name]
    elif name in ("FAILED", "network.json"):
        content = {"model": "singletrack", "reason": "why"}
    else:
        content = json.loads((run / name).read_text())
    if name == "tyres.json":
        content = {"runs": ["a"], **content}
    for n, place in enumerate(places(content)):
        # Each value once over the places, so that all meet many.
        for value in VALUES[n % 6 :: 6]:
            write(run, {name: json.dumps(changed(content, place, value))})
            shown(tmp_path)


@pytest.mark.parametrize("value", ["3", "true", "[[1]]", "{a = 1}", "2026-11-29", "nan", '"<img src=x>"'])
def test_choices_may_be_any(value: str, tmp_path: Path) -> None:
    plan = f"data = {{logs = {value}}}\ncar = {{model = {value}}}\nfit = {value}"
    write(tmp_path / "run", {"run.toml": plan})
    shown(tmp_path)
