"""MDF4, the measurement format of the car industry: channel groups, each with its own clock."""

from __future__ import annotations

import contextlib
import gc
import io
import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from pct.errors import DamagedLogError, DataError, LogError
from pct.logs.readers.apart import read_apart
from pct.logs.readers.base import (
    AnyColumn,
    RawLog,
    check_count,
    check_package,
    check_size,
    damage,
    missing_column,
)

# Number of a conversion by a formula in the file, in version 4 and before.
FORMULA, FORMULA_BEFORE = 3, 10
# Formulas that the package was asked to work out though none of them came so far.
_refused: list[str] = []


def read_mdf(path: Path, names: Sequence[str] | None, options: Mapping[str, str]) -> RawLog:
    """Read channels by name; one that several groups have is called ``group0.NAME``, ``group1.NAME``, ...

    On some damaged files the package that reads MDF takes its process down, so it has one of its own.
    Formulas in the file are not run: neither that of a channel, nor that of its clock, nor one that a table
    refers to.

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
    asammdf = _without_formulas()
    with _quiet():
        try:
            # From an open file, else the library leaves one behind that it could not read.
            with path.open("rb") as file:
                if file.read(3) != b"MDF":
                    raise DamagedLogError(
                        path, "expected an MDF file, found other content: is the file whole?"
                    )
                # Data of a bus would be worked out when the file is opened.
                with asammdf.MDF(file, process_bus_logging=False) as mdf:
                    return _read(path, mdf, names)
        except (DataError, MemoryError):
            raise
        # Damaged bytes fail anywhere inside the blocks.
        except Exception as error:
            failure: Exception = error
        # What is half open refers to itself: only a collection lets go of it.
        gc.collect()
    raise DamagedLogError(path, f"expected an MDF file, found {damage(failure)}: is the file whole?")


@cache
def _without_formulas() -> Any:
    """The package, made unable to work out a text; what it needs for tables of numbers is left to it."""
    # Makes Python code of a text.
    sys.modules["sympy"] = None  # type: ignore[assignment]
    import asammdf
    from asammdf.blocks import v2_v3_blocks, v2_v3_constants, v4_blocks, v4_constants

    own = {
        v4_constants.CONV_RAT_TEXT,
        v2_v3_constants.RAT_CONV_TEXT,
        v2_v3_constants.POLY_CONV_SHORT_TEXT,
        v2_v3_constants.POLY_CONV_LONG_TEXT,
    }
    blocks: Any
    for blocks in (v2_v3_blocks, v4_blocks):
        blocks.evaluate = _evaluate_own(blocks.evaluate, own)
        blocks.lambdify = None
    return asammdf


def _evaluate_own(evaluate: Callable[..., Any], own: Set[str]) -> Callable[[str], Any]:
    """Works out these texts, with the variables of the one that asks, and notes others."""
    # A lambda: what checks the types of functions in tests would stand between it and the one that asks.
    return lambda text: evaluate(text, local_dict=sys._getframe(1).f_locals) if text in own else _refuse(text)


def _refuse(text: str) -> NoReturn:
    """The package goes on without the conversion, whatever is raised."""
    _refused.append(text)
    raise ValueError(text)


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
    size = 0
    unread: DataError | None = None
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
        size += 8 * int(mdf.groups[group].channel_group.cycles_nr)
        check_size(path, size)
        master = mdf.masters_db.get(group)
        try:
            for place in {index, index if master is None else master}:
                _check_conversion(path, mdf, called[group, place], group, place)
            columns[name], units[name] = _values(path, mdf, name, group, index)
        except DataError as error:
            if names is not None:
                raise
            unread = unread or error
            continue
        if master is not None:
            clocks[name] = called[group, master]
    units = {name: unit for name, unit in units.items() if unit}
    if not columns:
        raise unread or LogError(path, "expected channels with numbers, found none: leave the file out")
    return RawLog(columns, np.arange(max(map(len, columns.values()))), "row", units=units, clocks=clocks)


def _check_conversion(path: Path, mdf: Any, name: str, group: int, index: int) -> None:
    """Refuse a channel whose conversion is a formula, or refers to one, however far."""
    formula = FORMULA if mdf.version >= "4" else FORMULA_BEFORE
    channel = mdf.groups[group].channels[index]
    if channel.conversion is None and channel.conversion_addr:
        # The package would give numbers that are not converted.
        raise LogError(path, f"expected the conversion of channel '{name}', found none that can be read")
    waiting = [channel.conversion]
    while waiting:
        conversion = waiting.pop()
        if getattr(conversion, "conversion_type", None) == formula:
            raise _formula(path, name)
        waiting += (getattr(conversion, "referenced_blocks", None) or {}).values()


def _values(path: Path, mdf: Any, name: str, group: int, index: int) -> tuple[AnyColumn, str]:
    """Samples and unit of a channel."""
    # Each of the channels that it is made of has a conversion of its own.
    if mdf.groups[group].channel_dependencies[index] is not None:
        raise LogError(path, f"expected numbers in '{name}', found an array or a structure")
    _refused.clear()
    signal = mdf.get(group=group, index=index, ignore_invalidation_bits=True)
    if _refused:
        raise _formula(path, name)
    samples = np.asarray(signal.samples)
    if samples.ndim != 1 or samples.dtype.kind not in "fiub" or not len(samples):
        raise LogError(path, f"expected numbers in '{name}', found {len(samples)} values of {samples.dtype}")
    column = samples.astype(np.float64)
    if signal.invalidation_bits is not None:
        column[np.asarray(signal.invalidation_bits, dtype=bool)] = np.nan
    return column, str(signal.unit or "")


def _formula(path: Path, name: str) -> DataError:
    return LogError(
        path, f"channel '{name}' is converted by a formula, which is not run: export it converted"
    )
