"""`signals.toml`, which maps raw columns of a log to channels: column, unit, sign, delay, origin.

The format is described in ``docs/data.md``.
"""

from __future__ import annotations

import dataclasses
import math
import re
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from pct.dynamics.channels import known_channels
from pct.errors import DataError, LogError
from pct.logs.units import LONGEST, USUAL_UNITS, may_be_unit
from pct.types import Column
from pct.within import Within

MAP = "signals.toml"
# Bytes of one; reading TOML is slow.
LARGEST = 1 << 20
ORIGINS = ("measured", "derived", "command")
FAULTS = ("refuse", "cut")
# Frames with the lateral axis to the right, and angles and rates positive to the right.
FRAMES = {"ISO 8855": 1, "SAE": -1, "Unity": -1}
# What a log without a time column counts instead, see `SignalMap.step`.
ROW_NUMBER = "(row number)"
# The sign of a column of magnitudes, and the channels that may be one.
MOTION, SIGNED = "motion", ("v", "vx", "psi_dot", "delta", "ay")
# Other values are mistakes, or made to take long.
GAP = Within(1, 1e6, "steps", open_low=True)
AHEAD = Within(-1e3, 1e3, "m")
OFFSET = Within(-1e15, 1e15)
DELAY = Within(-1e3, 1e3, "s")
STEP = Within(1e-6, 3600, "s")
RATE = Within(1 / 3600, 1e6, "Hz")
# Columns that one stamp is spread over.
MOST_PARTS = 4
# Prefixes of columns that are no channel of a model, see DESIGN.md.
FREE_PREFIXES = ("feature.", "truth.")


@dataclasses.dataclass(frozen=True, eq=False)
class Signal:
    """How one raw column becomes one channel: SI = sign · (raw + offset) in ``unit``, ``delay`` earlier.

    Attributes:
        column: raw column.
        unit: of the raw column; when left out what the file says of it, else SI.
        sign: 1, or -1 where the log counts the other way.
        offset: added to the raw value first, in the raw column's unit.
        delay: by how many seconds the column lags behind the other ones; negative for a command that acts
            later than it is logged.
        angle: whether the value jumps by a full turn; headings do anyway.
        origin: ``measured``, ``derived`` or ``command``.
        time: raw column of its own time; that of the log, or what the file says, when left out.
        si: unit of the channel.
        factor: how many of it one raw unit is.
        by_motion: whether the column holds magnitudes, whose sign the motion gives (``sign = "motion"``).
    """

    column: str
    unit: str = ""
    sign: int = 1
    offset: float = 0.0
    delay: float = 0.0
    angle: bool = False
    origin: str = "measured"
    time: str = ""
    si: str = "1"
    factor: float = 1.0
    by_motion: bool = False

    def convert(self, column: Column) -> Column:
        """Raw samples in SI units, jumps of a full turn and all; the same array where they are already."""
        moved = column + self.offset if self.offset else column
        return moved if self.plain else self.sign * self.factor * moved

    @property
    def plain(self) -> bool:
        """Whether raw samples are in SI units already."""
        return not self.offset and self.sign * self.factor == 1


class TimePart(NamedTuple):
    """One of the raw columns that add up to the time: whole seconds, nanoseconds, date, time of day.

    Attributes:
        column: raw column.
        unit: its unit; when left out what the file says of it, else s.
        factor: how many seconds one of its unit is.
    """

    column: str
    unit: str = ""
    factor: float = 1.0


