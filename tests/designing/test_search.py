"""The evolution strategy finds the lowest point of a stretched, turned bowl."""

import numpy as np

from pct.designing.search import Evolution, search


def test_finds_the_bottom_of_a_stretched_bowl() -> None:
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    bottom = np.array([0.4, -0.2, 0.1, 0.3, -0.5, 0.0])

    def cost(points: np.ndarray) -> np.ndarray:
        return (((points - bottom) @ turn * np.array([1, 1, 3, 3, 10, 30])) ** 2).sum(axis=1)

    run = Evolution(np.zeros(6), 12, rng)
    for _ in range(150):
        points = run.ask()
        run.tell(points, cost(points))
    np.testing.assert_allclose(run.mean, bottom, atol=1e-3)


def test_search_keeps_what_is_cheapest_within_bounds() -> None:
    def cost(points: np.ndarray) -> np.ndarray:
        return ((np.clip(points, -1, 1) - 0.9) ** 2).sum(axis=1)

    told: list[tuple[int, float]] = []
    best = search(
        cost,
        lambda rng: rng.uniform(-1, 1, 3),
        points=8,
        generations=60,
        rng=np.random.default_rng(1),
        report=lambda generation, lowest: told.append((generation, lowest)),
    )
    assert [generation for generation, _ in told] == list(range(1, 61))
    assert best[0][0] < 1e-3
    assert best == sorted(best, key=lambda entry: entry[0])
    assert all(np.abs(vector).max() <= 1 for _, vector in best)
