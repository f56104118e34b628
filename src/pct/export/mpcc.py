"""`mpcc`: ``model.json`` of the contouring controller alexliniger/MPCC.

Its model is that of `singletrack-pacejka` without E, shifts, load transfer and a brake of its own.

References:
    A. Liniger, A. Domahidi, M. Morari, "Optimization-based autonomous racing of 1:43 scale RC cars", Optimal
    Control Applications and Methods 36 (2015). https://github.com/alexliniger/MPCC, C++ ``Model::getF`` with
    ``getForceFriction``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from pct.dynamics.limits import GRAVITY
from pct.export.actuators import unsaid_actuators
from pct.export.magic import PACEJKA, curvatures_of, refitted, shifts_of, without
from pct.export.motion import Rows
from pct.export.parameters import Entry, Head, ParameterTarget
from pct.export.source import Source
from pct.export.texts import json_text, sidecar

KEYS = {
    "Cm1": "C_m1", "Cm2": "C_m2", "Cr0": "C_r0", "Cr2": "C_r2", "Br": "B_r", "Cr": "C_r", "Dr": "D_r",
    "Bf": "B_f", "Cf": "C_f", "Df": "D_f", "m": "m", "Iz": "I", "lf": "lf", "lr": "lr",
}  # fmt: skip
# What their loader asks for beside the model: of their 1:43 car, lengths by its wheelbase of 0.062 m.
THEIRS = {"E_long": 0.9, "E_eps": 0.95, "maxAlpha": 0.6, "vx_zero": 0.3, "initial_velocity": 1.0}
LENGTHS = {
    "car_l": 0.06,
    "car_w": 0.03,
    "R_in": 0.14,
    "R_out": 0.14,
    "max_dist_proj": 0.2,
    "s_trust_region": 0.2,
}
THEIR_WHEELBASE = 0.062


class Mpcc(ParameterTarget):
    """The controller's JSON."""

    name = "mpcc"
    reader = "alexliniger/MPCC, C++ Model::getF"
    file = "model.json"
    equal_where = "from v_blend_high on, forward"

    def cannot(self, source: Source) -> list[str]:
        """E, shifts, load transfer, brakes, lags and delays."""
        if source.spec.name != PACEJKA:
            raise self.refused(
                f"it has the Magic Formula and a drive command, as {PACEJKA}, not {source.spec.name}"
            )
        p = source.values
        reasons = [*curvatures_of(source), *shifts_of(source)]
        if p["h"]:
            reasons.append(f"h = {p['h']:.3g} m: no load transfer there")
        if p["C_b"] or p["k_b"] != 1.0:
            reasons.append(f"C_b = {p['C_b']:.3g} N, k_b = {p['k_b']:.3g}: no brake but the motor there")
        return [*reasons, *unsaid_actuators(source)]

    def refit(self, source: Source, rows: Rows) -> tuple[Source, list[str]]:
        """Tyres without E and shifts; load transfer, brake and lags are dropped."""
        p = source.values
        lost: list[str] = []
        if curvatures_of(source) or shifts_of(source):
            source, lost = refitted(source, rows, curvature=False)
        if p["h"]:
            source = without(source, h=0.0)
            lost.append(
                f"no load transfer: at 1 m/s^2 the peaks are off by {p['h'] / p['lr'] / GRAVITY:.1%} in "
                f"front and "
                f"{p['h'] / p['lf'] / GRAVITY:.1%} in the rear"
            )
        if p["C_b"] or p["k_b"] != 1.0:
            source = without(source, C_b=0.0, k_b=1.0)
            lost.append(
                f"brakes: at drive -1 and standstill the motor's {p['C_m1']:.3g} N in place of "
                f"{p['C_b'] + p['k_b'] * p['C_m1']:.3g} N"
            )
        lost += [f"{what} is left out" for what in unsaid_actuators(source)]
        return dataclasses.replace(source, measured={}), lost

    def translate(self, source: Source) -> dict[str, float]:
        """The same numbers by its names."""
        p = source.values
        scale = float(p["lf"] + p["lr"]) / THEIR_WHEELBASE
        return {
            **{key: float(p[name]) for key, name in KEYS.items()},
            "g": GRAVITY,
            **{key: value * scale for key, value in LENGTHS.items()},
            **THEIRS,
        }

    def rates(self, values: Mapping[str, float], source: Source, rows: Rows) -> dict[str, np.ndarray]:
        """The controller's equations."""
        p = values
        vx, vy, r, delta = (rows.x[name] for name in ("vx", "vy", "psi_dot", "delta"))
        alpha_f = delta - np.arctan2(vy + r * p["lf"], vx)
        alpha_r = -np.arctan2(vy - r * p["lr"], vx)
        front = p["Df"] * np.sin(p["Cf"] * np.arctan(p["Bf"] * alpha_f))
        rear = p["Dr"] * np.sin(p["Cr"] * np.arctan(p["Br"] * alpha_r))
        drive = rows.u["drive"]
        along = (p["Cm1"] - p["Cm2"] * vx) * drive - p["Cr0"] - p["Cr2"] * vx**2
        return {
            "vx": (along - front * np.sin(delta)) / p["m"] + vy * r,
            "vy": (rear + front * np.cos(delta)) / p["m"] - vx * r,
            "psi_dot": (front * p["lf"] * np.cos(delta) - rear * p["lr"]) / p["Iz"],
        }

    def differs(self, source: Source) -> list[str]:
        """Low speeds, and their own newer versions."""
        p = source.values
        return [
            f"the reader slips at every speed; the model rolls up to {p['v_blend_low']:g} m/s and blends "
            f"up to "
            f"{p['v_blend_high']:g} m/s",
            "newer versions of the reader have getForceFriction apart from getF: look whether yours adds "
            "Cr0 and Cr2",
        ]

    def render(
        self, entries: Sequence[Entry], head: Head, source: Source, values: Mapping[str, float]
    ) -> dict[str, bytes]:
        """JSON, whose reader passes over other keys, and the status of each number beside it."""
        numbers = {entry.key: entry.value for entry in entries}
        return {
            self.file: json_text({"_about": list(head.lines), **numbers}),
            "model.pct.json": sidecar(entries, head),
        }


TARGET = Mpcc()
export = TARGET.export
