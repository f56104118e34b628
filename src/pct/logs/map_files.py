"""Reads `signals.toml`, or a preset, and refuses what is not known in it."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from pct.dynamics.channels import known_channels
from pct.errors import DataError, LogError
from pct.logs.conversion import to_si
from pct.logs.signals import (
    FAULTS,
    FRAMES,
    FREE_PREFIXES,
    MAP,
    MOTION,
    ORIGINS,
    ROW_NUMBER,
    SIGNED,
    Signal,
    SignalMap,
    TimePart,
)
from pct.logs.units import LONGEST
from pct.toml_files import NoTomlError, read_toml
from pct.within import Within

# Bytes of one; reading TOML is slow.
LARGEST = 1 << 20
# Other values are mistakes, or made to take long.
GAP = Within(1, 1e6, "steps", open_low=True)
AHEAD = Within(-1e3, 1e3, "m")
OFFSET = Within(-1e15, 1e15)
DELAY = Within(-1e3, 1e3, "s")
STEP = Within(1e-6, 3600, "s")
RATE = Within(1 / 3600, 1e6, "Hz")
# Columns that one stamp is spread over.
MOST_PARTS = 4


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
    for key in ("vehicle", "files", "group"):
        _expect(path, key, tables.get(key, ""), str, "a text")
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
        return {"time": column, "time_unit": unit, "time_factor": to_si(path, "time", unit or "s", "s")[1]}
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
        TimePart(name, text, to_si(path, "time", text or "s", "s")[1])
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


def presets() -> list[str]:
    """Names of the ready-made maps."""
    folder = resources.files("pct.logs").joinpath("presets")
    return sorted(Path(entry.name).stem for entry in folder.iterdir() if entry.name.endswith(".toml"))


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST:
            raise LogError(path, f"expected a map of a few lines, found {path.stat().st_size >> 20} MB")
        return read_toml(path)
    except OSError as error:
        raise LogError(path, f"cannot read it ({error.strerror})") from None
    except NoTomlError as error:
        raise LogError(path, f"expected TOML, found {error.what}", row=error.line) from None


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
    for key in ("angle", "held"):
        _expect(path, f"{where}.{key}", table.get(key, False), bool, "true or false")
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
    si, factor = to_si(
        path, where, table.get("unit", known.unit if known else "1"), known.unit if known else None
    )
    # The motion is that of channels which the frame has turned already.
    sign = 1 if by_motion else table.get("sign", 1) * (side if known and known.odd else 1)
    return Signal(**{**table, "sign": sign}, si=si, factor=factor, by_motion=by_motion)


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
