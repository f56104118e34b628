"""The checks in their order, which reports each fault once.

One fault causes others: degrees for radians make a yaw rate disagree with the heading as well. So causes are
checked before effects, and each check reads the recording with the earlier findings repaired.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial

from pct.doctor import (
    bursts,
    circular,
    excitation,
    frames,
    glued_recordings,
    headings,
    lags,
    leaks,
    lost_signs,
    offsets,
    reference_point,
    resampling,
    scales,
    sensor_range,
    steering,
    time_stamps,
    time_unit,
    units_and_signs,
    values,
)
from pct.doctor.finding import SEVERITIES, Finding
from pct.doctor.raw_recording import Recording

# What cuts a recording at faults, in fixes and in maps.
CUT = 'faults = "cut"'

Check = Callable[[Recording], list[Finding]]

# Causes before effects.
CHECKS: tuple[Check, ...] = (
    time_unit.time_unit,
    time_stamps.time_resets,
    time_stamps.time_repeats,
    time_stamps.time_gaps,
    time_stamps.time_jitter,
    values.missing,
    values.spikes,
    sensor_range.quantised,
    sensor_range.clipped,
    sensor_range.saturated,
    values.frozen,
    glued_recordings.glued,
    resampling.held,
    resampling.interpolated,
    headings.headings,
    lost_signs.unsigned,
    frames.velocity_frame,
    circular.circular_yaw_rate,
    units_and_signs.units_and_signs,
    frames.heading_is_course,
    steering.steering_unit,
    steering.steering_sign,
    lags.lags,
    scales.clock,
    scales.mismatch,
    bursts.accelerations,
    bursts.pose_slips,
    offsets.offsets,
    reference_point.reference_point,
    units_and_signs.units_and_signs_of_rates,
    lags.lags_of_rates,
    steering.steering_delay,
    excitation.standstill,
    excitation.imbalance,
)


def examine(recording: Recording, model: str = "singletrack") -> list[Finding]:
    """All that is wrong with one recording, the worst first.

    Args:
        recording: as it stands in its file.
        model: name of the model that is to be trained, for what it needs.
    """
    findings: list[Finding] = []
    where = recording.where
    checks: tuple[Check, ...] = (*CHECKS, partial(excitation.excitation, model=model))
    for check in checks:
        for finding in check(recording):
            findings.append(dataclasses.replace(_not_set_yet(finding, recording), where=where))
            if finding.mend is not None:
                recording = finding.mend(recording)
    return sorted(findings, key=lambda finding: -SEVERITIES.index(finding.severity))


def _not_set_yet(finding: Finding, recording: Recording) -> Finding:
    """A finding without the advice that its map follows already."""
    if not (recording.cuts and CUT in finding.fix):
        return finding
    lines = {key: value for key, value in finding.lines.items() if key != "faults"}
    return dataclasses.replace(finding, lines=lines, fix=f"the map has {CUT}: an import cuts or bridges it")


def examine_all(
    folders: Sequence[Sequence[Recording]], model: str = "singletrack"
) -> list[tuple[Recording, list[Finding]]]:
    """Each recording of several folders, and what they share that they should not."""
    recordings = [recording for folder in folders for recording in folder]
    shared = leaks.leaks(folders)
    # What the checks work out about a recording goes with the copy that they look at.
    copies = map(dataclasses.replace, recordings)
    return [(r, shared.get(id(r), []) + examine(c, model)) for r, c in zip(recordings, copies, strict=True)]
