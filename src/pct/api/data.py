"""What is done with logs before anything is fitted: check, map, import."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pct.doctor import LogCheck, check_logs
from pct.dynamics import resolve_model
from pct.importing.card_page import write_repaired_card
from pct.recordings.trajectory import MANIFEST


def check(
    logs: str | Path | Sequence[str | Path],
    *,
    map: str | None = None,
    model: str | Path = "singletrack",
    figures: str | Path | None = None,
    fix: str | Path | None = None,
) -> LogCheck:
    """Find what is wrong with logs: units, signs, frames, clocks, lags, spikes, seams, leaks between splits.

    Args:
        logs: dataset folders, log files, or folders of logs with a ``signals.toml``; rows that two share are
            a leak.
        map: a ``signals.toml`` elsewhere, the name of a preset, or ``auto`` for a proposal.
        model: that is to be trained: its name, or the file that defines it.
        figures: folder for a figure of each finding.
        fix: new folder for a copy without what can be repaired safely; one inside it for each of several.

    Returns:
        The findings of each recording; `LogCheck.table` is a polars frame.

    Raises:
        UsageError: an unknown model, or ``fix`` without a map that can be written anew.
        DataError: a folder or file cannot be read or written.

    Examples:
        >>> check("datasets/surfaces/val").table().columns[:3]
        ['where', 'severity', 'check']
    """
    places = [logs] if isinstance(logs, str | Path) else logs
    result = check_logs(
        [Path(place) for place in places],
        map=map,
        model=resolve_model(model).name,
        figures=None if figures is None else Path(figures),
        fix=None if fix is None else Path(fix),
    )
    for folder in result.repairs:
        if (folder / MANIFEST).is_file():
            write_repaired_card(folder)
    return result
