"""MATLAB files: up to version 7 by SciPy, of version 7.3, which is HDF5, by h5py.

A variable is a column, ``states[3]`` a component of a matrix, ``log.speed`` a field of a structure,
``signals[1].values`` that of one of several structures. Objects of classes and functions are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from pct.errors import DamagedLogError, DataError, LogError
from pct.logs.readers.apart import read_apart
from pct.logs.readers.base import (
    MOST_AXES,
    MOST_COMPONENTS,
    RawLog,
    check_count,
    check_package,
    check_size,
    columns_from_arrays,
    damage,
    optional_package,
)

# How HDF5 begins, behind a header of MATLAB or without one.
HDF5, PLACES = b"\x89HDF\r\n\x1a\n", (0, 512)
# Structures inside each other.
DEEPEST = 16
# Names that a note lists.
MOST_NAMED = 10


def read_mat(path: Path, names: Sequence[str] | None, options: Mapping[str, str]) -> RawLog:
    """Read variables by name, in a process of its own: lengths in the file say what memory is taken.

    Args:
        path: the file.
        names: variables, fields or components to read; None for all that hold numbers.
        options: none.

    Raises:
        DataError: the file is damaged, lacks a variable, or holds an object or a function where it is read;
            it is of version 7.3 and the package that reads this is missing.
    """
    if _is_hdf5(path):
        check_package("h5py", "mat", f"{path}: a MATLAB file of version 7.3")
    return read_apart(path, names, __name__, options)


def read_here(path: Path, names: Sequence[str] | None, options: Mapping[str, str]) -> RawLog:
    """The same in this process."""
    tops = None if names is None else {re.split(r"[.\[]", name)[0] for name in names}
    found: dict[str, Any] = {}
    others: list[str] = []
    try:
        for name, value in _of_hdf5(path, tops) if _is_hdf5(path) else _of_version_5(path, tops):
            if value is None:
                others.append(name)
            else:
                found[name] = value
            check_count(path, len(found) + len(others))
        log = columns_from_arrays(path, names, found.get, list(found))
    except (DataError, MemoryError):
        raise
    # Damaged bytes fail anywhere inside the file.
    except Exception as error:
        raise DamagedLogError(
            path, f"expected a MATLAB file, found {damage(error)}: is the file whole?"
        ) from None
    if names is None and others:
        more = f" and {len(others) - MOST_NAMED} more" if len(others) > MOST_NAMED else ""
        note = f"left out, cells, texts or sparse matrices: {', '.join(others[:MOST_NAMED])}{more}"
        return RawLog(log.columns, log.rows, log.place, notes=[note])
    return log


def _is_hdf5(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(max(PLACES) + len(HDF5))
    return any(head[place:].startswith(HDF5) for place in PLACES)


def _of_version_5(path: Path, tops: set[str] | None) -> Iterator[tuple[str, Any]]:
    """Name and array of each variable and field, None for what is no array of numbers or texts."""
    import scipy.io

    with path.open("rb") as file:
        listed = scipy.io.whosmat(file)
        check_count(path, len(listed))
        for name, _, kind in listed:
            if kind in ("object", "opaque", "function") and (tops is None or name in tops):
                _refuse(path, name, "a function" if kind == "function" else "an object")
        wanted = [name for name, _, kind in listed if tops is None or name in tops]
        file.seek(0)
        content = scipy.io.loadmat(file, variable_names=wanted)
    for name in wanted:
        yield from _plain(path, name, content.get(name))


def _plain(path: Path, name: str, value: Any, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """A variable of version 5, or the fields of a structure."""
    from scipy.io import matlab

    if isinstance(value, matlab.MatlabFunction):
        _refuse(path, name, "a function")
    if isinstance(value, matlab.MatlabObject | matlab.MatlabOpaque):
        _refuse(path, name, "an object")
    if not isinstance(value, np.ndarray) or (value.dtype.hasobject and value.dtype.names is None):
        yield name, None
    elif value.dtype.names is None:
        yield name, np.squeeze(value)
    elif value.size <= MOST_COMPONENTS and depth < DEEPEST:
        for number, one in enumerate(value.ravel(order="F")):
            place = f"{name}[{number}]" if value.size > 1 else name
            for field in value.dtype.names:
                yield from _plain(path, f"{place}.{field}", one[field], depth + 1)
    else:
        yield name, None


def _of_hdf5(path: Path, tops: set[str] | None) -> Iterator[tuple[str, Any]]:
    """The same of a file of version 7.3."""
    h5py = optional_package("h5py", "mat", f"{path}: a MATLAB file of version 7.3")
    with h5py.File(path, "r") as file:
        check_count(path, len(file))
        for name in file:
            # Names with a # hold what MATLAB keeps for itself.
            if not name.startswith("#") and (tops is None or name in tops):
                yield from _node(path, h5py, file, name, name, set())


def _node(
    path: Path, h5py: Any, group: Any, key: str, name: str, seen: set[Any]
) -> Iterator[tuple[str, Any]]:
    """A variable of version 7.3, or the fields of a structure."""
    if not isinstance(group.get(key, getlink=True), h5py.HardLink):
        raise LogError(path, f"expected values in '{name}', found a link to another place: save it anew")
    node = group[key]
    place = h5py.h5o.get_info(node.id).addr
    kind = node.attrs.get("MATLAB_class", b"")
    kind = kind.decode(errors="replace") if isinstance(kind, bytes) else str(kind)
    if "MATLAB_object_decode" in node.attrs or kind == "function_handle":
        _refuse(path, name, "a function" if kind == "function_handle" else "an object")
    if isinstance(node, h5py.Group):
        if place in seen or len(seen) >= DEEPEST:
            raise LogError(path, f"expected structures in '{name}', found one inside itself: save it anew")
        check_count(path, len(node))
        for field in node:
            yield from _node(path, h5py, node, field, f"{name}.{field}", seen | {place})
    elif kind == "char" or "MATLAB_empty" in node.attrs or node.dtype.kind not in "fiub":
        yield name, None
    elif node.is_virtual or node.external:
        raise LogError(path, f"expected values in '{name}', found that another file has them: save it anew")
    elif node.ndim > MOST_AXES:
        yield name, None
    else:
        check_size(path, 8 * node.size, node.id.get_storage_size())
        # MATLAB's axes come in the other order.
        yield name, np.squeeze(node[()].T)


def _refuse(path: Path, name: str, what: str) -> NoReturn:
    raise LogError(
        path,
        f"expected numbers in '{name}', found {what} of MATLAB, which only MATLAB can read: "
        "save its values as arrays or structures",
    )
