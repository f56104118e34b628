"""Checks of what a drive can teach: standstill, one-sided turning, too little happening."""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np

from pct.doctor.finding import Finding, Panel, confidence, evidence
from pct.doctor.raw_recording import Recording
from pct.doctor.statistics import Column, noise_of
from pct.dynamics.core import ModelSpec
from pct.dynamics.registry import get_model
from pct.dynamics.roles import ROLES, showing

# Accelerations are taken over this time in s.
SMOOTHED = 0.2
# Standing, as a share of the rows.
STANDING = 0.5
# Slower than this, in m/s and as a share of the usual speed, is standing.
WALK, SLOW = 0.05, 0.02
# The rarer direction's share of all turning.
RARER = 0.05
# Lateral acceleration, in m/s^2, that loads a tyre measurably: a twentieth of what dry asphalt gives.
LOADED = 0.5
# Tyres bend beyond about 0.4 g: what models with a peak need.
BENT = 4.0
# Speeds that differ by less than this share do not separate what grows with speed.
SPEEDS = 0.1
# Roles of parameters that show by tyres that slip, by the shape of their curve, and by how the motion changes
# with the speed.
SLIP = frozenset(name for name, role in ROLES.items() if role.slip)
LIMIT = frozenset(name for name, role in ROLES.items() if role.limit)
WITH_SPEED = frozenset(name for name, role in ROLES.items() if role.speeds)


def standstill(recording: Recording) -> list[Finding]:
    """A vehicle that stands most of the time."""
    speed = _speed(recording)
    if speed is None:
        return []
    usual = float(np.quantile(speed, 0.95))
    still = speed < max(SLOW * usual, min(WALK, 0.2 * usual))
    share = float(still.mean())
    if share < 0.1 or usual <= 0:
        return []
    rows = np.flatnonzero(still)
    return [
        Finding(
            check="standstill",
            severity="warning" if share > STANDING else "info",
            message=f"the vehicle stands in {share:.0%} of the rows",
            channels=("v",),
            confidence=confidence(share, STANDING) if share > STANDING else 1.0,
            fix="leave these rows out: they hold no information and count as much as any other",
            panels=(Panel("row", "speed [m/s]", {"speed": (np.arange(len(speed), dtype=float), speed)}),),
            **evidence(recording, rows[rows < len(recording)]),
        )
    ]


def imbalance(recording: Recording) -> list[Finding]:
    """A vehicle that turns to one side only, which hides an offset of its steering."""
    turn = _joined(recording, "psi_dot")
    speed = _speed(recording)
    if turn is None or speed is None or len(speed) != len(turn):
        return []
    usual = float(np.quantile(np.abs(turn), 0.95))
    # Noise about zero is no turning.
    strong = np.abs(turn) > 0.3 * usual
    total = float(np.abs(turn[strong]).sum())
    if total <= 0 or usual * np.quantile(speed, 0.9) < LOADED:
        return []
    left = float(turn[strong & (turn > 0)].sum()) / total
    rarer = min(left, 1 - left)
    if rarer > RARER:
        return []
    side = "left" if left > 0.5 else "right"
    return [
        Finding(
            check="imbalance",
            severity="warning",
            message=f"{max(left, 1 - left):.1%} of the turning is to the {side}",
            channels=("psi_dot",),
            confidence=confidence(max(left, 1 - left), 1 - RARER),
            fix=(
                "drive as much to the other side: an offset of steering or sensors hides in a one-sided drive"
            ),
            panels=(_histogram("yaw rate [rad/s]", turn),),
            **evidence(recording, np.array([0, len(recording) - 1])),
        )
    ]


