"""Rows of a stream as they come: CSV with a head of channels by name, or JSON lines."""

from __future__ import annotations

import csv
import json
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pct.errors import DataError

# Seconds between looks at a file that may have grown.
PAUSE = 0.02
TIME = "t"
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
