"""The time of a log: a column, several that add up to it, or a fixed step that the motion tells.

A proposal must not be wrong in silence: where no column can be the time, the refusal says which comes
closest, where it fails, and what to write.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pct.errors import NoTimeError
from pct.logs.clocks import groups_of, sum_of_parts
from pct.logs.readers.base import AnyColumn, RawLog
from pct.logs.readers.computed import formula_of
from pct.logs.row_order import in_time_order
from pct.logs.signals import ROW_NUMBER
from pct.mapping.clock_by_motion import true_seconds
from pct.mapping.names import NAMES, means, words
from pct.mapping.packed_clocks import with_time_of_day
from pct.mapping.proposal import Line
from pct.mapping.relate import called_so, unless, written
from pct.mapping.stamp_parts import FEWEST, SECONDS, TICKS, find_parts
from pct.mapping.vehicles import CALLED, find_group
from pct.recordings.held import beat_of, changes_of
from pct.recordings.time_steps import is_usual

# Units of clocks, the likeliest first.
CLOCKS = ("s", "ms", "us", "ns")
# Values that only a date of 2000 to 2100 has, by unit: since 1970, 1601 and year 1; Excel, MATLAB.
DATES = {
    "s": ((9.4e8, 4.2e9),),
    "ms": ((9.4e11, 4.2e12),),
    "us": ((9.4e14, 4.2e15),),
    "ns": ((9.4e17, 4.2e18),),
    TICKS: ((1.25e17, 1.58e17), (6.3e17, 6.63e17)),
    "day": ((36526.0, 73051.0), (730486.0, 767011.0)),
}
# Of the rows, a time goes on in all but these.
FAULTY = 0.05
# Rates of recorders in Hz; what the motion tells is within so much of one of them.
RATES = (
    1,
    2,
    4,
    5,
    10,
    15,
    20,
    24,
    25,
    30,
    40,
    50,
    60,
    64,
    75,
    80,
    100,
    120,
    125,
    128,
    200,
    240,
    250,
    256,
    300,
)
NEAR = 0.04
# A clock is corrected by the motion where that tells a factor beyond this.
CLEAR = 1.5


class Clock(NamedTuple):
    """The time that is proposed.

    Attributes:
        line: of the map.
        raw: the log; where the time is made, with its column in place of those it is made of.
        notes: what is odd about it.
        group: the column that tells several vehicles apart, of which ``raw`` holds the one with most rows.
        ordered: whether the rows stood in another order, or twice.
    """

    line: Line
    raw: RawLog
    notes: tuple[str, ...] = ()
    group: str = ""
    ordered: bool = False


def find_time(path: Path, raw: RawLog) -> Clock:
    """The time of a log.

    Raises:
        DataError: no column can be the time; says which comes closest, where it fails, and the cure.
    """
    if raw.clocks:
        return Clock(_clock_of_positions(raw), raw)
    raw = with_time_of_day(raw)
    candidates = [one for name in raw.columns if (one := _candidate(raw, name)) is not None]
    best = max(candidates, key=lambda one: one.rank, default=None)
    if best is None or not best.called:
        for name in [name for name in raw.columns if means(name, "time")]:
            ordered = in_time_order(raw, name)
            if ordered is not raw and _candidate(ordered, name) is not None:
                return find_time(path, ordered)._replace(ordered=True)
    combined = _combined(raw, best)
    if combined is not None:
        return combined
    group = find_group(raw)
    if group:
        parts = groups_of(raw, group)
        fullest = max(parts.values(), key=lambda part: len(part.rows))
        note = f"group: rows of {len(parts)} vehicles, which '{group}' tells apart; each is a log of its own"
        of_one = find_time(path, fullest)
        return of_one._replace(group=group, notes=(note, *of_one.notes))
    if best is not None:
        clock = _clock_of(raw, best)
        if clock is not None:
            return clock
    coarse = next((clock for name in raw.columns if (clock := _step_by_coarse(raw, name))), None)
    if coarse is not None:
        return coarse
    called = [name for name in (*raw.columns, *raw.texts) if means(name, "time")]
    step = None if called else _step_by_motion(raw)
    if step is not None:
        return step
    raise _refusal(path, raw, best)


def scale_of(line: Line) -> float:
    """How many seconds one of the proposed time's column is."""
    if line.table is not None:
        return 1.0
    unit = str(line.keys.get("unit", "s"))
    count, _, rest = unit.partition("s/")
    return 1 / float(rest) if rest and not count else SECONDS[unit] if unit in SECONDS else float(unit[:-2])


