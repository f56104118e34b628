"""Splits leak nothing: no row of a training window is in a held-out one, whatever the shapes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pct.errors import DataError
from pct.windows.splits import (
    GAP,
    HELD_OUT,
    TRAINING,
    rows_near,
    rows_of_spans,
    rows_of_windows,
    spans_of,
    split_rows,
    split_starts,
    starts_beside,
    windows_within,
)
from pct.windows.store import WindowStore, window_starts


def store_of(lengths: list[int]) -> WindowStore:
    size = sum(lengths)
    return WindowStore(
        states=np.zeros((size, 4)),
        controls=np.zeros((size, 2)),
        exogenous=np.zeros((size, 0)),
        truth=np.zeros((size, 0)),
        times=np.arange(size) * 0.1,
        recording=np.repeat(np.arange(len(lengths)), lengths),
        recordings=tuple(f"drive {i}" for i in range(len(lengths))),
        exogenous_names=(),
        truth_names=(),
        dt=0.1,
    )


def rows(starts: np.ndarray, horizon: int, history: int) -> set[int]:
    return {int(row) for start in starts for row in range(start - history, start + horizon + 1)}


@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=12),
    share=st.floats(0.02, 0.9),
    horizon=st.integers(1, 8),
    history=st.integers(1, 8),
    stride=st.integers(1, 5),
)
def test_no_row_is_in_windows_of_both_parts(
    lengths: list[int], share: float, horizon: int, history: int, stride: int
) -> None:
    store = store_of(lengths)
    try:
        training, held_out = split_starts(store, share, horizon=horizon, history=history, stride=stride)
    except DataError:
        return
    trained, held = rows(training, horizon, history), rows(held_out, horizon, history)
    assert trained
    assert held
    assert not trained & held
    for recording in range(len(lengths)):
        inside = set(np.flatnonzero(store.recording == recording).tolist())
        if trained & inside and held & inside:
            assert min(held & inside) - max(trained & inside) > history + horizon
    # Each window lies in one recording still.
    assert all(len(set(store.recording[s - history : s + horizon + 1])) == 1 for s in (*training, *held_out))


def test_whole_recordings_are_held_out_where_there_are_enough() -> None:
    store = store_of([30] * 10)
    training, held_out = split_starts(store, 0.2, horizon=3, history=4)
    assert set(store.recording[held_out]) == {2, 7}
    assert set(store.recording[training]) == {0, 1, 3, 4, 5, 6, 8, 9}
    assert len(training) == 8 * (30 - 7)


def test_the_end_of_a_single_recording_is_held_out() -> None:
    training, held_out = split_starts(store_of([100]), 0.3, horizon=3, history=4)
    assert (held_out.min() - 4, held_out.max() + 3) == (70, 99)
    assert (training.min() - 4, training.max() + 3) == (0, 62)


def test_no_share_holds_nothing_out() -> None:
    training, held_out = split_starts(store_of([20]), 0.0, horizon=3, history=4, samples=5)
    assert (len(training), len(held_out)) == (5, 0)


def test_a_part_without_windows_is_refused() -> None:
    with pytest.raises(DataError, match=r"`val_split` 0.1: expected windows of 4 \+ 3 \+ 1 rows in both"):
        split_starts(store_of([40]), 0.1, horizon=3, history=4)


@given(st.lists(st.integers(0, 40), max_size=30), st.integers(1, 6), st.integers(1, 6))
def test_rows_of_windows_are_the_rows_of_the_windows(numbers: list[int], horizon: int, history: int) -> None:
    starts = window_starts(store_of([60]), horizon=horizon, history=history)
    starts = np.unique(starts[[n for n in numbers if n < starts.size]])
    inside = rows_of_windows(starts, 60, horizon=horizon, history=history)
    assert set(np.flatnonzero(inside).tolist()) == rows(starts, horizon, history)
    found = windows_within(starts, inside, horizon=horizon, history=history)
    assert found.tolist() == starts.tolist()


def test_a_window_that_touches_a_row_outside_is_dropped() -> None:
    inside = np.arange(60) != 30
    starts = window_starts(store_of([60]), horizon=3, history=4)
    found = windows_within(starts, inside, horizon=3, history=4)
    assert set(starts) - set(found) == set(range(27, 35))


def test_a_split_of_some_rows_leaves_the_others_out() -> None:
    inside = (np.arange(200) >= 20) & (np.arange(200) < 80) | (np.arange(200) >= 150)
    parts = split_rows(store_of([100, 100]), 0.25, gap=7, inside=inside)
    assert (parts[~inside] == GAP).all()
    assert np.flatnonzero(parts == HELD_OUT).tolist() == [*range(65, 80), *range(188, 200)]
    assert np.flatnonzero(parts == TRAINING).tolist() == [*range(20, 58), *range(150, 181)]


@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=6),
    share=st.floats(0.05, 0.9),
    horizon=st.integers(1, 8),
    history=st.integers(1, 8),
)
def test_spans_name_what_is_held_out_and_give_it_back(
    lengths: list[int], share: float, horizon: int, history: int
) -> None:
    store = store_of(lengths)
    held = split_rows(store, share, gap=history + horizon) == HELD_OUT
    spans = spans_of(store, held)
    np.testing.assert_array_equal(rows_of_spans(store, spans), held)
    try:
        training, _ = split_starts(store, share, horizon=horizon, history=history)
    except DataError:
        return
    beside = starts_beside(store, held, horizon=horizon, history=history)
    np.testing.assert_array_equal(beside, training)


def test_spans_in_words() -> None:
    store = store_of([10, 20, 10])
    inside = np.zeros(40, bool)
    inside[:10] = inside[25:32] = True
    assert list(map(str, spans_of(store, inside))) == [
        "'drive 0'",
        "'drive 1' from 2.50 to 2.90 s",
        "'drive 2' from 3.00 to 3.10 s",
    ]


def test_near_rows_end_with_their_recording() -> None:
    store = store_of([10, 10])
    inside = np.zeros(20, bool)
    inside[8] = True
    assert np.flatnonzero(rows_near(store, inside, 3)).tolist() == [5, 6, 7, 8, 9]
