"""Values whose digits hold several quantities, as NMEA 0183 has them: hhmmss.ss, ddmm.mmmm."""

from __future__ import annotations

import numpy as np

from pct.logs.readers.base import AnyColumn

# How the digits of a time of day stand, and by what they are multiplied to be hhmmss.sss. A date may stand
# before them.
CLOCKS = {"hhmmss": 1.0, "hhmmsscc": 1e-2, "hhmmssmmm": 1e-3}
DAY = 86400.0
# Latitudes and longitudes in ddmm.mmmm are less than this, and one of them is more than any degrees.
MOST_MINUTES, MOST_DEGREES = 18_000.0, 180.0


def seconds_of_day(column: AnyColumn, clock: str) -> AnyColumn:
    """Times of day in s, (N,), which go on over midnight; NaN stays.

    Args:
        column: digits of hours, minutes and seconds side by side, behind those of a date or not.
        clock: of `CLOCKS`.

    Examples:
        >>> print(seconds_of_day(np.array([235_959.75, 0.25, 1.0]), "hhmmss"))
        [86399.75 86400.25 86401.  ]
        >>> print(seconds_of_day(np.array([20_240_501_093_015.5]), "hhmmss"))
        [34215.5]
    """
    hours, minutes, seconds = digits(column, clock)
    time = 3600 * hours + 60 * minutes + seconds
    known = np.isfinite(time)
    days = np.cumsum(np.diff(time[known], prepend=time[known][:1]) < -DAY / 2)
    time[known] += DAY * days
    return time


def digits(column: AnyColumn, clock: str) -> tuple[AnyColumn, AnyColumn, AnyColumn]:
    """Hours, minutes and seconds of a time of day, (N,) each, to a microsecond."""
    time = np.round(column * CLOCKS[clock], 6) % 1e6
    seconds = np.round(time % 100, 6)
    whole = np.round((time - seconds) / 100)
    return whole // 100, whole % 100, seconds


def degrees_of_minutes(column: AnyColumn) -> AnyColumn:
    """Degrees of values in ddmm.mmmm, (N,).

    Examples:
        >>> print(degrees_of_minutes(np.array([4807.5, -930.0])))
        [48.125 -9.5  ]
    """
    size = np.abs(column)
    minutes = size % 100
    return np.sign(column) * ((size - minutes) / 100 + minutes / 60)


def holds_minutes(*columns: AnyColumn) -> bool:
    """Whether latitudes and longitudes are in ddmm.mmmm: one is more than any degrees, no minutes are 60."""
    sizes = [np.abs(column[np.isfinite(column)]) for column in columns]
    most = max(float(size.max(initial=0.0)) for size in sizes)
    return MOST_DEGREES < most < MOST_MINUTES and all(bool((size % 100 < 60).all()) for size in sizes)
