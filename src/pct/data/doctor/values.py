"""Checks of single channels: missing, beyond any vehicle, spikes, frozen, quantised, clipped, held."""

from __future__ import annotations

from functools import partial
from operator import methodcaller

import numpy as np

from pct.data.derive import known_channels
from pct.data.doctor.finding import Finding, Panel, confidence, evidence
from pct.data.doctor.recording import Recording, unwrapped
from pct.data.doctor.statistics import Column, noise_of
from pct.data.outliers import STEPS, find_spikes
from pct.data.trajectory import HEADINGS
from pct.types import Bool

# More such rows than this share are the signal.
SPIKE_SHARE = 0.02
# A channel that stands still for so many seconds while the vehicle moves.
FROZEN_SECONDS = 0.5
# What a driver may hold still.
HELD_STILL = ("delta", "delta_dot", "accel")
# Chance of an equal run as long as the one found, over the whole recording.
CHANCE = 1e-6
# Fewer levels than these within the range of a signal hide what it does.
LEVELS = 40
# A level repeated so often at the end of a range, beside what its neighbours hold.
CLIPPED = 10.0
CLIPPED_ROWS = 8
# Rows that repeat the row before, of those that move.
HELD_SHARE = 0.05
# Share of the times between two changes that must be one of two neighbours, and the variance of the repeats
# in
# equal blocks over that of chance.
REGULAR = 0.85
EVEN = 0.3


def missing(recording: Recording) -> list[Finding]:
    """Values that are not finite."""
    found = []
    for name, column in recording.channels.items():
        rows = np.flatnonzero(~np.isfinite(column))
        if not len(rows):
            continue
        share = len(rows) / len(column)
        found.append(
            Finding(
                check="missing",
                severity="warning" if share < 0.5 else "error",
                message=f"{recording.called(name)} has no value in {len(rows)} rows ({share:.1%})",
                channels=(name,),
                confidence=1.0,
                fix=(
                    'cut the rows: faults = "cut" in signals.toml; or log the channel at the rate of '
                    "the others"
                ),
                lines={"faults": "cut"} if share < 0.05 else {},
                mend=None,
                panels=_around(recording, name, rows),
                **evidence(recording, rows),
            )
        )
    return found


def spikes(recording: Recording) -> list[Finding]:
    """Values that leave their neighbours and come back within two rows, see `find_spikes`."""
    found = []
    for name in recording.channels:
        if not recording.measured(name):
            continue
        column = _unwrapped(recording, name)
        wrong = find_spikes(name, column)
        rows = np.flatnonzero(wrong)
        if not len(rows) or wrong.mean() > SPIKE_SHARE:
            continue
        apart = np.abs(column - _median(column, 7))[rows]
        usual = max(float(np.quantile(np.abs(np.diff(column[~wrong])), 0.98)), 1e-300)
        found.append(
            Finding(
                check="spikes",
                severity="warning",
                message=(
                    f"{recording.called(name)} jumps away and back in {len(rows)} rows, by up to "
                    f"{np.nanmax(apart):.3g} {_unit(name)} where 98 % of its steps are below {usual:.3g}"
                ),
                channels=(name,),
                confidence=confidence(float(np.nanmax(apart)), STEPS * usual),
                fix='leave the rows out; beyond the limits of a vehicle faults = "cut" in signals.toml does',
                mend=partial(_blank, name=name, wrong=wrong),
                panels=_around(recording, name, rows),
                **evidence(recording, rows),
            )
        )
    return found