@dataclasses.dataclass(frozen=True, eq=False)
class SignalMap:
    """The content of a ``signals.toml``, its preset merged in.

    Attributes:
        path: the file, for messages.
        channels: the signal of each channel.
        time: raw column of the time, or what the one is called that is made of others or of the row number.
        time_unit: its unit; when left out what the file says of it, else s.
        time_factor: how many seconds one of its unit is.
        parts: the raw columns that add up to the time, where it is spread over several.
        step: seconds from row to row of a log without a time column; 0 where it has one.
        gap: a longer time step than this many usual ones is a fault.
        group: raw column that tells several vehicles apart, whose rows stand in one table.
        vehicle: what drove.
        reference_ahead: distance of the logged point ahead of the centre of gravity in m.
        frame: axes that the log counts in; the signs of its channels have it in them already.
        faults: ``refuse`` or ``cut``.
        files: pattern of the files' names.
        format: options of the format's reader.
    """

    path: Path
    channels: Mapping[str, Signal]
    time: str
    time_unit: str = ""
    time_factor: float = 1.0
    parts: tuple[TimePart, ...] = ()
    step: float = 0.0
    gap: float = 1.5
    group: str = ""
    vehicle: str = ""
    reference_ahead: float = 0.0
    frame: str = "ISO 8855"
    faults: str = "refuse"
    files: str = "*"
    format: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def time_columns(self) -> list[str]:
        """The raw columns that the time comes from; none of a log without one."""
        if self.step:
            return []
        return [part.column for part in self.parts] or [self.time]


def read_map(path: Path) -> SignalMap:
    """Read a ``signals.toml`` and the preset that it starts from.

    Raises:
        DataError: no TOML, an unknown key, preset or channel, or a value of the wrong kind.
    """
    return _make_map(path, _read_toml(path))


def _make_map(path: Path, content: dict[str, Any]) -> SignalMap:
    """The map of a file's content."""
    preset = content.pop("preset", None)
    if preset is not None:
        if preset not in presets():
            raise LogError(path, f"unknown preset '{preset}'. Known presets: {', '.join(presets())}")
        text = resources.files("pct.logs").joinpath("presets", f"{preset}.toml").read_text()
        base, own = tomllib.loads(text), content.get("time")
        if isinstance(own, dict) and not {"column", "step", "rate"}.isdisjoint(own):
            # Another kind of clock takes the place of the preset's.
            base["time"].pop("column", None)
        content = _merge(base, content)
    tables = {"channels": {}, "time": {}, "format": {}} | content
    channels, time, options = tables.pop("channels"), tables.pop("time"), tables.pop("format")
    for name, table in (("channels", channels), ("time", time), ("format", options)):
        _expect(path, name, table, dict, "a table")
    _known_keys(
        path, tables, ("preset", "vehicle", "reference_ahead", "frame", "faults", "files", "group"), ""
    )
    _known_keys(path, time, ("column", "step", "rate", "unit", "gap"), "time.")
    _known_keys(path, options, ("comment", "separator", "msg_path"), "format.")
    for key, kind, word in (
        ("vehicle", str, "a text"),
        ("files", str, "a text"),
        ("group", str, "a text"),
    ):
        _expect(path, key, tables.get(key, kind() if kind is str else 0), kind, word)
    for key, value in options.items():
        _expect(path, f"format.{key}", value, str, "a text")
    if "separator" in options and not re.fullmatch(r"[\t -~]", options["separator"]):
        shown = _shown(options["separator"])
        raise LogError(path, f"expected format.separator to be one sign such as a comma, found {shown}")
    for key, allowed in (("faults", FAULTS), ("frame", tuple(FRAMES))):
        if tables.get(key, allowed[0]) not in allowed:
            raise LogError(
                path, f"expected {key} to be one of {', '.join(allowed)}, found {_shown(tables[key])}"
            )
    for key, place in (
        ("files", tables.get("files", "*")),
        ("format.msg_path", options.get("msg_path", ".")),
    ):
        if not place or Path(place).is_absolute() or ".." in Path(place).parts:
            raise LogError(path, f"expected {key} to stay in the folder of the map, found {place!r}")
    if "msg_path" in options:
        options = {**options, "msg_path": str(path.parent / options["msg_path"])}
    gap = time.get("gap", 1.5)
    _expect_within(path, "time.gap", gap, GAP)
    _expect_within(path, "reference_ahead", tables.get("reference_ahead", 0.0), AHEAD)
    signals = {
        name: _read_signal(path, name, table, FRAMES[tables.get("frame", "ISO 8855")])
        for name, table in channels.items()
        if table is not False
    }
    if not signals:
        raise DataError(f'{path}: expected channels, found none: write [channels.x] column = "..." and so on')
    return SignalMap(
        path=path,
        channels=signals,
        gap=gap,
        **_read_clock(path, time),
        format=options,
        **tables,
    )


