"""JSON objects that hold one list of numbers a signal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pct.data.logs.base import RawLog, columns_from_arrays
from pct.errors import DataError


def read_json(path: Path, names: Sequence[str], options: Mapping[str, str]) -> RawLog:
    """Read lists by their key; ``a.b`` is key ``b`` of the object under ``a``, ``null`` is a missing value.

    Args:
        path: the file.
        names: keys to read.
        options: none.

    Raises:
        DataError: the file is no JSON object or lacks a key; a value is no number.
    """
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise DataError(f"{path}: expected JSON, found {error}: is the file whole?") from None
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected an object of lists, found {type(content).__name__}")

    def known(key: str) -> Any:
        found: Any = content
        for part in key.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        return found

    return columns_from_arrays(path, names, known, ", ".join(content))
