"""Times that are written as text: dates, times of day, durations, numbers with their unit.

A date counts from 1970 (UTC where no zone stands behind it), a time of day from midnight. All come in s.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

from pct.types import Column

# Seconds of a unit that stands behind a number.
BEHIND = {"s": 1.0, "sec": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_NUMBER = rf"^(?P<number>[+-]?\d+(?:\.\d*)?)\s*(?P<unit>{'|'.join(sorted(BEHIND, key=len, reverse=True))})$"
# 20240501T120000.5 and 12:00:00:500, as the pattern below has them.
_COMPACT = r"^(\d{4})(\d\d)(\d\d)[T ](\d\d)(\d\d)(\d\d)"
_COLONS = r"^(.*\d:\d\d:\d\d):(\d{3})$"
_TIME = (
    r"^(?:(?:(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})"
    r"|(?P<first>\d{1,2})[-/.](?P<second>\d{1,2})[-/.](?P<last>\d{4}))(?:[T\s]\s*|$))?"
    r"(?:(?P<days>-?\d+)\s+days?,?\s*)?"
    r"(?:(?P<sign>[+-])?(?:(?P<h>\d{1,4}):)?(?P<min>\d{1,2}):(?P<s>\d{1,2}(?:[.,]\d*)?))?"
    r"\s*(?P<half>[AaPp][Mm])?\s*(?:Z|UTC|(?P<zone>[+-]\d{2}):?(?P<quarter>\d{2})?)?$"
)
_EITHER = re.compile(rf"{_NUMBER}|{_TIME}")
# Longer cells are no time.
LONGEST = 60


def is_time(cell: str) -> bool:
    """Whether a cell is a time that is written as text; a plain number is none.

    Examples:
        >>> [is_time(c) for c in ("2024-05-01T12:00:00.5Z", "12:00:01,5", "0 days 00:00:01.5", "1.5 ms")]
        [True, True, True, True]
        >>> [is_time(c) for c in ("1.5", "noon", "", "AM", "1:2:3:4:5", "20240501T120000.5", "1/2/2024")]
        [False, False, False, False, False, True, True]
    """
    cell = cell.strip().strip('"')
    if len(cell) > LONGEST or (not cell[:1].isdigit() and cell[:1] not in ("+", "-")):
        return False
    cell = re.sub(_COMPACT, r"\1-\2-\3T\4:\5:\6", re.sub(_COLONS, r"\1.\2", cell))
    match = _EITHER.search(cell)
    return match is not None and any(match[key] for key in ("unit", "year", "last", "days", "min"))


def seconds_of(values: Sequence[object]) -> Column | None:
    """The times in s of a list of texts, some of which may be missing; None where one of them is no time.

    Examples:
        >>> print(seconds_of(["0:00:01.5", None, "0:00:02"]), seconds_of(["left"]), seconds_of([1.0]))
        [1.5 nan 2. ] None None
    """
    first = next((value for value in values if isinstance(value, str)), None)
    if first is None or not is_time(first):
        return None
    texts = [value if isinstance(value, str) else None for value in values]
    seconds = seconds_of_texts(pl.Series(texts, dtype=pl.String))
    if seconds.null_count() > texts.count(None):
        return None
    return seconds.fill_null(float("nan")).to_numpy()


def seconds_of_texts(texts: pl.Series) -> pl.Series:
    """The times in s, float64; null for a text that is none, and for plain numbers.

    In 01/02/2024 the day stands first, unless the second number is above 12 somewhere.

    Examples:
        >>> seconds_of_texts(pl.Series(["1970-01-02T00:00:01.5+01:00", "nonsense", None])).to_list()
        [82801.5, None, None]
        >>> seconds_of_texts(pl.Series(["0:01:02.5", "1 day, 0:00:01", "1:00 PM", "20 ms"])).to_list()
        [62.5, 86401.0, 46800.0, 0.02]
    """
    table = pl.DataFrame({"text": texts.str.strip_chars(' "').str.replace(_COLONS, "$1.$2")})
    table = table.select(pl.col("text").str.replace(_COMPACT, "$1-$2-${3}T$4:$5:$6"))
    number = pl.col("text").str.extract_groups(_NUMBER)
    time = pl.col("text").str.extract_groups(_TIME)
    table = table.select(number.alias("number"), time.alias("time")).unnest("number", "time")
    day_first = not bool((table["second"].cast(pl.Int32, strict=False) > 12).any())
    month, day = ("second", "first") if day_first else ("first", "second")
    parts = [pl.coalesce(pair) for pair in (("year", "last"), ("month", month), ("day", day))]
    # No date has a thirteenth month.
    date = pl.concat_str(parts, separator="-").str.to_date("%Y-%m-%d", strict=False).cast(pl.Int32) * 86400.0
    hours = pl.col("h").cast(pl.Float64).fill_null(0.0)
    # Twelve at noon and at midnight is the hour 0 of its half.
    half = pl.col("half").str.to_lowercase()
    # 1:00 PM has no seconds, and neither has the end of 2024-05-01 12:00.
    short = (half.is_not_null() | pl.col("year").is_not_null() | pl.col("last").is_not_null()) & (
        pl.col("h").is_null()
    )
    minutes, seconds = pl.col("min").cast(pl.Float64), pl.col("s").str.replace(",", ".").cast(pl.Float64)
    full = pl.when(short).then(minutes).otherwise(hours)
    clock = (
        pl.when(half.is_null()).then(full).otherwise(full % 12) * 3600.0
        + pl.when(short).then(60.0 * seconds).otherwise(60.0 * minutes + seconds)
        + pl.when(half == "pm").then(43200.0).otherwise(0.0)
    )
    clock = clock * pl.when(pl.col("sign") == "-").then(-1.0).otherwise(1.0)
    zone = pl.col("zone").cast(pl.Float64)
    ahead = zone * 3600.0 + zone.sign() * pl.col("quarter").cast(pl.Float64).fill_null(0.0) * 60.0
    days = pl.col("days").cast(pl.Float64) * 86400.0
    stated = pl.any_horizontal(date.is_not_null(), days.is_not_null(), clock.is_not_null())
    total = date.fill_null(0.0) + days.fill_null(0.0) + clock.fill_null(0.0) - ahead.fill_null(0.0)
    factor = pl.col("unit").replace_strict(
        list(BEHIND), list(BEHIND.values()), default=None, return_dtype=pl.Float64
    )
    return table.select(
        pl.coalesce(pl.col("number").cast(pl.Float64) * factor, pl.when(stated).then(total)).alias("seconds")
    )["seconds"]
