"""Parquet tables; a column of structures is one column a field, ``pose.x``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from pct.errors import DataError
from pct.logs.readers.apart import read_apart
from pct.logs.readers.base import RawLog, check_count, check_size, missing_column
from pct.types import Column


def read_parquet(path: Path, names: Sequence[str] | None, options: Mapping[str, str]) -> RawLog:
    """Read columns by name. Time stamps and durations come in s, time stamps since 1970.

    On damaged files polars writes a stack trace and takes the memory that they say, so it has a process of
    its own.

    Args:
        path: the file.
        names: columns to read; None for all that hold numbers.
        options: none.

    Raises:
        DataError: the file is damaged or lacks a column; a column holds no numbers.
    """
    return read_apart(path, names, __name__, options)


def read_here(path: Path, names: Sequence[str] | None, options: Mapping[str, str]) -> RawLog:
    """The same in this process."""
    try:
        scan = pl.scan_parquet(path.absolute(), glob=False)
        known = _numbers(dict(scan.collect_schema()))
        check_count(path, len(known))
        chosen = [name for name, kind in known.items() if _is_number(kind)] if names is None else list(names)
        for name in chosen:
            if name not in known:
                raise missing_column(path, name, list(known))
            if not _is_number(known[name]):
                raise DataError(f"{path}: expected numbers in '{name}', found {known[name]}")
        # A column of equal values takes next to nothing in the file.
        count = int(scan.select(pl.len()).collect().item())
        check_size(path, 8 * count * len(chosen))
        table = scan.select(_field(name, known, set(scan.collect_schema())) for name in chosen).collect()
    # Damaged files trip the library anywhere, also where it only expects what it wrote itself.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise DataError(f"{path}: expected a parquet file, found {reason}: is the file whole?") from None
    columns = {name: _values(table[name]) for name in chosen}
    return RawLog(columns, np.arange(len(table)), "row")


def _numbers(schema: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Kind of each column, of structures that of each field."""
    kinds: dict[str, Any] = {}
    for name, kind in schema.items():
        inner = {field.name: field.dtype for field in kind.fields} if isinstance(kind, pl.Struct) else {}
        kinds |= _numbers(inner, f"{prefix}{name}.") if inner else {f"{prefix}{name}": kind}
    return kinds


def _is_number(kind: Any) -> bool:
    return kind.is_numeric() or kind.is_temporal() or kind == pl.Boolean


def _field(name: str, known: Mapping[str, Any], top: set[str]) -> pl.Expr:
    first = name
    while first not in top:
        first = first.rpartition(".")[0]
    column = pl.col(first)
    for part in name.removeprefix(first).split(".")[1:]:
        column = column.struct.field(part)
    kind = known[name]
    if isinstance(kind, pl.Datetime):
        column = column.dt.epoch("ns").cast(pl.Float64) / 1e9
    elif isinstance(kind, pl.Duration):
        column = column.dt.total_nanoseconds().cast(pl.Float64) / 1e9
    return column.cast(pl.Float64).alias(name)


def _values(column: pl.Series) -> Column:
    return column.fill_null(np.nan).to_numpy()
