"""Magic Formulas of both axles as other programs have them: which parts they lack, and the nearest without.

The nearest formula is fitted to the side force over the slip angles of some rows, by least squares.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from pct.dynamics.tires import magic_formula
from pct.export.motion import Rows, slip_angles
from pct.export.parameters import REFITTED
from pct.export.source import Source

PACEJKA = "singletrack-pacejka"
AXLES = {"front": "f", "rear": "r"}
# Least range of slip angles that a formula is fitted over, in rad, and points of it.
LEAST_RANGE, POINTS = 0.05, 201


def shifts_of(source: Source) -> list[str]:
    """Its shifts, in words; none where all are zero."""
    p = source.values
    names = [name for name in ("S_hf", "S_vf", "S_hr", "S_vr") if p[name]]
    return [f"{', '.join(f'{name} = {p[name]:.3g}' for name in names)}: no shifts there"] if names else []


def curvatures_of(source: Source) -> list[str]:
    """Its curvatures E, in words; none where both are zero."""
    p = source.values
    names = [name for name in ("E_f", "E_r") if p[name]]
    return [f"{', '.join(f'{name} = {p[name]:.3g}' for name in names)}: no E there"] if names else []


def refitted(source: Source, rows: Rows, *, curvature: bool) -> tuple[Source, list[str]]:
    """The tyres without shifts, and without E on request, that are nearest over the slips of some rows.

    Args:
        source: a car with Magic Formulas.
        rows: states that were driven.
        curvature: whether the formula has an E.

    Returns:
        The car, and what is lost by axle.
    """
    from scipy.optimize import least_squares

    p, lost = dict(source.values), []
    slips = slip_angles(source, rows.x)
    for axle, a in AXLES.items():
        most = max(float(np.quantile(np.abs(slips[axle]), 0.99)), LEAST_RANGE)
        slip = np.linspace(-most, most, POINTS)
        B, C, D, E, S_h, S_v = (float(p[f"{name}{a}"]) for name in ("B_", "C_", "D_", "E_", "S_h", "S_v"))
        force = magic_formula(slip + S_h, B, C, D, E, np) + S_v

        def off(
            x: np.ndarray, slip: np.ndarray = slip, force: np.ndarray = force, D: float = D
        ) -> np.ndarray:
            E = x[3] if curvature else 0.0
            return (magic_formula(slip, x[0], x[1], x[2] * D, E, np) - force) / D

        free = 4 if curvature else 3
        start = np.array([B, C, 1.0, E])[:free]
        low, high = np.array([1e-3, 0.1, 0.05, -20.0])[:free], np.array([1e3, 4.0, 20.0, 1.0])[:free]
        inside = np.clip(start, low + 1e-9, high - 1e-9)
        found = least_squares(off, inside, bounds=(low, high), x_scale=np.maximum(np.abs(inside), 0.1))
        p |= {f"B_{a}": float(found.x[0]), f"C_{a}": float(found.x[1]), f"D_{a}": float(found.x[2] * D)}
        p |= {f"E_{a}": float(found.x[3]) if curvature else 0.0, f"S_h{a}": 0.0, f"S_v{a}": 0.0}
        left = off(found.x)
        lost.append(
            f"tyres refitted, {axle}: side force off by at most {np.abs(left).max():.1%} of the peak, "
            f"{np.sqrt(np.mean(left**2)):.1%} RMS, for slips up to {most:.3f} rad"
        )
    names = [f"{name}{a}" for a in AXLES.values() for name in ("B_", "C_", "D_", "E_", "S_h", "S_v")]
    origins = {**source.origins, **dict.fromkeys(names, REFITTED)}
    return dataclasses.replace(source, values=p, origins=origins), lost


def without(source: Source, **values: float) -> Source:
    """The car with other values of some parameters, said to be refitted."""
    origins = {**source.origins, **dict.fromkeys(values, REFITTED)}
    return dataclasses.replace(source, values={**source.values, **values}, origins=origins)
