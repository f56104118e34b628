"""Sound splits: which rows train and which are held out. No row is ever in a window of either part.

Neighbouring windows share most of their rows, so windows must not be split at random. Held-out rows are
whole recordings where there are enough of them, else the last part of each recording, behind a gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pct.errors import DataError
from pct.types import Bool, Int, Rows
from pct.windows.store import WindowStore, spread, window_starts

TRAINING, HELD_OUT, GAP = 0, 1, 2


class Span(NamedTuple):
    """Consecutive rows of a recording.

    Attributes:
        recording: its name.
        start, end: times of the first and last row in s.
        whole: whether these are all its rows.
    """

    recording: str
    start: float
    end: float
    whole: bool

    def __str__(self) -> str:
        return f"'{self.recording}'" + ("" if self.whole else f" from {self.start:.2f} to {self.end:.2f} s")


def split_starts(
    store: WindowStore,
    share: float,
    *,
    horizon: int,
    history: int,
    stride: int = 1,
    samples: int | None = None,
    val_samples: int | None = None,
) -> tuple[Int[np.ndarray, " K"], Int[np.ndarray, " L"]]:
    """First rows of the training windows and of the held-out ones.

    Args:
        store: rows of all recordings.
        share: part of the rows, or of the recordings, that is held out; 0 holds nothing out.
        horizon, history, stride: see `window_starts`.
        samples, val_samples: most windows of each part to keep, spread evenly; None keeps all.

    Raises:
        DataError: a part would have no window.
    """
    starts = window_starts(store, horizon=horizon, history=history, stride=stride)
    if share == 0:
        return spread(starts, samples), starts[:0]
    parts = split_rows(store, share, gap=history + horizon)
    training, held_out = (
        windows_within(starts, parts == part, horizon=horizon, history=history)
        for part in (TRAINING, HELD_OUT)
    )
    if not (training.size and held_out.size):
        raise DataError(
            f"`val_split` {share:g}: expected windows of {history} + {horizon} + 1 rows in both parts, found "
            f"{training.size} to train on and {held_out.size} held out: give more data, or another share"
        )
    return spread(training, samples), spread(held_out, val_samples)


def starts_beside(
    store: WindowStore,
    held: Bool[np.ndarray, " N"],
    *,
    horizon: int,
    history: int,
    stride: int = 1,
    samples: int | None = None,
) -> Int[np.ndarray, " K"]:
    """First rows of the training windows where these rows are held out, a gap of history and horizon between.

    Args:
        store: rows of all recordings.
        held: which rows are held out, (N,).
        horizon, history, stride: see `window_starts`.
        samples: most windows to keep, spread evenly; None keeps all.
    """
    starts = window_starts(store, horizon=horizon, history=history, stride=stride)
    near = rows_near(store, held, history + horizon)
    return spread(windows_within(starts, ~near, horizon=horizon, history=history), samples)


def split_rows(
    store: WindowStore, share: float, *, gap: int, inside: Bool[np.ndarray, " N"] | None = None
) -> Int[np.ndarray, " N"]:
    """The part of each row: `TRAINING`, `HELD_OUT` or `GAP`, (N,).

    Of n recordings, round(n share) whole ones are held out, evenly spread, where n share is one or more.
    Of fewer recordings the last rows of each are held out; the rows of the gap before them are in no part.

    Args:
        store: rows of all recordings.
        share: part that is held out, between 0 and 1.
        gap: rows between the parts.
        inside: the rows to split, (N,); the others are in no part. All when left out.
    """
    recording = store.recording if inside is None else np.where(inside, store.recording, -1)
    parts = np.where(recording < 0, GAP, TRAINING).astype(np.int8)
    numbers = np.unique(recording[recording >= 0])
    if numbers.size * share >= 1:
        held = min(round(numbers.size * share), numbers.size - 1)
        chosen = numbers[((np.arange(held) + 0.5) * numbers.size / held).astype(int)]
        parts[np.isin(recording, chosen)] = HELD_OUT
        return parts
    for number in numbers:
        rows = np.flatnonzero(recording == number)
        first = rows.size - round(share * rows.size)
        if first < rows.size:
            parts[rows[first:]] = HELD_OUT
            parts[rows[max(first - gap, 0) : first]] = GAP
    return parts


def windows_within(
    starts: Rows, inside: Bool[np.ndarray, " N"], *, horizon: int, history: int
) -> Int[np.ndarray, " K"]:
    """Those starts whose window lies inside with all its rows, history and horizon."""
    before = np.concatenate([[0], np.cumsum(inside)])
    return starts[before[starts + horizon + 1] - before[starts - history] == history + 1 + horizon]


def rows_of_windows(starts: Rows, size: int, *, horizon: int, history: int) -> Bool[np.ndarray, " N"]:
    """Which of ``size`` rows belong to a window, history and horizon included, (N,)."""
    edges = np.zeros(size + 1, int)
    np.add.at(edges, starts - history, 1)
    np.add.at(edges, starts + horizon + 1, -1)
    return np.cumsum(edges[:-1]) > 0


def spans_of(store: WindowStore, inside: Bool[np.ndarray, " N"]) -> tuple[Span, ...]:
    """The stretches of rows that lie inside, in order, each within one recording."""
    numbers = np.where(inside, store.recording, -1)
    firsts = np.flatnonzero(np.diff(numbers, prepend=-2))
    lengths = np.bincount(store.recording, minlength=len(store.recordings))
    spans = []
    for first, stop in zip(firsts, [*firsts[1:], numbers.size], strict=True):
        if numbers[first] >= 0:
            name, whole = store.recordings[numbers[first]], stop - first == lengths[numbers[first]]
            spans.append(Span(name, float(store.times[first]), float(store.times[stop - 1]), bool(whole)))
    return tuple(spans)


def rows_of_spans(store: WindowStore, spans: Sequence[Span]) -> Bool[np.ndarray, " N"]:
    """Which rows lie in the spans: the inverse of `spans_of`."""
    inside = np.zeros(store.recording.size, bool)
    for span in spans:
        if span.recording in store.recordings:
            rows = store.recording == store.recordings.index(span.recording)
            late, early = store.times > span.end + store.dt / 2, store.times < span.start - store.dt / 2
            inside |= rows & ~late & ~early
    return inside


def rows_near(store: WindowStore, inside: Bool[np.ndarray, " N"], gap: int) -> Bool[np.ndarray, " N"]:
    """Which rows lie inside, or so many rows or less from there within their recording."""
    size = inside.size
    lengths = np.bincount(store.recording, minlength=len(store.recordings))
    ends = np.cumsum(lengths)[store.recording]
    firsts, rows = ends - lengths[store.recording], np.arange(size)
    before = np.concatenate([[0], np.cumsum(inside)])
    return before[np.minimum(rows + gap + 1, ends)] > before[np.maximum(rows - gap, firsts)]


def describe_spans(spans: Sequence[Span], most: int = 8) -> str:
    """The first few spans in words.

    Examples:
        >>> describe_spans([Span("a", 0.0, 9.0, True), Span("b", 8.0, 9.0, False)])
        "'a', 'b' from 8.00 to 9.00 s"
        >>> describe_spans([Span("a", 0.0, 9.0, True)] * 3, most=2)
        "'a', 'a' and 1 more"
    """
    more = f" and {len(spans) - most} more" if len(spans) > most else ""
    return ", ".join(map(str, spans[:most])) + more
