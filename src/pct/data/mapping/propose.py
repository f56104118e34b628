"""The proposal itself: the time first, then the pose, then each channel that can be compared with it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pct.data.checks import USUAL_UNITS, WHEELBASES
from pct.data.logs.base import RawLog
from pct.data.mapping.evidence import WINDOWS, Likeness, is_difference
from pct.data.mapping.log import TIME_UNITS, Log
from pct.data.mapping.names import is_command, is_wheel, means, other_axis, partners
from pct.data.mapping.proposal import Line, Proposal, factor
from pct.errors import DataError
from pct.types import Bool, Column, Float

# A ratio within this factor of a unit's is taken for the unit.
NEAR = 1.2
# Accelerometers show part of the weight as well, as the body rolls and pitches.
NEAR_ACCELERATION = 1.5
# A correlation that shows an acceleration.
CONFIRMED = 0.8
# The largest angle of front wheels in rad.
LOCK = 1.3
DEGREES = {"deg", "°", "degree", "degrees"}
# More wheels than any vehicle has.
MOST_WHEELS = 12
# A value this many times what 99 of 100 rows show is a spike.
SPIKE = 8.0
# Steps of recorders in s.
STEPS = (1e-4, 2.0)


def propose(path: Path, raw: RawLog) -> Proposal:
    """Propose a map for a log.

    Args:
        path: the file, for messages.
        raw: all its columns of numbers.

    Raises:
        DataError: no column can be the time, or none the positions.
    """
    time = _time(path, raw)
    log = Log(raw, time)
    pose = _pose(path, log)
    lines = {line.channel: line for line in pose}
    log.place(lines)
    lines = _with_length(log, lines)
    for find in (_speed, _side_speed):
        lines |= {line.channel: line for line in find(log)}
    lines = _with_course(log, lines)
    for find in (_yaw_rate, _steering):
        lines |= {line.channel: line for line in find(log)}
    lines |= {line.channel: line for line in _accelerations(log, lines)}
    head = {"frame": "Unity"} if log.unity else {}
    if not log.windows.steady or _spiky(log, lines):
        head["faults"] = "cut"
    notes = ["reference_ahead: write it where positions are not those of the centre of gravity"]
    missing = [
        name for name in ("psi", "delta") if name not in lines and not (name == "psi" and "course" in lines)
    ]
    notes += [f"{name}: no column found; a model needs it" for name in missing]
    return Proposal(time, tuple(lines.values()), head, (*notes, *log.notes))


def _time(path: Path, raw: RawLog) -> Line:
    clocks = dict.fromkeys(raw.clocks.values())
    if clocks:
        # The clock of the fullest description of the pose.
        posed = [
            clock for clock in clocks for name in raw.clocks if raw.clocks[name] == clock and means(name, "x")
        ]
        busiest = max(posed or list(clocks), key=lambda clock: (posed.count(clock), len(raw.columns[clock])))
        unit = raw.units.get(busiest, "s")
        return Line(
            "time",
            busiest,
            "high" if posed else "medium",
            "the clock of the positions",
            _unless("unit", unit, "s"),
        )
    found = []
    for name, column in raw.columns.items():
        steps = np.diff(column)
        going = steps[steps > 0]
        if len(column) < 10 or len(going) < 0.95 * len(steps) or not np.isfinite(column).all():
            continue
        usual, called = float(np.median(going)), means(name, "time")
        even = float(np.median(np.abs(going - usual)) / usual)
        if called or even < 0.2:
            found.append((called, -even, name, usual))
    if not found:
        raise DataError(
            f"{path}: expected a column of the time, which goes on from row to row, found none among "
            f"{len(raw.columns)}: write the map by hand (docs/data.md)"
        )
    called, even, name, usual = max(found, key=lambda row: row[:2])
    stated = raw.units.get(name, "")
    fitting = [unit for unit, scale in TIME_UNITS.items() if STEPS[0] <= usual * scale <= STEPS[1]]
    unit = stated if stated in fitting else (fitting or ["s"])[0]
    sure = "high" if called and unit in fitting else "medium" if called or unit in fitting else "low"
    reason = f"{_called(called)}; goes on in steps of about {usual * TIME_UNITS[unit]:.4g} s"
    return Line("time", name, sure, reason, _unless("unit", unit, "s"))


def _pose(path: Path, log: Log) -> list[Line]:
    """Positions and heading: the three columns of which the third points where the first two go.

    Names tell whether the axes are those of Unity.
    """
    firsts, seconds = log.named("x"), log.named("y")
    pairs = [(x, y) for x in firsts for y in seconds if x != y]
    pairs = [pair for pair in pairs if partners(*pair)] or pairs
    ahead = [(z, x) for x in firsts if (z := _ahead(log, x))]
    log.unity = bool(ahead)
    pairs = ahead or pairs
    called = bool(pairs)
    if not pairs:
        names = log.nameless()
        pairs = [(x, y) for x in names for y in names if x != y]
    headings = log.named("psi")
    units = (("rad", 1.0), ("deg", math.pi / 180))
    pointers = {
        (name, unit): np.exp(1j * scale * log.sound(name))
        for name in headings or log.nameless()
        for unit, scale in units
    }
    best: tuple[float, tuple[str, str], str, str, int, float] | None = None
    for pair in pairs[:600]:
        course, moving = log.windows.direction(log.sound(pair[0]), log.sound(pair[1]))
        # On a straight line anything that stands still points the right way.
        straight = moving.any() and abs(np.exp(1j * course[moving]).mean()) > 0.95
        if not moving.any() or (straight and not called):
            continue
        for (name, unit), turned in pointers.items():
            if name in pair:
                continue
            for side in (1, -1) if called else (1,):
                how, apart = log.windows.pointing(course, moving, turned if side == 1 else np.conj(turned))
                # Without a name the plain reading has to hold; columns that come first go first.
                if (not headings or not called) and (side == -1 or abs(apart) > 0.3):
                    continue
                rank = how - 0.02 * (unit == "deg") - 0.02 * (side == -1) - 0.05 * (abs(apart) > 0.3)
                if best is None or rank > best[0] + 0.01:
                    best = (rank, pair, name, unit, side, apart)
    if best is None or best[0] < 0.7:
        if not called:
            raise DataError(
                f"{path}: expected columns of positions, found none by name, and none with a heading that "
                "points where they go: write the map by hand (docs/data.md)"
            )
        pair = pairs[0]
        lines = [
            _position(log, name, column, "medium", "so called")
            for name, column in zip("xy", pair, strict=True)
        ]
        if headings:
            reason = "so called, but it does not point where the positions go"
            lines.append(Line("psi", headings[0], "low", reason, _stated(log, headings[0], "rad")))
        return lines
    rank, pair, name, unit, side, apart = best
    quarter = round(apart / (math.pi / 2)) * 90
    sure = "high" if rank > 0.9 and called and abs(apart - math.radians(quarter)) < 0.3 else "medium"
    where = f"{_called(called)}; '{name}' points where they go (concentration {rank:.2f})"
    lines = [_position(log, channel, column, sure, where) for channel, column in zip("xy", pair, strict=True)]
    keys = _unless("unit", unit, log.units.get(name, "") or "rad")
    if side == -1:
        keys["sign"] = -1
    if quarter:
        keys["offset"] = side * (float(quarter) if unit == "deg" else round(math.radians(quarter), 6))
    reason = f"{_called(bool(headings))}; points where the positions go (concentration {rank:.2f}) in {unit}"
    reason += f", counted the other way round from {quarter} deg" if side == -1 else ""
    reason, sure = _beside(log, name, unit, reason, sure if headings else "medium")
    return [*lines, Line("psi", name, sure, reason, keys)]


def _position(log: Log, channel: str, column: str, sure: str, reason: str) -> Line:
    return Line(channel, column, sure, reason, _stated(log, column, "m"))


def _ahead(log: Log, x: str) -> str:
    """The position ahead in Unity, where y is up, beside the one to the right; empty in other axes."""
    up, ahead = other_axis(x, "x", "y"), other_axis(x, "x", "z")
    if ahead not in log.columns or not log.varies(ahead):
        return ""
    level = up not in log.columns or not log.varies(up, 2) or _flat(log, up, ahead)
    return ahead if level else ""


def _with_length(log: Log, lines: dict[str, Line]) -> dict[str, Line]:
    """The positions in mm or cm, where a speed of another name says so."""
    if "unit" in lines["x"].keys or log.units.get(lines["x"].column):
        return lines
    for name in (*log.named("vx"), *log.named("v")):
        like = log.windows.compare(
            log.windows.means(log.sound(name)), np.where(log.moving, log.speed, np.nan), log.moving
        )
        if like is None or not like.agrees:
            continue
        for unit in ("mm", "cm"):
            ratio = abs(like.ratio) * USUAL_UNITS["m"][unit]
            if any(1 / NEAR < ratio / usual < NEAR for usual in (1.0, USUAL_UNITS["m/s"]["km/h"])):
                for channel in ("x", "y"):
                    line = lines[channel]
                    reason = f"{line.reason}; '{name}' makes it {unit}"
                    lines[channel] = dataclasses.replace(line, reason=reason, keys={"unit": unit})
                log.place(lines)
                return lines
    return lines


def _flat(log: Log, name: str, other: str) -> bool:
    """Whether a column varies far less than another, as a height does."""
    spans = [float(np.ptp(c[np.isfinite(c)])) for c in (log.columns[name], log.columns[other])]
    return spans[0] < 0.1 * spans[1]


def _speed(log: Log) -> list[Line]:
    """The speed: the column that goes with the speed of the positions."""
    found = []
    for channel in ("vx", "v"):
        for name in log.named(channel):
            found.append((channel, name, True))
    found += [] if found else [("vx", name, False) for name in log.nameless()]
    best = None
    for channel, name, called in found:
        line = _compared(
            log, channel, name, log.speed, log.moving, called, "the speed of the positions", "m/s"
        )
        if line is not None and (best is None or _rank(log, line, log.pose) > _rank(log, best, log.pose)):
            best = line
    if best is not None and best.sure == "low" and _along_map(log, best.column):
        best = None
    best = best or _wheel_speed(log)
    if best is None:
        return []
    log.used.add(best.column)
    known = USUAL_UNITS["m/s"].keys() | {"m/s"}
    if best.channel == "v" and best.keys.get("unit", "m/s") not in known:
        # A motor turns with the wheels, which roll along the vehicle.
        best = dataclasses.replace(best, channel="vx")
    return [best]


def _wheel_speed(log: Log) -> Line | None:
    """The speed of one wheel, where the log has no other."""
    best = None
    # The rear wheels are not steered.
    names = sorted(filter(is_wheel, log.columns), key=lambda name: name.lower().rstrip("lr")[-1:] == "f")
    for name in names if len(names) <= MOST_WHEELS else ():
        line = _compared(log, "vx", name, log.speed, log.moving, True, "the speed of the positions", "m/s")
        if line is not None and line.sure != "low" and best is None:
            reason = f"the speed of one wheel, which differs from the vehicle's in curves; {line.reason}"
            best = dataclasses.replace(line, sure="medium", reason=reason.replace("so called; ", ""))
    return best


def _along_map(log: Log, name: str) -> bool:
    """Whether a velocity is one along the axes of the map; it is noted."""
    mean = log.windows.means(log.sound(name))
    for part in (np.cos(log.course), np.sin(log.course)):
        like = log.windows.compare(mean, np.where(log.moving, log.speed * part, np.nan), log.moving)
        if like is not None and like.agrees:
            log.notes.append(f"{name}: a velocity along the map's axes, not the vehicle's: left out")
            return True
    return False


def _side_speed(log: Log) -> list[Line]:
    if log.heading is None:
        return []
    reference = log.speed * np.sin(log.slip)
    best = None
    named = log.named("vy")
    for name in named or log.nameless():
        # A velocity whose forward part has spikes is no better sideways.
        partner = next((other for other in log.named("vx") if partners(other, name)), name)
        if _wild(log, name) or _wild(log, partner):
            if named:
                log.notes.append(f"{name}: left out for its spikes; vy is derived from the pose")
            continue
        line = _compared(
            log, "vy", name, reference, log.moving, bool(named), "the sideways speed of the positions", "m/s"
        )
        if line is None or (best is not None and _rank(log, line, log.pose) <= _rank(log, best, log.pose)):
            continue
        if line.sure == "low" and _along_map(log, name):
            continue
        best = line
    if best is None:
        return []
    log.used.add(best.column)
    return [best]


def _yaw_rate(log: Log) -> list[Line]:
    named = log.named("psi_dot")
    best = None
    for name in named or log.nameless():
        line = _compared(
            log,
            "psi_dot",
            name,
            log.turning,
            log.windows.whole,
            bool(named),
            "the rate of the heading",
            "rad/s",
        )
        others = () if log.heading is None else (log.heading,)
        if line is not None and (best is None or _rank(log, line, others) > _rank(log, best, others)):
            best = line
    if best is None:
        return []
    log.used.add(best.column)
    return [best]


def _accelerations(log: Log, lines: Mapping[str, Line]) -> list[Line]:
    """What an accelerometer shows: the rate of the speed, and speed times yaw rate.

    A model needs none of them, so that only what the motion confirms is proposed.
    """
    w = log.windows
    speed, across = log.speed, np.zeros_like(log.speed)
    half = max(1, w.rows // 2)
    rate = np.full_like(speed, np.nan)
    rate[half:-half] = (speed[2 * half :] - speed[: -2 * half]) / (2 * half * w.step)
    forward = lines.get("vx", lines.get("v"))
    span = w.rows * w.step
    if forward is not None and forward.sure != "low":
        rate = w.changes(_in_si(log, forward)) / span
    if "vy" in lines and lines["vy"].sure != "low":
        across = w.changes(_in_si(log, lines["vy"])) / span
        rate = rate - w.means(_in_si(log, lines["vy"])) * log.turning
    found = []
    for channel, reference, what in (
        ("ax", rate, "the rate of the speed"),
        ("ay", speed * log.turning + across, "speed times yaw rate"),
    ):
        best = None
        for name in log.named(channel):
            like = w.compare(w.means(log.sound(name)), np.where(log.moving, reference, np.nan), log.moving)
            line = _compared(
                log, channel, name, reference, log.moving, True, what, "m/s^2", NEAR_ACCELERATION
            )
            if line is None or like is None or abs(like.correlation) < CONFIRMED:
                log.notes.append(f"{name}: so called, but it does not show {what}: left out")
                continue
            # Which part of a lag is the sideways velocity's is hard to tell.
            keys = {key: value for key, value in line.keys.items() if key != "delay"}
            line = dataclasses.replace(line, keys=keys)
            if best is None or _rank(log, line, log.pose) > _rank(log, best, log.pose):
                best = line
        if best is not None:
            log.used.add(best.column)
            found.append(best)
    return found


def _in_si(log: Log, line: Line) -> Column:
    """The column of a line in SI, sooner by its delay."""
    column = log.sound(line.column) * factor(line) * int(line.keys.get("sign", 1))
    late = round(float(line.keys.get("delay", 0.0)) / log.windows.step)
    return np.roll(column, -late)


def _steering(log: Log) -> list[Line]:
    """The angle of the front wheels: its tangent goes with the curvature of the path."""
    named = log.named("delta")
    curvature = np.where(log.moving, log.turning / np.maximum(log.speed, 1e-6), np.nan)
    best: tuple[float, Line] | None = None
    for name in named or log.nameless():
        column = log.sound(name)
        high = float(np.quantile(np.abs(column[np.isfinite(column)]), 0.99))
        if not named and (high > LOCK or log.is_known(name)):
            continue
        stated = log.units.get(name, "")
        unit = stated or ("deg" if high > LOCK else "rad")
        factor = math.pi / 180 if unit in DEGREES else 1.0
        like = _bent(log, factor * column, curvature)
        if like is not None and not WHEELBASES[0] <= abs(like.ratio) <= WHEELBASES[1]:
            # The other unit, where that makes a vehicle.
            other = 1.0 if factor != 1.0 else math.pi / 180
            again = _bent(log, other * column, curvature) if other * high <= LOCK else None
            if again is not None and WHEELBASES[0] <= abs(again.ratio) <= WHEELBASES[1]:
                like, factor = again, other
        if like is None or (not named and not (abs(like.correlation) > 0.9)):
            if named and best is None:
                best = (
                    -1.0,
                    Line(
                        "delta",
                        name,
                        "low",
                        "so called; too little to compare it with",
                        {} if stated else _unless("unit", unit, "rad"),
                    ),
                )
            continue
        base = abs(like.ratio)
        sound = WHEELBASES[0] <= base <= WHEELBASES[1]
        close = abs(like.correlation) > 0.85 and sound
        steady = named and sound and like.spread < 0.5
        sure = "high" if close and named else "medium" if close or steady else "low"
        unit = "deg" if factor != 1.0 else "rad"
        keys = (
            {} if unit == ("deg" if stated in DEGREES else stated) else _unless("unit", unit, stated or "rad")
        )
        goes = "goes" if abs(like.correlation) > 0.5 else "does not go"
        reason = (
            f"{_called(bool(named))}; {goes} with the curvature of the path (correlation "
            f"{abs(like.correlation):.2f}), which makes a wheelbase of {base:.3g} m"
        )
        if not sound and base > WHEELBASES[1]:
            ratio = f"{base:.3g} over the vehicle's wheelbase in m"
            reason += (
                f': the steering wheel\'s, perhaps? Divide by its ratio, {ratio}: unit = "{unit}/15" for 15'
            )
        reason, sure = _beside(log, name, unit, reason, sure)
        if like.ratio < 0:
            keys["sign"] = -1
        if is_command(name):
            keys["origin"] = "command"
        if like.lag < -1.5 * log.windows.step:
            reason += (
                f"; the path follows {-like.lag:.2g} s later: a command that acts later has a negative delay"
            )
        line = Line("delta", name, sure, reason, keys)
        # Of two that are called steering the measured one; of two without a name the input.
        rank = abs(like.correlation) - 0.3 * (not sound) + (-0.05 if named else 0.05) * is_command(name)
        if best is None or rank > best[0] + 0.02:
            best = (rank, line)
    return [best[1]] if best else []


def _bent(log: Log, delta: Column, curvature: Float[np.ndarray, " W"]) -> Likeness | None:
    """How the tangent of a steering angle goes with the curvature of the path."""
    # Beyond the lock it is no angle of road wheels, but in proportion to it.
    high = float(np.quantile(np.abs(delta[np.isfinite(delta)]), 0.99))
    tangent = np.tan(np.clip(delta, -LOCK, LOCK)) if high <= LOCK else delta
    return log.windows.compare(log.windows.means(tangent), curvature, log.moving)


def _beside(log: Log, name: str, unit: str, reason: str, sure: str) -> tuple[str, str]:
    """Reason and surety of a unit beside what the file states."""
    stated = log.units.get(name, "")
    if not stated or stated == unit or {stated, unit} <= DEGREES:
        return reason, sure
    return f"{reason}; the file says {stated}", "medium" if sure == "high" else sure


def _with_course(log: Log, lines: dict[str, Line]) -> dict[str, Line]:
    """The lines with the heading as direction of travel, where the slip angle explains nothing of it."""
    if log.heading is None or not {"vx", "vy"} <= set(lines):
        return lines
    speeds = []
    for name in ("vx", "vy"):
        line = lines[name]
        late = max(0, round(float(line.keys.get("delay", 0.0)) / log.windows.step))
        column = log.sound(line.column) * factor(line) * int(line.keys.get("sign", 1))
        speeds.append(np.append(column[late:], np.full(late, np.nan)))
    moves = np.abs(speeds[0]) > 0.3 * np.nanquantile(np.abs(speeds[0]), 0.9)
    beta = np.where(moves, np.arctan2(speeds[1], speeds[0]), np.nan)
    window = log.windows.means(beta)
    used = log.moving & (np.abs(window) < 0.5)
    if used.sum() < WINDOWS:
        return lines
    used &= np.abs(window) >= np.median(np.abs(window[used]))
    as_course, as_heading = (float(np.median(np.abs(log.slip[used] - part))) for part in (0.0, window[used]))
    if as_course > 0.5 * as_heading:
        return lines
    log.head_along(log.heading - np.nan_to_num(beta))
    lines["psi"] = dataclasses.replace(
        lines["psi"],
        channel="course",
        reason=f"{lines['psi'].reason}; it is the direction of travel, {as_course:.3f} rad from that of the "
        f"positions (median) and {as_heading:.3f} rad once the slip angle is taken off",
    )
    if lines["vy"].sure == "low":
        reason = "so called; the direction of travel and the positions cannot tell"
        lines["vy"] = dataclasses.replace(lines["vy"], sure="medium", reason=reason)
    return {line.channel: line for line in lines.values()}


def _compared(
    log: Log,
    channel: str,
    name: str,
    reference: Float[np.ndarray, " W"],
    used: Bool[np.ndarray, " W"],
    called: bool,
    means_what: str,
    si: str,
    near: float = NEAR,
) -> Line | None:
    """A channel's line by its column beside a reference in SI; None where neither it nor the name fits."""
    like = log.windows.compare(log.windows.means(log.sound(name)), np.where(used, reference, np.nan), used)
    stated = log.units.get(name, "")
    if like is None or abs(like.correlation) < 0.5:
        if not called:
            return None
        reason = (
            f"so called; too little in common with {means_what}"
            if like
            else "so called; nothing to compare it with"
        )
        return Line(channel, name, "low" if like else "medium", reason, _stated(log, name, si))
    if not called and not (abs(like.correlation) > 0.9 and 1 / NEAR < like.ratio < NEAR):
        return None
    unit, known = _unit(abs(like.ratio), si, like, near)
    keys: dict[str, str | int | float] = {}
    if unit != si or (stated and stated != si):
        keys["unit"] = unit
    if like.ratio < 0:
        keys["sign"] = -1
    if abs(like.lag) >= 0.75 * log.windows.step and abs(like.correlation) > 0.9:
        keys["delay"] = round(like.lag, 3)
    sure = "high" if called and known and like.agrees else "medium" if known or like.agrees else "low"
    sure = sure if called else "medium"
    reason = (
        f"{_called(called)}; {abs(like.ratio):.4g} times {means_what} in {si} "
        f"(correlation {abs(like.correlation):.2f}"
        f"{f', {like.lag:.2g} s behind' if 'delay' in keys else ''})"
    )
    if known and stated in {si, *USUAL_UNITS[si]}:
        reason, sure = _beside(log, name, unit, reason, sure)
    return Line(channel, name, sure, reason, keys)


