"""Compiled functions over many windows, in parts of one size, so that nothing is compiled twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np


def in_chunks(function: Callable[[Any], Any], tree: Any, size: int, *, axis: int = 0) -> np.ndarray:
    """Apply a function to a tree of arrays in parts along an axis; the last part is filled up.

    Args:
        function: of a part of the tree, to an array with the windows along its first axis.
        tree: arrays with B windows along the axis.
        size: windows in each part, 1 or more.
        axis: of the windows in the tree.

    Returns:
        The results on the host, (B, ...).

    Examples:
        >>> in_chunks(lambda part: 2 * part, np.arange(5), 2).tolist()
        [0, 2, 4, 6, 8]
    """
    total = jax.tree.leaves(tree)[0].shape[axis]
    before = (slice(None),) * axis
    parts = []
    for start in range(0, total, size):
        rows = np.minimum(np.arange(start, start + size), total - 1)
        part = jax.tree.map(lambda leaf, rows=rows: leaf[(*before, rows)], tree)
        parts.append(np.asarray(function(part)))
    return np.concatenate(parts)[:total]
