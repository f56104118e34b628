"""Text tables: perhaps a preamble, a header line, perhaps a line of units, one line a sample.

polars reads the wanted columns straight from the file. Where that fails, or lines were left out so that row
and line numbers part, the file is read a second time with care, to name the wrong cell or number the lines.
"""

from __future__ import annotations

import codecs
import dataclasses
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from pct.errors import DamagedLogError, LogError, LogValueError
from pct.files import BLOCK
from pct.logs.readers.base import AnyColumn, RawLog
from pct.logs.readers.table_head import GROUPED, MISSING, Header, cells_of, find_header
from pct.logs.readers.time_texts import seconds_of_texts
from pct.logs.spool import Spool
from pct.types import Column, Int

# Lines that begin like this hold no sample; polars, which is told so, takes a third longer.
HASH = "#"
# What polars raises on text that is no table.
TROUBLE = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
# Bad cells and lines that are no more than this share are taken for missing values, where that is wanted.
FEW = 0.05
# A file that ends in zeros or within a line was being written when the power went.
TAIL = 1 << 16
# A larger file goes through the memory in parts of this many rows or bytes.
SPOOLED = 256 << 20
PART_ROWS, PART_BYTES = 100_000, 64 << 20


def read_csv(path: Path, names: Sequence[str] | None, options: Mapping[str, str]) -> RawLog:
    """Read columns by the names in the header line.

    ``speed [km/h]`` and ``speed(km/h)`` also go by the name ``speed``, and give its unit; so does a line of
    units below the header. A first column without a name is an index. An empty cell is a missing value, so
    are the usual words for one. Times that are written as text come in s. The second column of one name gets
    ``.2`` behind it. Where the header stands once more, the file begins anew. Rows without any value at
    the end are left out.

    Args:
        path: the file, UTF-8 or UTF-16 with its mark; another header is taken for Windows-1252.
        names: columns to read; None for all that hold numbers.
        options: ``separator`` (of comma, semicolon and tab the one that the header has most of) and
            ``comment``, the prefix of lines to leave out beside ``#``; with ``faults`` = ``cut`` a few bad
            cells and lines are taken for missing values.

    Raises:
        DataError: the file is empty, no text, ragged, or lacks a column; a cell is no number.
    """
    # What polars warns of, the slow way refuses with the place.
    with warnings.catch_warnings(action="ignore"):
        raw, header = _read(path, names, options)
    values, rows = _without_empty_end(raw.columns, raw.rows)
    again = _restarts(path, header, values) if header.repeats else []
    if again:
        samples = ~np.isin(rows, again)
        if names is None:
            # Empty lines beside them are rows here.
            samples = ~np.all([np.isnan(column) for column in values.values()], axis=0)
        rows, values = rows[samples], {name: column[samples] for name, column in values.items()}
    notes = [f"line {number} repeats the header: a recording of its own begins there" for number in again[:3]]
    return dataclasses.replace(
        raw, columns=values, rows=rows, units=header.units, texts=header.odd, notes=notes, restarts=again
    )


def _read(path: Path, names: Sequence[str] | None, options: Mapping[str, str]) -> tuple[RawLog, Header]:
    comment = options.get("comment") or None
    source = _as_utf8(path)
    header = find_header(path, source, comment, options.get("separator"))
    places = list(range(len(header.names))) if names is None else [header.index(path, name) for name in names]
    columns = dict(zip(header.names if names is None else names, places, strict=True))
    columns = {name: index for name, index in columns.items() if name}
    lenient = options.get("faults") == "cut"
    if names is not None and isinstance(source, Path) and path.stat().st_size > SPOOLED:
        return _spooled(path, source, header, comment, columns, lenient=lenient), header
    if header.grouped and names is None:
        columns = {name: index for name, index in columns.items() if name not in header.odd}
        lenient = True
    table = None if header.grouped else _read_fast(source, header, comment, places, strict=names is not None)
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
        values, rows = _read_slowly(path, lines, header.line + 1, header, comment, columns, lenient=lenient)
    return RawLog(values, rows, "line"), header


def _restarts(path: Path, header: Header, columns: Mapping[str, AnyColumn]) -> list[int]:
    """Numbers of the lines that repeat the header; they are looked for where a row has no value."""
    if not columns or not all(np.isnan(column).any() for column in columns.values()):
        return []
    names = header.repeats[0].encode()
    with path.open("rb") as file:
        return [
            number for number, line in enumerate(file, 1) if number > header.line and line.strip() == names
        ]


