"""A closed track: centre line and widths, from a file of the usual form or one of those that PCT brings."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline

from pct.errors import DataError, UsageError
from pct.types import Float

FOLDER = Path(__file__).parent / "tracks"
# Distance of the points that a line is sampled at, as a share of the track's length, and in m at most.
FINE, COARSEST = 1 / 2000, 0.5
# Distance in m that a place is looked for about another; a quarter of a short track.
NEAR = 30.0
FORM = "rows of x_m, y_m, w_tr_right_m, w_tr_left_m"


@dataclasses.dataclass(frozen=True, eq=False)
class Track:
    """A closed track, sampled evenly along its centre line.

    Attributes:
        name: of its file.
        s: distance from the start in m, of shape (N,).
        x, y, heading: of the centre line in m and rad; the heading grows on from point to point.
        curvature: in 1/m, positive to the left.
        right, left: widths in m.
        length: of the centre line in m.
    """

    name: str
    s: Float[np.ndarray, " N"]
    x: Float[np.ndarray, " N"]
    y: Float[np.ndarray, " N"]
    heading: Float[np.ndarray, " N"]
    curvature: Float[np.ndarray, " N"]
    right: Float[np.ndarray, " N"]
    left: Float[np.ndarray, " N"]
    length: float

    @property
    def step(self) -> float:
        """Distance of the points in m."""
        return self.length / len(self.s)

    def locate(self, x: float, y: float, near: float | None = None) -> tuple[float, float]:
        """Distance along the centre line, and offset to the left of it, of a place.

        Args:
            x, y: the place in m.
            near: distance along the line in m to look about, within `NEAR`; the whole line when left out.
        """
        count = len(self.s)
        if near is None:
            index = np.arange(count)
        else:
            reach = int(min(NEAR, self.length / 4) / self.step)
            index = (round(near / self.step) + np.arange(-reach, reach + 1)) % count
        best = index[np.argmin((self.x[index] - x) ** 2 + (self.y[index] - y) ** 2)]
        dx, dy = x - self.x[best], y - self.y[best]
        cos, sin = np.cos(self.heading[best]), np.sin(self.heading[best])
        return float((self.s[best] + cos * dx + sin * dy) % self.length), float(cos * dy - sin * dx)

    def is_on(self, s: float, offset: float) -> bool:
        """Whether a place is between the edges."""
        at = round(s / self.step) % len(self.s)
        return bool(-self.right[at] <= offset <= self.left[at])

    def at(self, s: Float[np.ndarray, " T"]) -> Float[np.ndarray, "T 3"]:
        """Position and heading at distances that may go round several times; the heading goes on."""
        laps, rest = np.divmod(s, self.length)
        turn = self.heading[0] + 2 * np.pi * np.sign(self.heading[-1] - self.heading[0])
        columns = [
            np.interp(rest, [*self.s, self.length], [*values, end])
            for values, end in ((self.x, self.x[0]), (self.y, self.y[0]), (self.heading, turn))
        ]
        columns[2] = columns[2] + laps * (turn - self.heading[0])
        return np.stack(columns, axis=1)


def track_names() -> list[str]:
    """Tracks that PCT brings."""
    return sorted(path.stem for path in FOLDER.glob("*.csv"))


def load_track(name: str | Path) -> Track:
    """A track of a file, or one of `track_names`.

    Args:
        name: a CSV file with rows of ``x_m, y_m, w_tr_right_m, w_tr_left_m`` along the centre line, as the
            race-track databases have it, or a name.

    Raises:
        UsageError: neither a file nor a name.
        DataError: the file holds something else.

    Examples:
        >>> round(load_track("kidney").length)
        757
    """
    path = Path(name)
    if not path.is_file():
        path = FOLDER / f"{name}.csv"
        if not path.is_file():
            raise UsageError(f"`track={name}`: expected a file or one of {', '.join(track_names())}")
    try:
        rows = np.loadtxt(path, delimiter=",", ndmin=2)
    except ValueError as error:
        raise DataError(f"{path}: expected {FORM}, found something else ({error})") from None
    if rows.shape[1] != 4 or len(rows) < 10 or not np.isfinite(rows).all():
        raise DataError(
            f"{path}: expected ten or more {FORM}, all finite, found {len(rows)} of {rows.shape[1]}"
        )
    if (rows[:, 2:] <= 0).any():
        row = int(np.argmax((rows[:, 2:] <= 0).any(axis=1)))
        raise DataError(f"{path}: expected widths above zero, found {rows[row, 2:].min():g} in row {row + 1}")
    return _sampled(path.stem, rows)


def _sampled(name: str, rows: Float[np.ndarray, "M 4"]) -> Track:
    """A smooth closed line through points, sampled evenly."""
    rows = np.vstack([rows, rows[:1]]) if np.hypot(*(rows[0] - rows[-1])[:2]) > 1e-6 else rows
    rows[-1] = rows[0]
    way = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(rows[:, :2], axis=0).T))])
    line = CubicSpline(way, rows, bc_type="periodic")
    fine = np.linspace(0.0, way[-1], 20 * len(rows))
    distance = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line(fine)[:, :2], axis=0).T))])
    length = float(distance[-1])
    s = np.arange(0.0, length, length / np.ceil(length / min(COARSEST, FINE * length)))[: int(1e6)]
    at = np.interp(s, distance, fine)
    (x, y, right, left), (dx, dy, *_), (ddx, ddy, *_) = (line(at, order).T for order in range(3))
    heading = np.unwrap(np.arctan2(dy, dx))
    curvature = (dx * ddy - dy * ddx) / np.hypot(dx, dy) ** 3
    return Track(name, s, x, y, heading, curvature, right, left, length)
