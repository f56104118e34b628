"""Random effects, against simulated drives: what the intervals and tests say must happen as often as said."""

from __future__ import annotations

import numpy as np
import pytest

from pct.optimization.constants.random_effects import holm, random_effects

DRIVES = 2000


def simulated(
    rng: np.random.Generator, count: int, tau: float, freedom: int = 0
) -> tuple[np.ndarray, np.ndarray, tuple[float, float]]:
    """Values and errors of drives with a mean of zero, and one more drive; errors of unlike size.

    Args:
        freedom: of the errors, which are then estimates; 0: they are known.
    """
    true = rng.uniform(0.5, 2.0, count + 1)
    values = tau * rng.standard_normal(count + 1) + true * rng.standard_normal(count + 1)
    errors = true * np.sqrt(rng.chisquare(freedom, count + 1) / freedom) if freedom else true
    return values[:-1], errors[:-1], (values[-1], errors[-1])


@pytest.mark.parametrize("count", [4, 9])
@pytest.mark.parametrize("tau", [0.0, 1.0, 5.0])
def test_intervals_hold_the_mean_and_the_next_drive_as_often_as_said(count: int, tau: float) -> None:
    rng = np.random.default_rng(count)
    held, follows = [], []
    for _ in range(DRIVES):
        values, errors, (value, _) = simulated(rng, count, tau)
        result = random_effects(values, errors)
        held.append(result.low < 0 < result.high)
        follows.append(result.next_low < value < result.next_high)
    # Cautious where there is little between the drives: tau is never below zero.
    most = 0.975 if tau == 5.0 else 1.0
    assert 0.935 < np.mean(held) <= most
    assert 0.935 < np.mean(follows) <= most


@pytest.mark.parametrize("freedom", [0, 6])
def test_drives_that_are_equal_are_called_different_as_rarely_as_said(freedom: int) -> None:
    rng = np.random.default_rng(0)
    alarms, plain = [], []
    for _ in range(DRIVES):
        values, errors, _ = simulated(rng, 8, 0.0, freedom)
        given = np.full(8, float(freedom)) if freedom else None
        alarms.append(random_effects(values, errors, given).p < 0.05)
        plain.append(random_effects(values, errors).p < 0.05)
    assert 0.03 < np.mean(alarms) < 0.075
    if freedom:  # what the degrees of freedom are for
        assert np.mean(plain) > 2 * np.mean(alarms)


def test_the_spread_is_found() -> None:
    rng = np.random.default_rng(0)
    found = [random_effects(*simulated(rng, 9, 3.0)[:2]).tau ** 2 for _ in range(DRIVES)]
    assert np.sqrt(np.mean(found)) == pytest.approx(3.0, rel=0.05)


def test_unlimited_freedom_is_cochran() -> None:
    values, errors = np.array([1.0, 1.4, 0.8, 1.1]), np.array([0.1, 0.2, 0.1, 0.3])
    plain, welch = random_effects(values, errors), random_effects(values, errors, np.full(4, 1e9))
    assert welch.p == pytest.approx(plain.p, rel=1e-4)


def test_the_error_of_equal_drives_rests_on_their_blocks_that_of_unequal_ones_on_their_number() -> None:
    freedom = np.full(3, 20.0)
    equal = random_effects(np.array([1.0, 1.1, 0.9]), np.full(3, 0.2), freedom)
    apart = random_effects(np.array([1.0, 2.0, 3.0]), np.full(3, 0.05), freedom)
    assert equal.tau == 0
    assert equal.freedom == pytest.approx(60)
    assert apart.freedom == pytest.approx(2, rel=0.02)
    assert random_effects(np.array([1.0, 1.1, 0.9]), np.full(3, 0.2)).freedom == np.inf


def test_holm_keeps_the_order_and_passes_over_what_was_not_tested() -> None:
    assert holm(np.array([0.04, 0.001, np.nan])).tolist()[:2] == pytest.approx([0.04, 0.002])
    assert holm(np.array([])).size == 0
    assert (holm(np.full(3, 0.9)) == 1.0).all()
