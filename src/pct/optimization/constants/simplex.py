"""Minimum of a function of few variables by the simplex method; SciPy's takes longer to import than to run.

References:
    J. A. Nelder, R. Mead, "A simplex method for function minimization", The Computer Journal 7 (1965).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pct.types import Float


class _Spent(Exception):
    """No evaluation is left."""


def minimize_simplex(
    function: Callable[[np.ndarray], float],
    corners: Float[np.ndarray, "K N"],
    *,
    evaluations: int,
    still: float,
    flat: float,
) -> Float[np.ndarray, " N"]:
    """The best point that was found.

    Args:
        function: of a point (N,).
        corners: of the first simplex, K = N + 1.
        evaluations: at most.
        still, flat: the search ends where no corner is further from the best one along an axis than
            ``still``, nor its value above the best by more than ``flat``.

    Examples:
        >>> corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> bowl = lambda x: float((x[0] - 2.0) ** 2 + (x[1] + 1.0) ** 2)
        >>> minimize_simplex(bowl, corners, evaluations=200, still=1e-4, flat=1e-8).round(3).tolist()
        [2.0, -1.0]
    """
    points, values = np.array(corners, float), np.full(len(corners), np.inf)
    left = evaluations

    def at(point: np.ndarray) -> float:
        nonlocal left
        if left == 0:
            raise _Spent
        left -= 1
        return function(point.copy())

    def put(corner: int, point: np.ndarray) -> None:
        values[corner] = at(point)
        points[corner] = point

    def sort() -> None:
        order = np.argsort(values)
        points[:], values[:] = points[order], values[order]

    try:
        for corner in range(len(points)):
            put(corner, points[corner])
        sort()
        while np.abs(points[1:] - points[0]).max() > still or np.abs(values[1:] - values[0]).max() > flat:
            _step(points, values, at, put)
            sort()
    except _Spent:
        sort()
    return points[0]


def _step(
    points: np.ndarray,
    values: np.ndarray,
    at: Callable[[np.ndarray], float],
    put: Callable[[int, np.ndarray], None],
) -> None:
    """Replace the worst of the sorted corners, or draw all towards the best."""
    worst, centre = points[-1], points[:-1].mean(axis=0)
    mirrored = 2 * centre - worst
    value = at(mirrored)
    best: tuple[np.ndarray, float] | None = mirrored, value
    if value < values[0]:
        further = 3 * centre - 2 * worst
        if (beyond := at(further)) < value:
            best = further, beyond
    elif value >= values[-2]:
        outside = value < values[-1]
        nearer = 1.5 * centre - 0.5 * worst if outside else 0.5 * centre + 0.5 * worst
        inner = at(nearer)
        keeps = inner <= value if outside else inner < values[-1]
        best = (nearer, inner) if keeps else None
    if best is not None:
        points[-1], values[-1] = best
        return
    for corner in range(1, len(points)):
        put(corner, points[0] + 0.5 * (points[corner] - points[0]))
