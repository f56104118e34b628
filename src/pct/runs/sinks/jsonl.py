"""``metrics.jsonl``: one JSON object a line."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from pct.errors import DataError
from pct.files import write_output
from pct.runs.directory import to_json

METRICS = "metrics.jsonl"


class JsonlTracker:
    """One JSON object a line, handed to the system at once, so that a crash costs the last line at most.

    A line holds ``time`` (s since the epoch of Unix), ``step`` and ``epoch`` where given, and the metrics;
    one that is not finite is null. The summary is a line ``{"time": ..., "summary": {...}}``.
    Where the file was replaced the next line goes to the new one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._guard():
            self.file = self._open()

    def log(self, metrics: Mapping[str, float], *, step: int | None = None, epoch: int | None = None) -> None:
        where = {name: at for name, at in (("step", step), ("epoch", epoch)) if at is not None}
        self._write({**where, **metrics})

    def summary(self, values: Mapping[str, Any]) -> None:
        self._write({"summary": values})

    def close(self, exit_code: int = 0) -> None:
        with self._guard():
            self.file.close()

    def _write(self, row: Mapping[str, Any]) -> None:
        line = json.dumps(to_json({"time": round(time.time(), 3), **row}), allow_nan=False)
        with self._guard():
            if os.fstat(self.file.fileno()).st_nlink == 0 and self.path.parent.exists():
                self.file.close()
                self.file = self._open()
            self.file.write(line + "\n")
            self.file.flush()

    def _open(self) -> TextIO:
        return open(self.path, "a", encoding="utf-8", opener=_open_own)

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DataError(
                f"{self.path}: cannot write ({error.strerror}): "
                "free some space or choose a results folder that can be written"
            ) from None


def _open_own(path: str, flags: int) -> int:
    """Open a file of a run folder, never what a link in its place leads to, nor a pipe that nobody reads."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)


def read_metrics(run: Path, *, step: int, epoch: int) -> list[dict[str, Any]]:
    """What a run had logged up to a checkpoint, without a line that was cut short.

    Args:
        run: the run folder.
        step, epoch: steps and whole epochs that the checkpoint holds.
    """
    path = run / METRICS
    rows = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else ():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        whole_epoch = "train/loss" not in row
        if row.get("step", math.inf) <= step and (not whole_epoch or row.get("epoch", math.inf) <= epoch):
            rows.append(row)
    return rows


def write_metrics(run: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Put rows in the place of what a run had logged.

    Raises:
        DataError: the file cannot be written.
    """
    text = "".join(json.dumps(to_json(row), allow_nan=False) + "\n" for row in rows)
    write_output(run / METRICS, text.encode())
