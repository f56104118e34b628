"""A folder of recordings, stored or raw, to trajectories.

A raw folder holds log files and ``signals.toml``, which says for each channel which raw column it is, in
which unit and with which sign. `read_folder` reads either kind of folder; for a raw one the steps are: read
the columns, bring them onto one clock, convert, find faults, cut at them or refuse, bring to a uniform time
step, move to the centre of gravity, check. The format is described in ``docs/data.md``.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from pct.data.checks import USUAL_UNITS, check_trajectory, unit_hint
from pct.data.clocks import Reading, on_one_clock
from pct.data.derive import derive, known_channels
from pct.data.logs import FORMATS, RawLog, is_log, read_log
from pct.data.trajectory import HEADINGS, MANIFEST, OtherColumn, Trajectory, read_dataset
from pct.errors import DataError
from pct.types import Column

log = logging.getLogger(__name__)

MAP = "signals.toml"
ORIGINS = ("measured", "derived", "command")
FAULTS = ("refuse", "cut")
# Frames with the lateral axis to the right, and angles and rates positive to the right.
FRAMES = {"ISO 8855": 1, "SAE": -1, "Unity": -1}
# Prefixes of columns that are no channel of a model, see DESIGN.md.
FREE_PREFIXES = ("feature.", "truth.")
# More rows than this share beyond a limit are a wrong unit, not glitches.
GLITCHES = 0.05
# Time stamps this close to the grid, in steps, are taken as they are.
ON_GRID = 0.02


def read_folder(folder: Path) -> list[Trajectory]:
    """Read a dataset folder (``dataset.json``) or a raw folder (``signals.toml``).

    Returns:
        Checked recordings, in SI units, on uniform time grids.

    Raises:
        DataError: the folder is missing or of neither kind, or its content cannot be used.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: expected a folder of recordings, found none: check the path")
    if (folder / MANIFEST).is_file():
        trajectories = read_dataset(folder)
        for trajectory in trajectories:
            check_trajectory(trajectory, f"{folder / trajectory.name}.parquet")
        return trajectories
    if (folder / MAP).is_file():
        return read_raw(folder)
    entries = sorted(path.name for path in folder.iterdir())
    inner = [name for name in entries if any((folder / name / file).is_file() for file in (MANIFEST, MAP))]
    if inner:
        raise DataError(
            f"{folder}: expected {MANIFEST} or {MAP}, found folders that have one: "
            f"pass {', '.join(inner)} in it"
        )
    found = f"{len(entries)} entries such as '{entries[0]}'" if entries else "an empty folder"
    raise DataError(
        f"{folder}: expected {MANIFEST}, or log files and {MAP}, found {found}.\n"
        f'For logs, write {MAP} there (docs/data.md), e.g. preset = "{presets()[0]}". '
        f"Known presets: {', '.join(presets())}"
    )


def read_raw(folder: Path) -> list[Trajectory]:
    """Read the log files of a raw folder through its ``signals.toml``; see `read_folder`."""
    signals = read_map(folder / MAP)
    files = [path for path in sorted(folder.glob(signals.files)) if is_log(path)]
    if not files:
        raise DataError(
            f"{folder}: expected log files ({signals.files}, ending in {', '.join(FORMATS)}) or folders of "
            f"ROS 2 bags beside {MAP}, found none: put them there, or correct 'files'"
        )
    trajectories = [trajectory for path in files for trajectory in read_file(path, signals)]
    stems = [path.stem for path in files]
    twice = next((stem for stem in stems if stems.count(stem) > 1), None)
    if twice is not None:
        raise DataError(f"{folder}: expected file names that differ, found two called '{twice}': rename one")
    return trajectories


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


