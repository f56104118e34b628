"""Text tables: comment lines, a header line, perhaps a line of units, one line a sample.

polars reads the wanted columns straight from the file. Where that fails, or lines were left out so that row
and line numbers part, the file is read a second time with care, to name the wrong cell or number the lines.
"""

from __future__ import annotations

import codecs
import csv
import dataclasses
import itertools
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from pct.errors import DataError
from pct.files import BLOCK
from pct.logs.readers.base import RawLog, check_count, missing_column
from pct.logs.spool import Spool
from pct.types import Column, Int

SEPARATORS = (",", ";", "\t")
# Longer lines are no header of a log; this is also how much of a file without lines is looked at.
LONGEST_LINE = 4 << 20
# Lines that begin like this hold no sample; polars, which is told so, takes a third longer.
HASH = "#"
# So many lines of comments and blanks may stand before the header.
MOST_COMMENTS = 1000
# What polars raises on text that is no table.
TROUBLE = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
# A larger file goes through the memory in parts of this many rows or bytes.
SPOOLED = 256 << 20
PART_ROWS, PART_BYTES = 100_000, 64 << 20


def read_csv(path: Path, names: Sequence[str] | None, options: Mapping[str, str]) -> RawLog:
    """Read columns by the names in the header line.

    ``speed [km/h]`` and ``speed(km/h)`` also go by the name ``speed``, and give its unit; so does a line of
    units below the header. A first column without a name is an index. An empty cell is a missing value.

    Args:
        path: the file, UTF-8 or UTF-16 with its mark; another header is taken for Windows-1252.
        names: columns to read; None for all that hold numbers.
        options: ``separator`` (of comma, semicolon and tab the one that the header has most of) and
            ``comment``, the prefix of lines to leave out beside ``#``.

    Raises:
        DataError: the file is empty, no text, ragged, or lacks a column; a cell is no number.
    """
    # What polars warns of, the slow way refuses with the place.
    with warnings.catch_warnings(action="ignore"):
        return _read(path, names, options.get("comment") or None, options.get("separator"))


def _read(path: Path, names: Sequence[str] | None, comment: str | None, separator: str | None) -> RawLog:
    source = _as_utf8(path)
    header = _header(path, source, comment, separator)
    places = list(range(len(header.names))) if names is None else [header.index(path, name) for name in names]
    columns = dict(zip(header.names if names is None else names, places, strict=True))
    columns = {name: index for name, index in columns.items() if name}
    if names is not None and isinstance(source, Path) and path.stat().st_size > SPOOLED:
        return _spooled(path, source, header, comment, columns)
    table = _read_fast(source, header, comment, places, strict=names is not None)
    if table is not None and names is None and comment is None and _any_blank(table):
        table = _read_fast(source, header, HASH, places, strict=False)
    if table is not None and names is None:
        numbers = {name: table[str(index)] for name, index in columns.items()}
        values = {name: _values(column) for name, column in numbers.items() if column.count()}
        rows = header.line + 1 + np.arange(len(table))
    elif table is not None and _lines(source) - header.line == len(table):
        values = {name: _values(table[str(index)]) for name, index in columns.items()}
        rows = header.line + 1 + np.arange(len(table))
    else:
        content = source if isinstance(source, bytes) else source.read_bytes()
        lines = content.splitlines()[header.line :]
        values, rows = _read_slowly(path, lines, header.line + 1, header, comment, columns)
    return RawLog(values, rows, "line", units=header.units)


@dataclasses.dataclass(frozen=True)
class Header:
    """The head of a table.

    Attributes:
        names: of the columns, in their order; empty for one without a name.
        bare: the names without the unit in them.
        units: by name, with the unit in it or without.
        separator: between cells.
        line: number of the last line above the samples.
        cells: in a line of samples.
    """

    names: tuple[str, ...]
    bare: tuple[str, ...]
    units: Mapping[str, str]
    separator: str
    line: int
    cells: int

    def index(self, path: Path, name: str) -> int:
        """Where a column stands."""
        for known in (self.names, self.bare):
            if known.count(name) > 1:
                raise DataError(
                    f"{path}: expected one column '{name}', found {known.count(name)}: rename them"
                )
            if name in known:
                return known.index(name)
        raise missing_column(path, name, self.names)


def _as_utf8(path: Path) -> Path | bytes:
    """The file, or its content where it must be decoded first."""
    with path.open("rb") as file:
        start = file.read(4)
    if not start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return path
    try:
        return path.read_bytes().decode("utf-16").encode()
    except UnicodeError as error:
        raise DataError(
            f"{path}: expected text, found bytes that are none ({error}): save it as UTF-8"
        ) from None


def _head(source: Path | bytes) -> Iterator[tuple[int, bytes]]:
    """Number and content of the first lines, each cut off after `LONGEST_LINE` bytes."""
    if isinstance(source, bytes):
        yield from enumerate(source.splitlines(), start=1)
        return
    with source.open("rb") as file:
        for number in itertools.count(1):
            line = file.readline(LONGEST_LINE + 1)
            if not line:
                return
            yield number, line


