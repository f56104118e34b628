"""Checks of single values: missing, spikes, frozen."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from operator import methodcaller

import numpy as np

from pct.doctor.comparison import pairs_of
from pct.doctor.finding import Finding, confidence, evidence
from pct.doctor.raw_recording import Recording
from pct.doctor.single_channel import (
    CHANCE,
    KEPT,
    around,
    blank,
    cut,
    is_noisy,
    median,
    moving_rows,
    resolution,
    runs,
    unit_after,
    unwrapped_column,
)
from pct.doctor.statistics import Column, noise_of
from pct.recordings.outliers import STEPS, find_spikes
from pct.recordings.relations import RELATIONS
from pct.types import Bool

# More such rows than this share are the signal.
SPIKE_SHARE = 0.02
# Channels of one motion, and within how many s each answers the other.
ONE_MOTION = (
    frozenset({"delta", "delta_dot", "psi_dot", "ay", "vy", "beta"}),
    frozenset({"throttle", "brake", "drive", "accel", "ax"}),
)
ANSWERS = 0.2
# A channel that stands still for so many seconds while the vehicle moves.
FROZEN_SECONDS = 0.5
# What a driver may hold still.
HELD_STILL = ("delta", "delta_dot", "accel")
# A sensor without noise that stood still has to catch up: its step then is this many times those around.
CATCHES_UP = 4.0
AROUND = 5
# It stopped on the way where its last steps are this many times what it can show.
ON_THE_WAY = 10.0
# A constant is true where others say the same but for this share of it.
SAME = 0.03


def missing(recording: Recording) -> list[Finding]:
    """Values that are not finite."""
    findings = []
    for name, column in recording.channels.items():
        rows = np.flatnonzero(~np.isfinite(column))
        if not len(rows):
            continue
        share = len(rows) / len(column)
        findings.append(
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
                panels=around(recording, name, rows),
                **evidence(recording, rows),
            )
        )
    return findings


def spikes(recording: Recording) -> list[Finding]:
    """Values that leave their neighbours and come back within two rows, which no other channel shows."""
    findings = []
    columns = {n: unwrapped_column(recording, n) for n in recording.channels if recording.measured(n)}
    found = {name: find_spikes(name, column) for name, column in columns.items()}
    for name, column in columns.items():
        wrong = found[name] & ~_shown(recording, name, found)
        rows = np.flatnonzero(wrong)
        if not len(rows) or wrong.mean() > SPIKE_SHARE:
            continue
        distance = np.abs(column - median(column, 7))[rows]
        usual = max(float(np.quantile(np.abs(np.diff(column[~wrong])), 0.98)), 1e-300)
        findings.append(
            Finding(
                check="spikes",
                severity="warning",
                message=(
                    f"{recording.called(name)} has spikes in {len(rows)} row{'s' * (len(rows) > 1)}, "
                    f"by up to {np.nanmax(distance):.3g}{unit_after(name)} where 98 % of its steps are below "
                    f"{usual:.3g}"
                ),
                channels=(name,),
                confidence=confidence(float(np.nanmax(distance)), STEPS * usual),
                fix='leave the rows out; beyond the limits of a vehicle faults = "cut" in signals.toml does',
                mend=partial(blank, name=name, wrong=wrong),
                panels=around(recording, name, rows),
                **evidence(recording, rows),
            )
        )
    return findings


def _shown(
    recording: Recording, name: str, found: Mapping[str, Bool[np.ndarray, " _"]]
) -> Bool[np.ndarray, " _"]:
    """Rows about which another channel of the same motion leaves its course, and no others do.

    A steering input that is shorter than the log's step can show shows in the yaw rate as well; a bad packet
    shows in all channels.
    """
    none = np.zeros(len(recording), bool)
    group = next((group for group in ONE_MOTION if name in group), frozenset())
    if not found[name].any() or not group:
        return none
    reach = recording.rows_of(ANSWERS, least=2)
    near = {other: _about(rows, reach) for other, rows in found.items() if other != name and rows.any()}
    witnesses = [rows for other, rows in near.items() if other in group]
    others = [rows for other, rows in near.items() if other not in group]
    return np.any([none, *witnesses], axis=0) & ~np.any([none, *others], axis=0)


def _about(rows: Bool[np.ndarray, " _"], reach: int) -> Bool[np.ndarray, " _"]:
    """The rows and so many to either side."""
    from scipy.ndimage import maximum_filter1d

    return maximum_filter1d(rows.view(np.uint8), 2 * reach + 1, mode="constant") > 0


def frozen(recording: Recording) -> list[Finding]:
    """A measured channel that repeats one value while the vehicle moves.

    How often a value repeats by chance is taken from the channel itself: with share p of rows that equal the
    row before, a run of n has the chance p^n.
    """
    findings = []
    moving = moving_rows(recording)
    for name in recording.sensor_channels():
        column = recording.channels[name]
        good = column[np.isfinite(column)]
        if len(good) < 30:
            continue
        if np.ptp(good) == 0:
            findings.append(
                Finding(
                    check="frozen",
                    # A manoeuvre may hold the steering still; all else moves with the vehicle.
                    severity="info" if name in HELD_STILL or _is_true(recording, name) else "warning",
                    message=(
                        f"{recording.called(name)} is {good[0]:.4g}{unit_after(name)} in all {len(good)} rows"
                    ),
                    channels=(name,),
                    confidence=1.0,
                    fix=(
                        f"leave it out: {name} = false under [channels]; see whether the sensor was connected"
                    ),
                    mend=methodcaller("without", name),
                    panels=around(recording, name, np.arange(0)),
                    **evidence(recording, np.array([0, len(column) - 1])),
                )
            )
            continue
        equal = np.concatenate([[False], column[1:] == column[:-1]])
        start, length = runs(equal & moving)
        if not len(length):
            continue
        others = _share_without_longest(equal & moving, start, length, moving)
        allowed = max(FROZEN_SECONDS / recording.dt, np.log(CHANCE / len(column)) / np.log(min(others, 0.97)))
        if name in HELD_STILL:
            continue
        long = length > allowed
        if long.any() and not is_noisy(good):
            # Without noise a drive at rest in a bend repeats its values as well.
            stopped = _catches_up(column, start - 1, start + length)
            long &= stopped & ((start + length < len(column)) | (name not in KEPT))
        if not long.any():
            continue
        rows = np.concatenate(
            [np.arange(s - 1, s + n) for s, n in zip(start[long], length[long], strict=True)]
        )
        wrong = np.zeros(len(column), bool)
        wrong[rows] = True
        findings.append(
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
                mend=partial(cut, name=name, wrong=wrong),
                panels=around(recording, name, rows),
                **evidence(recording, rows),
            )
        )
    return findings


def _is_true(recording: Recording, name: str) -> bool:
    """Whether others say as well that a channel is constant."""
    value = float(np.nanmedian(recording.channels[name]))
    references = [
        other
        for relation in RELATIONS
        if relation.name == name and relation.means and not relation.ratio
        for _, other in pairs_of(recording, relation)[0]
    ]
    if not references:
        return False
    others = np.concatenate(references)
    difference = float(np.quantile(np.abs(others - value), 0.9))
    return difference < max(SAME * abs(value), 3.0 * noise_of(others), 1e-3)


def _catches_up(column: Column, first: np.ndarray, after: np.ndarray) -> Bool[np.ndarray, " _"]:
    """Whether a signal that stood still from ``first`` on jumps to where it would be, at ``after``.

    Where the recording ends before, whether it stopped on its way.
    """
    steps = np.abs(np.diff(column))
    least = ON_THE_WAY * resolution(column[np.isfinite(column)])
    stopped = np.zeros(len(first), bool)
    for k, (start, stop) in enumerate(zip(first, after, strict=True)):
        before, later = steps[max(start - AROUND, 0) : start], steps[stop : stop + AROUND]
        if stop < len(column):
            usual = np.nanmax(np.concatenate([before, later]), initial=0.0)
            stopped[k] = steps[stop - 1] > max(CATCHES_UP * usual, least)
        else:
            stopped[k] = len(before) > 0 and np.nanmedian(before) > least
    return stopped


def _share_without_longest(
    equal: Bool[np.ndarray, " _"], start: np.ndarray, length: np.ndarray, moving: Bool[np.ndarray, " _"]
) -> float:
    """How often a row repeats, without the runs in question (the longest twentieth of them)."""
    long = np.argsort(-length)[: max(1, len(length) // 20)]
    rest = max(int(moving.sum()) - int(length[long].sum()), 1)
    return max(float(equal.sum() - length[long].sum()) / rest, 1.0 / len(equal))
