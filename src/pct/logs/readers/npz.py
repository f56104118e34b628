"""NumPy archives with one array a signal, or one component of an array a signal."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pct.errors import DamagedLogError, DataError, LogError
from pct.logs.readers.base import MOST_AXES, RawLog, check_count, check_size, columns_from_arrays, damage


def read_npz(path: Path, names: Sequence[str] | None, options: Mapping[str, str]) -> RawLog:
    """Read arrays by name; ``states[3]`` is the fourth component of ``states``.

    Args:
        path: the file.
        names: arrays, or components of them, to read; None for all that hold numbers.
        options: none.

    Raises:
        DataError: the file is no archive, holds pickled objects, would unpack to far more than it is, or
            lacks an array.
    """
    try:
        with path.open("rb") as opened, zipfile.ZipFile(opened) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            check_count(path, len(members))
            check_size(path, sum(info.file_size for info in members.values()))
            return columns_from_arrays(
                path, names, lambda key: _array(path, archive, members.get(key)), list(members)
            )
    except DataError:
        raise
    # Damaged bytes fail anywhere inside the archive and the text of a header.
    except Exception as error:
        raise DamagedLogError(
            path, f"expected a NumPy archive, found {damage(error)}: is the file whole?"
        ) from None


def _array(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo | None) -> Any:
    if member is None:
        return None
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # What unpacks others takes as much memory as they say.
        raise LogError(path, "expected arrays packed as np.savez does, found otherwise: save them with it")
    check_size(path, member.file_size, member.compress_size)
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, kind = read(file)
    if kind.hasobject:
        raise LogError(
            path,
            "expected plain arrays, found what only pickle could read; "
            "pickles can run code and are not read: save the arrays with np.savez",
        )
    # An array is made before it is read, of the size that its header says.
    count = math.prod(shape)
    whole = all(type(length) is int and 0 <= length <= member.file_size for length in shape)
    if not whole or count * max(kind.itemsize, 1) > member.file_size:
        shown = str(shape)[:60]
        raise LogError(
            path, f"expected an array of {member.file_size} bytes, found a header of shape {shown}"
        )
    if len(shape) <= MOST_AXES:
        check_size(path, 8 * count, member.file_size)
    with archive.open(member) as file:
        return np.lib.format.read_array(file, allow_pickle=False)
