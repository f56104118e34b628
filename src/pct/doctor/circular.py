"""A yaw rate that was computed from the steering and the speed, and never measured."""

from __future__ import annotations

import numpy as np

from pct.doctor.finding import Finding, Panel, confidence, evidence
from pct.doctor.raw_recording import Piece, Recording
from pct.doctor.single_channel import NOISE_NEIGHBOURS
from pct.doctor.statistics import Pair, inner

# How well a formula explains what two sensors cannot share: their noise.
SHARED_NOISE = 0.9
EXACT = 1e-6
# How much later than its inputs a computed yaw rate may be logged, in s.
LATEST = 0.1
# Rows that are tried: at 10 kHz all of that time.
MOST_LATE = 1000


def circular_yaw_rate(recording: Recording) -> list[Finding]:
    """A yaw rate that was computed from speed and steering angle, so that tyres cannot be learned from it.

    The fast part of two sensors is their noise, which they do not share. Where the fast part of the yaw rate
    follows that of v·tan(delta) as well, it was computed from it.
    """
    if not recording.has("psi_dot", "delta") or not (recording.has("v") or recording.has("vx")):
        return []
    best: tuple[float, float, int] | None = None
    for k in range(min(recording.rows_of(LATEST, least=2), MOST_LATE) + 1):
        whole, fast = _formula(recording, k)
        if best is None or fast > best[1]:
            best = (whole, fast, k)
    assert best is not None
    whole, fast, late = best
    # Smooth signals agree in their fast part as well where the car does: then only an exact formula counts.
    shared = fast > SHARED_NOISE and whole > 0.98 if _noisy(recording) else 1 - whole**2 < EXACT
    if not shared:
        return []
    sides = [row for piece in recording.pieces if (row := _formula_sides(piece)) is not None]
    computed, psi_dot = (np.concatenate(column) for column in zip(*sides, strict=True))
    wheelbase = inner(computed, computed) / max(abs(inner(computed, psi_dot)), 1e-12)
    return [
        Finding(
            check="circular_yaw_rate",
            severity="error",
            message=(
                f"{recording.called('psi_dot')} is v·tan(delta)/{wheelbase:.3g} m"
                f"{f', {late * recording.dt:.3g} s later' if late else ''}: it even shares its noise "
                f"(correlation {fast:.4f} row by row); it was computed from the steering, not measured"
            ),
            channels=("psi_dot",),
            confidence=confidence(fast / (1 - min(fast, 0.9999)), SHARED_NOISE / (1 - SHARED_NOISE)),
            fix="leave it out: psi_dot = false under [channels]; it is derived from the heading",
            mend=lambda r: r.without("psi_dot"),
            panels=(
                Panel("v·tan(delta) [m/s]", "psi_dot [rad/s]", {"rows": (computed, psi_dot)}, points=True),
            ),
            **evidence(recording, np.array([0, len(recording) - 1])),
        )
    ]


def _formula_sides(piece: Piece) -> Pair | None:
    v = piece.columns.get("vx", piece.columns.get("v"))
    delta, psi_dot = piece.columns.get("delta"), piece.columns.get("psi_dot")
    if v is None or delta is None or psi_dot is None:
        return None
    return v * np.tan(np.clip(delta, -1.4, 1.4)), psi_dot


def _formula(recording: Recording, late: int) -> tuple[float, float]:
    """Correlation of the yaw rate with the formula, and that of their second differences."""
    whole, fast = [], []
    for piece in recording.pieces:
        sides = _formula_sides(piece)
        if sides is None or len(piece) < late + 60:
            continue
        computed, psi_dot = sides
        stop = len(computed) - late
        whole.append((computed[:stop], psi_dot[late:]))
        fast.append((np.diff(computed[:stop], 2), np.diff(psi_dot[late:], 2)))
    if not whole:
        return 0.0, 0.0
    return _likeness(whole), _likeness(fast)


def _noisy(recording: Recording) -> bool:
    """Whether noise dominates the fast part of the formula.

    Neighbouring second differences of white noise have a correlation of -2/3, those of a smooth signal
    one near 1.
    """
    sides = [pair for piece in recording.pieces if (pair := _formula_sides(piece)) is not None]
    fast = [np.diff(computed, 2) for computed, _ in sides]
    return _likeness([(column[1:], column[:-1]) for column in fast]) < NOISE_NEIGHBOURS


def _likeness(pairs: list[Pair]) -> float:
    if not pairs:
        return 0.0
    a, b = (np.concatenate(side) for side in zip(*pairs, strict=True))
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt(inner(a, a) * inner(b, b)))
    return inner(a, b) / size if size > 1e-12 else 0.0