@dataclasses.dataclass(frozen=True, eq=False)
class SignalMap:
    """The content of a ``signals.toml``, its preset merged in.

    Attributes:
        path: the file, for messages.
        channels: the signal of each channel.
        time: raw column of the time.
        time_unit: its unit; when left out what the file says of it, else s.
        time_factor: how many seconds one of its unit is.
        gap: a longer time step than this many usual ones is a fault.
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
    gap: float = 1.5
    vehicle: str = ""
    reference_ahead: float = 0.0
    frame: str = "ISO 8855"
    faults: str = "refuse"
    files: str = "*"
    format: Mapping[str, str] = dataclasses.field(default_factory=dict)


def read_map(path: Path) -> SignalMap:
    """Read a ``signals.toml`` and the preset that it starts from.

    Raises:
        DataError: no TOML, an unknown key, preset or channel, or a value of the wrong kind.
    """
    content = _read_toml(path)
    preset = content.pop("preset", None)
    if preset is not None:
        if preset not in presets():
            raise DataError(f"{path}: unknown preset '{preset}'. Known presets: {', '.join(presets())}")
        text = resources.files("pct.data").joinpath("presets", f"{preset}.toml").read_text()
        content = _merge(tomllib.loads(text), content)
    tables = {"channels": {}, "time": {}, "format": {}} | content
    channels, time, options = tables.pop("channels"), tables.pop("time"), tables.pop("format")
    for name, table in (("channels", channels), ("time", time), ("format", options)):
        _expect(path, name, table, dict, "a table")
    _known_keys(path, tables, ("preset", "vehicle", "reference_ahead", "frame", "faults", "files"), "")
    _known_keys(path, time, ("column", "unit", "gap"), "time.")
    _known_keys(path, options, ("comment", "separator", "msg_path"), "format.")
    for key, kind, word in (
        ("vehicle", str, "a text"),
        ("reference_ahead", (int, float), "a number in m"),
        ("files", str, "a text"),
    ):
        _expect(path, key, tables.get(key, kind() if kind is str else 0), kind, word)
    for key, value in options.items():
        _expect(path, f"format.{key}", value, str, "a text")
    for key, allowed in (("faults", FAULTS), ("frame", tuple(FRAMES))):
        if tables.get(key, allowed[0]) not in allowed:
            raise DataError(
                f"{path}: expected {key} to be one of {', '.join(allowed)}, found {tables[key]!r}"
            )
    for key, place in (
        ("files", tables.get("files", "*")),
        ("format.msg_path", options.get("msg_path", ".")),
    ):
        if not place or Path(place).is_absolute() or ".." in Path(place).parts:
            raise DataError(f"{path}: expected {key} to stay in the folder of the map, found {place!r}")
    if "msg_path" in options:
        options = {**options, "msg_path": str(path.parent / options["msg_path"])}
    _expect(path, "time.column", time.get("column"), str, "the raw column of the time")
    _expect(path, "time.unit", time.get("unit", "s"), str, "a text")
    gap = time.get("gap", 1.5)
    _expect(path, "time.gap", gap, (int, float), "a number of steps")
    if gap <= 1:
        raise DataError(f"{path}: expected time.gap above 1 step, found {gap}")
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
        time=time["column"],
        time_unit=time.get("unit", ""),
        time_factor=_to_si(path, "time", time.get("unit", "s"), "s")[1],
        gap=gap,
        format=options,
        **tables,
    )


def presets() -> list[str]:
    """Names of the ready-made maps."""
    folder = resources.files("pct.data").joinpath("presets")
    return sorted(Path(entry.name).stem for entry in folder.iterdir() if entry.name.endswith(".toml"))


def read_file(path: Path, signals: SignalMap) -> list[Trajectory]:
    """Read one log file; several recordings where it is cut at faults.

    Raises:
        DataError: the file or a value in it cannot be used; names the column and the row.
    """
    raw, signals = read_columns(path, signals)
    time = raw.columns[signals.time] * signals.time_factor
    values = {
        name: _convert(name, signal, raw.columns[signal.column]) for name, signal in signals.channels.items()
    }
    pieces, step = _pieces(path, signals, raw, time, values)
    vehicle = f"{signals.vehicle}: " if signals.vehicle else ""
    trajectories = []
    for number, rows in enumerate(pieces):
        grid, columns = _uniform(
            time[rows], {name: column[rows] for name, column in values.items()}, step, signals
        )
        name = path.stem if len(pieces) == 1 else f"{path.stem}_{number:02d}"
        if len(grid) < 2:
            raise DataError(
                f"{path}: expected 2 rows or more at a step of {step:g} s, found {len(grid)}: "
                "leave the file out"
            )
        first, last = raw.rows[rows[0]], raw.rows[rows[-1]]
        trajectory = Trajectory(
            name=name,
            dt=step,
            channels=columns,
            units={name: signals.channels[name].si for name in columns},
            origins={name: signals.channels[name].origin for name in columns},
            source=f"{vehicle}{path.name}, {raw.place}s {first}-{last}",
            start=float(grid[0]),
        )
        trajectory = _move_to_centre(trajectory, signals)
        check_trajectory(
            trajectory,
            f"{path}, {raw.place}s {first}-{last}",
            {name: (signal.column, signal.unit) for name, signal in signals.channels.items()},
        )
        trajectories.append(trajectory)
    return trajectories


def read_columns(path: Path, signals: SignalMap) -> tuple[RawLog, SignalMap]:
    """The raw columns that a map names, on the rows of its clock, and the map with the units of the file.

    Raises:
        DataError: the file cannot be read, or its clocks do not fit.
    """
    names = [
        signals.time,
        *(name for signal in signals.channels.values() for name in (signal.column, signal.time)),
    ]
    raw = read_log(path, [name for name in dict.fromkeys(names) if name], signals.format)
    signals = _with_units(path, signals, raw)
    return _with_one_clock(path, signals, raw), signals


def _with_units(path: Path, signals: SignalMap, raw: RawLog) -> SignalMap:
    """The map with the units that the file gives, where the map gives none.

    What stands behind a name need not be a unit; but where it is one of another quantity, something is wrong.
    """
    channels = dict(signals.channels)
    for name, signal in channels.items():
        unit, known = raw.units.get(signal.column, ""), known_channels().get(name)
        if unit and not signal.unit and known and _is_unit(unit):
            where = f"column '{signal.column}', channels.{name}"
            si, factor = _to_si(path, where, unit, known.unit)
            channels[name] = dataclasses.replace(signal, unit=unit, si=si, factor=factor)
    unit = raw.units.get(signals.time, "")
    if signals.time_unit or not unit or not _is_unit(unit):
        return dataclasses.replace(signals, channels=channels)
    factor = _to_si(path, f"column '{signals.time}', time", unit, "s")[1]
    return dataclasses.replace(signals, channels=channels, time_factor=factor)


def _with_one_clock(path: Path, signals: SignalMap, raw: RawLog) -> RawLog:
    """The log with all its columns on the rows of ``time.column``."""
    readings = {}
    for name, signal in signals.channels.items():
        column = raw.columns[signal.column]
        values = signal.factor * (column + signal.offset)
        readings[signal.column] = Reading(
            clock=signal.time or raw.clocks.get(signal.column, signals.time),
            held=signal.origin == "command",
            turn=2 * math.pi / signal.factor if signal.angle or name in HEADINGS else 0.0,
            faulty=~(np.abs(values) <= _limit(name)),
        )
    return on_one_clock(path, raw, signals.time, readings, gap=signals.gap, cut=signals.faults == "cut")


def _pieces(
    path: Path, signals: SignalMap, raw: RawLog, time: Column, values: Mapping[str, Column]
) -> tuple[list[np.ndarray], float]:
    """Row indices of each uninterrupted recording, and the usual time step in s."""
    for name, column in values.items():
        beyond = np.abs(column) > _limit(name)
        if beyond.mean() > GLITCHES:
            _refuse_value(path, signals, raw, name, column, int(np.flatnonzero(beyond)[0]))
    faulty = np.zeros(len(time), bool)
    for name, column in {"time": time, **values}.items():
        wrong = ~(np.abs(column) <= _limit(name))
        if signals.faults == "refuse" and wrong.any():
            _refuse_value(path, signals, raw, name, column, int(np.flatnonzero(wrong)[0]))
        faulty |= wrong
    kept = np.flatnonzero(~faulty)
    steps = np.diff(time[kept])
    if not (steps > 0).any():
        raise DataError(
            f"{path}: expected 2 rows or more with time going on, found {len(kept)}: leave the file out"
        )
    usual = float(np.median(steps[steps > 0]))
    breaks = np.flatnonzero(~((steps > 0) & (steps <= signals.gap * usual)))
    if signals.faults == "refuse" and len(breaks):
        before, after = kept[breaks[0]], kept[breaks[0] + 1]
        what = "go on" if time[after] <= time[before] else f"go on in steps of about {usual:g} s"
        raise DataError(
            f"{path}: expected time ('{signals.time}') to {what}, found {time[before]:.9g} s and then "
            f"{time[after]:.9g} s in {raw.place} {raw.rows[after]}.\n"
            f'Cut the file there, or write faults = "cut" in {MAP} to split the recording at such places'
        )
    pieces = [piece for piece in np.split(kept, breaks + 1) if len(piece) > 1]
    cut = len(time) - sum(len(piece) for piece in pieces)
    if cut or len(breaks):
        log.warning(
            "%s: %d of %d rows cut out for faults, %d recordings left", path, cut, len(time), len(pieces)
        )
    mean = float(steps[(steps > 0) & (steps <= signals.gap * usual)].mean())
    # A recorder's clock is set in whole milliseconds.
    whole = round(mean, 3)
    return pieces, whole if whole > 0 and abs(mean - whole) < 2e-3 * whole else mean


def _uniform(
    time: Column, values: Mapping[str, Column], step: float, signals: SignalMap
) -> tuple[OtherColumn, dict[str, OtherColumn]]:
    """The rows of one recording on a uniform grid, each channel taken ``delay`` later than it is logged.

    Between samples, commands hold their previous value and all others go in a straight line.
    """
    delays = [signals.channels[name].delay for name in values]
    first, last = time[0] - min(0.0, *delays), time[-1] - max(0.0, *delays)
    # The allowance keeps the last row where rounding puts it just beyond the end.
    grid = first + step * np.arange(max(0, math.floor((last - first) / step + ON_GRID) + 1))
    columns = {}
    for name, column in values.items():
        at = (grid + signals.channels[name].delay - time[0]) / step
        rows = (time - time[0]) / step
        nearest = np.clip(np.rint(at).astype(int), 0, len(column) - 1)
        if np.all(np.abs(rows[nearest] - at) < ON_GRID):
            columns[name] = column[nearest]
        elif signals.channels[name].origin == "command":
            columns[name] = column[np.clip(np.searchsorted(rows, at + ON_GRID) - 1, 0, len(column) - 1)]
        else:
            columns[name] = np.interp(at, rows, column)
    return grid, columns


def _move_to_centre(trajectory: Trajectory, signals: SignalMap) -> Trajectory:
    """The same drive seen at the centre of gravity; what a rigid body shares at all points stays."""
    ahead = signals.reference_ahead
    if not ahead:
        return trajectory
    point = trajectory.channels
    psi, psi_dot = (derive(name, point, trajectory.dt) for name in ("psi", "psi_dot"))
    if psi is None or psi_dot is None:
        raise DataError(
            f"{signals.path}: expected the heading 'psi' to move by reference_ahead = {ahead}, found "
            f"{', '.join(point)}: map it"
        )
    moved = {name: column for name, column in point.items() if name not in ("v", "beta", "course")}
    if "x" in point and "y" in point:
        moved["x"], moved["y"] = point["x"] - ahead * np.cos(psi), point["y"] - ahead * np.sin(psi)
    if {"vx", "vy"} & set(point) or "v" in point:
        vx, vy = (derive(name, point, trajectory.dt) for name in ("vx", "vy"))
        if vx is not None and vy is not None:
            moved["vx"], moved["vy"] = vx, vy - ahead * psi_dot
    if "course" in point:
        moved["psi"] = psi
    return dataclasses.replace(
        trajectory,
        channels=moved,
        units={name: trajectory.units.get(name) or known_channels()[name].unit for name in moved},
        origins={name: trajectory.origins.get(name, "derived") for name in moved},
    )


def _convert(name: str, signal: Signal, column: Column) -> Column:
    converted = signal.sign * signal.factor * (column + signal.offset)
    if not (signal.angle or name in HEADINGS):
        return converted
    # A missing value must not spoil what follows it.
    finite = np.isfinite(converted)
    converted[finite] = np.unwrap(converted[finite])
    return converted


def _refuse_value(path: Path, signals: SignalMap, raw: RawLog, name: str, column: Column, row: int) -> None:
    signal = signals.channels.get(name)
    raw_name = signal.column if signal else signals.time
    where = f"{path}: column '{raw_name}', {raw.place} {raw.rows[row]}"
    if not math.isfinite(column[row]):
        raise DataError(
            f"{where}: expected a number, found {raw.columns[raw_name][row]}.\n"
            f'Cut the row, or write faults = "cut" in {MAP} to split the recording at such rows'
        )
    assert signal is not None
    unit = signal.unit or signal.si
    value = f"{raw.columns[raw_name][row]:g} {unit}" + (
        f" = {column[row]:g} {signal.si}" if unit != signal.si else ""
    )
    raise DataError(
        f"{where}: expected '{name}' within {_limit(name):g} {signal.si}, found {value}.\n"
        f'{unit_hint(name, signal.si)} Else it is a glitch: cut the row, or write faults = "cut" in {MAP}'
    )


def _limit(name: str) -> float:
    channel = known_channels().get(name)
    # Infinity is a fault whatever the channel.
    return min(channel.limit, np.finfo(float).max) if channel else np.finfo(float).max


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot read it ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: expected TOML, found an error: {error}") from None


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
        raise DataError(
            f"{path}: unknown channel '{name}'. Known channels: {', '.join(known_channels())}; "
            f"others begin with {' or '.join(FREE_PREFIXES)}"
        )
    where = f"channels.{name}"
    _expect(path, where, table, dict, "a table")
    _known_keys(path, table, [field.name for field in dataclasses.fields(Signal)][:-2], f"{where}.")
    _expect(path, f"{where}.column", table.get("column"), str, "the name of a raw column")
    for key in ("unit", "time"):
        _expect(path, f"{where}.{key}", table.get(key, ""), str, "a text")
    for key in ("offset", "delay"):
        _expect(path, f"{where}.{key}", table.get(key, 0.0), (int, float), "a number")
    _expect(path, f"{where}.angle", table.get("angle", False), bool, "true or false")
    if repr(table.get("sign", 1)) not in ("1", "-1"):
        raise DataError(f"{path}: expected {where}.sign to be 1 or -1, found {table['sign']!r}")
    if table.get("origin", "measured") not in ORIGINS:
        raise DataError(
            f"{path}: expected {where}.origin to be one of {', '.join(ORIGINS)}, found {table['origin']!r}"
        )
    known = known_channels().get(name)
    si, factor = _to_si(
        path, where, table.get("unit", known.unit if known else "1"), known.unit if known else None
    )
    sign = table.get("sign", 1) * (side if known and known.odd else 1)
    return Signal(**{**table, "sign": sign}, si=si, factor=factor)


def _to_si(path: Path, where: str, unit: str, si: str | None) -> tuple[str, float]:
    """The SI unit of a channel, and how many of it one raw unit is.

    Args:
        path, where: the map and the key, for messages.
        unit: of the raw column.
        si: unit of the channel; None where the channel is free to have any.
    """
    if unit == (si or "1"):
        return unit, 1.0
    # A g is a gram to a library of units, but not in a driving log.
    written = "g_0" if unit.lower() == "g" else unit
    try:
        quantity = _units().Quantity(written)
        base = quantity.to(si) if si else quantity.to_base_units()
        return si or f"{base.units:~}".replace(" ", "") or "1", float(base.magnitude)
    except Exception:  # the library lets through whatever its parser trips over
        examples = ", ".join([si, *USUAL_UNITS.get(si, {})]) if si else "m/s, km/h, deg, N"
        raise DataError(
            f"{path}: expected {where}.unit to be a unit{f' that converts to {si}' if si else ''} "
            f"such as {examples}, found '{unit}'"
        ) from None


def _is_unit(text: str) -> bool:
    try:
        _units().Quantity("g_0" if text.lower() == "g" else text)
    except Exception:  # as above
        return False
    return True


@cache
def _units() -> Any:
    import pint

    units: Any = pint.UnitRegistry()
    units.define("kmph = kilometer / hour")
    return units


def _known_keys(path: Path, table: Mapping[str, Any], known: Iterable[str], prefix: str) -> None:
    for key in table:
        if key not in known:
            raise DataError(f"{path}: unknown key '{prefix}{key}'. Known keys: {', '.join(known)}")


def _expect(path: Path, key: str, value: Any, kind: type | tuple[type, ...], words: str) -> None:
    # In Python a truth value is an integer; in a map it is a mistake.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        found = "nothing" if value is None else repr(value)
        raise DataError(f"{path}: expected {key} to be {words}, found {found}")
