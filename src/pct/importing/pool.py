"""Imports files in processes of their own; one that kills its process costs the others nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from pathlib import Path

from pct.children import end_with, started_safely
from pct.importing.card import FEWEST, MOST_SAMPLES
from pct.importing.file import Imported, import_file
from pct.importing.settings import ImportSettings
from pct.interpreter import collect_rarely, cores
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
    waiting = dict(enumerate(logs))
    while waiting:
        with _pool(count) as pool:
            try:
                # Each starts a process, until there are enough.
                with started_safely():
                    jobs: dict[Future[Imported], int] = {
                        pool.submit(import_file, *log, settings, work / log.name, samples): number
                        for number, log in waiting.items()
                    }
                for job in as_completed(jobs):
                    outcome = job.result()
                    del waiting[jobs[job]]
                    yield jobs[job], outcome
            except BrokenProcessPool:
                # A file took its process with it. One at a time, it is the first that is not done.
                if count == 1:
                    number, log = next(iter(waiting.items()))
                    del waiting[number]
                    error = f"{log.path}: its process was killed"
                    yield number, Imported(str(log.path), log.name, error=error)
                count = 1
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def _pool(count: int) -> ProcessPoolExecutor:
    # The threads of polars do not survive a fork.
    with started_safely():  # one process of multiprocessing's own
        return ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=_start_worker)


def _start_worker() -> None:
    """One thread a process; Ctrl-C is for the one that collects, and none outlives it."""
    if parent := parent_process():
        assert parent.pid is not None
        end_with(parent.pid)
    collect_rarely()
    os.environ["POLARS_MAX_THREADS"] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
