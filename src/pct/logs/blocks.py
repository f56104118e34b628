"""Long columns in blocks: what is worked out of one stays in the processor's cache."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pct.types import Column

ROWS = 1 << 15


def blocks(count: int) -> Iterator[tuple[int, int]]:
    """First row and row after the last of each block of so many rows.

    Examples:
        >>> list(blocks(40_000))
        [(0, 32768), (32768, 40000)]
    """
    for start in range(0, count, ROWS):
        yield start, min(start + ROWS, count)


def unwrap_if_needed(column: Column) -> Column:
    """Angles in rad without jumps by a full turn; the column itself where it has none.

    `np.unwrap` takes ten times as long as the look whether it is needed.

    Examples:
        >>> print(unwrap_if_needed(np.array([3.0, -3.0])))
        [3.         3.28318531]
    """
    whole = all(
        np.abs(np.diff(column[start : stop + 1])).max(initial=0.0) <= np.pi
        for start, stop in blocks(len(column))
    )
    return column if whole else np.unwrap(column)
