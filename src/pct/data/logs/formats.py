"""The table of formats, by file name ending; a new format is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pct.data.logs.base import RawLog
from pct.data.logs.csv import read_csv
from pct.data.logs.json import read_json
from pct.data.logs.npz import read_npz
from pct.errors import DataError

Reader = Callable[[Path, Sequence[str], Mapping[str, str]], RawLog]

FORMATS: dict[str, Reader] = {".csv": read_csv, ".json": read_json, ".npz": read_npz}


def read_log(path: Path, names: Sequence[str], options: Mapping[str, str]) -> RawLog:
    """Raw columns of a file.

    Args:
        path: a file with an ending of `FORMATS`.
        names: columns to read.
        options: of the format, see its reader.

    Raises:
        DataError: the file cannot be read, or lacks a column; names the place.
    """
    try:
        return FORMATS[path.suffix.lower()](path, names, options)
    except OSError as error:
        raise DataError(f"{path}: cannot read it ({error.strerror or error})") from None
