"""Random manoeuvres for the driver of a simulation, one after another."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from pct.types import Float


@dataclasses.dataclass(frozen=True)
class Manoeuvres:
    """What the driver wants, by logging step.

    Attributes:
        lateral: lateral acceleration over the grip of the surface, positive left, shape (R, N).
        speed: speed in m/s, shape (R, N).
    """

    lateral: Float[np.ndarray, "R N"]
    speed: Float[np.ndarray, "R N"]


def draw_manoeuvres(
    rng: np.random.Generator,
    recordings: int,
    steps: int,
    dt: float,
    speed: tuple[float, float],
    grip: float,
    launches: float,
) -> Manoeuvres:
    """String random manoeuvres together, sideways and lengthways independent of each other.

    Args:
        rng: of everything random here.
        recordings: R.
        steps: of each recording, N.
        dt: logging step in s.
        speed: lowest and highest speed aimed at in m/s.
        grip: largest share of the surface's friction that the driver asks for.
        launches: share of the recordings that start at standstill.
    """
    lateral, target = np.empty((recordings, steps)), np.empty((recordings, steps))
    for i in range(recordings):
        lateral[i] = _string(
            steps,
            lambda n: grip * rng.uniform(0.75, 1.0) * _pick(rng, LATERAL)(np.arange(n) * dt, rng),
            lambda: round(rng.uniform(2.0, 4.0) / dt),
        )
        profile = _string(
            steps,
            lambda n: _pick(rng, LENGTHWAYS)(np.arange(n) * dt, rng),
            lambda: round(rng.uniform(3.0, 8.0) / dt),
        )
        target[i] = speed[0] + (speed[1] - speed[0]) * profile
    standing = rng.permutation(recordings) < round(launches * recordings)
    target[standing, : max(1, round(0.5 / dt))] = 0.0
    return Manoeuvres(lateral, target)


def _sine_sweep(t: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    low, high = (0.3, 1.5) if rng.random() < 0.5 else (1.5, 0.3)
    return np.sin(2 * np.pi * (low * t + 0.5 * (high - low) * t**2 / t[-1]))


def _step_steer(t: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    hold = rng.uniform(0.5, 1.2)
    block = (t / hold).astype(int)
    levels = rng.uniform(0.5, 1.0, block[-1] + 1) * rng.choice([-1.0, 1.0])
    return levels[block] * np.where(block % 2, -1.0, 1.0)


def _slalom(t: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.sin(2 * np.pi * rng.uniform(0.4, 1.1) * t) * rng.choice([-1.0, 1.0])


def _random_steer(t: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    frequency, phase = rng.uniform(0.2, 1.4, 4), rng.uniform(0.0, 2 * np.pi, 4)
    wave = np.sin(2 * np.pi * frequency * t[:, None] + phase).sum(axis=1)
    return wave / np.abs(wave).max()


def _circle(t: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.full(t.shape, rng.uniform(0.6, 1.0) * rng.choice([-1.0, 1.0]))


def _ramp_steer(t: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (2.0 * t / t[-1] - 1.0) * rng.choice([-1.0, 1.0])


def _hold(t: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.full(t.shape, rng.random())


def _speed_ramp(t: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    start, end = rng.random(2)
    return start + (end - start) * t / t[-1]


def _pulses(t: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    centre, half = rng.uniform(0.25, 0.75), rng.uniform(0.1, 0.25)
    return centre + half * np.where((t / rng.uniform(0.6, 1.5)).astype(int) % 2, -1.0, 1.0)


def _surge(t: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return 0.5 + rng.uniform(0.2, 0.5) * np.sin(
        2 * np.pi * rng.uniform(0.15, 0.4) * t + rng.uniform(0, 2 * np.pi)
    )


Shape = Callable[[np.ndarray, np.random.Generator], np.ndarray]
# Time in s, shape (n,) -> share of the lateral acceleration, within [-1, 1].
LATERAL: Mapping[str, Shape] = {
    "sine sweep": _sine_sweep,
    "step steer": _step_steer,
    "slalom": _slalom,
    "random steer": _random_steer,
    "circle": _circle,
    "ramp steer": _ramp_steer,
}
# Time in s, shape (n,) -> place within the range of speeds, within [0, 1].
LENGTHWAYS: Mapping[str, Shape] = {
    "hold": _hold,
    "ramp": _speed_ramp,
    "accelerate and brake": _pulses,
    "surge": _surge,
}


def _string(
    steps: int, draw: Callable[[int], np.ndarray], length: Callable[[], int]
) -> Float[np.ndarray, " N"]:
    """Pieces of random length, one after another, cut at the end."""
    pieces, total = [], 0
    while total < steps:
        pieces.append(draw(max(2, length())))
        total += len(pieces[-1])
    return np.concatenate(pieces)[:steps]


def _pick(rng: np.random.Generator, shapes: Mapping[str, Shape]) -> Shape:
    return list(shapes.values())[rng.integers(len(shapes))]
