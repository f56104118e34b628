"""Bags whose clock was set back while they were recorded.

The package that reads bags gives messages by their stamps, so that what was recorded before and behind a
set-back comes mixed. In the order of the file a topic's stamps fall back there: what lies behind is moved on,
as a recording of its own.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pct.logs.readers.base import AnyColumn
from pct.types import Int

# Stamps that fall back by more, in ns, are a clock that was set: threads of a recorder write within less.
LEAST = 1_000_000_000
# What lies before a set-back and behind it is put so far apart, in s.
APART = 10.0
ROWS = "SELECT topic_id, timestamp, data FROM messages WHERE topic_id IN ({}) ORDER BY id"


class Clock(NamedTuple):
    """The clock of one topic.

    Attributes:
        seconds: of each message, shape (N,).
        pieces: how often the clock was set back before each, shape (N,).
    """

    seconds: AnyColumn
    pieces: Int[np.ndarray, " N"]

    @property
    def ranges(self) -> list[tuple[float, float]]:
        """First and last time of each piece."""
        parts = (self.seconds[self.pieces == piece] for piece in range(int(self.pieces.max(initial=0)) + 1))
        return [(float(part.min()), float(part.max())) for part in parts]

    @property
    def is_set_back(self) -> bool:
        """Whether pieces overlap, so that they would come mixed."""
        return any(last > first for (_, last), (first, _) in itertools.pairwise(sorted(self.ranges)))


def give_in_file_order(bag: Any) -> None:
    """Have an open bag give the messages of a topic as they stand in its files, where these may fall back."""
    for reader in bag.readers:
        storage = getattr(reader, "storage", reader)
        for part in getattr(storage, "storages", [storage]):
            if hasattr(part, "messages_scan"):
                spans = [(chunk.message_start_time, chunk.message_end_time) for chunk in part.chunks]
                # One chunk alone does not tell.
                if len(spans) < 2 or any(b[0] < a[1] - LEAST for a, b in itertools.pairwise(spans)):
                    part.messages = part.messages_scan
            elif hasattr(part, "dbconn"):
                part.messages = functools.partial(_by_rows, part)
            else:
                for entries in getattr(part, "indexes", {}).values():
                    in_file = sorted(entries, key=operator.itemgetter(1, 2))
                    if any(b[0] < a[0] - LEAST for a, b in itertools.pairwise(in_file)):
                        entries[:] = in_file


def _by_rows(
    storage: Any, connections: Sequence[Any], start: object = None, stop: object = None
) -> Iterator[tuple[Any, int, bytes]]:
    """Messages of a database by their row."""
    by_number = {connection.id: connection for connection in connections}
    rows = storage.dbconn.execute(ROWS.format(",".join("?" * len(by_number))), tuple(by_number))
    for number, recorded, data in rows:
        yield by_number[number], recorded, data


def order_of(recorded: Int[np.ndarray, " N"]) -> tuple[Int[np.ndarray, " N"], Int[np.ndarray, " N"]]:
    """The order of a topic's messages by their stamps, and how often the clock was set back before each.

    Args:
        recorded: stamps of recording in ns, in the order of the file.

    Pieces that do not overlap are only written in another order.

    Examples:
        >>> overlap, apart = np.array([4, 6, 8, 5, 7, 9]), np.array([7, 9, 4, 6])
        >>> [order_of(seconds * 10**9)[1].tolist() for seconds in (overlap, apart)]
        [[0, 0, 0, 1, 1, 1], [0, 0, 0, 0]]
    """
    pieces = np.concatenate([[0], np.cumsum(np.diff(recorded) < -LEAST)])[: len(recorded)]
    if not Clock(recorded.astype(np.float64), pieces).is_set_back:
        pieces = np.zeros(len(recorded), int)
    return np.lexsort((recorded, pieces)), pieces


def moved_on(clocks: Mapping[str, Clock]) -> tuple[dict[str, AnyColumn], list[str]]:
    """The clocks of all topics with what lies behind a set-back later than what lies before it, and notes.

    All topics are moved by as much as the one with most messages. One whose own stamps go on, or that was set
    back another number of times, stays as it is.
    """
    seconds = {topic: clock.seconds for topic, clock in clocks.items()}
    back = {topic: clock for topic, clock in clocks.items() if clock.is_set_back}
    if not back:
        return seconds, []
    first = max(back, key=lambda topic: len(back[topic].seconds))
    ranges = back[first].ranges
    steps = [last - start for (_, last), (start, _) in itertools.pairwise(ranges)]
    shifts = np.concatenate([[0.0], np.cumsum(np.maximum(np.asarray(steps) + APART, 0.0))])
    for topic, clock in back.items():
        if len(clock.ranges) == len(ranges):
            seconds[topic] = clock.seconds + shifts[clock.pieces]
    rows = np.flatnonzero(np.diff(back[first].pieces)) + 1
    notes = [
        f"the clock is set back by {step:.3g} s in message {row} of '{first}': a recording of its own begins "
        f"there, its times {shift:.3g} s later than they are stamped"
        for row, step, shift in zip(rows, steps, shifts[1:], strict=True)
    ]
    return seconds, notes