def _header(path: Path, source: Path | bytes, comment: str | None, separator: str | None) -> Header:
    """Find the header above the first line that holds a number.

    It is the first line there with as many cells as the samples; one behind a ``#`` only where no other is.
    """
    above: list[tuple[int, str]] = []
    for number, content in _head(source):
        if len(content) > LONGEST_LINE:
            raise DataError(
                f"{path}: expected lines of a table, found more than {LONGEST_LINE >> 20} MB in line {number}"
            )
        line = _text(path, content, number)
        if not line.strip() or (comment and line.startswith(comment)):
            continue
        between = separator or _separator(line)
        if above and not line.startswith("#") and any(map(_is_number, line.split(between))):
            break
        if len(above) == MOST_COMMENTS:
            raise DataError(
                f"{path}: expected a header and samples in the first {MOST_COMMENTS} lines, found none"
            )
        above.append((number, line.rstrip("\r\n")))
    else:
        what = "samples below the header" if above else "a header line and samples"
        problem = "none" if above else "an empty file"
        raise DataError(f"{path}: expected {what}, found {problem}: leave the file out")
    plain = [(number, text) for number, text in above if not text.startswith("#")] or above[-1:]
    # An index without a name, or a separator at the end of each line, makes a difference of one.
    count = len(_cells(line, between))
    differences = [abs(len(_cells(text, between)) - count) for _, text in plain]
    fitting = [text for (_, text), cells in zip(plain, differences, strict=True) if cells == min(differences)]
    head, *below = fitting
    return _parse(path, head, below[0] if below else "", line.rstrip("\r\n"), between, above[-1][0])


def _separator(line: str) -> str:
    """What stands between the cells: a comma may also be the sign of the decimals between others."""
    for between in SEPARATORS[1:]:
        cells = line.split(between)
        if len(cells) > 1 and all("," not in cell or _is_number(cell) for cell in cells):
            return between
    return max(SEPARATORS, key=line.count)


def _parse(path: Path, head: str, below: str, sample: str, separator: str, line: int) -> Header:
    names = [cell.strip().strip('"') for cell in _cells(head.lstrip("# "), separator)]
    cells = _cells(sample, separator)
    check_count(path, len(names))
    if len(cells) == len(names) + 1 and cells[-1].strip():
        # The samples begin with an index that has no name.
        names.insert(0, "")
    while names and not names[-1]:
        names.pop()
    bare, units = map(list, zip(*map(_without_unit, names), strict=True)) if names else ([], [])
    if below:
        stated = [cell.strip().strip('"').strip("[]()") for cell in _cells(below, separator)]
        units = [
            unit or other for unit, other in itertools.zip_longest(units, stated[: len(units)], fillvalue="")
        ]
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
        line=line,
        cells=max(len(names), len(cells)),
    )


def _without_unit(name: str) -> tuple[str, str]:
    """A name and the unit in brackets behind it, which is no number."""
    match = re.fullmatch(r"(.*\S)\s*[\[(]([^\[\]()]+)[\])]", name)
    if match is None or re.fullmatch(r"\d+", match[2]):
        return name, ""
    return match[1], match[2].strip()


def _cells(line: str, separator: str) -> list[str]:
    """The cells of a line; a separator between quotes is none."""
    if '"' in line:
        try:
            return next(csv.reader([line], delimiter=separator))
        except csv.Error:
            pass  # a cell longer than the library reads
    return line.split(separator)


def _text(path: Path, content: bytes, number: int) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Signs such as that of degrees, as Windows writes them.
        text = content.decode("cp1252", errors="replace")
    if re.search(r"[\x00-\x08\x0e-\x1f\ufffd]", text):
        raise DataError(
            f"{path}: expected text, found bytes that are none in line {number}: save it as UTF-8"
        )
    return text


def _is_number(cell: str) -> bool:
    try:
        float(cell.strip().strip('"').replace(",", "."))
    except ValueError:
        return False
    return True


def _read_fast(
    source: Path | bytes, header: Header, comment: str | None, columns: Sequence[int], *, strict: bool
) -> pl.DataFrame | None:
    """The columns as numbers, or None where a cell is none or a whole row is empty."""
    try:
        table = pl.read_csv(
            source.absolute() if isinstance(source, Path) else source,
            columns=sorted(set(columns)),
            ignore_errors=not strict,
            **_layout(header, comment, columns),
        )
    except TROUBLE:
        return None
    return None if strict and _any_blank(table) else table


def _layout(header: Header, comment: str | None, columns: Iterable[int]) -> dict[str, Any]:
    """What polars must know of the samples; only the wanted columns are read as numbers."""
    chosen = set(columns)
    return {
        "has_header": False,
        "skip_lines": header.line,
        "separator": header.separator,
        "decimal_comma": header.separator != ",",
        "comment_prefix": comment,
        "schema": {f"{index}": pl.Float64 if index in chosen else pl.String for index in range(header.cells)},
        "encoding": "utf8-lossy",
        # A file's name may hold any sign.
        "glob": False,
    }


