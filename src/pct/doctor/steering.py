"""Checks of the steering angle beside the yaw rate: its unit, its sign, and how late the vehicle answers."""

from __future__ import annotations

import numpy as np

from pct.doctor.comparison import STEERING, compare
from pct.doctor.finding import Finding, confidence, evidence
from pct.doctor.raw_recording import Recording
from pct.doctor.statistics import DECISIVE, Column, improvement
from pct.doctor.units_and_signs import CORRELATION, ROWS, both_sides, sign_fault
from pct.mapping.names import is_steering_wheel
from pct.recordings.relations import WHEELBASES
from pct.recordings.witnesses import is_vehicle

# A road wheel turns no further, in rad; of a log in degrees the usual angles are beyond it.
STEEPEST = 1.1


def steering_unit(recording: Recording) -> list[Finding]:
    """A steering angle beyond what a road wheel turns, or one that makes an impossible wheelbase."""
    if not recording.has("delta"):
        return []
    column = recording.channels["delta"]
    known = np.abs(column[np.isfinite(column)])
    if not len(known):
        return []
    usual = float(np.quantile(known, 0.9))
    length = wheelbase(recording)
    steep = usual > STEEPEST
    speed = _fast(recording)
    odd = length is not None and not is_vehicle(abs(length), speed)
    if not (steep or odd):
        return _ratio(recording, length)
    implied = (
        "" if length is None else f"; with yaw rate and speed it makes a wheelbase of {abs(length):.3g} m"
    )
    if length is not None and odd:
        implied += f", which no vehicle at {speed:.3g} m/s has"
    declared = recording.sources.get("delta", ("", ""))[1]
    as_degrees = length is not None and is_vehicle(abs(length) * np.pi / 180, speed)
    wheel = is_steering_wheel(recording.sources.get("delta", ("", ""))[0])
    if declared.startswith("deg") or wheel or (length is not None and not as_degrees):
        return [_steering_wheel(recording, column, usual, implied, length)]
    return [
        Finding(
            check="unit",
            severity="error",
            message=(
                f"{recording.called('delta')} is beyond {usual:.3g} rad in a tenth of the rows{implied}: "
                "degrees, or the angle of the steering wheel"
            ),
            channels=("delta",),
            confidence=confidence(usual / STEEPEST if steep else abs(length or 0.0) / WHEELBASES[1], 1.0),
            fix='[channels.delta] unit = "deg"',
            lines={"channels.delta.unit": "deg"},
            mend=lambda r: r.scaled({"delta": np.pi / 180}),
            **evidence(recording, np.flatnonzero(np.abs(column) >= usual)),
        )
    ]


def _steering_wheel(
    recording: Recording, column: Column, usual: float, implied: str, length: float | None
) -> Finding:
    """An angle that is none of road wheels, in its unit or in degrees."""
    unit = "deg" if recording.sources.get("delta", ("", ""))[1].startswith("deg") else "rad"
    odd = length is not None and abs(length) > WHEELBASES[1]
    ratio = f"{abs(length):.3g} over the wheelbase in m" if odd and length is not None else "such as 15"
    other = "rad" if unit == "deg" else "deg"
    return Finding(
        check="unit",
        severity="error",
        message=(
            f"{recording.called('delta')} is beyond {usual:.3g} rad in a tenth of the rows{implied}: the "
            f"angle of the steering wheel, a share of full lock, or no {unit}"
        ),
        channels=("delta",),
        confidence=confidence(abs(length) / WHEELBASES[1] if odd and length else usual / STEEPEST, 1.0),
        fix=f'[channels.delta] unit = "{unit}/R", R the ratio of the steering, {ratio}; or unit = "{other}"',
        mend=lambda r: r.without("delta"),
        **evidence(recording, np.flatnonzero(np.abs(column) >= usual)),
    )


def _ratio(recording: Recording, length: float | None) -> list[Finding]:
    """What the ratio of a steering wheel, or full lock, is by the map: nobody can see whether it is right."""
    name, unit = recording.sources.get("delta", ("", ""))
    if not is_steering_wheel(name):
        return []
    makes = "" if length is None else f", which makes a wheelbase of {abs(length):.3g} m"
    return [
        Finding(
            check="unit",
            severity="info",
            message=(
                f"{recording.called('delta')} is named a steering wheel; the map takes {unit or 'rad'} "
                f"for the road wheels{makes}"
            ),
            channels=("delta",),
            confidence=1.0,
            fix='write the ratio of your steering: [channels.delta] unit = "rad/15" for 15',
            **evidence(recording, np.array([0, len(recording) - 1])),
        )
    ]


def _fast(recording: Recording) -> float:
    """A speed that is reached often, in m/s; 0 where none is logged or derived."""
    speeds = [np.abs(v) for piece in recording.pieces if (v := piece.get("v")) is not None]
    return float(np.quantile(np.concatenate(speeds), 0.95)) if speeds else 0.0


def wheelbase(recording: Recording) -> float | None:
    """The wheelbase that delta·v over the yaw rate implies, in m, or None where they do not agree."""
    compared = compare(recording, STEERING)
    agreed = compared and compared[0]
    if agreed is None or agreed.rows < ROWS or abs(agreed.correlation) < CORRELATION:
        return None
    return agreed.gain


def steering_delay(recording: Recording) -> list[Finding]:
    """How long the vehicle takes to answer its steering: longer where the angle is a command."""
    compared = compare(recording, STEERING)
    if compared is None:
        return []
    agreed, pairs = compared
    late = -agreed.lag
    if agreed.rows < ROWS or agreed.correlation < 0.8 or late < 0.05 + 3 * agreed.lag_error:
        return []
    return [
        Finding(
            check="steering_delay",
            severity="info",
            message=(
                f"the yaw rate follows {recording.called('delta')} {late:.3f} ± {agreed.lag_error:.3f} s "
                f"later (correlation {agreed.correlation:.3f}): tyres and inertia take part of it, a "
                "servo the rest where the angle is a command"
            ),
            channels=("delta",),
            confidence=confidence(late / max(agreed.lag_error, 1e-6), 3.0),
            fix=f'if it is a command: [channels.delta] origin = "command", delay = {-late:.2f} or less',
            panels=both_sides(recording, STEERING, pairs, "rad·m/s", agreed.lag),
            **evidence(recording, np.array([0, len(recording) - 1])),
        )
    ]


def steering_sign(recording: Recording) -> list[Finding]:
    """Steering to the left that turns the vehicle right."""
    compared = compare(recording, STEERING)
    if compared is None:
        return []
    agreed, pairs = compared
    if agreed.rows < ROWS or agreed.correlation > -0.6 or agreed.correlation_now > -CORRELATION:
        return []
    if improvement(1.0, 1.0 - agreed.correlation**2, agreed.rows) < DECISIVE:
        return []
    return [sign_fault(recording, STEERING, agreed, pairs)]
