"""Rows as they come: CSV with a head of channels by name, JSON lines, and recordings that grow."""

from __future__ import annotations

import csv
import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from pct.errors import DataError
from pct.recordings.derive import derive
from pct.recordings.trajectory import Trajectory

# Seconds between looks at a file that may have grown.
PAUSE = 0.02
TIME = "t"
# A recording is read again after so many times the seconds that the last reading took.
REST = 4.0
# Seconds in which a recording that has just begun need not be readable yet.
PATIENCE = 10.0
# Characters of a line at most.
LONGEST = 1 << 16


def grown_lines(path: Path, wait: float | None) -> Iterator[str]:
    """Whole lines of a file that grows, as they come.

    Args:
        path: the file.
        wait: s without a new line after which it ends; None for never.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            part, quiet = "", 0.0
            while True:
                text = file.readline(LONGEST)
                part += text
                if part.endswith("\n") or len(part) >= LONGEST:
                    yield part
                    part, quiet = "", 0.0
                elif not text:
                    if wait is not None and quiet >= wait:
                        break
                    time.sleep(PAUSE)
                    quiet += PAUSE
            if part:
                yield part
    except OSError as error:
        raise DataError(
            f"{path}: cannot read ({error.strerror}): give a CSV file, or nothing for standard input"
        ) from None


def grown_rows(
    path: Path, read: Callable[[], Sequence[Trajectory]], known: Sequence[str], wait: float | None
) -> Iterator[dict[str, float]]:
    """Rows as they come of a recording that grows and that only its reader understands, such as MCAP.

    The whole file is read again where it has grown, so that a reading takes longer and longer.

    Args:
        path: the file.
        read: reads it as it is.
        known: channels that are wanted; those that follow from others are derived.
        wait: s without a new row after which it ends; None for never.

    Raises:
        DataError: it cannot be read.
    """
    size, last, quiet, rest = -1, -math.inf, 0.0, 0.0
    while wait is None or quiet <= wait:
        now = _size(path)
        if rest > 0 or now == size:
            time.sleep(PAUSE)
            rest, quiet = rest - PAUSE, quiet + PAUSE
            continue
        begun = time.monotonic()
        try:
            found, size = read(), now
        except DataError:
            # The first whole messages of a recording are written after a while.
            if last > -math.inf or quiet >= (PATIENCE if wait is None else min(PATIENCE, wait)):
                raise
            found = []
        rest = max(PAUSE, REST * (time.monotonic() - begun))
        for row in _rows_after(found, last, known):
            last, quiet = row[TIME], 0.0
            yield row


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise DataError(f"{path}: cannot read ({error.strerror}): give a recording that grows") from None


def _rows_after(found: Sequence[Trajectory], last: float, known: Sequence[str]) -> Iterator[dict[str, float]]:
    for trajectory in found:
        columns = {name: derive(name, trajectory.channels, trajectory.dt) for name in known}
        for k in range(len(trajectory)):
            t = trajectory.start + k * trajectory.dt
            # A row that was read before may lie a little elsewhere by now.
            if t > last + 0.5 * trajectory.dt:
                yield {TIME: t} | {
                    name: float(column[k]) for name, column in columns.items() if column is not None
                }


def read_rows(lines: Iterable[str], known: Sequence[str]) -> Iterator[dict[str, float] | str]:
    """Values by name of each line, or why a line is left out, as a sentence.

    Args:
        lines: JSON objects, or CSV whose first line names the columns: ``t`` in s, and channels in SI units.
        known: channels that are read; others are passed over.

    Raises:
        DataError: the head has no time, or none of the channels.
    """
    head: list[str] = []
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text:
            continue
        if text.startswith("{"):
            yield _from_json(text, number, known)
        elif not head:
            head = [cell.strip() for cell in next(csv.reader([text]))]
            if TIME not in head or not set(head) & set(known):
                raise DataError(
                    f"line {number}: expected a head with '{TIME}' in s and channels in SI units "
                    f"({', '.join(known)}), "
                    f"found {', '.join(head)[:200]}: rename the columns"
                )
        else:
            yield _from_cells(next(csv.reader([text])), head, number, known)


def _from_json(text: str, number: int, known: Sequence[str]) -> dict[str, float] | str:
    try:
        value = json.loads(text)
        cells = {name: float(value[name]) for name in (TIME, *known) if value.get(name) is not None}
    except (ValueError, TypeError, AttributeError, RecursionError):
        return f"line {number}: expected a JSON object of numbers, left out"
    return cells if TIME in cells else f"line {number}: expected '{TIME}', left out"


def _from_cells(
    cells: Sequence[str], head: Sequence[str], number: int, known: Sequence[str]
) -> dict[str, float] | str:
    if len(cells) != len(head):
        return f"line {number}: expected {len(head)} cells, found {len(cells)}, left out"
    row = {}
    for name, cell in zip(head, cells, strict=True):
        if name == TIME or name in known:
            try:
                row[name] = float(cell) if cell.strip() else math.nan
            except ValueError:
                return f"line {number}: {name}: expected a number, found '{cell[:40]}', left out"
    return row