def _unit(ratio: float, si: str, like: Likeness, near: float = NEAR) -> tuple[str, bool]:
    """The unit that explains a ratio, and whether it is a usual one."""
    for unit, usual in {si: 1.0, **USUAL_UNITS[si]}.items():
        if 1 / near < ratio / usual < near:
            return unit, True
    if 1 / 3 < ratio < 3 or not like.agrees:
        return si, False
    return f"{si}/{float(f'{ratio:.3g}'):g}", False


def _rank(log: Log, line: Line, others: Sequence[Column]) -> tuple[float, float]:
    """Which of two columns to take: the one that says something of its own, then the surer."""
    sure = {"high": 2.0, "medium": 1.0, "low": 0.0}[line.sure]
    own = -1.0 * _wild(log, line.column) - 0.5 * _differenced(log, line.column)
    return own + (sure > 0), sure


def _differenced(log: Log, name: str) -> bool:
    """Whether a column is a plain difference of the pose."""
    column, step = log.columns[name], log.windows.step
    if log.heading is None:
        return False
    return is_difference(column, log.heading, step)


def _wild(log: Log, name: str) -> bool:
    """Whether a column has spikes: values far beyond those of nearly all rows."""
    size = np.abs(log.columns[name][np.isfinite(log.columns[name])])
    return bool(size.max() > SPIKE * np.quantile(size, 0.99))


def _spiky(log: Log, lines: Mapping[str, Line]) -> bool:
    """Whether a column has spikes or missing values."""
    columns = [line.column for line in lines.values()]
    missing = [
        name for name in columns if name not in log.uncovered and not np.isfinite(log.columns[name]).all()
    ]
    return bool(missing) or any(_wild(log, name) for name in columns)


def _stated(log: Log, name: str, si: str) -> dict[str, str | int | float]:
    """The unit that the file states, where it is not SI."""
    stated = log.units.get(name, "")
    return {"unit": stated} if stated and stated != si and stated in USUAL_UNITS.get(si, {}) else {}


def _unless(key: str, value: str, usual: str) -> dict[str, str | int | float]:
    return {} if value == usual else {key: value}


def _called(called: bool) -> str:
    return "so called" if called else "not by its name"
