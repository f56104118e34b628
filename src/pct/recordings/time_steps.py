"""Time steps: which a recording can have, which unit explains another one, and how many rows a time takes.

A log whose time is in the wrong unit has steps that are far too long or too short. All lengths in rows that
come from seconds go through `rows_of`, so that none is longer than the data.
"""

from __future__ import annotations

from pct.within import Within

# Of a recording, in s: from a clock of a microchip to a slow tracker.
STEP = Within(1e-6, 3600, "s")
# Of what records driving, in s.
RECORDERS = (1e-4, 2.0)
# What a column of the time may be in; days as spreadsheets have them.
TIME_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "min": 60.0, "h": 3600.0, "day": 86400.0}
# A step below this is no step: quotients of it are finite.
LEAST = 1e-9


def rows_of(seconds: float, dt: float, *, most: int, least: int = 1) -> int:
    """How many rows a time takes.

    Args:
        seconds: the time.
        dt: time step in s, above 0.
        most: at most so many: as many as there are.
        least: at least so many, also where that is more than there are.

    Examples:
        >>> rows_of(0.4, 0.05, most=100), rows_of(0.4, 1e-12, most=100), rows_of(0.4, 50.0, most=100)
        (8, 100, 1)
    """
    return max(least, round(min(seconds / max(dt, LEAST), most)))


def is_usual(step: float) -> bool:
    """Whether a step in s is one of what records driving."""
    return RECORDERS[0] <= step <= RECORDERS[1]


def likely_units(step: float) -> list[str]:
    """Units other than s in which a step of so many would be that of a recorder, the likeliest first.

    Examples:
        >>> likely_units(50.0), likely_units(5e7), likely_units(1e-300)
        (['ms'], ['ns'], [])
    """
    usual = 0.02
    fitting = {
        unit: max(step * seconds / usual, usual / (step * seconds))
        for unit, seconds in TIME_UNITS.items()
        if unit != "s" and is_usual(step * seconds)
    }
    return sorted(fitting, key=fitting.__getitem__)


def unit_line(step: float) -> str:
    """What to write in a map for a step that no recording has, or what to look up, as a clause.

    Examples:
        >>> unit_line(5e4)
        'is it in us? Then write [time] unit = "us"'
    """
    units = likely_units(step)
    if not units:
        return "look up what the column counts, and its unit"
    return f'is it in {" or ".join(units)}? Then write [time] unit = "{units[0]}"'
