"""How many trials a sweep has, from its database; Optuna is not asked, so that it need not be installed."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

# Seconds without a sign of life after which a worker counts as dead.
GRACE = 120


class StudyError(Exception):
    """A database that cannot be read."""


class Trials(NamedTuple):
    """Trials of a study.

    Attributes:
        counts: by state.
        best: lowest loss of those that were completed; None where there is none.
        alive: whether the worker of a running one has given a sign of life of late.
    """

    counts: Mapping[str, int]
    best: float | None
    alive: bool


def read_study(path: Path) -> Trials:
    """The trials of a study.

    Raises:
        StudyError: it is no database of Optuna.
    """
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=1.0)) as base:
            counts = dict(base.execute("SELECT state, COUNT(*) FROM trials GROUP BY state ORDER BY state"))
            (best,) = base.execute(
                "SELECT MIN(value) FROM trial_values JOIN trials USING (trial_id) WHERE state = 'COMPLETE'"
            ).fetchone()
            (silent,) = base.execute(
                "SELECT strftime('%s', 'now') - strftime('%s', MAX(heartbeat)) "
                "FROM trial_heartbeats JOIN trials USING (trial_id) WHERE state = 'RUNNING'"
            ).fetchone()
    except (sqlite3.Error, ValueError) as error:
        raise StudyError(f"expected the trials of a sweep, cannot read them ({error})") from None
    return Trials(
        {str(state): int(count) for state, count in counts.items()},
        float(best) if isinstance(best, int | float) else None,
        isinstance(silent, int | float) and silent < GRACE,
    )
