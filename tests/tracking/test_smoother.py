"""The smoother against a sum over all ways to cut a drive, on numbers that anybody can read."""

import itertools

import numpy as np

from pct.tracking.changes import find_changes
from pct.tracking.native import Filtered
from pct.tracking.smoother import mixture_quantile, smooth

MEAN, VARIANCE, NOISE, CHANCE = 0.5, 1.0, 0.04, 0.1


def evidence(values: np.ndarray) -> tuple[float, float, float]:
    """Likelihood of readings of one constant, and the constant's mean and variance."""
    mean, variance, total = MEAN, VARIANCE, 1.0
    for value in values:
        spread = variance + NOISE
        total *= np.exp(-0.5 * (value - mean) ** 2 / spread) / np.sqrt(2 * np.pi * spread)
        mean, variance = mean + variance / spread * (value - mean), variance * NOISE / spread
    return total, mean, variance


def run_lengths(values: np.ndarray) -> Filtered:
    """The filter of a constant that jumps: a hypothesis in the slot of each row at which it was born."""
    rows = len(values)
    labels = np.full((rows, rows + 1), -2)
    weights, means = np.zeros((rows, rows + 1)), np.zeros((rows, rows + 1, 1))
    covariances = np.ones((rows, rows + 1, 1, 1))
    last = np.zeros(rows + 1)
    last[0] = 1.0
    for t in range(rows):
        for slot in range(t + 1):
            before, mean, variance = evidence(values[slot:t])[0], *evidence(values[slot : t + 1])[1:]
            weights[t, slot] = last[slot] * evidence(values[slot : t + 1])[0] / before
            labels[t, slot], means[t, slot], covariances[t, slot] = slot or -1, mean, variance
        weights[t] /= weights[t].sum()
        last = weights[t] * (1 - CHANCE)
        last[t + 1] = CHANCE
    none = np.zeros((rows, 1))
    return Filtered(
        none, none, none, none, none, none, none, none[:, 0], labels, labels * 0, weights, means, covariances
    )


def test_changes_are_those_of_all_ways_to_cut_a_drive() -> None:
    values = np.array([0.1, 0.2, 0.0, 0.9, 1.1, 1.0])
    chances, mean, total = np.zeros(5), np.zeros(6), 0.0
    for cuts in itertools.product([False, True], repeat=5):
        places = [0, *(np.flatnonzero(cuts) + 1), 6]
        weight = CHANCE ** sum(cuts) * (1 - CHANCE) ** (5 - sum(cuts))
        parts = [evidence(values[a:b]) for a, b in itertools.pairwise(places)]
        weight *= np.prod([part[0] for part in parts])
        total += weight
        chances += weight * np.array(cuts)
        lengths = [b - a for a, b in itertools.pairwise(places)]
        mean += weight * np.repeat([part[1] for part in parts], lengths)
    found = smooth(run_lengths(values), np.zeros(1))
    np.testing.assert_allclose(found.changes[:5, 0], chances / total, rtol=1e-9)
    # The median of two Gaussians far apart is that of the likelier one.
    np.testing.assert_allclose(found.middle[:, 0], mean / total, atol=0.05)


def test_a_change_has_its_time_band_and_values() -> None:
    t, chances = 0.1 * np.arange(100), np.zeros(100)
    chances[40:43] = 0.2, 0.5, 0.2
    middle = np.where(t < 4.15, 0.3, 0.8)
    (change,) = find_changes("mu", t, chances, middle, np.array([4.5, 9.0]))
    assert np.allclose([change.time, change.low, change.high], [4.1, 4.0, 4.3])
    assert np.allclose([change.probability, change.before, change.after], [0.9, 0.3, 0.8])
    assert change.seen == 4.5
    assert find_changes("mu", t, 0.2 * chances, middle, np.zeros(0)) == []


def test_quantiles_of_a_mixture() -> None:
    weights, means = np.array([[0.5, 0.5]]), np.array([[[-10.0], [10.0]]])
    at = [mixture_quantile(weights, means, np.ones_like(means), level)[0, 0] for level in (0.25, 0.75)]
    np.testing.assert_allclose(at, [-10.0, 10.0], atol=1e-6)
