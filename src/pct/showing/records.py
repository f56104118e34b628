"""Reads a result that was found, by the reader of its kind."""

from __future__ import annotations

import datetime
import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pct.showing.folders import RUN, Found
from pct.showing.others import (
    read_choices,
    read_comparison,
    read_design,
    read_evaluation,
    read_fleet,
    read_sweep,
    read_track,
)
from pct.showing.reader import Reader
from pct.showing.results import Result
from pct.showing.runs import read_run

# Where a page of a result's own lies, by kind.
PAGES = {
    "fit": "report.html",
    "train": "report.html",
    "evaluate": "report.html",
    "track": "track.html",
    "design": "design.html",
    "fleet": "report.html",
    "run": "report.html",
}
FIGURES = (".png", ".svg")
# Kinds whose folder may hold figures.
DRAWN = ("fit", "train", "design", "fleet")

READERS: Mapping[str, Callable[[Reader], tuple[str, dict[str, Any]]]] = {
    RUN: read_run,
    "evaluate": read_evaluation,
    "track": read_track,
    "design": read_design,
    "compare": read_comparison,
    "sweep": read_sweep,
    "fleet": read_fleet,
    "run": read_choices,
}


def read(root: Path, found: Found) -> Result:
    """A result that was found below a folder."""
    reader = Reader(found)
    kind, facts = READERS[found.kind](reader)
    place = found.path.relative_to(root)
    name = os.fsencode(str(place)) + kind.encode()
    if not facts.get("started") and found.files:
        newest = max(file.modified for file in found.files.values())
        facts["started"] = _time(newest / 1e9)
    if reader.problems:
        facts |= {"state": "damaged", "reason": "; ".join(reader.problems)}
    pages, figures = _links(root, found, kind)
    return Result(
        id=hashlib.sha256(name).hexdigest()[:12],
        path=found.path,
        place=place.as_posix(),
        kind=kind,
        pages=pages,
        figures=figures,
        **facts,
    )


def _links(root: Path, found: Found, kind: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Pages and figures of a result, from the folder of all results."""
    folder = found.path.relative_to(root)
    if found.kind == "compare":
        return tuple(folder.with_name(name).as_posix() for name in found.files if name.endswith(".html")), ()
    pages = [PAGES[kind]] if PAGES.get(kind) in found.files else []
    if kind == "run" and os.path.isfile(found.path / "dataset" / "card.html"):
        pages.append("dataset/card.html")
    drawn: list[str] = []
    if kind in DRAWN:
        drawn = sorted(name for name in found.files if name.endswith(FIGURES))
        drawn += [f"analysis/{name}" for name in _names(found.path / "analysis") if name.endswith(FIGURES)]
    places = [tuple((folder / name).as_posix() for name in names) for names in (pages, drawn)]
    return places[0], places[1]


def _names(folder: Path) -> list[str]:
    """Names of the plain files of a folder; none where it is a link, missing, or cannot be read."""
    try:
        if folder.is_symlink():
            return []
        return sorted(entry.name for entry in os.scandir(folder) if entry.is_file(follow_symlinks=False))
    except OSError:
        return []


def _time(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")
