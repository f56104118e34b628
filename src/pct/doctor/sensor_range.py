"""Checks of a sensor's resolution and range."""

from __future__ import annotations

from functools import partial
from operator import methodcaller

import numpy as np

from pct.doctor.finding import Finding, confidence, evidence
from pct.doctor.raw_recording import Recording
from pct.doctor.single_channel import (
    CHANCE,
    KEPT,
    around,
    cut,
    is_noisy,
    lattice,
    resolution,
    runs,
    unit_after,
)
from pct.doctor.statistics import Column, noise_of
from pct.dynamics.channels import grows
from pct.types import Bool

# Fewer levels than these within the range of a signal hide what it does.
LEVELS = 40
# Moves that follow one another, of all moves: steps of a level come one by one where a signal mostly stands.
RAMP = 0.7
# Positions on steps this many times as long as the way of a row, where noise does not blur them.
COARSE, BLURRED = 1.5, 0.7
# A command this often at its limit asks for more than there is; fewer values than these are a switch.
SATURATED, SWITCH = 0.03, 10
# What stands at zero where the vehicle does, or where no pedal is pressed; and what has a stop.
FLOORED = {"v", "vx", "omega_f", "omega_r", "throttle", "brake", "drive", "psi_dot", "delta"}
STOPPED = {"delta", "delta_dot", "throttle", "brake", "drive"}
# A level repeated so often at the end of a range, beside what its neighbours hold.
CLIPPED = 10.0
CLIPPED_ROWS = 8
# A signal without noise that settles at a value creeps there; one that is cut off runs into its end, its last
# steps this many times what it can show.
ABRUPT = 10.0


def quantised(recording: Recording) -> list[Finding]:
    """A channel on steps that are coarse beside what it does and beside its noise."""
    findings = []
    for name in recording.sensor_channels():
        column = recording.channels[name]
        good = column[np.isfinite(column)]
        step = lattice(good)
        if step == 0.0:
            continue
        if name in ("x", "y"):
            findings += _coarse(recording, name, step)
            continue
        low, high = np.quantile(good, [0.01, 0.99])
        levels = (high - low) / step
        moves = np.diff(good)
        # White noise above half a step shows as moves of one step to and fro in most rows.
        still = float(np.mean(moves == 0))
        if not (2.0 <= levels < LEVELS and still > 0.5) or _ramps(moves, step):
            continue
        rows = np.flatnonzero(np.concatenate([[False], np.diff(column) != 0]))
        findings.append(
            Finding(
                check="quantised",
                severity="warning",
                message=(
                    f"{recording.called(name)} moves in steps of {step:.3g}{unit_after(name)}, {levels:.0f} "
                    "over its "
                    f"range, and stands still in {still:.0%} of the rows"
                ),
                channels=(name,),
                confidence=confidence(still, 0.5),
                fix="log it with more digits, or weigh it less: its error is up to half a step",
                mend=methodcaller("sparse", name),
                panels=around(recording, name, rows[:1]),
                **evidence(recording, rows),
            )
        )
    return findings


def _coarse(recording: Recording, name: str, step: float) -> list[Finding]:
    """Positions on steps that are coarse beside the motion of a row: their changes say nothing."""
    if not recording.has("x", "y"):
        return []
    x, y = recording.channels["x"], recording.channels["y"]
    rows = recording.rows_of(1.0)
    ways = np.hypot(x[rows:] - x[:-rows], y[rows:] - y[:-rows]) / rows
    ways = ways[np.isfinite(ways)]
    moving = ways[ways > 0.1 * np.quantile(ways, 0.9)] if len(ways) else ways
    column = recording.channels[name]
    if not len(moving) or noise_of(column[np.isfinite(column)]) > BLURRED * step:
        return []
    way = float(np.median(moving))
    # At a steady speed the way of each row looks like a step.
    if step < COARSE * way or np.mean(np.diff(column) == 0) < 1 - 1 / COARSE:
        return []
    changes = np.flatnonzero(np.concatenate([[False], np.diff(column) != 0]))
    return [
        Finding(
            check="quantised",
            severity="warning",
            message=(
                f"{recording.called(name)} moves in steps of {step:.3g} m where the vehicle moves "
                f"{way:.3g} m in a row: speeds from it are wrong by {0.5 * step / recording.dt:.3g} m/s"
            ),
            channels=(name,),
            confidence=confidence(step, COARSE * way),
            fix="log it with more digits, in double precision; or bring the log to a slower rate (`dt`)",
            mend=methodcaller("sparse", name),
            panels=around(recording, name, changes[:1]),
            **evidence(recording, changes),
        )
    ]


