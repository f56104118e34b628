"""A car with linear tyres from one with others: what the targets of the linear single-track model can say."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np

from pct.dynamics.core import MODEL_SPECS
from pct.dynamics.singletrack_pacejka import drive_force
from pct.errors import UsageError
from pct.export.actuators import unsaid_actuators
from pct.export.motion import Rows, grip_of, slip_angles, static_loads
from pct.export.parameters import IDENTIFIED, REFITTED
from pct.export.source import Source

LINEAR = "singletrack"
TYRED = (LINEAR, "singletrack-pacejka", "singletrack-drift")
"""Models that are a single track with tyres, and nothing else."""
# No car of ours is faster, in m/s.
FASTEST = 120.0
# Slips below this tell nothing of a slope, in rad.
LEAST_SLIP = 1e-3


def linear_reasons(source: Source) -> list[str]:
    """Why a target with linear tyres cannot say a car, one line each."""
    reasons = []
    if source.spec.name != LINEAR:
        # Says so where nothing is near.
        _require_tyres(source)
        reasons.append(f"its tyres are linear, those of {source.spec.name} are not")
    return [*reasons, *unsaid_actuators(source)]


def as_linear(source: Source, rows: Rows) -> tuple[Source, list[str]]:
    """The car with the linear tyres that are nearest over the slip angles of some rows, and what is lost.

    Friction is that of the source, so that the stiffness over it is the reader's; lags and delays are
    dropped.

    Raises:
        UsageError: the model has no tyres.
    """
    lost = [f"{what} is left out" for what in unsaid_actuators(source)]
    if source.spec.name == LINEAR:
        return dataclasses.replace(source, measured={}), lost
    _require_tyres(source)
    side_force = source.spec.side_force
    assert side_force is not None
    spec, p = MODEL_SPECS[LINEAR], source.values
    values, mu = dict(spec.default_params), grip_of(source)
    kept = [row.name for row in spec.parameters if row.name in p]
    values.update({name: p[name] for name in kept}, mu=mu)
    for axle, load, key in zip(("front", "rear"), static_loads(source), ("C_Sf", "C_Sr"), strict=True):
        slip = slip_angles(source, rows.x)[axle]
        large = np.abs(slip) > LEAST_SLIP
        slip = slip[large] if large.any() else np.array([LEAST_SLIP])
        force = np.asarray(side_force(axle, slip, SimpleNamespace(**p), np))
        slope = float(slip @ force / (slip @ slip))
        values[key] = slope / (mu * load)
        off = np.abs(slope * slip - force)
        peak = float(np.abs(force).max())
        share, rms = off.max() / peak, np.sqrt(np.mean(off**2)) / peak
        lost.append(
            f"linear tyres in place of {source.spec.name}'s, {axle}: force off by at most {share:.1%} of the "
            f"largest, {rms:.1%} RMS, for slips up to {np.abs(slip).max():.3f} rad"
        )
    drawn = ["mu", "C_Sf", "C_Sr"]
    if "C_m1" in p:
        # Of a motor that fades with speed: its strongest, and the speed that it reaches.
        speeds = np.linspace(0.0, FASTEST, 2001)
        pull = drive_force(speeds, np.ones_like(speeds), SimpleNamespace(**p), np)
        top = float(speeds[np.flatnonzero(pull > 0.0)[-1]]) if (pull > 0.0).any() else 0.0
        values["a_max"] = float(max(p["C_m1"], p["k_b"] * p["C_m1"] + p["C_b"]) / p["m"])
        values["v_max"] = values["v_switch"] = top
        drawn += ["a_max", "v_max", "v_switch"]
    names = [row.name for row in spec.parameters]
    origins = {name: source.origins.get(name, "default") if name in kept else "default" for name in names}
    origins |= dict.fromkeys(drawn, REFITTED)
    # Tyres that nobody knows well make no stiffness that is known.
    doubts = [
        name
        for name, verdict in source.verdicts.items()
        if verdict != IDENTIFIED and name[:2] in ("B_", "C_", "D_", "E_", "S_", "p_", "mu")
    ]
    doubtful = dict.fromkeys(drawn, f"{', '.join(doubts)} not identified") if doubts else {}
    return dataclasses.replace(
        source,
        spec=spec,
        verdicts={**source.verdicts, **doubtful},
        values={name: values[name] for name in names},
        origins=origins,
        measured={},
    ), lost


def _require_tyres(source: Source) -> None:
    """Raise UsageError for a model that is no single track with tyres alone."""
    if source.spec.name not in TYRED:
        raise UsageError(
            f"no car with linear tyres says the model {source.spec.name}: expected one of {', '.join(TYRED)}"
        )
