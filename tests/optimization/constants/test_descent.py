"""What a descent keeps in memory, and the sums that it takes of errors."""

from __future__ import annotations

import numpy as np
import pytest

from optimization.constants.native_cases import make_errors, make_windows
from pct.dynamics import MODEL_SPECS
from pct.optimization.constants import descent
from pct.optimization.constants.descent import CLIPPED, KEPT, Problem, without_starts
from pct.optimization.constants.normal_equations import NormalEquations
from rollout.native.windows import needs_compiler

UNICYCLE = MODEL_SPECS["unicycle"]


@pytest.fixture
def problem() -> Problem:
    errors, windows = make_errors(UNICYCLE, np.float32), make_windows(UNICYCLE, np.float32)
    every, centre = np.arange(len(windows)), np.zeros(UNICYCLE.vector_size)
    return Problem(errors, windows, every, centre, 1.0, huber=1.5)


@needs_compiler
def test_errors_of_the_last_points_alone_are_in_memory(problem: Problem) -> None:
    points = [problem.at(problem.centre + shift) for shift in (0.0, 0.1, 0.2)]
    first = problem.error(points[0]).copy()
    assert not np.array_equal(problem.error(points[2]), first)
    assert problem.error(points[2]) is problem.error(points[2])
    np.testing.assert_array_equal(problem.error(points[0]), first)
    assert len(problem._errors) == KEPT == 2


@needs_compiler
def test_sums_are_in_double_precision(problem: Problem) -> None:
    path = problem.start(problem.at(problem.centre))
    path = path._replace(accepted=np.arange(len(path.accepted)) != 2)
    error = problem.error(path.point)[..., path.accepted].astype(float)
    size = np.abs(error)
    most = CLIPPED * np.median(size, axis=(1, 2), keepdims=True)
    usual = np.sqrt(np.mean(np.minimum(size, most) ** 2, axis=(1, 2)))
    np.testing.assert_allclose(problem.typical(path, CLIPPED), usual, rtol=1e-6)
    sigma = usual / 2
    scaled = size / sigma[:, None, None]
    huber = np.where(scaled < 1.5, scaled**2 / 2, 1.5 * scaled - 1.5**2 / 2)
    losses = problem.losses(path, sigma)
    np.testing.assert_allclose(losses, huber.sum(axis=(0, 1)) / problem.overlap, rtol=1e-12)


def test_starts_are_eliminated_in_parts_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    windows, size, free = 11, 3, 2
    groups = np.arange(windows) // 4
    rows = rng.standard_normal((windows, 8, size + free))
    products = np.einsum("brp,brq->pqb", rows, rows)
    slopes = rng.standard_normal((size + free, windows))
    matrix = np.stack([products[:size, :size, groups == group].sum(axis=-1) for group in range(3)], axis=-1)
    equations = NormalEquations(
        matrix, slopes[:size], products[:size, size:], products[size:, size:], slopes[size:]
    )
    wanted = without_starts(equations, groups, damping=0.1)
    last = np.linalg.solve(products[size:, size:, -1] * (1 + 0.1 * np.eye(free)), slopes[size:, -1])
    np.testing.assert_allclose(wanted.starts[:, -1], last)
    monkeypatch.setattr(descent, "SOLVED", 3)
    for found, right in zip(without_starts(equations, groups, damping=0.1), wanted, strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-12, atol=1e-12)
