"""Sensors that lag behind what the pose shows."""

from __future__ import annotations

import numpy as np

from pct.doctor.comparison import (
    COHERENT,
    RATES,
    VELOCITIES,
    comparisons,
    pair_step,
)
from pct.doctor.finding import Finding, confidence, evidence
from pct.doctor.raw_recording import Recording
from pct.doctor.statistics import (
    Agreement,
    Pair,
    improvement,
    time_constant,
)
from pct.doctor.units_and_signs import DECISIVE, ROWS, both_sides
from pct.dynamics.channels import known_channels
from pct.recordings.relations import Relation

# A lag below these, in steps and seconds, is when within a step the value was taken.
LAG_STEPS = 1.0
LAG_SECONDS = 0.03
LAG_DEVIATIONS = 5.0


def lags(recording: Recording) -> list[Finding]:
    """Speed and yaw rate that come late, by a delay or a low-pass."""
    return _lags(recording, VELOCITIES)


def lags_of_rates(recording: Recording) -> list[Finding]:
    """Accelerations and the steering rate that come late.

    Runs once the velocities are right that they are compared with.
    """
    return _lags(recording, RATES)


def _lags(recording: Recording, names: tuple[str, ...]) -> list[Finding]:
    findings: list[Finding] = []
    late: set[str] = set()
    for relation, agreed, pairs in comparisons(recording, names):
        if relation.name in late or agreed.rows < ROWS or agreed.correlation < COHERENT:
            continue
        gained = improvement(1 - agreed.correlation_now**2, 1 - agreed.correlation**2, agreed.rows)
        least = max(LAG_STEPS * recording.dt, LAG_SECONDS)
        error = max(agreed.lag_error, 1e-6)
        if gained < DECISIVE or abs(agreed.lag) < least + LAG_DEVIATIONS * error:
            continue
        late.add(relation.name)
        findings.append(_lag_fault(recording, relation, agreed, pairs))
    return findings


def _lag_fault(recording: Recording, relation: Relation, agreed: Agreement, pairs: list[Pair]) -> Finding:
    name, lag = relation.name, agreed.lag
    dt = pair_step(recording) * recording.dt
    constant = time_constant(pairs, dt, agreed, DECISIVE) if lag > 0 else 0.0
    form = (
        f"as a low-pass with a time constant of {constant:.2g} s does" if constant else "as a pure delay does"
    )
    direction = "behind" if lag > 0 else "ahead of"
    unit = known_channels()[name].unit
    group = {"vx": ("vx", "vy"), "v": ("v", "beta")}.get(name, (name,))
    moved = tuple(other for other in group if recording.has(other))
    delay = {f"channels.{other}.delay": round(recording.delays.get(other, 0.0) + lag, 3) for other in moved}
    return Finding(
        check="lag",
        severity="warning",
        message=(
            f"{recording.called(name)} is {abs(lag):.3f} ± {agreed.lag_error:.3f} s {direction} "
            f"{relation.means}, {form} "
            f"(correlation {agreed.correlation_now:.3f}, and {agreed.correlation:.3f} without the lag)"
        ),
        channels=moved,
        confidence=confidence(abs(lag) / max(agreed.lag_error, 1e-6), LAG_DEVIATIONS),
        fix="; ".join(f"[{key.rpartition('.')[0]}] delay = {value}" for key, value in delay.items()),
        lines=delay,
        mend=lambda r: r.sharpened(moved, constant) if constant else r.sooner(dict.fromkeys(moved, lag)),
        panels=both_sides(recording, relation, pairs, unit, lag),
        **evidence(recording, np.array([0, len(recording) - 1])),
    )
