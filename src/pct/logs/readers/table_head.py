"""The head of a text table, found by its shape: where lines of one width begin that hold numbers.

Whatever a recorder writes above (its name, the venue, sample rates) has another width, or texts where the
samples have numbers. The header is the first full line of that width above the samples; a line of units may
stand below it.
"""

from __future__ import annotations

import csv
import dataclasses
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pct.errors import LogError
from pct.logs.readers.base import check_count, missing_column
from pct.logs.readers.time_texts import is_time

SEPARATORS = (",", ";", "\t")
# Longer lines are no header of a log; this is also how much of a file without lines is looked at.
LONGEST_LINE = 4 << 20
# So many lines may stand before the header.
MOST_COMMENTS = 1000
# Lines that show where the table begins, and the last ones of these, which must be samples.
LOOK, LAST = 150, 20
# Bytes of these that are enough.
ENOUGH = 1 << 20
# A header names at least this share of the columns that the fullest line above the samples names.
FULL = 0.9
# Numbers whose thousands are grouped: 1.234,5 and 1,234.5, 1 234,5 and 1'234.5.
GROUPED = r"^[+-]?\d{1,3}(?:(?:\.\d{3})+,\d*|(?:,\d{3})+\.\d*|(?:[ '\x{a0}\x{202f}]\d{3})+(?:[.,]\d*)?)$"
_GROUPED = re.compile(GROUPED.replace("\\x{a0}", "\\xa0").replace("\\x{202f}", "\\u202f"))
# What recorders write for a missing value.
MISSING = ("n/a", "na", "null", "none", "-", "--", "#n/a", "invalid")


@dataclasses.dataclass(frozen=True)
class Header:
    """The head of a table.

    Attributes:
        names: of the columns, in their order; empty for one without a name. The second of one name has a
            ``.2`` behind it.
        bare: the names without the unit in them.
        units: by name, with the unit in it or without.
        separator: between cells.
        line: number of the last line above the samples.
        cells: in a line of samples.
        texts: places of columns whose cells are times that are written as text.
        odd: first cell of columns that hold other texts, by name.
        grouped: whether thousands are grouped in numbers.
        repeats: the lines of names and of units, as they stand when they come once more.
    """

    names: tuple[str, ...]
    bare: tuple[str, ...]
    units: Mapping[str, str]
    separator: str
    line: int
    cells: int
    texts: frozenset[int] = frozenset()
    odd: Mapping[str, str] = dataclasses.field(default_factory=dict)
    grouped: bool = False
    repeats: tuple[str, ...] = ()

    def index(self, path: Path, name: str) -> int:
        """Where a column stands."""
        for known in (self.names, self.bare):
            if known.count(name) > 1:
                raise LogError(path, f"expected one column '{name}', found {known.count(name)}: rename them")
            if name in known:
                return known.index(name)
        raise missing_column(path, name, self.names)


class _Line(NamedTuple):
    """A line of the file: its number, its text, its separator and cells, and which of these are numbers."""

    number: int
    text: str
    separator: str
    cells: list[str]
    numbers: list[bool]

    @property
    def is_comment(self) -> bool:
        return self.text.startswith("#")


def find_header(path: Path, source: Path | bytes, comment: str | None, separator: str | None) -> Header:
    """Find the header, and the first line of samples below it.

    Raises:
        DataError: there is none, or the file is no text.
    """
    lines: list[_Line] = []
    size, first, more = 0, None, _head(source)
    for look, most in ((LOOK, ENOUGH), (MOST_COMMENTS + LOOK, LONGEST_LINE)):
        for number, content in more:
            if len(content) > LONGEST_LINE:
                raise LogError(
                    path,
                    f"expected lines of a table, found more than {LONGEST_LINE >> 20} MB in line {number}",
                )
            text = _decoded(content, number).rstrip("\r\n")
            if not lines:
                _check_text(path, text, number)
            if not text.strip() or (comment and text.startswith(comment)):
                continue
            between = separator or _separator(text)
            cells = cells_of(text, between)
            check_count(path, len(cells))
            lines.append(_Line(number, text, between, cells, list(map(is_sample, cells))))
            size += len(text)
            if len(lines) >= look or size > most:
                break
        first = _first_sample(lines)
        if first is not None and first < len(lines) - LAST:
            break
    for line in lines[: 1 + (len(lines) - 1 if first is None else first)]:
        _check_text(path, line.text, line.number)
    if first is None:
        if len(lines) > MOST_COMMENTS:
            raise LogError(
                path, f"expected a header and samples in the first {MOST_COMMENTS} lines, found none"
            )
        what = "samples below the header" if lines else "a header line and samples"
        problem = "none" if lines else "an empty file"
        raise LogError(path, f"expected {what}, found {problem}: leave the file out")
    return _parse(path, lines[:first], lines[first:])


