"""Rates that are off by a constant from what the pose and the speed show: a gyro's bias, a tilted sensor."""

from __future__ import annotations

from operator import methodcaller

import numpy as np

from pct.doctor.comparison import COHERENT, comparisons
from pct.doctor.finding import Finding, confidence, evidence
from pct.doctor.raw_recording import Recording
from pct.doctor.statistics import TRIM, Agreement, Pair, effective_rows
from pct.doctor.units_and_signs import ROWS, both_sides
from pct.dynamics.channels import known_channels
from pct.recordings.relations import Relation

# Channels whose zero is that of the motion, and an offset that spoils a fit: as a share of what the channel
# does (its standard deviation), and in its unit.
OFFSETS = {"psi_dot": 0.02, "ax": 0.4, "ay": 0.4}
SHARE = 0.1
DEVIATIONS = 6.0
# Ratios beyond this are another fault.
RATIO = 1.6


def offsets(recording: Recording) -> list[Finding]:
    """A channel that is what others say of it, with its ratio, and a constant."""
    findings: list[Finding] = []
    for name in OFFSETS:
        found = [_offset(recording, *compared) for compared in comparisons(recording, (name,))]
        for finding in [finding for finding in found if finding is not None][:1]:
            findings.append(finding)
            assert finding.mend is not None
            # The yaw rate is what the sideways acceleration is compared with.
            recording = finding.mend(recording)
    return findings


def _offset(recording: Recording, relation: Relation, agreed: Agreement, pairs: list[Pair]) -> Finding | None:
    """The finding, where a constant is beyond its error and beyond what a fit forgives."""
    name, unit = relation.name, known_channels()[relation.name].unit
    if agreed.rows < ROWS or agreed.correlation < COHERENT or not 1 / RATIO < agreed.gain < RATIO:
        return None
    a, b = (np.concatenate(side) for side in zip(*pairs, strict=True))
    apart = a - agreed.gain * b
    offset = float(np.median(apart))
    inside = apart[np.abs(apart - offset) < TRIM * max(float(np.median(np.abs(apart - offset))), 1e-12)]
    if len(inside) < ROWS:
        return None
    error = float(inside.std()) / np.sqrt(max(min(effective_rows(inside), agreed.rows), 1.0))
    # The gain's own error moves the line at the mean of the drive.
    error = float(np.hypot(error, agreed.gain * agreed.gain_error * abs(float(b.mean()))))
    least = max(OFFSETS[name], SHARE * float(a.std()))
    if abs(offset) < least + DEVIATIONS * error:
        return None
    return Finding(
        check="offset",
        severity="warning",
        message=(
            f"{recording.called(name)} is {agreed.gain:.3f} times {relation.means} plus "
            f"{offset:.3g} ± {error:.1g} {unit}"
        ),
        channels=(name,),
        confidence=confidence(abs(offset), least + DEVIATIONS * error),
        fix=(
            f"calibrate its zero, in {unit} by {-offset:.3g} (offset under [channels.{name}]); "
            "or fit it (`bias`)"
        ),
        mend=methodcaller("shifted", name, -offset),
        panels=both_sides(recording, relation, pairs, unit),
        **evidence(recording, np.array([0, len(recording) - 1])),
    )
