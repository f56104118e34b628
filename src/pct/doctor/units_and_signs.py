"""Checks of units and signs: a factor that makes two readings agree.

A slope of a channel on what it is compared with is too small where the other side is noisy, and its inverse
too large where the channel is; the truth lies between the two whatever the noise. A unit is wrong only
where both of them are far from one.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from pct.doctor.comparison import (
    COMPARED,
    RATES,
    VELOCITIES,
    compare,
    pair_step,
)
from pct.doctor.finding import Finding, Panel, confidence, evidence
from pct.doctor.raw_recording import Recording
from pct.doctor.statistics import (
    DECISIVE,
    Agreement,
    Column,
    Pair,
    improvement,
)
from pct.dynamics.channels import known_channels
from pct.logs.units import USUAL_UNITS
from pct.recordings.relations import Relation

# Two readings of one quantity differ by no more than this by calibration, tyres or slip.
CALIBRATION = 1.6
# A usual unit explains a factor this near to its own.
NEAR = 0.08
NEAR_ACCELERATION = 0.3
# Another constant factor is one where it is beyond what a slow sensor takes from a signal.
ODD_FACTOR = 3.0
# Independent rows, and correlation, that a verdict needs.
ROWS = 8.0
CORRELATION = 0.5

# Units beside those that a map may name often.
MORE_UNITS = {"m/s": {"knot": 3600 / 1852}, "rad/s": {"rev/s": 1 / (2 * np.pi)}}


def units_and_signs(recording: Recording) -> list[Finding]:
    """Velocities that follow what they are compared with by a constant factor or with the wrong sign."""
    return _units_and_signs(recording, VELOCITIES)


def units_and_signs_of_rates(recording: Recording) -> list[Finding]:
    """The same of accelerations and the steering rate.

    Runs once the velocities are right that they are compared with.
    """
    return _units_and_signs(recording, RATES)


def _units_and_signs(recording: Recording, names: Collection[str]) -> list[Finding]:
    findings: list[Finding] = []
    blamed: set[str] = set()
    for relation in COMPARED:
        if relation.name in blamed or relation.name not in names:
            continue
        compared = compare(recording, relation)
        if compared is None:
            continue
        agreed, pairs = compared
        if agreed.rows < ROWS or abs(agreed.correlation) < CORRELATION:
            continue
        low, high = sorted((abs(agreed.low), abs(agreed.high)))
        signed = agreed.gain < 0 and relation.signed
        if signed and improvement(1.0, 1.0 - agreed.correlation**2, agreed.rows) < DECISIVE:
            continue
        if signed and agreed.lag != 0.0 and agreed.correlation_now > -CORRELATION:
            # Half a period late looks like a wrong sign; only a plain one is.
            continue
        wrong_unit = high < 1 / CALIBRATION or low > CALIBRATION
        if wrong_unit:
            unit = _unit_fault(recording, relation, agreed, pairs)
            if unit is None:
                continue
            findings.append(unit)
            blamed.update(unit.channels)
            assert unit.mend is not None
            recording = unit.mend(recording)
        if signed:
            sign = sign_fault(recording, relation, agreed, pairs)
            findings.append(sign)
            blamed.add(relation.name)
            assert sign.mend is not None
            recording = sign.mend(recording)
    return findings


def _unit_fault(
    recording: Recording, relation: Relation, agreed: Agreement, pairs: list[Pair]
) -> Finding | None:
    gain, channels = abs(agreed.gain), known_channels()
    blamed: tuple[str, ...] = (relation.name,)
    unit, factor = "", gain
    options = [(blamed, channels[relation.name].unit, gain)]
    if relation.suspects:
        options.append((relation.suspects, channels[relation.suspects[0]].unit, 1 / gain))
    for names, of, ratio in options:
        declared = recording.sources.get(names[0], ("", ""))[1]
        known = {of: 1.0, **USUAL_UNITS.get(of, {}), **MORE_UNITS.get(of, {})}
        raw = ratio * known.get(declared, 1.0)
        # An accelerometer shows part of the weight as well, as the body rolls and pitches.
        close = NEAR_ACCELERATION if of == "m/s^2" else NEAR
        near = [u for u, f in known.items() if abs(np.log(raw / f)) < close and u != (declared or of)]
        if near:
            blamed, factor = names, ratio
            unit = min(near, key=lambda u: abs(np.log(raw / known[u])))
            factor = known[unit] / known.get(declared, 1.0)
            break
    if not unit and abs(np.log(gain)) < np.log(ODD_FACTOR):
        return None
    si = channels[blamed[0]].unit
    if unit:
        what, fix = f"it is in {unit}", unit
    else:
        what, fix = "no usual unit: revolutions of a motor or wheel, or a raw count", f"{si}/{factor:.4g}"
    means = relation.means if blamed == (relation.name,) else relation.quantity
    return Finding(
        check="unit",
        severity="error",
        message=(
            f"{' and '.join(map(recording.called, blamed))} {'are' if len(blamed) > 1 else 'is'} "
            f"{factor:.4g} times what {means} says (correlation {abs(agreed.correlation):.3f}): {what}"
        ),
        channels=blamed,
        confidence=confidence(abs(np.log(gain)), np.log(CALIBRATION)),
        fix="; ".join(f'[channels.{name}] unit = "{fix}"' for name in blamed),
        lines={f"channels.{name}.unit": fix for name in blamed},
        mend=lambda r: r.scaled(dict.fromkeys(blamed, 1 / factor)),
        panels=both_sides(recording, relation, pairs, si),
        **evidence(recording, np.array([0, len(recording) - 1])),
    )


def sign_fault(recording: Recording, relation: Relation, agreed: Agreement, pairs: list[Pair]) -> Finding:
    """A channel with the wrong sign."""
    name = relation.name
    return Finding(
        check="sign",
        severity="error",
        message=(
            f"{recording.called(name)} has the wrong sign: its correlation with {relation.means} is "
            f"{agreed.correlation:.3f}"
        ),
        channels=(name,),
        confidence=confidence(abs(agreed.correlation), CORRELATION),
        fix=f"[channels.{name}] sign = -1",
        lines={f"channels.{name}.sign": -1},
        mend=lambda r: r.scaled({name: -1.0}),
        panels=both_sides(recording, relation, pairs, known_channels()[name].unit),
        **evidence(recording, np.array([0, len(recording) - 1])),
    )


def both_sides(
    recording: Recording, relation: Relation, pairs: list[Pair], unit: str, lag: float = 0.0
) -> tuple[Panel, ...]:
    """Channel and reference against time, and against each other."""
    a, b = pairs[int(np.argmax([len(a) for a, _ in pairs]))]
    near = _busiest(b, max(1, recording.rows_of(15.0) // pair_step(recording)))
    seconds = np.arange(len(a))[near] * recording.dt * pair_step(recording)
    label = f"{relation.name} [{unit}]" if unit else relation.name
    curves = {"logged": (seconds, a[near]), relation.means: (seconds, b[near])}
    if lag:
        curves[f"logged, {lag:.3g} s sooner"] = (seconds - lag, a[near])
    return (
        Panel("time of the piece [s]", label, curves),
        Panel(f"{relation.means} [SI]", label, {"rows": (b, a)}, points=True),
    )


def _busiest(values: Column, rows: int) -> slice:
    """The stretch of so many rows in which a signal moves most."""
    if len(values) <= rows:
        return slice(0, len(values))
    total = np.concatenate([[0.0], np.cumsum((values - values.mean()) ** 2)])
    start = int(np.argmax(total[rows:] - total[:-rows]))
    return slice(start, start + rows)
