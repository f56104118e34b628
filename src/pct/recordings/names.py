"""Names that tell recordings apart."""

from __future__ import annotations

import itertools
from collections.abc import Iterable


def named_apart(names: Iterable[str]) -> tuple[str, ...]:
    """The names, with a number behind each that another has already.

    Examples:
        >>> named_apart(["a", "b", "a", "a"])
        ('a', 'b', 'a (2)', 'a (3)')
    """
    apart: list[str] = []
    taken: set[str] = set()
    for name in names:
        numbered = itertools.chain([name], (f"{name} ({count})" for count in itertools.count(2)))
        apart.append(next(free for free in numbered if free not in taken))
        taken.add(apart[-1])
    return tuple(apart)
