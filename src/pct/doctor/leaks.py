"""Rows that two recordings share: test data must not be training data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pct.doctor.finding import Finding, evidence
from pct.doctor.raw_recording import Recording
from pct.dynamics.channels import grows, known_channels
from pct.logs.signals import FREE_PREFIXES
from pct.types import Int

# Rows in a row that two drives do not share by chance, and that are compared.
WINDOW = 8
# A drive repeats a stretch of another by chance where it stands.
SHARE = 0.01


def leaks(folders: Sequence[Sequence[Recording]]) -> dict[int, list[Finding]]:
    """Findings by the id of the recording whose rows stand in another one as well."""
    hashes = [[_windows(recording) for recording in folder] for folder in folders]
    indices = [_Index(folder) for folder in hashes]
    findings: dict[int, list[Finding]] = {}
    for g, folder in enumerate(folders):
        for j, second in enumerate(folder):
            compared = max(int(np.count_nonzero(hashes[g][j])), 1)
            for f in range(g + 1):
                across = f != g
                owners = indices[f].owners(hashes[g][j])
                counts = np.bincount(owners[owners >= 0], minlength=1)
                for i in map(int, np.flatnonzero((counts >= WINDOW) & (counts >= SHARE * compared))):
                    if not across and i >= j:
                        continue
                    findings.setdefault(id(second), []).append(
                        Finding(
                            check="leak" if across else "repeated_recording",
                            severity="error" if across else "warning",
                            message=(
                                f"{counts[i] / compared:.1%} of its rows stand in "
                                f"{folders[f][i].where} as well"
                            ),
                            channels=(),
                            confidence=1.0,
                            fix=(
                                "leave one of them out: a test on rows that were trained on shows nothing"
                                if across
                                else "leave one of them out: its rows count twice"
                            ),
                            where=second.where,
                            **evidence(second, np.flatnonzero(owners == i)),
                        )
                    )
    return findings


class _Index:
    """The first recording of a folder that holds each window."""

    def __init__(self, hashes: Sequence[np.ndarray]) -> None:
        every = np.concatenate([*hashes, np.zeros(0, np.uint64)])
        numbers = np.repeat(np.arange(len(hashes)), [len(one) for one in hashes])
        self._known, at = np.unique(every, return_index=True)
        self._first = numbers[at]

    def owners(self, hashes: np.ndarray) -> Int[np.ndarray, " N"]:
        """The number of that recording for each window, -1 where there is none or nothing moves."""
        if not len(self._known):
            return np.full(len(hashes), -1)
        at = np.minimum(np.searchsorted(self._known, hashes), len(self._known) - 1)
        return np.where((self._known[at] == hashes) & (hashes != 0), self._first[at], -1)


def _is_commanded_rate(name: str) -> bool:
    channel = known_channels().get(name)
    return channel is not None and channel.held and bool(channel.rate_of)


def _windows(recording: Recording) -> np.ndarray:
    """A number for each `WINDOW` rows that move, by what they hold; 0 where nothing moves. (N,)

    Positions and headings belong to the place rather than to the drive, and rates may be asked for.
    """
    names = sorted(
        name
        for name in recording.channels
        if not (grows(name) or _is_commanded_rate(name)) and not name.startswith(FREE_PREFIXES)
    )
    if not names or len(recording) < 2 * WINDOW:
        return np.zeros(0, np.uint64)
    factors = np.random.default_rng(0).integers(1, 2**63, len(names), dtype=np.uint64) | np.uint64(1)
    rows = np.zeros(len(recording), np.uint64)
    for name, factor in zip(names, factors, strict=True):
        column = np.nan_to_num(np.float32(recording.channels[name])) + np.float32(0.0)
        rows += column.view(np.uint32) * factor
    rows ^= rows >> np.uint64(29)
    powers = np.random.default_rng(1).integers(1, 2**63, WINDOW, dtype=np.uint64) | np.uint64(1)
    count = len(rows) - WINDOW + 1
    joined = np.zeros(count, np.uint64)
    for k in range(WINDOW):
        joined += rows[k : k + count] * powers[k]
    same = np.concatenate([[False], rows[1:] == rows[:-1]])
    still = np.convolve(same, np.ones(WINDOW), mode="valid")[:count] > WINDOW // 2
    joined[still] = 0
    return joined