def frozen(recording: Recording) -> list[Finding]:
    """A measured channel that repeats one value while the vehicle moves.

    How often a value repeats by chance is taken from the channel itself: with share p of rows that equal the
    row before, a run of n has the chance p^n.
    """
    found = []
    moving = _moving(recording)
    for name, column in recording.channels.items():
        if name.startswith(("feature.", "truth.")) or not recording.measured(name):
            continue
        good = column[np.isfinite(column)]
        if len(good) < 30:
            continue
        if np.ptp(good) == 0:
            found.append(
                Finding(
                    check="frozen",
                    # A manoeuvre may hold the steering still; all else moves with the vehicle.
                    severity="info" if name in HELD_STILL else "warning",
                    message=(
                        f"{recording.called(name)} is {good[0]:.4g} {_unit(name)} in all {len(good)} rows"
                    ),
                    channels=(name,),
                    confidence=1.0,
                    fix=(
                        f"leave it out: {name} = false under [channels]; see whether the sensor was connected"
                    ),
                    mend=methodcaller("without", name),
                    panels=_around(recording, name, np.arange(0)),
                    **evidence(recording, np.array([0, len(column) - 1])),
                )
            )
            continue
        equal = np.concatenate([[False], column[1:] == column[:-1]])
        start, length = _runs(equal & moving)
        if not len(length):
            continue
        others = _share_without_longest(equal & moving, start, length, moving)
        allowed = max(FROZEN_SECONDS / recording.dt, np.log(CHANCE / len(column)) / np.log(min(others, 0.97)))
        if name in HELD_STILL:
            continue
        long = length > allowed
        if not long.any():
            continue
        rows = np.concatenate(
            [np.arange(s - 1, s + n) for s, n in zip(start[long], length[long], strict=True)]
        )
        wrong = np.zeros(len(column), bool)
        wrong[rows] = True
        found.append(
            Finding(
                check="frozen",
                severity="warning",
                message=(
                    f"{recording.called(name)} does not change for {length.max() * recording.dt:.3g} s "
                    "while the "
                    f"vehicle moves ({long.sum()} times; elsewhere {others:.1%} of its rows repeat)"
                ),
                channels=(name,),
                confidence=confidence(float(length.max()), float(allowed)),
                fix="cut these rows: the sensor or its driver stopped",
                mend=partial(_cut, name=name, wrong=wrong),
                panels=_around(recording, name, rows),
                **evidence(recording, rows),
            )
        )
    return found


def _blank(recording: Recording, name: str, wrong: Bool[np.ndarray, " _"]) -> Recording:
    """Without single values; without the channel where the rows are not the same any more."""
    return recording.blanked({name: wrong}) if len(wrong) == len(recording) else recording.without(name)


def _cut(recording: Recording, name: str, wrong: Bool[np.ndarray, " _"]) -> Recording:
    """Without the rows in which a channel says nothing, or without the channel where these are many."""
    if len(wrong) != len(recording):
        # Another channel was cut before: the rows are not these any more.
        return recording.without(name)
    return recording.without(name) if wrong.mean() > 0.5 else recording.kept(~wrong)


def quantised(recording: Recording) -> list[Finding]:
    """A channel on steps that are coarse beside what it does and beside its noise."""
    found = []
    for name, column in recording.channels.items():
        if not recording.measured(name) or name.startswith(("feature.", "truth.")):
            continue
        good = column[np.isfinite(column)]
        step = _lattice(good)
        if step == 0.0:
            continue
        low, high = np.quantile(good, [0.01, 0.99])
        levels = (high - low) / step
        moves = np.diff(good)
        # White noise above half a step shows as moves of one step to and fro in most rows.
        still = float(np.mean(moves == 0))
        if not (2.0 <= levels < LEVELS and still > 0.5):
            continue
        rows = np.flatnonzero(np.concatenate([[False], np.diff(column) != 0]))
        found.append(
            Finding(
                check="quantised",
                severity="warning",
                message=(
                    f"{recording.called(name)} moves in steps of {step:.3g} {_unit(name)}, {levels:.0f} "
                    "over its "
                    f"range, and stands still in {still:.0%} of the rows"
                ),
                channels=(name,),
                confidence=confidence(still, 0.5),
                fix="log it with more digits, or weigh it less: its error is up to half a step",
                mend=methodcaller("sparse", name),
                panels=_around(recording, name, rows[:1]),
                **evidence(recording, rows),
            )
        )
    return found