def _first_sample(lines: Sequence[_Line]) -> int | None:
    """Which line is the first of the table; None where no line below the first holds a number."""
    filled = [line for line in lines[1:] if any(line.numbers) and not line.is_comment]
    if not filled:
        return None
    # The width that holds most numbers, of those that a line of names above them has as well.
    widths: Counter[int] = Counter()
    for line in filled:
        widths[len(line.cells)] += sum(line.numbers)
    named = {len(line.cells) + more for line in lines if not any(line.numbers) for more in (-1, 0, 1)}
    usual = max(widths, key=lambda width: (width in named, widths[width]))
    table = [line for line in filled if len(line.cells) == usual]
    places = [
        place
        for place in range(usual)
        if 2 * sum(line.numbers[place] for line in table)
        > sum(not is_missing(line.cells[place]) for line in table)
    ]
    first = next((i for i, line in enumerate(lines) if i and _is_row(line, places, usual, usual)), None)
    # Some recorders end the first lines with a separator, or without one.
    while first is not None and first > 1 and _is_row(lines[first - 1], places, usual - 1, usual + 1):
        first -= 1
    return first


def _is_row(line: _Line, places: Sequence[int], least: int, most: int) -> bool:
    """Whether a line has so many cells and, in half of the places of numbers that it fills, numbers."""
    if line.is_comment or not any(line.numbers) or not least <= len(line.cells) <= most:
        return False
    held = [place for place in places if place < len(line.cells) and not is_missing(line.cells[place])]
    return 2 * sum(line.numbers[place] for place in held) >= len(held)


def _parse(path: Path, above: Sequence[_Line], samples: Sequence[_Line]) -> Header:
    """The header out of the lines above the samples: the first full one with as many cells as these."""
    separator, count = samples[0].separator, len(samples[0].cells)
    plain = [line for line in above if not line.is_comment] or [above[-1]]
    # Names are no numbers; settings above them are.
    plain = [line for line in plain if not any(line.numbers)] or plain
    rows = [cells_of(line.text.lstrip("# "), separator) for line in plain]
    # An index without a name, or a separator at the end of each line, makes a difference of one.
    differences = [abs(len(row) - count) for row in rows]
    fitting = [index for index, cells in enumerate(differences) if cells == min(differences)]
    filled = [sum(bool(bare_cell(cell)) for cell in rows[index]) for index in fitting]
    head = next(i for i, cells in zip(fitting, filled, strict=True) if cells >= FULL * max(filled))
    below = next((index for index in fitting if index > head), None)
    names = [_name_of(cell) for cell in rows[head]]
    if count == len(names) + 1 and samples[0].cells[-1].strip():
        # The samples begin with an index that has no name.
        names.insert(0, "")
    while names and not names[-1]:
        names.pop()
    names = _told_apart(names)
    bare, units = map(list, zip(*map(without_unit, names), strict=True)) if names else ([], [])
    if below is not None:
        stated = [bare_cell(cell).strip("[]()") for cell in rows[below]]
        units = [
            unit or other for unit, other in itertools.zip_longest(units, stated[: len(units)], fillvalue="")
        ]
    texts, odd = _kinds(samples, len(names))
    for place in texts:
        # They come in s, whatever the header says of how they are written.
        units[place] = "s"
    return Header(
        names=tuple(names),
        bare=tuple(bare),
        units={
            key: unit
            for keys in zip(names, bare, units, strict=True)
            for key, unit in [(keys[0], keys[2]), (keys[1], keys[2])]
            if unit
        },
        separator=separator,
        line=samples[0].number - 1,
        cells=max(len(names), count),
        texts=texts,
        odd={names[place]: cell for place, cell in odd.items() if names[place]},
        grouped=any(_GROUPED.match(bare_cell(cell)) for line in samples for cell in line.cells),
        repeats=tuple(plain[index].text.strip() for index in (head, below) if index is not None),
    )


