"""The jackknife's covariance, from matrices made by hand: exact where they are well-conditioned, never a
traceback where they are not."""

from __future__ import annotations

import numpy as np
import pytest

from pct.optimization.constants.covariance import jackknife, positive_part, solve_positive

SIZE = 6


def blocks(rng: np.random.Generator, count: int, ridge: bool = False) -> list[tuple[np.ndarray, np.ndarray]]:
    """Information and gradient of blocks, in single precision as rollouts give them."""
    parts = []
    size = 10.0 ** rng.uniform(-3, 5, SIZE)
    for _ in range(count):
        jacobian = rng.standard_normal((40, SIZE)) * size
        if ridge:  # only the sum of two parameters shows
            jacobian[:, 1] = jacobian[:, 0]
        single = jacobian.astype(np.float32)
        error = rng.standard_normal(40).astype(np.float32)
        parts.append(((single.T @ single).astype(float), (single.T @ error).astype(float)))
    return parts


def test_it_is_the_spread_of_what_leaving_a_block_out_does() -> None:
    parts = blocks(np.random.default_rng(0), 7)
    prior = np.eye(SIZE)
    found = jackknife(parts, prior)
    total = sum(matrix for matrix, _ in parts)
    shifts = np.stack([np.linalg.solve(total - matrix + prior, slope) for matrix, slope in parts])
    bread = np.linalg.inv(total + prior)
    expected = shifts.T @ shifts * (6 / 7) + bread @ prior @ bread
    axes = np.sqrt(np.diag(expected))
    np.testing.assert_allclose(
        found.matrix / np.outer(axes, axes), expected / np.outer(axes, axes), atol=1e-5
    )
    assert found.sound


def test_a_block_that_holds_nearly_everything_does_not_cancel() -> None:
    """Where all but one block are weak, ``total - own`` is rounding; the sum of the others is not."""
    rng = np.random.default_rng(1)
    strong, *weak = blocks(rng, 4)
    strong = (strong[0] * 1e12, strong[1])
    found = jackknife([strong, *weak], np.eye(SIZE) * 1e-6)
    rest = sum(matrix for matrix, _ in weak) + np.eye(SIZE) * 1e-6
    shift = np.linalg.solve(rest, strong[1])
    others = [np.linalg.solve(strong[0] + rest - matrix, slope) for matrix, slope in weak]
    expected = (shift**2 + sum(other**2 for other in others)) * 3 / 4
    np.testing.assert_allclose(np.diag(found.matrix), expected, rtol=1e-3)


@pytest.mark.parametrize("count", [1, 2, 12])
def test_a_direction_without_information_keeps_the_prior(count: int) -> None:
    parts = blocks(np.random.default_rng(2), count, ridge=True)
    found = jackknife(parts, np.eye(SIZE))
    assert found.sound
    assert np.linalg.eigvalsh(found.matrix)[0] > 0
    along = np.zeros(SIZE)
    along[:2] = 2**-0.5, -(2**-0.5)
    assert along @ found.matrix @ along == pytest.approx(1.0, rel=1e-3)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_what_is_not_finite_is_not_sound_and_no_traceback(wrong: float) -> None:
    parts = blocks(np.random.default_rng(3), 3)
    parts[1][0][2, 2] = wrong
    found = jackknife(parts, np.eye(SIZE))
    assert not found.sound
    assert np.isnan(found.matrix).all()


def test_a_singular_matrix_is_solved_where_it_is_known() -> None:
    matrix = np.diag([0.0, 0.0, 3.0])
    solution, sound = solve_positive(matrix, np.array([0.0, 0.0, 6.0]))
    assert not sound
    np.testing.assert_allclose(solution, [0.0, 0.0, 2.0])
    assert not jackknife([(matrix, np.ones(3))] * 3, np.zeros((3, 3))).sound
    assert np.isnan(solve_positive(np.full((2, 2), np.nan), np.ones(2))[0]).all()


def test_rounding_is_no_information() -> None:
    single = np.float32([[1.0, 1.0], [1.0, 1.0]]) * np.float32(1e8) * np.array([[1.0, 1.0], [1.0, 1 + 2e-7]])
    values = np.linalg.eigvalsh(positive_part(single))
    assert values[0] < 1e-6
    assert values[1] == pytest.approx(2e8, rel=1e-6)
