"""Columns of a long recording, kept in files: only those that are worked on stand in memory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, MutableMapping
from typing import NamedTuple

import numpy as np

from pct.files import TemporaryFolder
from pct.types import Column, Float


class Stretch(NamedTuple):
    """Rows of one file of 64-bit numbers."""

    folder: TemporaryFolder
    file: str
    start: int
    rows: int


class Spool(MutableMapping[str, Column]):
    """A dictionary of columns that reads a column from its file each time it is asked for.

    The files lie in the system's place for temporary files (``TMPDIR``) and are removed with the last spool
    that reads them.
    """

    def __init__(self) -> None:
        """Start without columns."""
        self._folder = TemporaryFolder()
        self._columns: dict[str, Stretch] = {}

    def append(self, name: str, values: Float[np.ndarray, " K"]) -> None:
        """Put values behind those of a column that was made by appending; the first ones make it."""
        old = self._columns.get(name) or self._new_file()
        with open(old.file, "ab") as file:
            np.ascontiguousarray(values, np.float64).tofile(file)
        self._columns[name] = old._replace(rows=old.rows + len(values))

    def cut(self, start: int, stop: int) -> Spool:
        """The same columns from row ``start`` to ``stop`` (exclusive), in the same files."""
        part = object.__new__(Spool)
        part._folder = self._folder
        part._columns = {
            name: column._replace(start=column.start + start, rows=min(stop, column.rows) - start)
            for name, column in self._columns.items()
        }
        return part

    def share(self, name: str, other: Spool, column: str, rows: slice) -> None:
        """Take some rows of another spool's column, in the file where they are."""
        self._columns[name] = other.cut(rows.start, rows.stop)._columns[column]

    def rows(self) -> int:
        """Rows of the longest column."""
        return max((column.rows for column in self._columns.values()), default=0)

    def __getitem__(self, name: str) -> Column:
        _, file, start, rows = self._columns[name]
        if not rows:
            return np.zeros(0)
        # Mapped, it costs half the time of reading; who changes it changes a copy.
        size = np.dtype(np.float64).itemsize
        return np.asarray(np.memmap(file, np.float64, "c", offset=start * size, shape=(rows,)))

    def __setitem__(self, name: str, values: Column) -> None:
        self._columns[name] = self._new_file()
        self.append(name, values)

    def __delitem__(self, name: str) -> None:
        del self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def _new_file(self) -> Stretch:
        handle, path = tempfile.mkstemp(dir=self._folder.path)
        os.close(handle)
        return Stretch(self._folder, path, 0, 0)
