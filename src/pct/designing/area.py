"""Where a drive may be: a free rectangle, or the road between a track's edges.

An area turns numbers within [-1, 1] into a closed path of cubic B-splines, which cannot leave the hull of
its control points.
"""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from pct.errors import UsageError
from pct.types import Float

# Points of a path to each control point.
FINENESS = 40


class Path(NamedTuple):
    """Closed paths of M points each, (K, M).

    Attributes:
        x, y: in m.
        along: distance in m from each point to the next, by the path's derivative.
        course: direction in rad, not unwrapped.
        curvature: in 1/m, positive to the left.
        left, right: free road to either side in m; infinite on a free area.
    """

    x: np.ndarray
    y: np.ndarray
    along: np.ndarray
    course: np.ndarray
    curvature: np.ndarray
    left: np.ndarray
    right: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Rectangle:
    """A free rectangle about the origin, its margin taken off.

    Attributes:
        length, width: along x and y in m, the margin still on.
        margin: in m.
        controls: control points of a path.
    """

    length: float
    width: float
    margin: float
    controls: int

    def __post_init__(self) -> None:
        if min(self.length, self.width) <= 2 * self.margin:
            raise UsageError(
                f"`area={self.length:g} {self.width:g}`: expected more than twice the margin of "
                f"{self.margin:g} m on both sides: pass a larger area or a smaller `margin`"
            )

    @property
    def half(self) -> Float[np.ndarray, " 2"]:
        """Half of the sides that the car's centre may reach, in m."""
        return np.array([self.length, self.width]) / 2 - self.margin

    @property
    def narrowest(self) -> float:
        """Width of its narrowest place in m."""
        return min(self.length, self.width)

    @property
    def size(self) -> int:
        """Numbers that a path takes."""
        return 2 * self.controls

    def draw(self, rng: np.random.Generator) -> Float[np.ndarray, " Z"]:
        """A path at random: points anywhere, or a figure of eight that is bent."""
        if rng.random() < 0.5:
            return rng.uniform(-1.0, 1.0, self.size)
        turn = 2 * np.pi * (np.arange(self.controls) / self.controls * rng.integers(1, 4) + rng.random())
        eight = np.stack([np.sin(turn), np.sin(2 * turn)], axis=-1)
        return np.clip(eight + 0.3 * rng.standard_normal(eight.shape), -1.0, 1.0).ravel()

    def paths(self, numbers: Float[np.ndarray, "K Z"]) -> Path:
        """Closed paths of numbers within [-1, 1]."""
        points = numbers.reshape(len(numbers), self.controls, 2) * self.half
        place, first, second = (
            np.einsum("mc,kcd->dkm", basis, points) for basis in periodic_basis(self.controls)
        )
        free = np.full(place[0].shape, np.inf)
        return path_of(place, first, second, free, free)


@dataclasses.dataclass(frozen=True, eq=False)
class Track:
    """The road about a closed centre line, its margin taken off; the path's offset from it is free.

    Attributes:
        centre: points of the centre line in m, (M, 2), evenly spaced in the order of driving.
        left, right: road to either side in m, (M,).
        margin: in m.
        laps: laps that a path has before it repeats.
        controls: control points of the offset in each lap.
    """

    centre: Float[np.ndarray, "M 2"]
    left: Float[np.ndarray, " M"]
    right: Float[np.ndarray, " M"]
    margin: float
    laps: int
    controls: int

    def __post_init__(self) -> None:
        if np.min(self.left + self.right) <= 2 * self.margin:
            raise UsageError(
                f"`margin={self.margin:g}`: expected less than half of the narrowest road, "
                f"{np.min(self.left + self.right):.3g} m"
            )

    @property
    def narrowest(self) -> float:
        """Width of its narrowest place in m."""
        return float(np.min(self.left + self.right))

    @property
    def size(self) -> int:
        """Numbers that a path takes."""
        return self.laps * self.controls

    def draw(self, rng: np.random.Generator) -> Float[np.ndarray, " Z"]:
        """Offsets at random."""
        return rng.uniform(-1.0, 1.0, self.size)

    def paths(self, numbers: Float[np.ndarray, "K Z"]) -> Path:
        """Closed paths of numbers within [-1, 1]: from the right edge to the left one."""
        fine = FINENESS * self.controls
        at = np.linspace(0, len(self.centre), fine, endpoint=False)
        line = np.stack([_periodic(at, column) for column in (*self.centre.T, self.left, self.right)])
        ahead = np.stack([_slope(row) for row in line[:2]])
        normal = np.stack([-ahead[1], ahead[0]]) / np.hypot(*ahead)
        left, right = np.tile(line[2:] - self.margin, self.laps)
        share = numbers @ periodic_basis(self.size)[0].T
        offset = share * (left + right) / 2 + (left - right) / 2
        place = np.tile(line[:2], self.laps)[:, None] + np.tile(normal, self.laps)[:, None] * offset
        first = np.stack([_slope(part) for part in place])
        second = np.stack([_slope(part) for part in first])
        return path_of(place, first, second, left - offset, right + offset)


def path_of(
    place: np.ndarray, first: np.ndarray, second: np.ndarray, left: np.ndarray, right: np.ndarray
) -> Path:
    """Path of points and their derivatives by the number of the point, (2, K, M)."""
    along = np.maximum(np.hypot(*first), 1e-6)
    curvature = (first[0] * second[1] - first[1] * second[0]) / along**3
    x, y = place
    return Path(x, y, along, np.arctan2(first[1], first[0]), curvature, left, right)


def closed_path(points: Float[np.ndarray, "M 2"]) -> Path:
    """One path through points of a closed line that are close together, in m; on a free area."""
    place = points.T[:, None]
    first = _slope(place)
    free = np.full((1, len(points)), np.inf)
    return path_of(place, first, _slope(first), free, free)


@lru_cache(maxsize=32)
def periodic_basis(controls: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Uniform periodic cubic B-splines at FINENESS points a control point, and their first and second
    derivatives by the number of the point, (M, C) each."""
    rows = FINENESS * controls
    at = np.arange(rows) / FINENESS
    first, t = at.astype(int), at % 1.0
    weights = (
        np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]) / 6,
        np.stack([-((1 - t) ** 2), 3 * t**2 - 4 * t, -3 * t**2 + 2 * t + 1, t**2]) / 2 / FINENESS,
        np.stack([1 - t, 3 * t - 2, 1 - 3 * t, t]) / FINENESS**2,
    )
    bases = []
    for weight in weights:
        basis = np.zeros((rows, controls))
        for shift, part in enumerate(weight):
            np.add.at(basis, (np.arange(rows), (first + shift) % controls), part)
        bases.append(basis)
    return bases[0], bases[1], bases[2]


def _periodic(at: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values of a closed line at fractional numbers of its points."""
    return np.interp(at, np.arange(len(values) + 1), np.append(values, values[0]))


def _slope(values: np.ndarray) -> np.ndarray:
    """Central differences along the last axis of a closed line."""
    return (np.roll(values, -1, axis=-1) - np.roll(values, 1, axis=-1)) / 2
