"""The results of a folder, read anew where files have changed since."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from pct.runs.directory import DONE, FAILED
from pct.runs.sinks import METRICS
from pct.showing.folders import RUN, Found, find
from pct.showing.held import is_held
from pct.showing.live import Follower
from pct.showing.records import read
from pct.showing.results import Result

# Their state hangs on more than their files: on folders within them, or on the time.
AGEING = ("run", "sweep")


class Index:
    """The results below a folder; several threads may ask at once.

    Attributes:
        root: the folder.
        version: grows with every change of the list.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.version = 0
        self._turn = threading.Lock()
        self._known: dict[tuple[Path, str], tuple[Any, Result]] = {}
        self._followers: dict[str, Follower] = {}

    def results(self) -> list[Result]:
        """All results as they are now, the newest first."""
        with self._turn:
            now = {(found.path, found.kind): self._result(found) for found in find(self.root)}
            results = [result for _, result in now.values()]
            if results != [result for _, result in self._known.values()]:
                self.version += 1
            self._known = now
        return sorted(results, key=lambda result: result.started, reverse=True)

    def _result(self, found: Found) -> tuple[Any, Result]:
        ended = not found.files.keys().isdisjoint((DONE, FAILED))
        held = found.kind == RUN and not ended and is_held(found.path)
        # Metrics grow all the time, and `progress` reads them.
        files = frozenset(file for file in found.files.values() if file.name != METRICS)
        signature = (files, METRICS in found.files, found.problem, held)
        known = self._known.get((found.path, found.kind))
        if known is not None and known[0] == signature and found.kind not in AGEING:
            return known
        return signature, read(self.root, found)

    def progress(self) -> dict[str, Any]:
        """What running trainings have done so far, by the short name of the result."""
        running = [one for one in self.results() if one.state == "running" and one.kind == "train"]
        return {result.id: self._follow(result) for result in running}

    def curve(self, result: Result) -> dict[str, Any] | None:
        """Progress of a training that may have ended; None of anything else."""
        return self._follow(result) if result.kind == "train" else None

    def _follow(self, result: Result) -> dict[str, Any]:
        with self._turn:
            follower = self._followers.setdefault(result.id, Follower(result.path / METRICS, result.epochs))
            follower.epochs = result.epochs
            return follower.progress()


def kinds(results: list[Result], field: str) -> list[str]:
    """What a filter may choose from."""
    return sorted(set(filter(None, (str(getattr(result, field)) for result in results))), key=str.casefold)
