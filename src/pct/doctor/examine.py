"""The checks in their order, and how one fault is kept from being told twice.

Faults explain one another: degrees for radians make a yaw rate disagree with the heading as well. So the
checks go from the root to the leaves, and each looks at the recording that the findings before it have
mended.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial

from pct.doctor import (
    circular,
    clock,
    excitation,
    frames,
    lags,
    lever_arm,
    ranges,
    resampling,
    scales,
    seams,
    splits,
    units,
    values,
)
from pct.doctor.finding import SEVERITIES, Finding
from pct.doctor.recording import Recording

Check = Callable[[Recording], list[Finding]]

# From the root to the leaves.
CHECKS: tuple[Check, ...] = (
    clock.time_resets,
    clock.time_repeats,
    clock.time_gaps,
    clock.time_jitter,
    values.missing,
    values.spikes,
    ranges.quantised,
    ranges.clipped,
    values.frozen,
    seams.glued,
    resampling.held,
    resampling.interpolated,
    frames.headings,
    frames.velocity_frame,
    circular.circular_yaw_rate,
    units.units_and_signs,
    frames.heading_is_course,
    units.steering_unit,
    units.steering_sign,
    lags.lags,
    scales.clock,
    scales.mismatch,
    lever_arm.reference_point,
    units.units_and_signs_of_rates,
    lags.lags_of_rates,
    units.steering_delay,
    excitation.standstill,
    excitation.imbalance,
)


def examine(recording: Recording, model: str = "singletrack") -> list[Finding]:
    """All that is wrong with one recording, the worst first.

    Args:
        recording: as it stands in its file.
        model: name of the model that is to be trained, for what it needs.
    """
    found: list[Finding] = []
    where = recording.where
    checks: tuple[Check, ...] = (*CHECKS, partial(excitation.excitation, model=model))
    for check in checks:
        for finding in check(recording):
            found.append(dataclasses.replace(finding, where=where))
            if finding.mend is not None:
                recording = finding.mend(recording)
    return sorted(found, key=lambda finding: -SEVERITIES.index(finding.severity))


def examine_all(
    folders: Sequence[Sequence[Recording]], model: str = "singletrack"
) -> list[tuple[Recording, list[Finding]]]:
    """Each recording of several folders, and what they share that they should not."""
    recordings = [recording for folder in folders for recording in folder]
    shared = splits.leaks(folders)
    return [(r, shared.get(id(r), []) + examine(r, model)) for r in recordings]
