"""Whether everything in a folder can be opened: nothing half-written stands under a final name."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import yaml
from flax import serialization

import pct
from pct.errors import PctError

PNG_END = b"IEND\xaeB`\x82"


def _whole_lines(path: Path) -> None:
    """Lines of JSON; the last may still be in writing."""
    for line in path.read_text().split("\n")[:-1]:
        json.loads(line)


def _ends(*ends: bytes) -> Callable[[Path], None]:
    def check(path: Path) -> None:
        if not path.read_bytes().rstrip().endswith(ends):
            raise ValueError("it is cut short")

    return check


def _whole_database(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as database:
        said = database.execute("pragma integrity_check").fetchall()
    if said != [("ok",)]:
        raise ValueError(f"{said}")


OPENERS: dict[str, Callable[[Path], object]] = {
    ".json": lambda path: json.loads(path.read_text()),
    ".jsonl": _whole_lines,
    ".toml": lambda path: tomllib.loads(path.read_text()),
    ".yaml": lambda path: yaml.safe_load(path.read_text()),
    ".parquet": lambda path: pl.read_parquet(path),
    ".npy": lambda path: np.load(path, allow_pickle=False),
    ".npz": lambda path: [np.load(path, allow_pickle=False)[name] for name in np.load(path).files],
    ".msgpack": lambda path: serialization.msgpack_restore(path.read_bytes()),
    ".png": _ends(PNG_END),
    ".html": _ends(b"</html>"),
    ".c": _ends(b"}", b"*/"),
    ".db": _whole_database,
    # Undone by the next who opens the database.
    ".db-journal": lambda path: path.read_bytes(),
    ".csv": lambda path: pl.read_csv(path),
    "DONE": lambda path: json.loads(path.read_text()),
    "FAILED": lambda path: json.loads(path.read_text()),
}


def broken(folder: Path) -> list[str]:
    """Files of a folder that cannot be opened, and run folders that say that they are done but are not."""
    found = []
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        opener = OPENERS.get(path.suffix or path.name)
        try:
            if opener is None:
                raise ValueError("nobody knows what it is")
            opener(path)
            if path.name == "DONE" and (path.parent / "provenance.json").exists():
                pct.open(path.parent)
            if path.name == "dataset.json":
                pct.load(path.parent)
        except PctError as error:
            found.append(f"{path}: {error}")
        except Exception as error:
            found.append(f"{path}: {error!r}")
    return found