def _read_clock(path: Path, time: Mapping[str, Any]) -> dict[str, Any]:
    """What the map says of the time, by attribute: a column, several that add up to it, or a fixed step."""
    ways = [key for key in ("column", "step", "rate") if time.get(key) is not None]
    if len(ways) != 1:
        raise LogError(
            path,
            f"expected time.column to be the raw column of the time, found "
            f"{' and '.join(ways) or 'nothing'}: of a log without one write time.step (s) or time.rate (Hz)",
        )
    if ways[0] != "column":
        within = STEP if ways[0] == "step" else RATE
        _expect_within(path, f"time.{ways[0]}", time[ways[0]], within)
        return {"time": ROW_NUMBER, "step": float(time.get("step") or 1 / time["rate"])}
    column, unit = time["column"], time.get("unit", "")
    if not isinstance(column, list):
        _expect(path, "time.column", column or None, str, "the raw column of the time")
        _expect(path, "time.unit", unit, str, "a text")
        return {"time": column, "time_unit": unit, "time_factor": _to_si(path, "time", unit or "s", "s")[1]}
    units = unit or [""] * len(column)
    if not isinstance(units, list) or len(units) != len(column) or not 1 < len(column) <= MOST_PARTS:
        raise LogError(
            path,
            f"expected time.column to be 2 to {MOST_PARTS} raw columns that add up to the time, and "
            f"time.unit as many units, found {_shown(column)} and {_shown(unit)}",
        )
    for name, text in zip(column, units, strict=True):
        _expect(path, "time.column", name or None, str, "a list of raw columns")
        _expect(path, "time.unit", text, str, "a list of texts")
    parts = tuple(
        TimePart(name, text, _to_si(path, "time", text or "s", "s")[1])
        for name, text in zip(column, units, strict=True)
    )
    return {"time": " + ".join(column), "parts": parts}


def find_map(folder: Path, choice: str | None) -> SignalMap:
    """The map of a folder of logs.

    Args:
        folder: with a ``signals.toml``, if none is chosen.
        choice: another ``signals.toml``, or the name of a preset.

    Raises:
        DataError: there is none, or it cannot be used.
    """
    if choice is None:
        if not (folder / MAP).is_file():
            raise LogError(
                folder,
                f"expected {MAP} beside the logs, found none: pass `map` with a file or a preset "
                f"({', '.join(presets())}), or let `pct data map` propose one",
            )
        return read_map(folder / MAP)
    if choice in presets():
        return _make_map(folder / MAP, {"preset": choice})
    if not Path(choice).is_file():
        raise DataError(
            f"`map={choice}`: expected a {MAP} or a preset, found neither. Presets: {', '.join(presets())}"
        )
    return read_map(Path(choice))


def with_units(path: Path, signals: SignalMap, units: Mapping[str, str]) -> SignalMap:
    """The map with the units that a file gives for its columns, where the map gives none.

    What stands behind a name need not be a unit; but where it is one of another quantity, something is wrong.

    Raises:
        DataError: it is a unit that does not convert to the channel's.
    """
    channels = dict(signals.channels)
    for name, signal in channels.items():
        unit, known = units.get(signal.column, ""), known_channels().get(name)
        if unit and not signal.unit and known and _is_unit(unit):
            where = f"column '{signal.column}', channels.{name}"
            si, factor = _to_si(path, where, unit, known.unit)
            channels[name] = dataclasses.replace(signal, unit=unit, si=si, factor=factor)
    parts = tuple(
        part if part.unit else part._replace(factor=_stated_factor(path, part.column, units))
        for part in signals.parts
    )
    factor = signals.time_factor if signals.time_unit else _stated_factor(path, signals.time, units)
    return dataclasses.replace(signals, channels=channels, parts=parts, time_factor=factor)


def _stated_factor(path: Path, column: str, units: Mapping[str, str]) -> float:
    """How many seconds one of the unit is that the file gives for a column; 1 where it gives none."""
    unit = units.get(column, "")
    return _to_si(path, f"column '{column}', time", unit, "s")[1] if unit and _is_unit(unit) else 1.0