def clipped(recording: Recording) -> list[Finding]:
    """A channel that stays at the end of its range again and again, as a sensor does beyond its range."""
    found = []
    for name, column in recording.channels.items():
        if name in HEADINGS or name in ("x", "y") or name.startswith(("feature.", "truth.")):
            continue
        if not recording.measured(name):
            continue
        good = np.isfinite(column)
        values = column[good]
        if len(values) < 30 or np.ptp(values) == 0:
            continue
        step = max(_lattice(values), 1e-9 * float(np.ptp(values)))
        noise = noise_of(values)
        if noise < 1e-9 * float(np.ptp(values)):
            continue
        ends = [
            (end, at_end, expected)
            for end in (float(values.max()), float(values.min()))
            if (at_end := np.abs(column - end) < 0.5 * step).sum() >= CLIPPED_ROWS
            and at_end.sum() < 0.5 * len(values)
            and (longest := _runs(at_end)[1].max()) >= 3
            # What a signal of this noise holds there by chance: as much as the levels beside it.
            and (expected := _beside(column, at_end, end, step, noise)) > 0
            and (at_end.sum() > CLIPPED * expected or longest > _longest_by_chance(column, at_end))
        ]
        if not ends:
            continue
        wrong = np.any([at_end for _, at_end, _ in ends], axis=0)
        rows = np.flatnonzero(wrong)
        expected = sum(share for *_, share in ends)
        found.append(
            Finding(
                check="clipping",
                # Steering has a stop; a sensor should have none.
                severity="info" if name in ("delta", "delta_dot") else "warning",
                message=(
                    f"{recording.called(name)} is at {' or '.join(f'{end:.4g}' for end, *_ in ends)} "
                    f"{_unit(name)}, "
                    f"the end of its range, in {len(rows)} rows, where the values beside let expect "
                    f"{expected:.1f}"
                ),
                channels=(name,),
                confidence=confidence(float(len(rows)), min(CLIPPED * expected, 0.5 * len(rows))),
                fix="cut these rows: the value was beyond the range of the sensor",
                mend=partial(_cut, name=name, wrong=wrong),
                panels=_around(recording, name, rows),
                **evidence(recording, rows),
            )
        )
    return found


def _longest_by_chance(column: Column, at_end: Bool[np.ndarray, " _"]) -> float:
    """The longest run of one value that chance gives, by how often values repeat elsewhere."""
    equal = (column[1:] == column[:-1])[~at_end[1:]]
    share = float(np.clip(equal.mean(), 0.01, 0.97)) if len(equal) else 0.97
    return float(np.log(CHANCE / len(column)) / np.log(share))


def _beside(column: Column, at_end: Bool[np.ndarray, " _"], end: float, step: float, noise: float) -> float:
    """Rows of a level near the end of a range, at least one half."""
    width = max(2.0 * noise, 4.0 * step)
    count = int((np.abs(column - end) < width).sum()) - int(at_end.sum())
    return max(count / max(width / step - 1.0, 1.0), 0.5)


def held(recording: Recording) -> list[Finding]:
    """Channels that were resampled by holding: values repeat in a beat of the two rates."""
    found = []
    moving = _moving(recording)
    for name, column in recording.channels.items():
        if not recording.measured(name) or name.startswith(("feature.", "truth.")):
            continue
        good = column[np.isfinite(column)]
        if len(good) < 100 or not moving.any():
            continue
        equal = np.concatenate([[False], column[1:] == column[:-1]])
        changes = np.flatnonzero(~equal & moving)
        share = float(equal[moving].mean())
        spacing = np.diff(changes)
        spacing = spacing[spacing < 50]
        if len(spacing) < 50 or share < HELD_SHARE or share > 0.95:
            continue
        # A source of its own rate changes every m or m + 1 rows, without exception, so that its repeats are
        # spread evenly; repeats by chance are spread as a binomial number.
        usual = int(np.floor(spacing.mean()))
        regular = float(np.mean((spacing == usual) | (spacing == usual + 1)))
        block = max(10, round(4.0 / share))
        whole = len(equal) // block * block
        counts, busy = (flags[:whole].reshape(-1, block).sum(axis=1) for flags in (equal, moving))
        counts = counts[busy == block]
        if len(counts) < 20:
            continue
        evenness = float(np.var(counts)) / (block * share * (1.0 - share))
        # The variance of as many binomial numbers over its mean, at a chance of 1e-6 (Wilson and Hilferty).
        part = 2.0 / (9.0 * (len(counts) - 1))
        if regular < REGULAR or evenness > min(EVEN, max(1.0 - part - 4.75 * np.sqrt(part), 0.0) ** 3):
            continue
        rows = np.flatnonzero(equal & moving)
        rate = 1.0 / (spacing.mean() * recording.dt)
        found.append(
            Finding(
                check="held",
                severity="warning",
                message=(
                    f"{recording.called(name)} repeats in {share:.0%} of the moving rows, evenly "
                    "spaced: a signal of "
                    f"about {rate:.3g} Hz held in a log of {1 / recording.dt:.3g} Hz"
                ),
                channels=(name,),
                confidence=confidence(regular, REGULAR),
                fix="log the channel with its own time stamps, or bring the log to the slower rate (--dt)",
                mend=methodcaller("sparse", name),
                panels=_around(recording, name, rows[:1]),
                **evidence(recording, rows),
            )
        )
    return found


