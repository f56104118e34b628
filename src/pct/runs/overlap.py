"""Recognises test rows that were trained on by their content, not by the name of a file.

Training leaves a fingerprint of its rows in the run folder: a 64-bit hash of each row's states but the pose,
and of its controls. Only multiples of 16 are stored, so that the choice of rows depends on their
content alone, and slices and joined recordings are recognised as well as copies. The pose is left out, since
positions count from the start of a recording.

A log that was resampled between its samples, or had noise added, is not recognised.

References:
    U. Manber, "Finding Similar Files in a Large File System", USENIX Winter 1994, section 2: keeping the
    fingerprints that are divisible by a power of two.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pct.errors import DataError
from pct.files import write_output
from pct.json_files import read_whole
from pct.types import Bool, Shaped
from pct.windows.splits import rows_of_windows
from pct.windows.store import WindowStore
from pct.windows.window_set import WindowSet

FINGERPRINT = "training_rows.npy"
ONE_IN = 16
# Bytes of the hashes of far more rows than anybody has.
LARGEST = 4 << 30
# A log of rounded numbers may repeat a row of another drive by chance.
TOLERATED = 0.01

Hashes = Shaped[np.ndarray, " K"]


class Overlap(NamedTuple):
    """How much of a test set was trained on.

    Attributes:
        share: of the compared rows, those found in the training data, 0 to 1.
        compared: test rows that were compared, about a sixteenth of those that move.
    """

    share: float
    compared: int

    @property
    def alarming(self) -> bool:
        """Whether it is more than chance."""
        return self.share > TOLERATED


def find_overlap(fingerprint: Hashes, test: Shaped[np.ndarray, " L"]) -> Overlap:
    """The share of a test set's hashes that a training fingerprint holds."""
    shared = np.isin(test, fingerprint)
    return Overlap(float(shared.mean()) if shared.size else 0.0, shared.size)


def row_hashes(store: WindowStore, pose: tuple[int, int, int], read: Bool[np.ndarray, " N"]) -> Hashes:
    """Hashes of the rows that were read, multiples of `ONE_IN` alone, (K,) unsigned 64-bit.

    A row that equals its neighbour is skipped: all cars stand still alike.

    Args:
        store: the rows.
        pose: positions of x, y and heading in the state.
        read: which rows count, (N,).
    """
    hashes, compared = _hashed(store, pose)
    return hashes[compared & read]


def rows_seen(store: WindowStore, pose: tuple[int, int, int], fingerprint: Hashes) -> Bool[np.ndarray, " N"]:
    """Which rows of a store may be those of a fingerprint, (N,): in doubt they are.

    One row in `ONE_IN` is compared, so a row counts as seen where the next compared row before or after it,
    in its recording, is known. A recording of which no more is known than chance has none; one without any
    compared row counts whole.

    Args:
        store: the rows.
        pose: positions of x, y and heading in the state.
        fingerprint: from `row_hashes` of the rows that were read.
    """
    hashes, compared = _hashed(store, pose)
    known = compared & np.isin(hashes, fingerprint)
    seen = np.zeros(known.size, bool)
    for number in range(len(store.recordings)):
        rows = np.flatnonzero(store.recording == number)
        places = rows[compared[rows]]
        if not places.size:
            seen[rows] = True
        elif known[places].mean() > TOLERATED:
            edges = [rows[0] - 1, *places, rows[-1] + 1]
            for before, place, after in zip(edges, places, edges[2:], strict=False):
                if known[place]:
                    seen[before + 1 : after] = True
    return seen


def _hashed(
    store: WindowStore, pose: tuple[int, int, int]
) -> tuple[Shaped[np.ndarray, " N"], Bool[np.ndarray, " N"]]:
    """The hash of each row, and which rows are compared by it, (N,) each."""
    moving = np.delete(store.states, pose, axis=1)
    rows = np.ascontiguousarray(np.concatenate([moving, store.controls], axis=1, dtype=np.float32)) + 0.0
    same = np.concatenate([[False], np.all(rows[1:] == rows[:-1], axis=1), [False]])
    hashes = _hash(rows.view(np.uint32))
    return hashes, ~same[1:] & ~same[:-1] & (hashes % ONE_IN == 0)


def save_fingerprint(run: Path, windows: WindowSet, below: Hashes | None = None) -> None:
    """Write the fingerprint of the rows that training windows read into a run folder.

    Args:
        run: the run folder.
        windows: of the training.
        below: hashes of the rows that a fit below the network has used.

    Raises:
        DataError: the file cannot be written.
    """
    store, starts = windows.store, windows.starts
    shape = {"horizon": windows.horizon, "history": windows.history}
    read = rows_of_windows(starts, store.recording.size, **shape)
    hashes = row_hashes(store, windows.pose, read)
    hashes = np.unique(hashes if below is None else np.concatenate([hashes, below]))
    write_output(run / FINGERPRINT, lambda file: np.save(file, hashes))


def load_fingerprint(run: Path) -> Hashes | None:
    """The fingerprint that training left; None where it left none.

    Raises:
        DataError: the file is damaged.
    """
    path = run / FINGERPRINT
    if not os.path.lexists(path):
        return None
    what, fix = (
        "the fingerprint of the training rows",
        "delete it, and it is made anew from the training data",
    )
    content = io.BytesIO(read_whole(path, what=what, fix=fix, largest=LARGEST))
    try:
        # Not `np.load`: it takes archives, too, and makes room for what a header says before it looks.
        np.lib.format.read_magic(content)
        shape, _, dtype = np.lib.format.read_array_header_1_0(content)
        hashes = np.frombuffer(content.read(), np.uint64)
        intact = dtype == np.uint64 and shape == hashes.shape
    except Exception:  # a damaged header fails anywhere inside NumPy and Python's parser
        intact = False
    if not intact:
        raise DataError(f"{path}: expected {what}, found something else: {fix}")
    return hashes


def _hash(words: Shaped[np.ndarray, "N W"]) -> Shaped[np.ndarray, " N"]:
    """A 64-bit hash of each row of words: the finaliser of splitmix64 after every word.

    References:
        G. L. Steele, D. Lea, C. H. Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.
    """
    hashes = np.full(len(words), 0x9E3779B97F4A7C15, np.uint64)
    for column in words.T:
        hashes = hashes * np.uint64(0x9E3779B97F4A7C15) + column
        hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        hashes = (hashes ^ (hashes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        hashes ^= hashes >> np.uint64(31)
    return hashes
