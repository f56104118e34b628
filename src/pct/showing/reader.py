"""Files of a result, which may be damaged or a stranger's.

Each is read by its declared type, never by way of a link. What cannot be read makes the result a damaged one,
with the reason; the rest of it is still shown.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pct.errors import DataError
from pct.json_files import read_json, read_whole
from pct.showing.folders import Found

Record = TypeVar("Record")


class Reader:
    """Reads files of a result, and gathers what is wrong with them.

    Attributes:
        found: the result.
        problems: why files cannot be read.
    """

    def __init__(self, found: Found) -> None:
        self.found = found
        self.problems = [found.problem] if found.problem else []

    def has(self, name: str) -> bool:
        """Whether there is a plain file of a name; a link is none."""
        return name in self.found.files

    def json(self, name: str, kind: Callable[..., Record], what: str) -> Record | None:
        """Content of a file as a declared type; None where it is missing or damaged."""
        return self._read(name, lambda path: read_json(path, kind, what=what, fix=""))

    def text(self, name: str, what: str) -> str | None:
        """Content of a file; None where it is missing or damaged."""
        return self._read(name, lambda path: read_whole(path, what=what, fix="").decode("utf-8", "replace"))

    def _read(self, name: str, read: Callable[[Path], Record]) -> Record | None:
        folder = self.found.path
        path = folder if self.found.kind == "compare" else folder / name
        if not self.has(name):
            if os.path.islink(path):
                self.problems.append(f"{name}: expected a file, found a link")
            return None
        try:
            return read(path)
        except DataError as error:
            self.problems.append(f"{name}: {str(error).removeprefix(f'{path}: ').removesuffix(': ')}")
            return None
