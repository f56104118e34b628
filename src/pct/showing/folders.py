"""Finds what PCT has left below a folder: runs, and what was made of them.

A folder is known by the names of its files, nothing is opened. Links are not followed: what is found lies
below the folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pct.runs.directory import CONFIG, DONE, FAILED, PREDICTED, PROVENANCE
from pct.runs.sinks import METRICS

# Their own files say what they are; model_files names them, too, but loads JAX.
FIT, NETWORK = "fit.json", "network.json"
# What one file alone tells, by kind of result.
MARKS = {
    "run.toml": "run",
    "evaluation.json": "evaluate",
    "track.json": "track",
    "design.json": "design",
    "study.db": "sweep",
    "fleet.json": "fleet",
}
# Each of them is PCT's; of the others a program of somebody else may have one.
OWN = {PROVENANCE, FIT, NETWORK, METRICS, PREDICTED}
COMMON = {CONFIG, DONE, FAILED}
RUN_NAME = re.compile(r"run_\d{8}-\d{6}(_\w+)?|trial_\d{4,}")
# Folders of a run that hold no results of their own.
INSIDE = {"checkpoints", "analysis"}
# Levels below the folder, and folders in all: somebody may ask for a whole disk.
DEEPEST, MOST = 8, 20_000
# A comparison may have any name: files up to this size are looked into.
LARGEST_COMPARISON = 4 << 20


class File(NamedTuple):
    """A file of a folder as it was listed."""

    name: str
    size: int
    modified: int


class Found(NamedTuple):
    """A result that was found.

    Attributes:
        path: its folder; of a comparison its file.
        kind: ``fit or train``, or one of `MARKS`, or ``compare``.
        files: of the folder, by name, of a comparison its own; links are none.
        problem: why the folder cannot be read; empty where it can.
    """

    path: Path
    kind: str
    files: dict[str, File]
    problem: str = ""


RUN = "fit or train"


def find(root: Path) -> Iterator[Found]:
    """All results below a folder, and in it, in the order of their names."""
    waiting, looked = [(root, 0)], 0
    while waiting and looked < MOST:
        folder, depth = waiting.pop()
        looked += 1
        try:
            files, below = _list(folder)
        except OSError as error:
            yield Found(folder, RUN, {}, f"cannot be read ({error.strerror})")
            continue
        yield from _recognise(folder, files)
        if depth < DEEPEST:
            waiting += [(folder / name, depth + 1) for name in sorted(below, reverse=True)]


def _list(folder: Path) -> tuple[dict[str, File], list[str]]:
    """Plain files of a folder, and names of the folders in it that are looked into."""
    files, below = {}, []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if not entry.name.startswith(".") and entry.name not in INSIDE:
                    below.append(entry.name)
            elif entry.is_file(follow_symlinks=False):
                facts = entry.stat(follow_symlinks=False)
                files[entry.name] = File(entry.name, facts.st_size, facts.st_mtime_ns)
    return files, below


def _recognise(folder: Path, files: dict[str, File]) -> Iterator[Found]:
    names = files.keys()
    if names & OWN or len(names & COMMON) > 1 or RUN_NAME.fullmatch(folder.name):
        yield Found(folder, RUN, files)
    for name, kind in MARKS.items():
        if name in names:
            yield Found(folder, kind, files)
    known = OWN | COMMON | MARKS.keys()
    for name in sorted(names - known):
        if name.endswith(".json") and files[name].size < LARGEST_COMPARISON and _compares(folder / name):
            own = (name, f"{name.removesuffix('.json')}.html")
            yield Found(folder / name, "compare", {one: files[one] for one in own if one in files})


def _compares(path: Path) -> bool:
    """Whether a file begins as `pct compare` writes it."""
    try:
        with open(path, "rb") as file:
            return re.match(rb'\s*\{\s*"runs"\s*:\s*\[', file.read(200)) is not None
    except OSError:
        return False
