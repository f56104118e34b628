"""Imports files in processes of their own; one that kills its process costs the others nothing."""

from __future__ import annotations

import base64
import contextlib
import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pct.executors.base import Workers
from pct.executors.local import LocalExecutor
from pct.importing.card import FEWEST, MOST_SAMPLES
from pct.importing.file import Imported, import_file
from pct.importing.settings import ImportSettings
from pct.interpreter import cores
from pct.mapping.log_files import LogFile


def import_files(
    logs: Sequence[LogFile],
    settings: ImportSettings,
    work: Path,
    processes: int | None = None,
) -> Iterator[tuple[int, Imported]]:
    """Import every file.

    Args:
        logs: the files.
        settings: how.
        work: gets a folder for each file.
        processes: how many files at once; one a core when left out.

    Yields:
        Number of each log and its outcome, in the order in which they finish.
    """
    # All together are more than the card shows, and no more than the memory bears.
    samples = max(FEWEST, 4 * MOST_SAMPLES // len(logs))
    count = min(processes or cores(), len(logs))
    if count == 1:
        for number, log in enumerate(logs):
            yield number, import_file(*log, settings, work / log.name, samples)
        return
    tasks = [_as_text((*log, settings, work / log.name, samples)) for log in logs]
    with contextlib.closing(LocalExecutor(Workers(count, {"POLARS_MAX_THREADS": "1"}))) as workers:
        for number, answer, reason in workers.run(f"{__name__}:import_task", tasks):
            if answer is None:
                log = logs[number]
                yield number, Imported(str(log.path), log.name, error=f"{log.path}: {reason}")
                continue
            outcome = _of_text(answer)
            if isinstance(outcome, Exception):
                raise outcome
            yield number, outcome


def import_task(task: str) -> str:
    """`import_file` with a task of `import_files`, in a process of its own; an error is an answer, too."""
    try:
        return _as_text(import_file(*_of_text(task)))
    except Exception as error:
        return _as_text(error)


def _as_text(value: object) -> str:
    return base64.b64encode(pickle.dumps(value)).decode()


def _of_text(text: str) -> Any:
    """A value of our own process or of one that we started."""
    return pickle.loads(base64.b64decode(text))
