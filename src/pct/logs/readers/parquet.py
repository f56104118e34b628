"""Parquet tables; a column of structures is one column a field, ``pose.x``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from pct.errors import DamagedLogError, LogValueError
from pct.logs.readers.apart import read_apart
from pct.logs.readers.base import RawLog, check_count, check_size, damage, missing_column
from pct.logs.readers.time_texts import LONGEST, is_time, seconds_of_texts
from pct.types import Column


def read_parquet(path: Path, names: Sequence[str] | None, options: Mapping[str, str]) -> RawLog:
    """Read columns by name. Time stamps and durations come in s, time stamps since 1970; so do times that are
    written as text.

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
        top = set(scan.collect_schema())
        texts = _times(
            scan, [n for n in (known if names is None else names) if known.get(n) == pl.String], top
        )
        numbers = [name for name, kind in known.items() if _is_number(kind) or name in texts]
        chosen = numbers if names is None else list(names)
        for name in chosen:
            if name not in known:
                raise missing_column(path, name, list(known))
            if not _is_number(known[name]) and name not in texts:
                raise LogValueError(path, f"expected numbers in '{name}', found {known[name]}", column=name)
        # A column of equal values takes next to nothing in the file.
        count = int(scan.select(pl.len()).collect().item())
        check_size(path, 8 * count * len(chosen))
        table = scan.select(_field(name, known, top) for name in chosen).collect()
    # Damaged files trip the library anywhere, also where it only expects what it wrote itself.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise DamagedLogError(
            path, f"expected a parquet file, found {damage(error)}: is the file whole?"
        ) from None
    columns = {
        name: _values(seconds_of_texts(table[name]) if name in texts else table[name]) for name in chosen
    }
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


def _times(scan: pl.LazyFrame, names: Sequence[str], top: set[str]) -> set[str]:
    """Which columns of texts hold times: the first that is not missing is one."""
    if not names:
        return set()
    firsts = [_inner(name, top).drop_nulls().str.slice(0, LONGEST + 1).first().alias(name) for name in names]
    row = scan.select(firsts).collect().row(0, named=True)
    return {name for name, first in row.items() if first is not None and is_time(first)}


def _field(name: str, known: Mapping[str, Any], top: set[str]) -> pl.Expr:
    """A column as numbers, times that are written as text as such."""
    column, kind = _inner(name, top), known[name]
    if kind == pl.String:
        return column.str.slice(0, LONGEST + 1).alias(name)
    if isinstance(kind, pl.Datetime):
        column = column.dt.epoch("ns").cast(pl.Float64) / 1e9
    elif isinstance(kind, pl.Duration):
        column = column.dt.total_nanoseconds().cast(pl.Float64) / 1e9
    return column.cast(pl.Float64).alias(name)


def _inner(name: str, top: set[str]) -> pl.Expr:
    """A column, or a field of structures."""
    first = name
    while first not in top:
        first = first.rpartition(".")[0]
    column = pl.col(first)
    for part in name.removeprefix(first).split(".")[1:]:
        column = column.struct.field(part)
    return column


def _values(column: pl.Series) -> Column:
    return column.fill_null(np.nan).to_numpy()
