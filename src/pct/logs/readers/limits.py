"""What reading one log may take, by its size: a file from anywhere must not decide how long and how much."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from pct.errors import LogError
from pct.logs.readers.base import MOST_BYTES

# Starting the packages takes 1 s of processor time, the slowest of usual logs (small messages) 0.5 s a MB.
SECONDS, SECONDS_A_MB, MOST_SECONDS = 12.0, 4.0, 7200.0
# On a loaded machine, or from a slow disk, a second of processor time takes several.
PATIENCE, SLOW = 60.0, 5.0
# The packages take 0.2 GB; a list of lists in JSON takes 30 times its text.
MEMORY, MEMORY_A_BYTE = 1 << 30, 32


class Limits(NamedTuple):
    """Most that reading a file may take.

    Attributes:
        processor: time of the processor in s.
        wall: time that passes in s.
        memory: bytes beyond those that the process has before; also of the columns.
    """

    processor: float
    wall: float
    memory: int

    def exceeded(self, path: Path, which: str) -> LogError:
        """The error where a file exceeds the limit of that name."""
        most = {
            "processor": f"{self.processor:.0f} s of processor time",
            "wall": f"{self.wall:.0f} s",
            "memory": f"{self.memory / 1e9:.3g} GB of memory",
        }[which]
        return LogError(
            path,
            f"expected a log that is read in {most}, found that it takes more: "
            "is the file damaged? Else split it into shorter recordings",
        )


def limits(path: Path) -> Limits:
    """The limits of a file, or of a folder of files.

    Raises:
        OSError: its size cannot be told.
    """
    size = sum(file.stat().st_size for file in path.iterdir()) if path.is_dir() else os.stat(path).st_size
    # A file with holes is as long as it likes.
    processor = min(SECONDS + SECONDS_A_MB * size / 1e6, MOST_SECONDS)
    return Limits(processor, PATIENCE + SLOW * processor, min(MEMORY + MEMORY_A_BYTE * size, MOST_BYTES))
