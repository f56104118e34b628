"""What a path follower is given: a path, the speed at each of its points, and steering to and fro on top.

A vector of numbers within [-1, 1] makes a reference; every vector gives one that a car can try: speeds keep
to the lateral acceleration that is asked for, and brake in time.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from pct.designing.area import Path, Rectangle, Track, periodic_basis
from pct.types import Float

# Slowest speed of a reference over the highest, and least lateral acceleration over the most.
SLOWEST, GENTLEST = 0.15, 0.15
# Frequencies of steering to and fro in Hz, its largest amplitude over the steering limit.
FREQUENCIES, LARGEST_DITHER = (0.5, 4.0), 0.5


class Reference(NamedTuple):
    """K closed references of M points, (K, M).

    Attributes:
        path: of the car.
        speed: in m/s.
        extra: steering on top of what follows the path, in rad.
    """

    path: Path
    speed: np.ndarray
    extra: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Shapes:
    """References of vectors within [-1, 1].

    Attributes:
        area: where the path may be.
        knots: numbers of each of the four profiles along the path.
        speed: highest speed in m/s.
        demand: largest lateral acceleration that is asked for, in m/s^2.
        braking: acceleration at which the reference slows down, in m/s^2.
        steering: largest steering angle in rad.
    """

    area: Rectangle | Track
    knots: int
    speed: float
    demand: float
    braking: float
    steering: float

    @property
    def size(self) -> int:
        """Length of a vector."""
        return self.area.size + 4 * self.knots

    def draw(self, rng: np.random.Generator) -> Float[np.ndarray, " Z"]:
        """A vector at random."""
        profiles = rng.uniform(-1.0, 1.0, (4, 1)) + 0.4 * rng.standard_normal((4, self.knots))
        return np.concatenate([self.area.draw(rng), np.clip(profiles, -1.0, 1.0).ravel()])

    def references(self, vectors: Float[np.ndarray, "K Z"]) -> Reference:
        """The references of vectors; what is beyond [-1, 1] is taken there."""
        vectors = np.clip(vectors, -1.0, 1.0)
        path = self.area.paths(vectors[:, : self.area.size])
        profiles = vectors[:, self.area.size :].reshape(len(vectors), 4, self.knots)
        basis = periodic_basis(self.knots)[0]
        at = np.arange(path.x.shape[1]) * len(basis) // path.x.shape[1]
        fast, share, strong, quick = np.einsum("mq,kpq->pkm", basis[at], profiles)
        cap = self.speed * (SLOWEST + (1 - SLOWEST) * (1 + fast) / 2)
        lateral = self.demand * (GENTLEST + (1 - GENTLEST) * (1 + share) / 2)
        speed = np.sqrt(np.minimum(cap**2, lateral / np.maximum(np.abs(path.curvature), 1e-6)))
        speed = braking_in_time(np.maximum(speed, 0.5 * SLOWEST * self.speed), path.along, self.braking)
        slow, high = FREQUENCIES
        frequency = slow * (high / slow) ** ((1 + quick) / 2)
        phase = np.cumsum(2 * np.pi * frequency * path.along / speed, axis=1)
        amplitude = LARGEST_DITHER * self.steering * np.maximum(strong, 0.0)
        return Reference(path, speed, amplitude * np.sin(phase))


def braking_in_time(
    speed: Float[np.ndarray, "K M"], along: Float[np.ndarray, "K M"], braking: float
) -> Float[np.ndarray, "K M"]:
    """Speeds in m/s of closed paths, lowered so that no point asks for stronger braking than m/s^2."""
    squares, steps = speed.T**2, 2 * braking * along.T
    for _ in range(2):  # round once more, since the end leads to the beginning
        ahead = squares[0]
        for m in range(len(squares) - 1, -1, -1):
            ahead = squares[m] = np.minimum(squares[m], ahead + steps[m])
    return np.sqrt(squares.T)
