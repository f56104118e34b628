"""The result of a reader of a log format: raw columns by name, and what its rows are called in messages."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import re
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from pct.errors import DataError, LogError, LogValueError
from pct.logs.readers.time_texts import seconds_of
from pct.types import Float, Int

# A column of some clock; those of another clock have another length.
AnyColumn: TypeAlias = Float[np.ndarray, " _"]

# Columns of one file. A log of a car has hundreds, with a laser scanner a thousand.
MOST_COLUMNS = 20_000
# Signals of one array; a longer axis is no list of signals.
MOST_COMPONENTS = 64
# Signs of a column's name in a message.
LONGEST_SHOWN = 100
# Axes of an array that may hold signals.
MOST_AXES = 2
# A small file that claims to unpack to this many times its size, and to more bytes than that, is damaged or
# made to fill the memory. Constant columns alone pack better, but a log has others beside them.
MOST_PACKED, HARMLESS = 200, 64 << 20
# And none may take more than this many bytes.
MOST_BYTES = 8 << 30


@dataclasses.dataclass(frozen=True, eq=False)
class RawLog:
    """Raw columns of one file, unconverted.

    Attributes:
        columns: values by column name, float64; a missing value is NaN. Columns of one clock have one length.
        rows: where each row of the longest clock stands in the file, shape (N,).
        place: what ``rows`` counts: ``line`` of a text file, ``row`` of an array, ``message`` of a topic.
        units: the unit that the file itself gives for a column, where it gives one.
        clocks: the column that holds the time of a column, where the file tells; in s.
        texts: the first cell of columns that hold texts, as far as the reader tells, for messages.
        notes: what was lost or is odd, one sentence each: a recording that breaks off.
        restarts: places, as ``rows`` counts them, at which the file begins anew.
    """

    columns: Mapping[str, AnyColumn]
    rows: Int[np.ndarray, " N"]
    place: str
    units: Mapping[str, str] = dataclasses.field(default_factory=dict)
    clocks: Mapping[str, str] = dataclasses.field(default_factory=dict)
    texts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    notes: Sequence[str] = ()
    restarts: Sequence[int] = ()


def columns_from_arrays(
    path: Path,
    names: Sequence[str] | None,
    known: Callable[[str], Any],
    keys: Sequence[str],
) -> RawLog:
    """Raw columns from named arrays, for formats that hold one array a signal.

    A name may end in an index, ``states[3]``: that component of a two-dimensional array, whose longer axis
    is time.

    Args:
        path: the file, for messages.
        names: column names as the map gives them; None for all that hold numbers.
        known: gives the array behind a key, or None.
        keys: the keys of the file.

    Raises:
        DataError: an array is missing, no number, or of another shape.
    """
    if names is None:
        check_count(path, len(keys))
        columns: dict[str, AnyColumn] = {}
        size = 0
        for key in keys:
            signals = dict(_signals(key, known(key)))
            size += sum(column.nbytes for column in signals.values())
            check_size(path, size)
            columns |= signals
    else:
        columns = {name: _column(path, name, known, keys) for name in names}
    longest = max((len(column) for column in columns.values()), default=0)
    return RawLog(columns, np.arange(longest), "row")


class DamagedBlock(ValueError):
    """A block of a file that cannot be unpacked, in our words; it passes through a library."""


def damage(error: BaseException) -> str:
    """What is wrong with bytes over which a library tripped, in our words instead of its own.

    Examples:
        >>> damage(EOFError()), damage(ValueError("0x3f"))
        ('one that breaks off', 'bytes that are damaged or of another format')
    """
    at: BaseException | None = error
    while at is not None and not isinstance(at, DamagedBlock):
        at = at.__cause__ or at.__context__
    if at is not None:
        return str(at)
    if isinstance(error, RecursionError):
        return "one that is nested too deeply"
    told = f"{type(error).__name__} {error}".lower()
    if any(word in told for word in ("eof", "end of file", "truncated", "unexpected end", "buffer", "short")):
        return "one that breaks off"
    return "bytes that are damaged or of another format"


def missing_column(path: Path, name: str, names: Sequence[str], most: int = 30) -> LogValueError:
    """The error for a column that the file does not have."""
    listed = ", ".join(name[:LONGEST_SHOWN] for name in names[:most]) + (
        f" and {len(names) - most} more" if len(names) > most else ""
    )
    return LogValueError(
        path,
        f"expected column '{name[:LONGEST_SHOWN]}', found: {listed or 'none'}. "
        "Correct the column in signals.toml, or leave the channel out (NAME = false under [channels]): it is "
        "derived where it can be, and a log needs no pose",
        column=name,
    )


def check_count(path: Path, columns: int) -> None:
    """Refuse a file with more columns than any log has."""
    if columns > MOST_COLUMNS:
        raise LogError(
            path, f"expected at most {MOST_COLUMNS} columns, found {columns}: is each row one signal?"
        )


def check_size(path: Path, unpacked: int, packed: int | None = None) -> None:
    """Refuse what would fill the memory, before it is unpacked.

    Args:
        path: the file.
        unpacked: bytes that its content takes in memory, as the file declares it.
        packed: bytes that hold it; the size of the file when left out.
    """
    packed = path.stat().st_size if packed is None else packed
    if unpacked > MOST_BYTES or (unpacked > HARMLESS and unpacked > MOST_PACKED * packed):
        raise LogError(
            path,
            f"expected a log, found {packed / 1e6:.3g} MB that unpack to {unpacked / 1e6:.3g} MB: "
            "is the file damaged? Else split it into shorter recordings",
        )


def check_regular(path: Path) -> None:
    """Refuse what is no file, before it is opened: a pipe waits for ever, a device never ends."""
    mode = path.stat().st_mode
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    if not stat.S_ISREG(mode):
        kind = kinds.get(stat.S_IFMT(mode), "something else")
        raise LogError(path, f"expected a file, found {kind}: leave it out")


def optional_package(module: str, extra: str, what: str) -> Any:
    """Import a package that only some formats need; arguments and errors as of `check_package`."""
    check_package(module, extra, what)
    try:
        return importlib.import_module(module)
    except ImportError:  # a package that it needs in turn
        raise _missing_package(extra, what) from None


def check_package(module: str, extra: str, what: str) -> None:
    """See that a package is there that only some formats need.

    Args:
        module: what is imported of it.
        extra: of PCT, with which it comes.
        what: cannot be read without it.

    Raises:
        DataError: it is not installed; names the command that installs it.
    """
    try:
        installed = importlib.util.find_spec(module)
    except (ModuleNotFoundError, ValueError):
        installed = None
    if installed is None:
        raise _missing_package(extra, what)


def _missing_package(extra: str, what: str) -> DataError:
    return DataError(f'{what}: cannot read it without another package: pip install "pct-vehicle[{extra}]"')


def _signals(key: str, values: Any) -> list[tuple[str, AnyColumn]]:
    """The signals in an array: itself, or its components; none where it holds no numbers."""
    # Pictures are left out before they take eight bytes a pixel.
    if isinstance(values, np.ndarray) and (values.ndim > MOST_AXES or values.dtype.kind == "c"):
        return []
    try:
        array = _numbers(values)
    except (TypeError, ValueError, OverflowError):
        return []
    if array.ndim == 1 and len(array) > 1:
        return [(key, array)]
    if array.ndim != 2 or not 0 < min(array.shape) <= MOST_COMPONENTS:
        return []
    components = array if array.shape[0] <= array.shape[1] else array.T
    return [(f"{key}[{index}]", component) for index, component in enumerate(components)]


def _column(path: Path, name: str, known: Callable[[str], Any], keys: Sequence[str]) -> AnyColumn:
    values, index = known(name), None
    match = re.fullmatch(r"(.*)\[(\d{1,9})\]", name)
    if values is None and match:
        values, index = known(match[1]), int(match[2])
    if values is None:
        raise missing_column(path, name, keys)
    try:
        if np.iscomplexobj(values):
            raise TypeError
        array = _numbers(values)
    except (TypeError, ValueError, OverflowError):
        raise LogValueError(
            path, f"expected numbers in '{name}', found {_odd_one(values)}", column=name
        ) from None
    if index is None and array.ndim == 1:
        return array
    if index is None or array.ndim != 2 or index >= min(array.shape):
        raise LogError(
            path,
            f"column '{name}' names no single signal: '{match[1] if match else name}' is an array of "
            f"shape {array.shape}; write NAME for a list, NAME[INDEX] for a component of a list of lists",
        )
    return array[index] if array.shape[0] <= array.shape[1] else array[:, index]


def _numbers(values: Any) -> np.ndarray:
    """Values as numbers; times that are written as text in s.

    Raises:
        TypeError, ValueError, OverflowError: these are none.
    """
    seconds = None
    if isinstance(values, list) or (isinstance(values, np.ndarray) and values.dtype.kind == "U"):
        seconds = seconds_of(values if isinstance(values, list) else values.ravel().tolist())
    return np.asarray(values, dtype=np.float64) if seconds is None else seconds


def _odd_one(values: Any) -> str:
    """What is no number among the values, and where."""
    for row, value in enumerate(values if isinstance(values, list) else []):
        try:
            np.float64(value)
        except (TypeError, ValueError, OverflowError):
            return f"{str(value)[:60]!r} in row {row}"
    return f"{type(values).__name__} that cannot be read as numbers"
