"""Files of one map that state units of their own: each is read by its own header, or refused, never mixed.

A map that was proposed from one log holds what that log states. Another log of the same car may state other
units for the same columns, or have the unit in the names of its columns.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from pct.dynamics.channels import known_channels
from pct.errors import LogValueError
from pct.logs.conversion import is_unit, to_si
from pct.logs.readers.computed import formula_of
from pct.logs.readers.table_head import without_unit
from pct.logs.signals import Signal, SignalMap
from pct.logs.units import WRITTEN, as_usual, per_si

log = logging.getLogger(__name__)

_ENDING = re.compile(rf"[_ .]({'|'.join(sorted(map(re.escape, WRITTEN), key=len, reverse=True))})$", re.I)


def with_own_units(path: Path, signals: SignalMap, units: Mapping[str, str]) -> SignalMap:
    """The map with the units that a file states where these are others than the map's.

    Args:
        path: the file.
        signals: its map; where a person wrote it, its units hold, and a warning says so.
        units: that the file states, by column.

    Raises:
        LogValueError: the log that the map was proposed from states a unit that is wrong, and the file
            another; names both and the column.
    """
    channels = {name: _own(path, signals, name, units) for name in signals.channels}
    source = signals.source
    stated = units.get(signals.time, "")
    if source and stated != source.units.get(signals.time, "") and signals.time_unit and is_unit(stated):
        factor = to_si(path, f"column '{signals.time}', time", stated, "s")[1]
        signals = dataclasses.replace(signals, time_unit=stated, time_factor=factor)
    return dataclasses.replace(signals, channels=channels)


def _own(path: Path, signals: SignalMap, name: str, units: Mapping[str, str]) -> Signal:
    """A channel's signal in the unit that the file states for its column."""
    signal, source = signals.channels[name], signals.source
    stated, known = as_usual(units.get(signal.column, "")), known_channels().get(name)
    if not signal.unit or known is None:
        return signal
    if per_si(known.unit, stated) is None:
        # A unit of another quantity says nothing of the map's.
        return signal
    factor = to_si(path, f"column '{signal.column}', channels.{name}", stated, known.unit)[1]
    if math.isclose(factor, signal.factor, rel_tol=1e-6):
        return signal
    if source is None:
        log.warning(
            "%s: states %s for '%s', which is read in %s as %s has it: without that `unit` the file's holds",
            path, stated, signal.column, signal.unit, signals.path,
        )  # fmt: skip
        return signal
    told = as_usual(source.units.get(signal.column, ""))
    if told and told != signal.unit:
        if told == stated:
            return signal  # as wrong as in the log that the map was made from
        raise LogValueError(
            path,
            f"expected '{signal.column}' in {told} as in {source.path}, found {stated}; there the motion "
            f"says {signal.unit}: map and import each file alone",
            column=signal.column,
        )
    return in_unit(signal, stated, factor)


def stated_beside(signals: SignalMap, units: Mapping[str, str]) -> dict[str, str]:
    """What a file states of the columns for which a person wrote a unit into the map, by column.

    Args:
        signals: the map.
        units: that the file states.
    """
    given = [] if signals.source else [s.column for s in signals.channels.values() if s.unit]
    return {name: as_usual(units[name]) for name in given if units.get(name)}


def in_unit(signal: Signal, unit: str, factor: float) -> Signal:
    """A signal of a column in another unit, of which one is ``factor`` SI units."""
    return dataclasses.replace(
        signal, unit=unit, factor=factor, offset=signal.offset * signal.factor / factor
    )


def with_own_names(
    path: Path, signals: SignalMap, names: Iterable[str], units: Mapping[str, str]
) -> SignalMap:
    """The map with the names that columns have in a file where these differ by their unit only.

    Args:
        path: the file.
        signals: its map, proposed from another log.
        names: of the file's columns.
        units: that the file states, by column.

    Raises:
        LogValueError: a column is missing, or nothing tells its unit; names both files and the column.
    """
    names, source = list(names), signals.source
    assert source is not None

    def own(column: str, unit: str, si: str) -> tuple[str, str, float]:
        """Name, unit and factor of the file's column that is called like one of the map."""
        # To a time, ms are no speed.
        usual = as_usual if si != "s" else str
        alike = [other for other in names if bare(other)[0] == bare(column)[0]]
        here = usual(units.get(alike[0], "") or bare(alike[0])[1]) if alike else ""
        told = usual(source.units.get(column, "") or bare(column)[1])
        if len(alike) != 1 or told not in ("", unit or si) or not is_unit(here):
            found = f"'{alike[0]}', whose unit is not sure" if len(alike) == 1 else "none"
            raise LogValueError(
                path,
                f"expected column '{column}' as in {source.path}, found {found}: map and import each file "
                "alone",
                column=column,
            )
        return alike[0], here, to_si(path, f"column '{alike[0]}'", here, si)[1]

    channels = dict(signals.channels)
    for name, signal in channels.items():
        known = known_channels().get(name)
        if signal.column not in names and known is not None and not formula_of(signal.column):
            column, unit, factor = own(signal.column, signal.unit, known.unit)
            channels[name] = dataclasses.replace(in_unit(signal, unit, factor), column=column)
    signals = dataclasses.replace(signals, channels=channels)
    if signals.time_columns != [signals.time] or signals.time in names or formula_of(signals.time):
        return signals
    time, unit, factor = own(signals.time, signals.time_unit, "s")
    return dataclasses.replace(signals, time=time, time_unit=unit, time_factor=factor)


def bare(name: str) -> tuple[str, str]:
    """A column's name in lower case without its unit, and the unit; empty where it has none.

    Examples:
        >>> bare("Speed [km/h]"), bare("speed_mps"), bare("Yaw Rate"), bare("Time (ms)")
        (('speed', 'km/h'), ('speed', 'mps'), ('yaw rate', ''), ('time', 'ms'))
    """
    short, unit = without_unit(name)
    match = _ENDING.search(short)
    if not unit and match:
        short, unit = short[: match.start()], match[1]
    return short.strip().lower(), unit
