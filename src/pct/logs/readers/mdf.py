"""MDF4, the measurement format of the car industry: channel groups, each with its own clock."""

from __future__ import annotations

import contextlib
import gc
import io
import logging
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pct.errors import DataError
from pct.logs.readers.apart import read_apart
from pct.logs.readers.base import (
    AnyColumn,
    RawLog,
    check_count,
    check_package,
    check_size,
    missing_column,
)

# A conversion by a formula in the file; formulas of strangers are not run.
FORMULA = 3


def read_mdf(path: Path, names: Sequence[str] | None, options: Mapping[str, str]) -> RawLog:
    """Read channels by name; one that several groups have is called ``group0.NAME``, ``group1.NAME``, ...

    On some damaged files the package that reads MDF takes its process down, so it has one of its own.

    Args:
        path: the file.
        names: channels to read; None for all that hold numbers.
        options: none.

    Raises:
        DataError: the file is damaged or lacks a channel; a channel holds no numbers; the package that reads
            MDF is missing.
    """
    check_package("asammdf", "mdf", f"{path}: an MDF file")
    return read_apart(path, names, __name__, options)


def read_here(path: Path, names: Sequence[str] | None, options: Mapping[str, str]) -> RawLog:
    """The same in this process."""
    import asammdf

    with _quiet():
        try:
            # From an open file, else the library leaves one behind that it could not read.
            with path.open("rb") as file:
                if file.read(3) != b"MDF":
                    raise DataError(f"{path}: expected an MDF file, found other content: is the file whole?")
                with asammdf.MDF(file) as mdf:
                    return _read(path, mdf, names)
        except (DataError, MemoryError):
            raise
        # Damaged bytes fail anywhere inside the blocks.
        except Exception as error:
            reason = (str(error).splitlines() or [""])[0][:200] or type(error).__name__
        # What is half open refers to itself: only a collection lets go of it.
        gc.collect()
    raise DataError(f"{path}: expected an MDF file, found {reason}: is the file whole?")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what the library logs and prints, or says when it lets go of a file that it could not open."""
    logger, hook = logging.getLogger("asammdf"), sys.unraisablehook
    disabled, logger.disabled = logger.disabled, True
    sys.unraisablehook = lambda _: None
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.disabled = disabled
        sys.unraisablehook = hook


def _read(path: Path, mdf: Any, names: Sequence[str] | None) -> RawLog:
    places = [
        (channel.name, group, index)
        for group, content in enumerate(mdf.groups)
        for index, channel in enumerate(content.channels)
    ]
    check_count(path, len(places))
    many = Counter(name for name, _, _ in places)
    known = {
        name if many[name] == 1 else f"group{group}.{name}": (group, index) for name, group, index in places
    }
    called = {place: name for name, place in known.items()}
    columns: dict[str, AnyColumn] = {}
    units, clocks = {}, {}
    chosen = list(known if names is None else names)
    for name in chosen:
        if name not in known:
            raise missing_column(path, name, list(known))
    masters = [
        called[known[name][0], mdf.masters_db[known[name][0]]]
        for name in chosen
        if known[name][0] in mdf.masters_db
    ]
    for name in dict.fromkeys([*chosen, *masters]):
        group, index = known[name]
        values = _values(path, mdf, name, group, index, strict=names is not None)
        if values is None:
            continue
        columns[name], units[name] = values
        master = mdf.masters_db.get(group)
        if master is not None:
            clocks[name] = called[group, master]
    units = {name: unit for name, unit in units.items() if unit}
    if not columns:
        raise DataError(f"{path}: expected channels with numbers, found none: leave the file out")
    return RawLog(columns, np.arange(max(map(len, columns.values()))), "row", units=units, clocks=clocks)


def _values(
    path: Path, mdf: Any, name: str, group: int, index: int, *, strict: bool
) -> tuple[AnyColumn, str] | None:
    """Samples and unit of a channel; None where it holds no numbers and need not."""
    content = mdf.groups[group]
    count = int(content.channel_group.cycles_nr)
    check_size(path, 8 * count)
    conversion = content.channels[index].conversion
    if conversion is not None and conversion.conversion_type == FORMULA:
        if not strict:
            return None
        raise DataError(
            f"{path}: channel '{name}' is converted by a formula, which is not run: export it converted"
        )
    signal = mdf.get(group=group, index=index, ignore_invalidation_bits=True)
    samples = np.asarray(signal.samples)
    if samples.ndim != 1 or samples.dtype.kind not in "fiub" or not len(samples):
        if not strict:
            return None
        raise DataError(
            f"{path}: expected numbers in '{name}', found {len(samples)} values of {samples.dtype}"
        )
    column = samples.astype(np.float64)
    if signal.invalidation_bits is not None:
        column[np.asarray(signal.invalidation_bits, dtype=bool)] = np.nan
    return column, str(signal.unit or "")
