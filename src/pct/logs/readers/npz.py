"""NumPy archives with one array a signal, or one component of an array a signal."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pct.errors import DataError
from pct.logs.readers.base import RawLog, check_count, check_size, columns_from_arrays


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
    except ValueError as error:
        raise DataError(
            f"{path}: expected plain arrays, found what only pickle could read ({str(error)[:200]}); "
            "pickles can run code and are not read: save the arrays with np.savez"
        ) from None
    # RuntimeError and NotImplementedError: encrypted, or packed in a way that the library does not know.
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError, MemoryError) as error:
        raise DataError(f"{path}: expected a NumPy archive, could not read it ({str(error)[:200]})") from None


def _array(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo | None) -> Any:
    if member is None:
        return None
    check_size(path, member.file_size, member.compress_size)
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, kind = read(file)
    # An array is made before it is read, of the size that its header says.
    if not kind.hasobject and int(np.prod(shape, dtype=object)) * kind.itemsize > member.file_size:
        raise DataError(
            f"{path}: expected an array of {member.file_size} bytes, found a header of shape {shape}"
        )
    with archive.open(member) as file:
        return np.lib.format.read_array(file, allow_pickle=False)