def presets() -> list[str]:
    """Names of the ready-made maps."""
    folder = resources.files("pct.logs").joinpath("presets")
    return sorted(Path(entry.name).stem for entry in folder.iterdir() if entry.name.endswith(".toml"))


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST:
            raise LogError(path, f"expected a map of a few lines, found {path.stat().st_size >> 20} MB")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise LogError(path, f"cannot read it ({error.strerror})") from None
    # Damaged text, bytes that are none, numbers of thousands of digits; or a thousand brackets.
    except (ValueError, RecursionError) as error:
        raise LogError(path, f"expected TOML, found an error: {error}") from None


def _merge(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Keys of ``over`` in place of those of ``base``, table by table."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _read_signal(path: Path, name: str, table: Any, side: int) -> Signal:
    """A channel's table; ``side`` is -1 in a frame that counts to the right."""
    if name not in known_channels() and not name.startswith(FREE_PREFIXES):
        raise LogError(
            path,
            f"unknown channel '{name}'. Known channels: {', '.join(known_channels())}; "
            f"others begin with {' or '.join(FREE_PREFIXES)}",
        )
    where = f"channels.{name}"
    _expect(path, where, table, dict, "a table")
    _known_keys(path, table, [field.name for field in dataclasses.fields(Signal)][:-3], f"{where}.")
    _expect(path, f"{where}.column", table.get("column") or None, str, "the name of a raw column")
    for key in ("unit", "time"):
        _expect(path, f"{where}.{key}", table.get(key, ""), str, "a text")
    for key, within in (("offset", OFFSET), ("delay", DELAY)):
        _expect_within(path, f"{where}.{key}", table.get(key, 0.0), within)
    _expect(path, f"{where}.angle", table.get("angle", False), bool, "true or false")
    by_motion = table.get("sign") == MOTION
    if by_motion and name not in SIGNED:
        signed = ", ".join(SIGNED)
        raise LogError(path, f"expected {where}.sign to be 1 or -1, found '{MOTION}', which is for {signed}")
    if not by_motion and _shown(table.get("sign", 1)) not in ("1", "-1"):
        shown = _shown(table["sign"])
        raise DataError(f'{path}: expected {where}.sign to be 1 or -1 or "{MOTION}", found {shown}')
    if table.get("origin", "measured") not in ORIGINS:
        shown = _shown(table["origin"])
        raise LogError(path, f"expected {where}.origin to be one of {', '.join(ORIGINS)}, found {shown}")
    known = known_channels().get(name)
    si, factor = _to_si(
        path, where, table.get("unit", known.unit if known else "1"), known.unit if known else None
    )
    # The motion is that of channels which the frame has turned already.
    sign = 1 if by_motion else table.get("sign", 1) * (side if known and known.odd else 1)
    return Signal(**{**table, "sign": sign}, si=si, factor=factor, by_motion=by_motion)


def _to_si(path: Path, where: str, unit: str, si: str | None) -> tuple[str, float]:
    """The SI unit of a channel, and how many of it one raw unit is.

    Args:
        path, where: the map and the key, for messages.
        unit: of the raw column.
        si: unit of the channel; None where the channel is free to have any.
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


def _is_unit(text: str) -> bool:
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


def _known_keys(path: Path, table: Mapping[str, Any], known: Iterable[str], prefix: str) -> None:
    for key in table:
        if key not in known:
            raise LogError(path, f"unknown key '{prefix}{key}'. Known keys: {', '.join(known)}")


def _expect(path: Path, key: str, value: Any, kind: type | tuple[type, ...], words: str) -> None:
    # In Python a truth value is an integer; in a map it is a mistake.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise LogError(path, f"expected {key} to be {words}, found {_shown(value)}")


def _expect_within(path: Path, key: str, value: Any, within: Within) -> None:
    if isinstance(value, bool) or value not in within:
        raise LogError(path, f"expected {key} to be {within}, found {_shown(value)}")


def _shown(value: Any) -> str:
    """A value of a map in a message."""
    try:
        return "nothing" if value is None else repr(value)[:LONGEST]
    except ValueError:  # Python writes no number of thousands of digits
        return "a number without end"
