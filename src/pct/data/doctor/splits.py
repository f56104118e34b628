"""Rows that two recordings share: data that is tested on must not have been trained on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from pct.data.doctor.finding import Finding, evidence
from pct.data.doctor.recording import Recording

# Rows in a row that two drives do not share by chance, and that are compared.
WINDOW = 8
# A drive repeats a stretch of another by chance where it stands.
SHARE = 0.01
# What belongs to the place rather than to the drive, or is asked for.
NOT_COMPARED = ("x", "y", "psi", "yaw", "course", "accel", "delta_dot")


def leaks(folders: Sequence[Sequence[Recording]]) -> dict[int, list[Finding]]:
    """Findings by the id of the recording whose rows stand in another one as well."""
    every = [(f, recording) for f, folder in enumerate(folders) for recording in folder]
    hashes = [_windows(recording) for _, recording in every]
    found: dict[int, list[Finding]] = {}
    for (i, (f, first)), (j, (g, second)) in combinations(enumerate(every), 2):
        if not len(hashes[i]) or not len(hashes[j]):
            continue
        both = np.isin(hashes[j], hashes[i]) & (hashes[j] != 0)
        compared = max(int(np.count_nonzero(hashes[j])), 1)
        share = float(both.sum()) / compared
        if share < SHARE or both.sum() < WINDOW:
            continue
        across = f != g
        rows = np.flatnonzero(both)
        found.setdefault(id(second), []).append(
            Finding(
                check="leak" if across else "repeated_recording",
                severity="error" if across else "warning",
                message=f"{share:.1%} of its rows stand in {first.where} as well",
                channels=(),
                confidence=1.0,
                fix=(
                    "leave one of them out: a test on rows that were trained on shows nothing"
                    if across
                    else "leave one of them out: its rows count twice"
                ),
                where=second.where,
                **evidence(second, rows),
            )
        )
    return found


def _windows(recording: Recording) -> np.ndarray:
    """A number for each `WINDOW` rows that move, by what they hold; 0 where nothing moves. (N,)"""
    names = sorted(
        name
        for name in recording.channels
        if name not in NOT_COMPARED and not name.startswith(("feature.", "truth."))
    )
    if not names or len(recording) < 2 * WINDOW:
        return np.zeros(0, np.uint64)
    table = np.stack([np.float32(recording.channels[name]) for name in names], axis=-1)
    table = np.ascontiguousarray(np.nan_to_num(table) + np.float32(0.0))
    bits = table.view(np.uint32).astype(np.uint64)
    factors = np.random.default_rng(0).integers(1, 2**63, len(names), dtype=np.uint64) | np.uint64(1)
    rows = (bits * factors).sum(axis=1, dtype=np.uint64)
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
