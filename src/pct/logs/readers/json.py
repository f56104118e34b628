"""JSON: one list of numbers a signal, or one object a sample; nested as the recorder likes it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pct.errors import DamagedLogError, LogError
from pct.logs.readers.apart import read_apart
from pct.logs.readers.base import RawLog, check_size, columns_from_arrays

# Rows of a list of objects that tell its keys.
FIRST_ROWS = 1000


def read_json(path: Path, names: Sequence[str] | None, options: Mapping[str, str]) -> RawLog:
    """Read signals by their key; ``a.b`` is key ``b`` of the object under ``a``, ``null`` is missing.

    What JSON takes in memory is up to its brackets, so it is read in a process of its own.

    A list of objects is a table with one object a row, at the top (``pose.x``) or under a key
    (``log.pose.x``); so are the lines of a ``.jsonl`` file. A key that a row lacks is a missing value.

    Args:
        path: the file.
        names: keys to read; None for all that hold numbers.
        options: none.

    Raises:
        DataError: the file is no JSON or lacks a key; a value is no number.
    """
    return read_apart(path, names, __name__, options)


def read_here(path: Path, names: Sequence[str] | None, options: Mapping[str, str]) -> RawLog:
    """The same in this process."""
    content = path.read_bytes()
    if path.suffix.lower() == ".jsonl":
        lines = enumerate(content.splitlines(), start=1)
        document: Any = [_parsed(path, text, number) for number, text in lines if text.strip()]
    else:
        document = _parsed(path, content)
    if isinstance(document, list) and not _is_table(document):
        raise LogError(
            path, "expected an object of lists or a list of objects, found a list of something else"
        )
    if not isinstance(document, list | dict):
        raise LogError(
            path, f"expected an object of lists or a list of objects, found {type(document).__name__}"
        )
    return columns_from_arrays(path, names, lambda key: _look_up(document, key), _keys(path, document))


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def _look_up(content: Any, key: str) -> Any:
    """What stands under a dotted key; of a list of objects, that of each row."""
    if isinstance(content, dict) and key in content:
        return content[key]
    if _is_table(content):
        values = [_look_up(row, key) for row in content]
        return (
            None if all(value is None for value in values) else [np.nan if v is None else v for v in values]
        )
    first, _, rest = key.partition(".")
    inner = content.get(first) if isinstance(content, dict) else None
    return _look_up(inner, rest) if rest and inner is not None else None


def _keys(path: Path, content: Any, prefix: str = "", depth: int = 0) -> list[str]:
    """Dotted keys of all lists; those of a list of objects by its first rows: sensors wake up one by one."""
    if _is_table(content):
        inner = dict.fromkeys(leaf for row in content[:FIRST_ROWS] for leaf in _leaves(row))
        # A key that a row lacks takes nothing in the file.
        check_size(path, 8 * len(content) * len(inner))
        return [f"{prefix}{name}" for name in inner]
    keys: list[str] = []
    for name, value in content.items():
        nested = isinstance(value, dict) or _is_table(value)
        keys += (
            _keys(path, value, f"{prefix}{name}.", depth + 1)
            if nested and depth < 20
            else [f"{prefix}{name}"]
        )
    return keys


def _leaves(row: Mapping[str, Any], depth: int = 0) -> list[str]:
    leaves: list[str] = []
    for name, value in row.items():
        if isinstance(value, dict) and depth < 20:
            leaves += [f"{name}.{leaf}" for leaf in _leaves(value, depth + 1)]
        else:
            leaves.append(name)
    return leaves


def _parsed(path: Path, content: bytes, line: int = 1) -> Any:
    """What JSON says that begins in a line of a file."""
    row: int | None = None
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        row = line + error.lineno - 1
        what = f"other text in line {row}, column {error.colno}"
    except ValueError:  # no text at all, or numbers of thousands of digits
        what = "what is none"
    except RecursionError:
        what = "too many brackets"
    raise DamagedLogError(path, f"expected JSON, found {what}: is the file whole?", row=row)
