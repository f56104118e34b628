"""What a reader of a log format gives: named raw columns, and how its rows are called in messages."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pct.errors import DataError
from pct.types import Column, Int


@dataclasses.dataclass(frozen=True, eq=False)
class RawLog:
    """Raw columns of one file, unconverted.

    Attributes:
        columns: values by column name, float64, each of shape (N,); a missing value is NaN.
        rows: where each row stands in the file, shape (N,).
        place: what ``rows`` counts: ``line`` of a text file or ``row`` of an array.
    """

    columns: Mapping[str, Column]
    rows: Int[np.ndarray, " N"]
    place: str


def columns_from_arrays(path: Path, names: Sequence[str], known: Callable[[str], Any], keys: str) -> RawLog:
    """Raw columns from named arrays, for formats that hold one array a signal.

    A name may end in an index, ``states[3]``: that component of a two-dimensional array, whose longer axis
    is time. Arrays may be one sample shorter than the longest, as inputs are that act between samples.

    Args:
        path: the file, for messages.
        names: column names as the map gives them.
        known: gives the array behind a key, or None.
        keys: the keys of the file, for messages.

    Raises:
        DataError: an array is missing, no number, of another shape, or too short.
    """
    columns = {name: _column(path, name, known, keys) for name in names}
    longest = max(len(column) for column in columns.values())
    for name, column in columns.items():
        if len(column) < longest - 1:
            raise DataError(
                f"{path}: expected columns of one length, found {len(column)} samples in '{name}' and "
                f"{longest} in another: is it a signal of another rate?"
            )
    shortest = min(len(column) for column in columns.values())
    return RawLog({name: column[:shortest] for name, column in columns.items()}, np.arange(shortest), "row")


def missing_column(path: Path, name: str, keys: str) -> DataError:
    """The error for a column that the file does not have."""
    return DataError(
        f"{path}: expected column '{name}', found: {keys}.\n"
        "Correct the column in signals.toml, or leave the channel out if it can be derived"
    )


def _column(path: Path, name: str, known: Callable[[str], Any], keys: str) -> Column:
    match = re.fullmatch(r"(.*)\[(\d+)\]", name)
    key, index = (match[1], int(match[2])) if match else (name, None)
    values = known(key)
    if values is None:
        raise missing_column(path, name, keys)
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"{path}: expected numbers in '{name}', found {_odd_one(values)}") from None
    if index is None and array.ndim == 1:
        return array
    if index is None or array.ndim != 2 or index >= min(array.shape):
        raise DataError(
            f"{path}: column '{name}' names no single signal: '{key}' is an array of shape {array.shape}; "
            "write NAME for a list, NAME[INDEX] for a component of a two-dimensional array"
        )
    return array[index] if array.shape[0] <= array.shape[1] else array[:, index]


def _odd_one(values: Any) -> str:
    """What is no number among the values, and where."""
    for row, value in enumerate(values if isinstance(values, list) else []):
        try:
            np.float64(value)
        except (TypeError, ValueError):
            return f"{value!r} in row {row}"
    return f"{type(values).__name__} that cannot be read as numbers"
