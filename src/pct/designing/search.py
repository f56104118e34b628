"""Search by an evolution strategy that adapts the covariance of its steps, CMA-ES.

The numbers of the method are those of [1]; values beyond [-1, 1] are taken at the bound, and cost.

References:
    [1] N. Hansen, "The CMA Evolution Strategy: A Tutorial", arXiv:1604.00772, figure 6 and table 1.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pct.types import Float

# First step on the scale of [-1, 1]; what a number beyond it costs, by its square.
STEP, OUTSIDE = 0.1, 10.0


class Evolution:
    """One run of the strategy: `ask` for points, evaluate them, `tell` their costs."""

    def __init__(self, start: Float[np.ndarray, " Z"], points: int, rng: np.random.Generator) -> None:
        n = start.size
        self._rng, self._points = rng, points
        weights = np.log((points + 1) / 2) - np.log(np.arange(1, points // 2 + 1))
        self._weights = weights / weights.sum()
        mass = 1 / (self._weights**2).sum()
        self._mass = mass
        self._c_sigma = (mass + 2) / (n + mass + 5)
        self._damping = 1 + 2 * max(0.0, np.sqrt((mass - 1) / (n + 1)) - 1) + self._c_sigma
        self._c_path = (4 + mass / n) / (n + 4 + 2 * mass / n)
        self._c_one = 2 / ((n + 1.3) ** 2 + mass)
        self._c_mass = min(1 - self._c_one, 2 * (mass - 2 + 1 / mass) / ((n + 2) ** 2 + mass))
        self._expected = np.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n**2))
        self.mean, self._sigma = start.copy(), STEP
        self._covariance = np.eye(n)
        self._path_sigma, self._path = np.zeros(n), np.zeros(n)
        self._count = 0
        self._axes = self._root = np.eye(n)

    def ask(self) -> Float[np.ndarray, "K Z"]:
        """Points to evaluate."""
        values, axes = np.linalg.eigh(self._covariance)
        size = np.sqrt(np.maximum(values, 1e-20))
        self._axes, self._root = axes * size, (axes / size) @ axes.T
        normal = self._rng.standard_normal((self._points, self.mean.size))
        return self.mean + self._sigma * normal @ self._axes.T

    def tell(self, points: Float[np.ndarray, "K Z"], costs: Float[np.ndarray, " K"]) -> None:
        """Move towards the cheaper half of the points."""
        beyond = np.maximum(np.abs(points) - 1.0, 0.0)
        order = np.argsort(costs + OUTSIDE * (beyond**2).sum(axis=1))[: len(self._weights)]
        steps = (points[order] - self.mean) / self._sigma
        step = self._weights @ steps
        self._count += 1
        n, c = self.mean.size, self._c_sigma
        self.mean = self.mean + self._sigma * step
        self._path_sigma = (1 - c) * self._path_sigma + np.sqrt(c * (2 - c) * self._mass) * (
            self._root @ step
        )
        length = np.linalg.norm(self._path_sigma)
        settled = length / np.sqrt(1 - (1 - c) ** (2 * self._count)) < (1.4 + 2 / (n + 1)) * self._expected
        c = self._c_path
        self._path = (1 - c) * self._path + settled * np.sqrt(c * (2 - c) * self._mass) * step
        lost = 0.0 if settled else self._c_one * c * (2 - c)
        self._covariance = (
            (1 + lost - self._c_one - self._c_mass) * self._covariance
            + self._c_one * np.outer(self._path, self._path)
            + self._c_mass * (steps.T * self._weights) @ steps
        )
        self._sigma *= float(np.exp(self._c_sigma / self._damping * (length / self._expected - 1)))


def search(
    cost: Callable[[Float[np.ndarray, "K Z"]], Float[np.ndarray, " K"]],
    draw: Callable[[np.random.Generator], Float[np.ndarray, " Z"]],
    *,
    points: int,
    generations: int,
    rng: np.random.Generator,
    starts: int = 3,
    report: Callable[[int, float], None] = lambda generation, cost: None,
) -> list[tuple[float, Float[np.ndarray, " Z"]]]:
    """The best points of all generations, from the cheapest on.

    A quarter of the generations are drawn at random, an eighth goes on from each of the best, the rest from
    the one that did best.
    """
    best: list[tuple[float, np.ndarray]] = []
    count = 0

    def tried(batch: np.ndarray) -> np.ndarray:
        nonlocal count
        costs = cost(batch)
        best.extend(zip(costs.tolist(), np.clip(batch, -1.0, 1.0), strict=True))
        best.sort(key=lambda entry: entry[0])
        del best[KEPT:]
        count += 1
        report(count, best[0][0])
        return costs

    for _ in range(max(1, generations // 4)):
        tried(np.stack([draw(rng) for _ in range(points)]))
    runs = []
    for start in [vector for _, vector in best[:starts]]:
        run, lowest = Evolution(start, points, rng), np.inf
        for _ in range(generations // 8):
            batch = run.ask()
            costs = tried(batch)
            run.tell(batch, costs)
            lowest = min(lowest, float(costs.min()))
        runs.append((lowest, run))
    run = min(runs, key=lambda entry: entry[0])[1]
    while count < generations:
        batch = run.ask()
        run.tell(batch, tried(batch))
    return best


KEPT = 40
"""Points that a search remembers."""