def _name_of(cell: str) -> str:
    """A name of a header; RaceCapture's, which have unit, range and rate behind them, with the unit.

    Examples:
        >>> _name_of(' "Speed"'), _name_of('"Speed"|"mph"|0.0|150.0|10'), _name_of('a|b')
        ('Speed', 'Speed [mph]', 'a|b')
    """
    name, *more = (bare_cell(part) for part in cell.split("|"))
    if len(more) != 4 or not all(map(is_number, more[1:])):
        return bare_cell(cell)
    return f"{name} [{more[0]}]" if more[0] else name


def _told_apart(names: Sequence[str]) -> list[str]:
    """Names that stand once each: the second ``v`` is called ``v.2``.

    Examples:
        >>> _told_apart(["t", "v", "v", "", ""])
        ['t', 'v', 'v.2', '', '']
    """
    apart: list[str] = []
    counts: Counter[str] = Counter()
    taken = set(names)
    for name in names:
        counts[name] += 1
        called = name
        while name and (counts[name] > 1 and called in taken):
            called = f"{name}.{counts[name]}"
            if called in taken:
                counts[name] += 1
                called = name
        taken.add(called)
        apart.append(called)
    return apart


def _kinds(samples: Sequence[_Line], count: int) -> tuple[frozenset[int], dict[int, str]]:
    """Places of columns of times that are written as text, and the first cell of those of other texts."""
    texts, odd = set(), {}
    for place in range(count):
        cells = [line.cells[place] for line in samples if place < len(line.cells)]
        cells = [cell for cell in cells if not is_missing(cell) and not is_number(cell)]
        if cells and 2 * sum(map(is_time, cells)) > len(cells):
            texts.add(place)
        elif cells:
            odd[place] = bare_cell(cells[0])[:60]
    return frozenset(texts), odd


def cells_of(line: str, separator: str) -> list[str]:
    """The cells of a line; a separator between quotes is none."""
    if '"' in line:
        try:
            return next(csv.reader([line], delimiter=separator))
        except csv.Error:
            pass  # a cell longer than the library reads
    return line.split(separator)


def bare_cell(cell: str) -> str:
    """A cell without quotes."""
    return cell.strip().strip('"')


def is_missing(cell: str) -> bool:
    """Whether a cell stands for a missing value."""
    cell = bare_cell(cell)
    return not cell or cell.lower() in MISSING


def is_number(cell: str) -> bool:
    """Whether a cell is a number, its decimals behind a point or a comma."""
    try:
        float(bare_cell(cell).replace(",", "."))
    except ValueError:
        return _GROUPED.match(bare_cell(cell)) is not None
    return True


def is_sample(cell: str) -> bool:
    """Whether a cell is a number, or a time that is written as text."""
    return is_number(cell) or is_time(cell)


def _separator(line: str) -> str:
    """What stands between the cells: a comma may also be the sign of the decimals between others."""
    for between in SEPARATORS[1:]:
        cells = line.split(between)
        if len(cells) > 1 and all("," not in cell or is_sample(cell) for cell in cells):
            return between
    return max(SEPARATORS, key=line.count)


def without_unit(name: str) -> tuple[str, str]:
    """A name and the unit in brackets behind it, which is no number."""
    match = re.fullmatch(r"(.*\S)\s*[\[(]([^\[\]()]+)[\])]", name)
    if match is None or re.fullmatch(r"\d+", match[2]):
        return name, ""
    return match[1], match[2].strip()


def _head(source: Path | bytes) -> Iterator[tuple[int, bytes]]:
    """Number and content of the lines, each cut off after `LONGEST_LINE` bytes."""
    if isinstance(source, bytes):
        yield from enumerate(source.splitlines(), start=1)
        return
    with source.open("rb") as file:
        for number in itertools.count(1):
            line = file.readline(LONGEST_LINE + 1)
            if not line:
                return
            yield number, line


def _decoded(content: bytes, number: int) -> str:
    try:
        return content.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError:
        # Signs such as that of degrees, as Windows writes them.
        return content.decode("cp1252", errors="replace")


def _check_text(path: Path, text: str, number: int) -> None:
    if re.search(r"[\x00-\x08\x0e-\x1f\ufffd]", text):
        raise LogError(path, f"expected text, found bytes that are none in line {number}: save it as UTF-8")
