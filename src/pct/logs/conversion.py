"""How much of an SI unit a unit of a log is, by a library of units."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any

from pct.errors import LogError
from pct.logs.units import LONGEST, USUAL_UNITS, may_be_unit


def to_si(path: Path, where: str, unit: str, si: str | None) -> tuple[str, float]:
    """The SI unit of a channel, and how many of it one raw unit is.

    Args:
        path, where: the map and the key, for messages.
        unit: of the raw column.
        si: unit of the channel; None where the channel is free to have any.

    Raises:
        LogError: it is no unit, or one of another quantity.
    """
    if unit == (si or "1"):
        return unit, 1.0
    try:
        quantity = _quantity(unit)
        base = quantity.to(si) if si else quantity.to_base_units()
        factor = float(base.magnitude)
        if not 0 < factor < math.inf:
            raise ValueError(factor)
        return si or f"{base.units:~}".replace(" ", "") or "1", factor
    except Exception:  # the library lets through whatever its parser trips over
        examples = ", ".join([si, *USUAL_UNITS.get(si, {})]) if si else "m/s, km/h, deg, N"
        raise LogError(
            path,
            f"expected {where}.unit to be a unit{f' that converts to {si}' if si else ''} "
            f"such as {examples}, found {unit[:LONGEST]!r}",
        ) from None


def is_unit(text: str) -> bool:
    """Whether a text is a unit of any quantity."""
    try:
        _quantity(text)
    except Exception:  # as above
        return False
    return True


def _quantity(text: str) -> Any:
    """One of a unit, with its unit.

    Raises:
        Exception: it is none.
    """
    # The library works out what it is given, and a tower of powers takes for ever.
    if not may_be_unit(text):
        raise ValueError(text)
    # A g is a gram to a library of units, but not in a driving log.
    return _units().Quantity("g_0" if text.lower() == "g" else text)


@cache
def _units() -> Any:
    import pint

    units: Any = pint.UnitRegistry()
    units.define("kmph = kilometer / hour")
    return units