def _clock_of_positions(raw: RawLog) -> Line:
    """The clock of the fullest description of the pose, of a log that states its clocks."""
    clocks = dict.fromkeys(raw.clocks.values())
    posed = [
        clock for clock in clocks for name in raw.clocks if raw.clocks[name] == clock and means(name, "x")
    ]
    busiest = max(posed or list(clocks), key=lambda clock: (posed.count(clock), len(raw.columns[clock])))
    unit = raw.units.get(busiest, "s")
    sure = "high" if posed else "medium"
    return Line("time", busiest, sure, "the clock of the positions", unless("unit", unit, "s"))


@dataclasses.dataclass(frozen=True)
class _Candidate:
    """A column that may be the time.

    Attributes:
        name: of the column.
        called: whether its name says so.
        usual: the median of its steps that go on.
        uneven: by how much these differ from it, relative.
        odd: share of the steps that do not go on, or far more than usual.
        dated: the unit in which its values are dates; empty where they are none.
        counts: whether it goes on by one in each row.
    """

    name: str
    called: bool
    usual: float
    uneven: float
    odd: float
    dated: str
    counts: bool

    @property
    def rank(self) -> tuple[bool, bool, float]:
        return self.called or bool(self.dated), not self.counts, -self.uneven - self.odd


def _candidate(raw: RawLog, name: str) -> _Candidate | None:
    column = raw.columns[name]
    whole = column[np.isfinite(column)]
    steps = np.diff(whole)
    going = steps[steps > 0]
    # What goes along x at a steady speed is no clock.
    few = _is_channel(name) or len(column) < FEWEST or len(whole) < (1 - FAULTY) * len(column)
    if few or len(going) < (1 - FAULTY) * len(steps):
        return None
    usual, called = float(np.median(going)), means(name, "time")
    uneven = float(np.median(np.abs(going - usual)) / usual)
    if not called and uneven >= 0.2:
        return None
    dated = next(
        (unit for unit, spans in DATES.items() if _is_dated(whole, usual * SECONDS[unit], spans)), ""
    )
    odd = float(np.mean(~((steps > 0) & (steps < 1.4 * usual))))
    return _Candidate(name, called, usual, uneven, odd, dated, bool((going == 1.0).all()))


def _is_dated(whole: AnyColumn, step: float, spans: tuple[tuple[float, float], ...]) -> bool:
    inside = any(low <= whole.min() and whole.max() <= high for low, high in spans)
    return inside and is_usual(step)


def _clock_of(raw: RawLog, best: _Candidate) -> Clock | None:
    """The line of a column of the time; None for one that counts rows of a time that nothing tells."""
    name, usual = best.name, best.usual
    stated = raw.units.get(name, "")
    ending = re.search(r"_(s|sec|ms|us|ns)$", words(name))
    written_so = {"sec": "s"}.get(ending[1], ending[1]) if ending else ""
    fitting = [unit for unit in (*CLOCKS, "min", "h", "day") if is_usual(usual * SECONDS[unit])]
    likely = [unit for unit in fitting if unit in CLOCKS] or fitting
    unit = next((u for u in (stated, best.dated, written_so) if u and (u in fitting or u == best.dated)), "")
    stated_so = bool(unit)
    unit = unit or (likely or ["s"])[0]
    told = true_seconds(raw, raw.columns[name] * SECONDS[unit])
    notes = _set_back(raw, name, SECONDS[unit])
    if told is not None and not 1 / CLEAR < told < CLEAR:
        unit = _named(SECONDS[unit] * told)
        reason = f"{called_so(best.called)}; speed and yaw rate both tell that one of it is {unit}"
        return Clock(Line("time", name, "medium", reason, {"unit": unit}), raw, notes)
    if best.counts and not best.called and not stated_so and told is None:
        return None
    sure = "high" if best.called and unit in fitting else "low"
    if sure == "low" and (best.called or best.dated or unit in fitting):
        sure = "medium"
    if best.dated and unit == best.dated:
        sure = "high"
    digits = "its digits are hours, minutes and seconds; " if formula_of(name) else ""
    reason = f"{digits}{called_so(best.called)}; increases in steps of about {usual * SECONDS[unit]:.4g} s"
    return Clock(Line("time", name, sure, reason, written(raw.units, name, unit, "s")), raw, notes)


