"""Text tables: an optional block of comment lines, a header line, one line a sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from pct.data.logs.base import RawLog, missing_column
from pct.errors import DataError


def read_csv(path: Path, names: Sequence[str], options: Mapping[str, str]) -> RawLog:
    """Read columns by the names in the header line.

    A ``#`` before the header's first name is no part of it. An empty cell is a missing value.

    Args:
        path: the file.
        names: columns to read.
        options: ``separator`` (``,``) and ``comment``, the prefix of lines to leave out (none).

    Raises:
        DataError: the file is empty, no text, ragged, or lacks a column; a cell is no number.
    """
    separator, comment = options.get("separator", ","), options.get("comment")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: expected text, found bytes that are none at {error.start}") from None
    lines = [
        (number, line)
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not (comment and line.startswith(comment))
    ]
    if not lines:
        raise DataError(f"{path}: expected a header line and samples, found an empty file: leave it out")
    header = [cell.strip().strip('"') for cell in lines[0][1].lstrip("# ").split(separator)]
    if len(lines) == 1:
        raise DataError(f"{path}: expected samples below the header, found none: leave the file out")
    rows = np.array([number for number, _ in lines[1:]])
    for name in names:
        if name not in header:
            raise missing_column(path, name, _shortened(header))
    # Some recorders end each line with a separator.
    cells = max(len(header), lines[1][1].count(separator) + 1)
    try:
        table = pl.read_csv(
            "\n".join(line for _, line in lines[1:]).encode(),
            has_header=False,
            separator=separator,
            infer_schema=False,
            schema={f"{index}": pl.String for index in range(cells)},
        )
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{path}: expected {len(header)} cells in every line, found otherwise ({reason})"
        ) from None
    columns = {}
    for name in names:
        text_cells = table[str(header.index(name))].str.strip_chars()
        text_cells = text_cells.set(text_cells == "", None)
        numbers = text_cells.cast(pl.Float64, strict=False)
        wrong = np.flatnonzero((numbers.is_null() & text_cells.is_not_null()).to_numpy())
        if len(wrong):
            raise DataError(
                f"{path}: expected a number in column '{name}', line {rows[wrong[0]]}, "
                f"found '{text_cells[int(wrong[0])]}': correct the cell or cut the line"
            )
        columns[name] = numbers.fill_null(np.nan).to_numpy()
    return RawLog(columns, rows, "line")


def _shortened(header: list[str], most: int = 30) -> str:
    return ", ".join(header[:most]) + (f" and {len(header) - most} more" if len(header) > most else "")