def _ramps(moves: Column, step: float) -> bool:
    """Whether all moves are of one size and follow one another: a servo at its full rate makes such steps."""
    moved = moves != 0
    alike = float(np.mean(np.abs(np.abs(moves[moved]) - step) < 0.1 * step))
    return alike > 0.95 and float((moved[1:] & moved[:-1]).sum()) > RAMP * float(moved.sum())


def clipped(recording: Recording) -> list[Finding]:
    """A channel that stays at the end of its range again and again, as a sensor does beyond its range."""
    findings = []
    for name in recording.sensor_channels():
        if grows(name):
            continue
        column = recording.channels[name]
        good = np.isfinite(column)
        values = column[good]
        if len(values) < 30 or np.ptp(values) == 0:
            continue
        step = max(lattice(values), 1e-9 * float(np.ptp(values)))
        noise = noise_of(values)
        if noise < 1e-9 * float(np.ptp(values)):
            continue
        noisy = is_noisy(values)
        if not noisy and name in KEPT:
            continue
        ends = [
            (end, at_end, expected)
            for end in (float(values.max()), float(values.min()))
            if not (end == 0.0 and name in FLOORED)
            and (at_end := np.abs(column - end) < 0.5 * step).sum() >= CLIPPED_ROWS
            and at_end.sum() < 0.5 * len(values)
            and (longest := runs(at_end)[1].max()) >= 3
            and (noisy or _runs_into(column, at_end))
            # What a signal of this noise holds there by chance: as much as the levels beside it.
            and (expected := _beside(column, at_end, end, step, noise)) > 0
            and (at_end.sum() > CLIPPED * expected or longest > _longest_by_chance(column, at_end))
        ]
        if not ends:
            continue
        wrong = np.any([at_end for _, at_end, _ in ends], axis=0)
        rows = np.flatnonzero(wrong)
        expected = sum(share for *_, share in ends)
        findings.append(
            Finding(
                check="clipping",
                # Steering has a stop and a pedal is fully pressed; a sensor should have no end.
                severity="info" if name in STOPPED else "warning",
                message=(
                    f"{recording.called(name)} is at {' or '.join(f'{end:.4g}' for end, *_ in ends)}"
                    f"{unit_after(name)}, the end of its range, in {len(rows)} rows, where the neighbouring "
                    f"values lead to expect {expected:.1f}"
                ),
                channels=(name,),
                confidence=confidence(float(len(rows)), min(CLIPPED * expected, 0.5 * len(rows))),
                fix="cut these rows: the value was beyond the range of the sensor",
                mend=partial(cut, name=name, wrong=wrong),
                panels=around(recording, name, rows),
                **evidence(recording, rows),
            )
        )
    return findings


def saturated(recording: Recording) -> list[Finding]:
    """A command that stays at its limit: the driver asks for more than the actuator has."""
    findings = []
    for name, column in recording.channels.items():
        if recording.origins.get(name) != "command" or name not in STOPPED:
            continue
        values = column[np.isfinite(column)]
        if len(np.unique(values)) < SWITCH:
            continue
        ends = {
            end: at_end
            for end in (float(values.max()), float(values.min()))
            if end != 0.0 and runs(at_end := column == end)[1].max(initial=0) >= 3
        }
        shares = {end: float(at_end.mean()) for end, at_end in ends.items()}
        held = [end for end, share in shares.items() if share > SATURATED]
        if not held:
            continue
        rows = np.flatnonzero(np.any([ends[end] for end in held], axis=0))
        findings.append(
            Finding(
                check="saturation",
                severity="info",
                message=(
                    f"the command {recording.called(name)} is at its limit of "
                    f"{' and '.join(f'{end:.4g}' for end in held)}{unit_after(name)} in "
                    f"{len(rows) / len(column):.0%} of the rows"
                ),
                channels=(name,),
                confidence=1.0,
                fix="know it: there the vehicle did not do more, whatever was asked for",
                panels=around(recording, name, rows[:1]),
                **evidence(recording, rows),
            )
        )
    return findings


def _runs_into(column: Column, at_end: Bool[np.ndarray, " _"]) -> bool:
    """Whether a signal runs into the end of its range at full speed, most times that it comes there."""
    first, _ = runs(at_end)
    first = first[first >= 2]
    before = np.abs(column[first - 1] - column[first - 2])
    return len(first) > 0 and float(np.mean(before > ABRUPT * resolution(column[np.isfinite(column)]))) > 0.5


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