def _named(seconds: float) -> str:
    """A unit of so many seconds: one that has a name, else a share of a second as a rate has it.

    Examples:
        >>> [_named(seconds) for seconds in (1.01e-7, 0.0101, 1 / 47, 3.0)]
        ['100 ns', 's/100', 's/47', '3 s']
    """
    known = [unit for unit, size in SECONDS.items() if abs(seconds / size - 1) < NEAR]
    if known:
        return known[0]
    if seconds > 1:
        return f"{seconds:.3g} s"
    return f"s/{_nice_rate(1 / seconds):.4g}"


def _nice_rate(rate: float) -> float:
    """The usual rate of a recorder next to one, in Hz; itself where none is near."""
    nearest = min((*RATES, 400, 500, 512, 1000), key=lambda usual: abs(rate / usual - 1))
    return float(nearest) if abs(rate / nearest - 1) < NEAR else rate


def _set_back(raw: RawLog, name: str, scale: float) -> tuple[str, ...]:
    """Where a clock is set back, for the notes."""
    column = raw.columns[name]
    kept = np.flatnonzero(np.isfinite(column))
    steps = np.diff(column[kept])
    back = np.flatnonzero(steps < 0)
    if not len(back):
        return ()
    row = int(kept[back[0] + 1])
    more = f", and {len(back) - 1} more times" if len(back) > 1 else ""
    return (
        f"time: '{name}' goes back by {-steps[back[0]] * scale:.4g} s in {raw.place} {raw.rows[row]}{more}: "
        "the recording is cut there",
    )


def _combined(raw: RawLog, best: _Candidate | None) -> Clock | None:
    """The time that is spread over several columns: one falls back where the other counts on."""
    if best is not None and best.called and (np.diff(raw.columns[best.name]) > 0).all():
        return None
    parts = find_parts(raw.columns)
    if not parts:
        return None
    names = [part.column for part in parts]
    name = " + ".join(names)
    columns = {column: values for column, values in raw.columns.items() if column not in names}
    columns[name] = sum_of_parts(raw.columns, parts)
    usual = float(np.median(np.diff(columns[name])))
    line = Line(
        "time",
        name,
        "high",
        f"'{parts[0].column}' counts on where '{parts[1].column}' falls back; "
        f"together they increase in steps of about {usual:.4g} s",
        table={"column": names, "unit": [part.unit or "s" for part in parts]},
    )
    summed = dataclasses.replace(raw, columns=columns)
    return Clock(line, summed, _set_back(summed, name, 1.0))


def _step_by_motion(raw: RawLog) -> Clock | None:
    """A fixed step, where speed and yaw rate both tell it."""
    rows = np.arange(float(len(raw.rows)))
    told = true_seconds(raw, rows)
    if told is None or not is_usual(told):
        return None
    step = 1 / _nice_rate(1 / told)
    step = float(f"{step:.6g}")
    line = Line(
        "time",
        ROW_NUMBER,
        "medium",
        f"no column of the time; speed and yaw rate both tell a step of {told:.3g} s",
        table={"step": step},
    )
    columns = {**raw.columns, ROW_NUMBER: step * rows}
    return Clock(line, dataclasses.replace(raw, columns=columns))