def _moving(recording: Recording) -> Bool[np.ndarray, " _"]:
    """Rows in which something that moves with the vehicle says that it moves: no less than two channels."""
    votes = np.zeros(len(recording))
    asked = 0
    for name in ("v", "vx", "psi_dot", "x", "y", "psi", "course"):
        if name not in recording.channels:
            continue
        column = _unwrapped(recording, name)
        column = np.where(
            np.isfinite(column), column, np.nanmedian(column) if np.isfinite(column).any() else 0.0
        )
        if name in ("x", "y", *HEADINGS):
            step = max(2, round(0.25 / recording.dt))
            change = np.zeros(len(column))
            change[step:] = np.abs(column[step:] - column[:-step])
        else:
            change = np.abs(column)
        level = 0.2 * float(np.quantile(change, 0.9))
        votes += change > max(level, 1e-9)
        asked += 1
    return votes >= min(2, asked) if asked else np.zeros(len(recording), bool)


def _runs(flags: Bool[np.ndarray, " _"]) -> tuple[np.ndarray, np.ndarray]:
    """First index and length of each run of true rows."""
    edges = np.diff(np.concatenate([[0], flags.astype(int), [0]]))
    start = np.flatnonzero(edges == 1)
    return start, np.flatnonzero(edges == -1) - start


def _share_without_longest(
    equal: Bool[np.ndarray, " _"], start: np.ndarray, length: np.ndarray, moving: Bool[np.ndarray, " _"]
) -> float:
    """How often a row repeats, without the runs in question (the longest twentieth of them)."""
    long = np.argsort(-length)[: max(1, len(length) // 20)]
    rest = max(int(moving.sum()) - int(length[long].sum()), 1)
    return max(float(equal.sum() - length[long].sum()) / rest, 1.0 / len(equal))


def _lattice(values: Column) -> float:
    """The step that all values lie on, or 0: the smallest distance of two, if it divides nearly all
    others."""
    levels = np.unique(values)
    if len(levels) < 3:
        return 0.0
    gaps = np.diff(levels)
    gaps = gaps[gaps > 1e-9 * (levels[-1] - levels[0])]
    if not len(gaps):
        return 0.0
    step = float(np.median(gaps[gaps < 1.5 * gaps.min()]))
    near = np.abs(gaps / step - np.rint(gaps / step))
    return step if np.mean(near < 0.05) > 0.95 else 0.0


def _median(values: Column, rows: int) -> Column:
    from scipy.ndimage import median_filter

    return median_filter(values, rows, mode="nearest")


def _unwrapped(recording: Recording, name: str) -> Column:
    column = recording.channels[name].copy()
    if name in HEADINGS:
        good = np.isfinite(column)
        column[good] = unwrapped(column[good])
    return column


def _unit(name: str) -> str:
    channel = known_channels().get(name)
    return channel.unit if channel else ""


def _around(recording: Recording, name: str, rows: np.ndarray) -> tuple[Panel, ...]:
    """The whole channel, and the surroundings of the first fault."""
    column, time = recording.channels[name], recording.time - np.nanmin(recording.time)
    label = f"{name} [{_unit(name)}]" if _unit(name) else name
    curves = {name: (time, column)}
    if len(rows):
        curves["fault"] = (time[rows], column[rows])
    panels = [Panel("time of the log [s]", label, curves, points=True)]
    if len(rows):
        near = slice(max(0, rows[0] - 40), rows[0] + 60)
        inside = rows[(rows >= near.start) & (rows < near.stop)]
        panels.append(
            Panel(
                "time [s]",
                label,
                {name: (time[near], column[near]), "fault": (time[inside], column[inside])},
                points=True,
            )
        )
    return tuple(panels)
