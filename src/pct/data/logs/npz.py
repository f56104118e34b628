"""NumPy archives with one array a signal, or one component of an array a signal."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pct.data.logs.base import RawLog, columns_from_arrays
from pct.errors import DataError


def read_npz(path: Path, names: Sequence[str], options: Mapping[str, str]) -> RawLog:
    """Read arrays by name; ``states[3]`` is the fourth component of ``states``.

    Args:
        path: the file.
        names: arrays, or components of them, to read.
        options: none.

    Raises:
        DataError: the file is no archive, holds pickled objects, or lacks an array.
    """
    try:
        # NumPy leaves a file open that it cannot read.
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except ValueError as error:
        raise DataError(
            f"{path}: expected plain arrays, found what only pickle could read ({error}); "
            "pickles can run code and are not read: save the arrays with np.savez"
        ) from None
    except (OSError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise DataError(f"{path}: expected a NumPy archive, could not read it ({error})") from None
    return columns_from_arrays(path, names, arrays.get, ", ".join(arrays))