def _any_blank(table: pl.DataFrame) -> bool:
    """Whether a row has no value at all."""
    if any(column.null_count() == 0 for column in table):
        return False
    return bool(table.select(pl.all_horizontal(pl.all().is_null()).any()).item())


def _spooled(
    path: Path, source: Path, header: Header, comment: str | None, columns: Mapping[str, int]
) -> RawLog:
    """The columns of a large file, read in parts and kept in files."""
    values = Spool()
    chosen = sorted(set(columns.values()))
    lazy = pl.scan_csv(source.absolute(), **_layout(header, comment, chosen)).select(map(str, chosen))
    with ThreadPoolExecutor(1) as beside:
        lines = beside.submit(_lines, source)
        try:
            for part in lazy.collect_batches(chunk_size=PART_ROWS, maintain_order=True):
                if _any_blank(part):
                    break
                for name, index in columns.items():
                    values.append(name, _values(part[str(index)]))
            else:
                rows = values.rows()
                if lines.result() - header.line == rows:
                    return RawLog(values, header.line + 1 + np.arange(rows), "line", units=header.units)
        except TROUBLE:
            pass  # a cell is no number; the slow way says where
    values, numbers = Spool(), []
    for first, part_lines in _parts(source, header.line):
        part_values, part_rows = _read_slowly(path, part_lines, first, header, comment, columns)
        for name, column in part_values.items():
            values.append(name, column)
        numbers.append(part_rows)
    return RawLog(values, np.concatenate(numbers), "line", units=header.units)


def _values(column: pl.Series) -> Column:
    return (column.fill_null(np.nan) if column.null_count() else column).to_numpy()


def _lines(source: Path | bytes) -> int:
    """How many lines the file has."""
    if isinstance(source, bytes):
        return source.count(b"\n") + (not source.endswith(b"\n"))
    count, last = 0, b"\n"
    with source.open("rb") as file:
        while block := file.read(BLOCK):
            # NumPy counts several times as fast as `bytes.count`.
            count += int(np.count_nonzero(np.frombuffer(block, np.uint8) == ord("\n")))
            last = block[-1:]
    return count + (last != b"\n")


def _parts(source: Path, skipped: int) -> Iterator[tuple[int, list[bytes]]]:
    """The lines of a file in parts, each with the number of its first line; the first lines left out."""
    with source.open("rb") as file:
        for _ in range(skipped):
            file.readline()
        number = skipped + 1
        while lines := file.readlines(PART_BYTES):
            yield number, lines
            number += len(lines)


def _read_slowly(
    path: Path,
    lines: Sequence[bytes],
    first: int,
    header: Header,
    comment: str | None,
    columns: Mapping[str, int],
) -> tuple[dict[str, Column], Int[np.ndarray, " N"]]:
    """The columns and the number of the line of each row, comments and blank lines left out."""
    marks = (HASH.encode(), (comment or HASH).encode())
    samples = [
        (number, line.rstrip(b"\r\n"))
        for number, line in enumerate(lines, start=first)
        if line.strip() and not line.startswith(marks)
    ]
    rows = np.array([number for number, _ in samples], int)
    try:
        table = pl.read_csv(
            b"\n".join(line for _, line in samples),
            has_header=False,
            separator=header.separator,
            schema={f"{index}": pl.String for index in range(header.cells)},
            columns=sorted(set(columns.values())),
            encoding="utf8-lossy",
        )
    except TROUBLE as error:
        counts = (
            (number, len(_cells(line.decode(errors="replace"), header.separator))) for number, line in samples
        )
        longer = next((f"{count} in line {number}" for number, count in counts if count > header.cells), "")
        reason = longer or f"otherwise ({(str(error).splitlines() or [''])[0][:200]})"
        raise DataError(
            f"{path}: expected {header.cells} cells in every line, found {reason}: correct the line or cut it"
        ) from None
    if len(table) != len(rows):
        raise DataError(
            f"{path}: expected a row in every line, found {len(table)} in {len(rows)} lines: is a quote open?"
        )
    values = {}
    for name, index in columns.items():
        text = table[str(index)].str.strip_chars()
        if header.separator != ",":
            text = text.str.replace(",", ".", literal=True)
        text = text.set(text == "", None)
        numbers = text.cast(pl.Float64, strict=False)
        wrong = np.flatnonzero((numbers.is_null() & text.is_not_null()).to_numpy())
        if len(wrong):
            raise DataError(
                f"{path}: expected a number in column '{name}', line {rows[wrong[0]]}, "
                f"found {text[int(wrong[0])][:60]!r}: correct the cell or cut the line"
            )
        values[name] = _values(numbers)
    return values, rows
