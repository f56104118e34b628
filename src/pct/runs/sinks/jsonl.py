"""``metrics.jsonl``: one JSON object a line."""

from __future__ import annotations

import json
import logging
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NotRequired, TextIO, TypedDict

import msgspec

from pct.errors import DataError
from pct.files import UNFOLLOWED, write_output
from pct.json_files import Known, parse_json, read_whole, typed
from pct.runs.directory import to_json

METRICS = "metrics.jsonl"
# Bytes of far more steps than anybody trains.
LARGEST = 4 << 30

log = logging.getLogger(__name__)


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
    return os.open(path, flags | UNFOLLOWED, 0o666)


Index = Annotated[int, msgspec.Meta(ge=1)]
StepRow = TypedDict(
    "StepRow",
    {
        "step": Index,
        "epoch": Index,
        "train/loss": Known,
        "train/grad_norm": Known,
        "train/learning_rate": Known,
        "train/horizon": Index,
    },
)
EpochRow = TypedDict(
    "EpochRow",
    {"step": Index, "epoch": Index, "train/epoch_loss": Known, "val/loss": NotRequired[Known]},
)


class OtherRow(TypedDict, total=False):
    """A row of other metrics, or the summary."""

    step: int
    epoch: int


def read_metrics(run: Path, *, step: int, epoch: int) -> list[dict[str, Any]]:
    """What a run had logged up to a checkpoint: rows of steps as `StepRow`, of epochs as `EpochRow`.

    A last line that was cut short is left out, and so are lines that are no rows, with a warning.

    Args:
        run: the run folder.
        step, epoch: steps and whole epochs that the checkpoint holds.

    Raises:
        DataError: the file cannot be read.
    """
    path = run / METRICS
    if not os.path.lexists(path):
        return []
    lines = read_whole(path, what="metrics", fix="remove it", largest=LARGEST).splitlines()
    rows, strange = [], []
    for number, line in enumerate(lines, 1):
        try:
            row = _metrics_row(line)
        except ValueError as error:
            strange.append((number, error))
            continue
        whole_epoch = "train/loss" not in row
        if row.get("step", math.inf) <= step and (not whole_epoch or row.get("epoch", math.inf) <= epoch):
            rows.append(row)
    if strange and strange[-1][0] == len(lines):
        strange.pop()
    if strange:
        number, problem = strange[0]
        log.warning("%s: left out %d lines; line %d: %s", path, len(strange), number, problem)
    return rows


def _metrics_row(line: bytes) -> dict[str, Any]:
    row: dict[str, Any] = parse_json(line, dict[str, Any], what="a row of metrics")
    kind: Any = StepRow if "train/loss" in row else EpochRow if "train/epoch_loss" in row else OtherRow
    typed(row, kind, what="a row of metrics")
    return row


def write_metrics(run: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Put rows in the place of what a run had logged.

    Raises:
        DataError: the file cannot be written.
    """
    text = "".join(json.dumps(to_json(row), allow_nan=False) + "\n" for row in rows)
    write_output(run / METRICS, text.encode())