def _without_empty_end(
    columns: Mapping[str, AnyColumn], rows: Int[np.ndarray, " _"]
) -> tuple[Mapping[str, AnyColumn], Int[np.ndarray, " _"]]:
    """Columns and rows without the last ones in which no column has a value."""
    count = len(rows)
    if not columns or not count or not all(np.isnan(column[-1]) for column in columns.values()):
        return columns, rows
    held = np.zeros(count, bool)
    for column in columns.values():
        held |= ~np.isnan(column)
    stop = int(np.flatnonzero(held)[-1]) + 1 if held.any() else 0
    if isinstance(columns, Spool):
        return columns.cut(0, stop), rows[:stop]
    return {name: column[:stop] for name, column in columns.items()}, rows[:stop]


def _as_utf8(path: Path) -> Path | bytes:
    """The file, or its content where it must be decoded first."""
    with path.open("rb") as file:
        start = file.read(4)
    if not start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _without_zeros(path)
    try:
        return path.read_bytes().decode("utf-16").encode()
    except UnicodeDecodeError as error:
        raise DamagedLogError(
            path, f"expected text, found bytes that are none from byte {error.start} on: save it as UTF-8"
        ) from None


def _without_zeros(path: Path) -> Path | bytes:
    """The file; its content up to the last whole line where zeros follow, as the power was cut."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - TAIL))
        end = file.read()
    if not end.endswith(b"\0") or size > SPOOLED:
        return path
    content = path.read_bytes().rstrip(b"\0")
    return content[: content.rfind(b"\n") + 1] if b"\n" in content else path


def _read_fast(
    source: Path | bytes, header: Header, comment: str | None, columns: Sequence[int], *, strict: bool
) -> pl.DataFrame | None:
    """The columns as numbers, or None where a cell is none or a whole row is empty."""
    try:
        table = pl.read_csv(
            source.absolute() if isinstance(source, Path) else source,
            columns=sorted(set(columns)),
            ignore_errors=not strict,
            truncate_ragged_lines=not strict,
            **_layout(header, comment, columns),
        )
    except TROUBLE:
        return None
    times = {index: seconds_of_texts(table[str(index)]) for index in header.texts & set(columns)}
    if strict and any(_lost(table[str(index)], seconds) for index, seconds in times.items()):
        return None
    table = table.with_columns(seconds.alias(f"{index}") for index, seconds in times.items())
    return None if strict and _any_blank(table) else table


def _lost(texts: pl.Series, seconds: pl.Series) -> bool:
    """Whether a text was no time."""
    return seconds.null_count() > texts.null_count()


def _layout(header: Header, comment: str | None, columns: Iterable[int]) -> dict[str, Any]:
    """What polars must know of the samples; only the wanted columns are read, times in texts as such."""
    chosen = set(columns) - header.texts
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
    path: Path,
    source: Path,
    header: Header,
    comment: str | None,
    columns: Mapping[str, int],
    *,
    lenient: bool,
) -> RawLog:
    """The columns of a large file, read in parts and kept in files."""
    values = Spool()
    chosen = sorted(set(columns.values()))
    lazy = pl.scan_csv(source.absolute(), **_layout(header, comment, chosen)).select(map(str, chosen))
    with ThreadPoolExecutor(1) as beside:
        lines = beside.submit(_lines, source)
        try:
            for part in lazy.collect_batches(chunk_size=PART_ROWS, maintain_order=True):
                times = {index: seconds_of_texts(part[str(index)]) for index in header.texts & set(chosen)}
                if _any_blank(part) or any(_lost(part[str(index)], time) for index, time in times.items()):
                    break
                for name, index in columns.items():
                    values.append(name, _values(times.get(index, part[str(index)])))
            else:
                rows = values.rows()
                if lines.result() - header.line == rows:
                    return RawLog(values, header.line + 1 + np.arange(rows), "line")
        except TROUBLE:
            pass  # a cell is no number; the slow way says where
    values, numbers = Spool(), []
    for first, part_lines in _parts(source, header.line):
        part_values, part_rows = _read_slowly(
            path, part_lines, first, header, comment, columns, lenient=lenient
        )
        for name, column in part_values.items():
            values.append(name, column)
        numbers.append(part_rows)
    return RawLog(values, np.concatenate(numbers), "line")


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
    *,
    lenient: bool,
) -> tuple[dict[str, Column], Int[np.ndarray, " N"]]:
    """The columns and the number of the line of each row, comments and blank lines left out."""
    marks = (HASH.encode(), (comment or HASH).encode())
    samples = [
        (number, line.rstrip(b"\r\n"))
        for number, line in enumerate(lines, start=first)
        if line.strip() and not line.startswith(marks)
    ]
    samples = _without_repeats(samples, header)
    rows = np.array([number for number, _ in samples], int)
    table = _texts(path, samples, header, columns, lenient=lenient)
    if len(table) != len(rows):
        raise LogError(
            path, f"expected a row in every line, found {len(table)} in {len(rows)} lines: is a quote open?"
        )
    values = {}
    for name, index in columns.items():
        text = table[str(index)].str.strip_chars()
        text = text.set(text == "", None)
        numbers = _numbers(text, header, is_time=index in header.texts)
        wrong = np.flatnonzero((numbers.is_null() & text.is_not_null()).to_numpy())
        if len(wrong):
            words = text.gather(wrong).str.to_lowercase().is_in(MISSING).to_numpy()
            wrong = wrong[~words]
        if len(wrong) > (FEW * len(text) if lenient else 0):
            raise LogValueError(
                path,
                f"expected a {'time' if index in header.texts else 'number'} in column '{name}', "
                f"line {rows[wrong[0]]}, found {text[int(wrong[0])][:60]!r}: "
                "correct the cell or cut the line",
                column=name,
                row=int(rows[wrong[0]]),
            )
        values[name] = _values(numbers)
    return values, rows


def _without_repeats(samples: Sequence[tuple[int, bytes]], header: Header) -> list[tuple[int, bytes]]:
    """Lines of samples, of which those are empty that repeat the header; a line of units is left out."""
    names, *units = (text.encode() for text in header.repeats)
    empty = header.separator.encode() * (header.cells - 1) or b'""'
    return [
        (number, empty if line.strip() == names else line)
        for number, line in samples
        if line.strip() not in units
    ]


def _texts(
    path: Path,
    samples: Sequence[tuple[int, bytes]],
    header: Header,
    columns: Mapping[str, int],
    *,
    lenient: bool,
) -> pl.DataFrame:
    """The cells of lines of samples as texts."""
    try:
        return pl.read_csv(
            b"\n".join(line for _, line in samples),
            has_header=False,
            separator=header.separator,
            schema={f"{index}": pl.String for index in range(header.cells)},
            columns=sorted(set(columns.values())),
            encoding="utf8-lossy",
        )
    except TROUBLE:
        longer = [
            (number, count)
            for number, line in samples
            if (count := len(cells_of(line.decode(errors="replace"), header.separator))) > header.cells
        ]
        if lenient and 0 < len(longer) <= FEW * len(samples):
            long, empty = {number for number, _ in longer}, header.separator.encode() * (header.cells - 1)
            whole = [(number, empty if number in long else line) for number, line in samples]
            return _texts(path, whole, header, columns, lenient=False)
        reason = f"{longer[0][1]} in line {longer[0][0]}" if longer else "otherwise: is a quote open?"
        raise LogError(
            path, f"expected {header.cells} cells in every line, found {reason}: correct the line or cut it"
        ) from None


def _ungrouped(text: pl.Series) -> pl.Series:
    """Numbers without the signs between their thousands, and with a point before the decimals.

    Examples:
        >>> _ungrouped(pl.Series(["1.234.567,5", "-1 234", "1,25", "12,345.6", None])).to_list()
        ['1234567.5', '-1234', '1.25', '12345.6', None]
    """
    whole = text.str.replace(r"[.,]\d*$", "").str.replace_all(r"[^\d+-]", "")
    decimals = text.str.extract(r"([.,]\d*)$").str.replace(",", ".", literal=True).fill_null("")
    return pl.select(
        pl.when(text.str.contains(GROUPED))
        .then(whole + decimals)
        .otherwise(text.str.replace(",", ".", literal=True))
    ).to_series()


def _numbers(text: pl.Series, header: Header, *, is_time: bool) -> pl.Series:
    """Cells as numbers; null where they are none."""
    if is_time:
        return seconds_of_texts(text)
    if header.grouped or bool(text.str.contains(GROUPED).any()):
        text = _ungrouped(text)
    elif header.separator != ",":
        text = text.str.replace(",", ".", literal=True)
    return text.cast(pl.Float64, strict=False)
