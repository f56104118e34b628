"""What of a run acts between a command and the vehicle: lags, delays, the steering's ratio and offset.

They are part of the car for whoever drives it by commands; some targets have a place for them.
"""

from __future__ import annotations

from pct.export.source import Source


def steering_lag(source: Source) -> float | None:
    """Time constant in s of the steering behind its command; None where none was fitted."""
    return _first(source, "tau_delta_acting", "tau_delta_dot_acting")


def steering_delay(source: Source) -> float | None:
    """Dead time of the steering command in s; None where none was fitted."""
    return _first(source, "delay_delta", "delay_delta_dot")


def drive_lag(source: Source) -> float | None:
    """Time constant in s of the drive behind its command; None where none was fitted."""
    return _first(source, "tau_drive_acting", "tau_accel_acting", "tau_throttle_acting")


def drive_delay(source: Source) -> float | None:
    """Dead time of the drive command in s; None where none was fitted."""
    return _first(source, "delay_drive", "delay_accel", "delay_throttle")


def unsaid_actuators(source: Source, *, lag: bool = False, delay: bool = False) -> list[str]:
    """Lags and delays that a target has no place for, those of the tyres' forces included, one line each.

    Args:
        source: the car.
        lag, delay: whether the target has a place for those of the steering.
    """
    found = [
        ("lag of the steering", None if lag else steering_lag(source)),
        ("delay of the steering", None if delay else steering_delay(source)),
        ("lag of the drive", drive_lag(source)),
        ("delay of the drive", drive_delay(source)),
    ]
    length = _first(source, "relaxation_length")
    tyres = [] if length is None else [f"a relaxation length of the tyres of {length:.3g} m"]
    return [*(f"a {what} of {value:.3g} s" for what, value in found if value), *tyres]


def _first(source: Source, *names: str) -> float | None:
    return next((source.measured[name] for name in names if name in source.measured), None)
