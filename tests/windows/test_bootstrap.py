"""Blocks hold together what repeats, and their intervals are those of the textbook."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pct.windows.bootstrap import REPLICATES, Blocks, make_blocks


@given(
    lengths=st.lists(st.integers(1, 80), min_size=1, max_size=6),
    stride=st.integers(1, 7),
    rows=st.integers(1, 30),
)
def test_blocks_are_stretches_of_one_recording(lengths: list[int], stride: int, rows: int) -> None:
    starts = np.concatenate([1000 * i + np.arange(0, n, stride) for i, n in enumerate(lengths)])
    recording = starts // 1000
    blocks = make_blocks(starts, recording, rows=rows)
    assert set(blocks.block) == set(range(len(blocks)))
    assert (np.diff(blocks.block) >= 0).all()
    assert (blocks.counts.sum(axis=1) == len(blocks)).all()
    for number in range(len(blocks)):
        inside = blocks.block == number
        (owner,) = set(recording[inside])
        if (blocks.block[recording == owner] != number).any() and stride <= rows:
            # Windows begin every so many rows only.
            assert np.ptp(starts[inside]) + 2 * stride > rows


def even_blocks(count: int, size: int) -> Blocks:
    starts = np.arange(count * size)
    return make_blocks(starts, np.zeros_like(starts), rows=size)


def test_the_interval_of_a_mean_is_that_of_its_blocks() -> None:
    size, count = 10, 400
    own = np.random.default_rng(0).normal(size=count)
    values = np.repeat(own, size)  # windows of a block are all alike
    mean = even_blocks(count, size).mean(values)
    half = 1.96 * own.std() / math.sqrt(count)
    assert mean.value == pytest.approx(own.mean())
    assert mean.high - mean.low == pytest.approx(2 * half, rel=0.1)
    # As if windows were independent it would be three times too narrow.
    assert even_blocks(count * size, 1).mean(values).high - mean.value < 0.4 * half


def test_95_of_100_intervals_hold_the_truth() -> None:
    rng = np.random.default_rng(1)
    blocks, hits = even_blocks(60, 5), 0
    for _ in range(200):
        # Neighbours share four fifths of their noise, as windows share rows.
        noise = rng.normal(size=304)
        values = np.convolve(noise, np.ones(5) / 5, mode="valid")
        found = blocks.mean(values)
        hits += found.low <= 0.0 <= found.high
    assert 0.88 <= hits / 200 <= 0.99


def test_the_median_is_that_of_each_draw() -> None:
    values = np.random.default_rng(2).exponential(size=120)
    blocks = even_blocks(12, 10)
    draws = [
        np.quantile(np.repeat(values, counts[blocks.block]), 0.5, method="inverted_cdf")
        for counts in blocks.counts
    ]
    found = blocks.median(values)
    assert len(draws) == REPLICATES
    assert found.value == np.median(values)
    np.testing.assert_allclose([found.low, found.high], np.percentile(draws, [2.5, 97.5], method="nearest"))


def test_the_median_of_many_windows() -> None:
    values = np.random.default_rng(3).exponential(size=5000)
    blocks = even_blocks(50, 100)
    draws = [np.median(np.repeat(values, counts[blocks.block])) for counts in blocks.counts[:300]]
    found = blocks.median(values)
    np.testing.assert_allclose([found.low, found.high], np.percentile(draws, [2.5, 97.5]), rtol=0.02)


def test_a_ratio_uses_the_same_draws() -> None:
    squares = np.random.default_rng(4).exponential(size=200)
    ratio = even_blocks(20, 10).root_mean_ratio(squares, 4 * squares)
    np.testing.assert_allclose(ratio, 0.5)


def test_a_part_of_the_windows() -> None:
    squares = np.arange(40.0)
    inside = squares >= 30  # the last of four blocks alone: most draws have it, some do not
    found = even_blocks(4, 10).root_mean(squares, inside)
    np.testing.assert_allclose(found, math.sqrt(squares[30:].mean()))


def test_one_block_or_a_divergence_has_no_interval() -> None:
    one = even_blocks(1, 10).mean(np.arange(10.0))
    assert one.value == 4.5
    assert math.isnan(one.low)
    assert math.isnan(one.high)
    diverged = even_blocks(4, 10).root_mean(np.where(np.arange(40) == 3, np.inf, 1.0))
    assert math.isinf(diverged.value)
    assert math.isnan(diverged.high)
