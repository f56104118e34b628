"""The table of formats, by file name ending; a new format is one file and one line here."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pct.errors import LogError
from pct.logs.readers.base import RawLog, check_regular
from pct.logs.readers.computed import check_zones, inputs_of, with_computed
from pct.logs.readers.csv import read_csv
from pct.logs.readers.json import read_json
from pct.logs.readers.mat import read_mat
from pct.logs.readers.mdf import read_mdf
from pct.logs.readers.npz import read_npz
from pct.logs.readers.parquet import read_parquet
from pct.logs.readers.rosbag import read_bag
from pct.logs.readers.table_head import without_unit
from pct.logs.readers.unfinished import is_bag_folder

Reader = Callable[[Path, Sequence[str] | None, Mapping[str, str]], RawLog]

FORMATS: dict[str, Reader] = {
    ".csv": read_csv,
    ".tsv": read_csv,
    ".json": read_json,
    ".jsonl": read_json,
    ".npz": read_npz,
    ".parquet": read_parquet,
    ".bag": read_bag,
    ".db3": read_bag,
    ".mcap": read_bag,
    ".mf4": read_mdf,
    ".mat": read_mat,
}

# Files of recorders that only their own programs read for certain, and how those give a table.
CLOSED = {
    ".ld": "a file of MoTeC: open it in i2, and choose File, Export Data, CSV",
    ".ldx": "notes of MoTeC: open the .ld beside it in i2, and choose File, Export Data, CSV",
    ".xrk": "a file of AiM: open it in Race Studio, and export it as CSV",
    ".xrz": "a file of AiM: open it in Race Studio, and export it as CSV",
    ".drk": "a file of AiM: open it in Race Studio, and export it as CSV",
    ".vbo": "a file of VBOX: open it in Circuit Tools or VBOX Test Suite, and export it as CSV",
    ".blf": "a bus log: decode it with its .dbc, for example with asammdf, and export it as MF4 or CSV",
    ".asc": "a bus log: decode it with its .dbc, for example with asammdf, and export it as MF4 or CSV",
    ".xlsx": "a workbook: save the sheet as CSV",
}


def read_log(path: Path, names: Sequence[str] | None, options: Mapping[str, str]) -> RawLog:
    """Raw columns of a file.

    Args:
        path: a file with an ending of `FORMATS`, or the folder of a ROS 2 bag.
        names: columns to read, or formulas of them (see `pct.logs.readers.computed`); None for all that
            hold numbers.
        options: of the format, see its reader.

    Raises:
        DataError: the file cannot be read, or lacks a column; names the place.
    """
    plain = None if names is None else inputs_of(names)
    try:
        if path.is_dir():
            raw = read_bag(path, plain, options)
        else:
            check_regular(path)
            raw = _with_units(FORMATS[path.suffix.lower()](path, plain, options))
        check_zones(path, raw, names or (), cut=options.get("faults") == "cut")
        return with_computed(raw, names or ())
    except OSError as error:
        raise LogError(path, f"cannot read it ({error.strerror or error})") from None
    except RecursionError:
        raise LogError(path, "expected a log, found one that is nested too deeply") from None
    except MemoryError:
        raise LogError(path, "not enough memory to read it: split it into shorter recordings") from None


def _with_units(raw: RawLog) -> RawLog:
    """The log with the units that stand in brackets behind names, where its format has no place for them."""
    if raw.units or raw.clocks:
        return raw
    named = {name: without_unit(name)[1] for name in raw.columns}
    return dataclasses.replace(raw, units={name: unit for name, unit in named.items() if unit})


def no_log(path: Path) -> LogError:
    """The error for a path that is no log: what reads it, where that is known."""
    if (closed := CLOSED.get(path.suffix.lower())) and path.is_file():
        return LogError(path, f"expected a log that PCT reads, found {closed}")
    return LogError(path, f"expected a log ({', '.join(FORMATS)}, or the folder of a ROS 2 bag)")


def is_log(path: Path) -> bool:
    """Whether a path ends like a format, or is the folder of a ROS 2 bag."""
    return path.suffix.lower() in FORMATS if path.is_file() else is_bag_folder(path)
