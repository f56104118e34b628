"""How far a training is: its ``metrics.jsonl``, read on from where it was read before."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from pct.files import UNFOLLOWED

# Points of a curve; beyond twice as many every other one goes.
POINTS = 400
# Epochs that the time for one is taken from, the last ones: a run that was stopped has a gap.
RECENT = 10
# Bytes that are read at once: what a long run has written before the page looks is read piece by piece.
PIECE = 8 << 20


class Curve:
    """Values by step, thinned out as they grow."""

    def __init__(self) -> None:
        self.points: list[tuple[int, float]] = []
        self._every, self._seen = 1, 0

    def add(self, step: int, value: Any) -> None:
        """Take a value; one that is no finite number is left out."""
        if is_number(value):
            if self._seen % self._every == 0:
                self.points.append((step, float(value)))
            self._seen += 1
            if len(self.points) > 2 * POINTS:
                self.points, self._every = self.points[::2], 2 * self._every


class Follower:
    """Follows the metrics of one training.

    Attributes:
        path: the file.
        epochs: that are asked for; None where not known.
    """

    def __init__(self, path: Path, epochs: int | None) -> None:
        self.path, self.epochs = path, epochs
        self._begin(None)

    def _begin(self, file: tuple[int, int] | None) -> None:
        self._file, self._read, self._rest = file, 0, b""
        self._train, self._val = Curve(), Curve()
        self._ends: list[tuple[float, int]] = []
        self._step = self._epoch = 0

    def progress(self) -> dict[str, Any]:
        """What is known now, for JSON: epoch, step, seconds left, and both losses by step."""
        self._read_on()
        return {
            "epoch": self._epoch,
            "epochs": self.epochs,
            "step": self._step,
            "left": self._left(time.time()),
            "train": self._train.points,
            "validation": self._val.points,
        }

    def _left(self, now: float) -> float | None:
        """Seconds until the last epoch ends, by the time that the last ones took; None where not known."""
        if self.epochs is None or len(self._ends) < 2:
            return None
        (first, before), (last, epoch) = self._ends[0], self._ends[-1]
        if last <= first or epoch <= before:
            return None
        one = (last - first) / (epoch - before)
        return max(0.0, one * (self.epochs - epoch) - max(0.0, now - last))

    def _read_on(self) -> None:
        """Take the lines that were written since; a file that was replaced is read from its start."""
        try:
            handle = os.open(self.path, os.O_RDONLY | UNFOLLOWED)
        except OSError:
            return
        with open(handle, "rb") as file:
            facts = os.fstat(handle)
            if self._file != (facts.st_dev, facts.st_ino) or facts.st_size < self._read:
                self._begin((facts.st_dev, facts.st_ino))
            file.seek(self._read)
            while piece := file.read(PIECE):
                self._read += len(piece)
                *lines, self._rest = (self._rest + piece).split(b"\n")
                for line in lines:
                    self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            row: Any = json.loads(line)
        except (ValueError, RecursionError):
            return
        if not isinstance(row, dict):
            return
        step: Any = row.get("step")
        epoch: Any = row.get("epoch")
        if not (_is_count(step) and _is_count(epoch)):
            return
        self._step, self._epoch = max(self._step, step), max(self._epoch, epoch)
        if "train/loss" in row:
            self._train.add(step, row["train/loss"])
        elif "train/epoch_loss" in row:
            self._val.add(step, row.get("val/loss"))
            if is_number(row.get("time")):
                self._ends = [*self._ends, (float(row["time"]), epoch)][-RECENT:]


def is_number(value: object) -> bool:
    """Whether a value of a JSON file is a number that a page can show."""
    return isinstance(value, float | int) and not isinstance(value, bool) and abs(value) < 1e300


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 60
