"""A track's road from a file: points of a closed centre line and the road to either side."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pct.errors import DataError
from pct.types import Float

# Names of the columns, ours and those of the TUM race track database.
COLUMNS = {
    "x": ("x", "x_m"),
    "y": ("y", "y_m"),
    "right": ("right", "w_tr_right_m"),
    "left": ("left", "w_tr_left_m"),
}
# Points that a centre line is resampled to, and the fewest that it may have.
POINTS, FEWEST = 400, 8
LARGEST = 1e6


class Road(NamedTuple):
    """A closed road.

    Attributes:
        centre: evenly spaced points in m, (M, 2).
        left, right: road to either side in m, (M,).
    """

    centre: Float[np.ndarray, "M 2"]
    left: Float[np.ndarray, " M"]
    right: Float[np.ndarray, " M"]


def read_track(path: Path) -> Road:
    """A road from a CSV file with the columns ``x``, ``y``, ``right`` and ``left`` in m, a row a point.

    Points are in the order of driving. Files of the TUM race track database can be read, too.

    Raises:
        DataError: the file is missing or does not hold such a road.
    """
    wanted = "expected CSV with the columns x, y, right, left in m"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: {wanted}: {getattr(error, 'strerror', None) or error}") from None
    head = [cell.strip().lstrip("#").strip() for cell in rows[0]] if rows else []
    places = {}
    for name, known in COLUMNS.items():
        if not (found := [head.index(other) for other in known if other in head]):
            raise DataError(f"{path}: {wanted}, found no '{name}' among {', '.join(head) or 'nothing'}")
        places[name] = found[0]
    try:
        values = {name: np.array([float(row[at]) for row in rows[1:]]) for name, at in places.items()}
    except (ValueError, IndexError) as error:
        raise DataError(f"{path}: {wanted}: {error}") from None
    if len(rows) - 1 < FEWEST or not all((np.abs(column) < LARGEST).all() for column in values.values()):
        raise DataError(f"{path}: {wanted}: {FEWEST} finite points or more, within {LARGEST:g} m")
    if min(values["left"].min(), values["right"].min()) < 0:
        raise DataError(f"{path}: {wanted}: the road to either side is zero or more")
    return even(np.stack([values["x"], values["y"]], axis=-1), values["left"], values["right"])


def even(centre: np.ndarray, left: np.ndarray, right: np.ndarray, points: int = POINTS) -> Road:
    """The same road with evenly spaced points."""
    closed = np.concatenate([centre, centre[:1]])
    way = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
    at = np.linspace(0, way[-1], points, endpoint=False)
    columns = (*centre.T, left, right)
    x, y, left, right = (np.interp(at, way, np.append(column, column[0])) for column in columns)
    return Road(np.stack([x, y], axis=-1), left, right)
