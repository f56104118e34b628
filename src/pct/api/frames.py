"""Drives from a data frame: its columns are channels by name, or what a map says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pct.errors import DataError, LogError
from pct.files import temporary_folder

if TYPE_CHECKING:
    import polars as pl

    from pct.recordings.trajectory import Trajectory


def is_frame(source: Any) -> bool:
    """Whether this is a data frame of polars or pandas, or a dict of columns."""
    # Asked of the class: a lazy frame would have to resolve its columns.
    return isinstance(source, Mapping) or hasattr(type(source), "columns")


def read_frame(frame: Any, name: str, signals: str | None) -> list[Trajectory]:
    """Recordings of a data frame; several where it is cut at faults.

    Args:
        frame: with the column ``t`` in s and channels by name in SI units, where no map is given.
        name: of the recording.
        signals: a ``signals.toml``, the name of a preset, or ``auto``.

    Raises:
        DataError: a column is missing or holds what it cannot hold.
    """
    from pct.logs.map_files import read_map
    from pct.mapping.log_files import find_logs
    from pct.recordings.folder import read_file

    with temporary_folder() as folder:
        log, toml = folder / f"{name}.parquet", folder / "signals.toml"
        if signals is None:
            columns = _known_columns(frame)
            toml.write_text(
                '[time]\ncolumn = "t"\n'
                + "".join(f'[channels."{name}"]\ncolumn = "{name}"\n' for name in columns if name != "t")
            )
        else:
            columns = list(map(str, _columns(frame)))
        _table(frame, columns).write_parquet(log)
        try:
            found = read_map(toml) if signals is None else find_logs([log], signals)[0][0].signals
            return read_file(log, found)
        except LogError as error:
            what = error.what
            if signals is None:
                # There is no map that could be written anew.
                what = what.replace("in signals.toml", "in a signals.toml and pass it as `map`")
            raise type(error)("data frame", what, column=error.column, row=error.row) from error


def _columns(frame: Any) -> Sequence[Any]:
    """Names of the columns as the frame has them."""
    import polars as pl

    if isinstance(frame, pl.LazyFrame):
        return frame.collect_schema().names()
    return list(frame) if isinstance(frame, Mapping) else list(frame.columns)


def _known_columns(frame: Any) -> list[str]:
    """The time and the channels among the columns.

    Raises:
        DataError: there is no time or no channel, or one of them twice.
    """
    from pct.dynamics.channels import known_channels
    from pct.logs.signals import FREE_PREFIXES

    known, found = known_channels(), [str(name) for name in _columns(frame)]
    names = [name for name in found if name in known or name.startswith(FREE_PREFIXES)]
    if "t" not in found or not names:
        raise DataError(
            "data frame: expected the column 't' in s and channels by name in SI units "
            f"({', '.join(list(known)[:8])}, ...), found {', '.join(found)}: "
            "rename the columns, or pass a `map`"
        )
    if twice := [name for name in ("t", *names) if found.count(name) > 1]:
        raise DataError(f"data frame: expected each column once, found {twice[0]!r} twice: drop one")
    return ["t", *names]


def _table(frame: Any, names: Sequence[str]) -> pl.DataFrame:
    """The named columns as a frame of polars.

    Raises:
        DataError: columns of different lengths, or one that holds no plain values.
    """
    import polars as pl

    if isinstance(frame, pl.LazyFrame):
        frame = frame.collect()
    if isinstance(frame, pl.DataFrame):
        return frame.select(names)
    keys = {str(key): key for key in _columns(frame)}
    columns = {}
    for name in names:
        try:
            columns[name] = pl.Series(name, _plain(frame[keys[name]]))
        except Exception as error:
            reason = str(error).partition("\n")[0]
            raise DataError(
                f"data frame: column {name!r}: expected one number a row, found none ({reason})"
            ) from error
    try:
        return pl.DataFrame(columns)
    except pl.exceptions.ShapeError as error:
        lengths = ", ".join(f"{name} {len(column)}" for name, column in columns.items())
        raise DataError(f"data frame: expected columns of one length, found {lengths} rows") from error


def _plain(column: Any) -> Any:
    """A column as NumPy has it; numbers that a library keeps in types of its own as floating point ones."""
    import numpy as np

    dtype = getattr(column, "dtype", None)
    if hasattr(column, "to_numpy"):
        own = not isinstance(dtype, np.dtype) and getattr(dtype, "kind", "") in "iuf"
        column = column.to_numpy(dtype=float, na_value=np.nan) if own else column.to_numpy()
    plain = np.asarray(column)
    return plain.tolist() if plain.dtype == object else plain
