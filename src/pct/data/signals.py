"""A folder of recordings, stored or raw, to trajectories."""

from __future__ import annotations

from pathlib import Path

from pct.data.trajectory import MANIFEST, Trajectory, read_dataset
from pct.errors import DataError


def read_folder(folder: Path) -> list[Trajectory]:
    """Read a dataset folder (``dataset.json``).

    Raises:
        DataError: the folder is missing or of neither kind, or its content cannot be used.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: expected a folder of recordings, found no such folder: check the path")
    if (folder / MANIFEST).is_file():
        return read_dataset(folder)
    raise DataError(f"{folder}: expected {MANIFEST}, found neither")