def excitation(recording: Recording, model: str = "singletrack") -> list[Finding]:
    """A drive too gentle for the parameters of a model."""
    spec = get_model(model)
    turn, speed = _joined(recording, "psi_dot"), _speed(recording)
    if turn is None or speed is None or len(speed) != len(turn):
        return []
    moving = speed > 0.3 * np.quantile(speed, 0.95)
    if moving.sum() < 30 or np.quantile(speed, 0.95) < WALK:
        return []
    rows = recording.rows_of(SMOOTHED)
    lateral = np.abs(_smoothed(turn, rows) * speed)[moving]
    # Of a gyro at high speed the noise alone looks like an acceleration; it adds in squares.
    noise = noise_of(turn) / math.sqrt(rows) * float(np.median(speed[moving]))
    high = math.sqrt(max(float(np.quantile(lateral, 0.95)) ** 2 - (2.0 * noise) ** 2, 0.0))
    low, middle, top = np.quantile(speed[moving], [0.05, 0.5, 0.95])
    speeds = float((top - low) / max(middle, 1e-9))
    findings = []
    common = evidence(recording, np.array([0, len(recording) - 1]))
    if high < LOADED:
        findings.append(
            Finding(
                check="excitation",
                severity="warning",
                message=(
                    f"the lateral acceleration stays below {high:.2g} m/s^2 in 95 % of the moving rows: "
                    f"the tyres hardly slip, so it cannot identify {_parameters(spec, SLIP)} of '{model}'"
                ),
                channels=("psi_dot", "v"),
                confidence=confidence(LOADED, high),
                fix="drive curves near the grip at several speeds; or hold these parameters",
                panels=(_histogram("lateral acceleration [m/s²]", lateral),),
                **common,
            )
        )
    elif showing(spec, {"shape"}, learned=False) and high < BENT:
        findings.append(
            Finding(
                check="excitation",
                severity="info",
                message=(
                    f"the lateral acceleration stays below {high:.2g} m/s^2 in 95 % of the moving rows: "
                    f"{_parameters(spec, LIMIT)} of '{model}' show beyond {BENT:g} only"
                ),
                channels=("psi_dot", "v"),
                confidence=confidence(BENT, high),
                fix="drive nearer to the grip, or hold the shape of the tyre",
                panels=(_histogram("lateral acceleration [m/s²]", lateral),),
                **common,
            )
        )
    if speeds < SPEEDS:
        findings.append(
            Finding(
                check="excitation_speed",
                severity="info",
                message=(
                    f"nine tenths of the drive are within {speeds:.0%} of one speed, {middle:.3g} m/s: it "
                    f"hardly identifies {_parameters(spec, WITH_SPEED)} of '{model}'"
                ),
                channels=("v",),
                confidence=confidence(SPEEDS, speeds),
                fix="drive at several speeds: stiffness, inertia and drag show by how they change with it",
                panels=(_histogram("speed [m/s]", speed),),
                **common,
            )
        )
    return findings


def _parameters(spec: ModelSpec, roles: Collection[str]) -> str:
    """The learned parameters of a model that have one of these roles."""
    return ", ".join(showing(spec, roles)) or "what tyres and inertia do"


def _joined(recording: Recording, name: str) -> Column | None:
    columns = [piece.get(name) for piece in recording.pieces]
    if not columns or any(column is None for column in columns):
        return None
    return np.concatenate([column for column in columns if column is not None])


def _speed(recording: Recording) -> Column | None:
    for name in ("v", "vx"):
        column = _joined(recording, name)
        if column is not None:
            return np.abs(column)
    return None


def _smoothed(values: Column, rows: int) -> Column:
    """Mean over so many rows about each; what lies beyond the ends counts as zero."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    last = np.arange(len(values)) + (rows + 1) // 2
    return (total[np.minimum(last, len(values))] - total[np.maximum(last - rows, 0)]) / rows


def _histogram(label: str, values: Column) -> Panel:
    counts, edges = np.histogram(values[np.isfinite(values)], 60)
    return Panel(label, "rows", {"rows": (0.5 * (edges[1:] + edges[:-1]), counts.astype(float))})