def _step_by_coarse(raw: RawLog, name: str) -> Clock | None:
    """A fixed step, where a clock goes on by the same after every so many rows, as whole seconds do."""
    column = raw.columns[name]
    if not means(name, "time") or not np.isfinite(column).all() or len(column) != len(raw.rows):
        return None
    changes = changes_of(column)
    steps = np.diff(column[changes])
    # Where it leaves out a second, rows may be missing.
    if len(steps) < FEWEST or beat_of(changes) is None or not np.allclose(steps, steps[0], rtol=1e-3):
        return None
    rows = float(np.mean(np.diff(changes)))
    stated = raw.units.get(name, "s")
    usual = float(steps[0]) * SECONDS.get(stated, 1.0)
    step = float(f"{1 / _nice_rate(rows / usual):.6g}") if usual > 0 else 0.0
    if not is_usual(step):
        return None
    reason = (
        f"'{name}' goes on by {usual:.4g} s after every {rows:.4g} rows, which are taken as evenly spaced"
    )
    columns = {**raw.columns, ROW_NUMBER: step * np.arange(float(len(raw.rows)))}
    return Clock(
        Line("time", ROW_NUMBER, "medium", reason, table={"step": step}),
        dataclasses.replace(raw, columns=columns),
    )


def _refusal(path: Path, raw: RawLog, counter: _Candidate | None) -> NoTimeError:
    """Why no column is the time: the one that comes closest, where it fails, and what to write."""
    begin = "expected a column of the time, which goes on from row to row, found none"
    cure = "write [time] step = 0.02 (s), or rate = 50 (Hz), into the map"
    text = next((name for name in raw.texts if means(name, "time")), None)
    if text is not None:
        what = f"'{text}' holds {raw.texts[text]!r}, which is no time that is known.\nOr {cure}"
        return NoTimeError(path, f"{begin}: {what}", column=text)
    begin = f"{begin} among {len(raw.columns)}"
    if counter is not None:
        what = f"'{counter.name}' counts rows, and nothing tells their rate: {cure}"
        return NoTimeError(path, f"{begin}: {what}", column=counter.name)
    closest, where, row = _closest(raw)
    if not closest:
        return NoTimeError(path, f"{begin}: for a log at a fixed rate {cure}")
    what = f"{begin}: '{closest}' comes closest, but {where}."
    label = next((name for name in raw.texts if CALLED.search(words(name))), None)
    if label is not None:
        fix = (
            f"If '{label}' tells vehicles apart, write numbers for its texts such as {raw.texts[label]!r}, "
            f'and group = "{label}"'
        )
    else:
        fix = f"Cut the log there, or for a fixed rate {cure}"
    return NoTimeError(path, f"{what}\n{fix}", column=closest, row=row)


def _is_channel(name: str) -> bool:
    """Whether the name is one for another channel, which may go on from row to row as a time does."""
    return not means(name, "time") and any(means(name, channel) for channel in NAMES)


def _closest(raw: RawLog) -> tuple[str, str, int | None]:
    """The column that is called a time, or goes on most often, and where it fails first: words and row."""
    shares = {}
    for name, column in raw.columns.items():
        steps = np.diff(column)
        if len(steps) >= FEWEST and not _is_channel(name):
            shares[name] = (means(name, "time"), float(np.mean(steps > 0)))
    shares = {name: share for name, share in shares.items() if share[0] or share[1] > 0.8}
    if not shares:
        return "", "", None
    name = max(shares, key=shares.__getitem__)
    column = raw.columns[name]
    row = int(np.flatnonzero(~(np.diff(column) > 0))[0]) + 1 if shares[name][1] < 1 else 0
    if not row:
        return name, "its steps differ too much", None
    line = int(raw.rows[min(row, len(raw.rows) - 1)])
    if not np.isfinite(column[row]):
        return name, f"holds no number in {raw.place} {line}", line
    does = "stands still" if column[row] == column[row - 1] else "goes back"
    share = 1 - shares[name][1]
    where = f"in {raw.place} {line} ({column[row - 1]:.9g}, then {column[row]:.9g})"
    return name, f"{does} {where}, and in {share:.0%} of the rows", line
