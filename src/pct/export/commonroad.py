"""`commonroad`: vehicle parameters of commonroad-vehicle-models, checked by running its own models.

Two cars can be said: one with linear tyres for the single-track model (ST), whose two axles have one
cornering stiffness there, and one with the tyre of the drift model (STD). Of the multi-body model (MB) no
log of a plane motion identifies the suspension: the file names what is missing and gives it no values.

References:
    M. Althoff, G. Würsching, "CommonRoad: Vehicle Models", TU Munich, 2020, sections 6 and 7;
    commonroad-vehicle-models 3.0.2. https://gitlab.lrz.de/tum-cps/commonroad-vehicle-models
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from pct.dynamics.tires import COMBINED_SLIP
from pct.export.actuators import unsaid_actuators
from pct.export.linear import LINEAR, as_linear, linear_reasons
from pct.export.magic import without
from pct.export.motion import Rows
from pct.export.parameters import Entry, Head, ParameterTarget
from pct.export.source import Source
from pct.export.texts import commented, yaml_lines

DRIFT = "singletrack-drift"
BODY = {
    "steering.min": "s_min", "steering.max": "s_max", "steering.v_min": "sv_min", "steering.v_max": "sv_max",
    "longitudinal.v_min": "v_min", "longitudinal.v_max": "v_max", "longitudinal.v_switch": "v_switch",
    "longitudinal.a_max": "a_max", "m": "m", "a": "lf", "b": "lr", "I_z": "I", "h_s": "h", "h_cg": "h",
}  # fmt: skip
WHEELS = ("R_w", "I_y_w", "T_sb", "T_se")
# Of the tyre, what camber does; no log of a plane motion tells, and the plane models do not read it.
CAMBER = ("p_dx3", "p_dy3", "p_hy1", "p_hy3", "p_vy1", "p_vy3", "r_vy3")
SHAPES = {row.name: row.default for row in COMBINED_SLIP}
MISSING = (
    "l, w, m_s, m_uf, m_ur, I_Phi_s, I_y_s, I_xz_s, K_sf, K_sdf, K_sr, K_sdr, T_f, T_r, K_ras, K_tsf, K_tsr, "
    "K_rad, K_zt, h_raf, h_rar, I_uf, I_ur, K_lt, D_f, D_r, E_f, E_r"
)


class CommonRoad(ParameterTarget):
    """``parameters_vehicle<N>.yaml`` and ``parameters_tire.yaml`` in one."""

    name = "commonroad"
    reader = "commonroad-vehicle-models 3.0.2, vehicle_dynamics_st or vehicle_dynamics_std"
    file = "parameters_vehicle.yaml"
    compared = ("vx", "vy", "psi_dot")

    def cannot(self, source: Source) -> list[str]:
        """Other tyres, two cornering stiffnesses, a slowed slip, lags and delays."""
        p, reasons = source.values, []
        if source.spec.name == LINEAR:
            if p["C_Sf"] != p["C_Sr"]:
                reasons.append(
                    f"C_Sf = {p['C_Sf']:.4g} and C_Sr = {p['C_Sr']:.4g}: it has one cornering stiffness "
                    "for both axles"
                )
        elif source.spec.name == DRIFT:
            if p["tau_w"]:
                reasons.append(f"tau_w = {p['tau_w']:.3g} s: the wheels' slip settles without it there")
        else:
            return linear_reasons(source)
        return [*reasons, *unsaid_actuators(source)]

    def refit(self, source: Source, rows: Rows) -> tuple[Source, list[str]]:
        """One stiffness for both axles, by their loads; slip that settles at once."""
        if source.spec.name == DRIFT:
            lost = [f"{what} is left out" for what in unsaid_actuators(source)]
            if source.values["tau_w"]:
                lost = [f"the wheels' slip settles by tau_w = {source.values['tau_w']:.3g} s sooner", *lost]
            return dataclasses.replace(without(source, tau_w=0.0), measured={}), lost
        source, lost = as_linear(source, rows)
        p = source.values
        if p["C_Sf"] != p["C_Sr"]:
            one = (p["C_Sf"] * p["lr"] + p["C_Sr"] * p["lf"]) / (p["lf"] + p["lr"])
            lost.append(
                f"one cornering stiffness of {one:.4g} in place of {p['C_Sf']:.4g} in front and "
                f"{p['C_Sr']:.4g} in "
                "the rear: the reader's car is neutral where this one is not"
            )
            source = without(source, C_Sf=one, C_Sr=one)
        return source, lost

    def translate(self, source: Source) -> dict[str, float]:
        """Its names; peaks are ``mu`` across and ``mu mu_xy`` along, the slope ``-mu C_S`` or p_ky1."""
        p: Any = SimpleNamespace(**source.values)
        body = {key: float(getattr(p, name)) for key, name in BODY.items()}
        if source.spec.name == LINEAR:
            return {**body, "tire.p_dy1": float(p.mu), "tire.p_ky1": -float(p.mu * p.C_Sf)}
        tyre = {name: float(getattr(p, name)) for name in SHAPES if name != "mu_xy"}
        tyre |= {"p_dy1": float(p.mu), "p_dx1": float(p.mu * p.mu_xy), **dict.fromkeys(CAMBER, 0.0)}
        wheels = {name: float(getattr(p, name)) for name in WHEELS}
        return {**body, **wheels, **{f"tire.{name}": value for name, value in tyre.items()}}

    def to_equal(self, source: Source, rows: Rows) -> Rows:
        """For ST within the friction of the road, which it does not know."""
        if source.spec.name != LINEAR:
            return rows
        grip = source.values["mu"] * 9.81
        return rows.at(accel=np.clip(rows.u["accel"], -grip, grip))

    @property
    def equal_where(self) -> str:  # type: ignore[override]
        """In words."""
        return "from v_blend_high on, with accelerations within mu g for ST"

    def rates(self, values: Mapping[str, float], source: Source, rows: Rows) -> dict[str, np.ndarray]:
        """The package's own functions, row by row."""
        from vehiclemodels.vehicle_dynamics_st import vehicle_dynamics_st
        from vehiclemodels.vehicle_dynamics_std import vehicle_dynamics_std

        p = structured(values)
        is_linear = source.spec.name == LINEAR
        function = vehicle_dynamics_st if is_linear else vehicle_dynamics_std
        x = np.stack([rows.x[name] for name in source.spec.state_names], axis=-1)
        u = np.stack([rows.u["delta_dot"], rows.u["accel"]], axis=-1)
        # Their function writes into its state.
        found = np.array(
            [function(list(state), list(control), p) for state, control in zip(x, u, strict=True)]
        )
        names = ("v", "psi_dot", "beta") + (() if is_linear else ("omega_f", "omega_r"))
        return {name: found[:, source.spec.state_indices[name]] for name in names}

    def differs(self, source: Source) -> list[str]:
        """Low speeds, friction, and what is not in the file."""
        p = source.values
        low = "0.1 m/s by a switch" if source.spec.name == LINEAR else "about 0.2 m/s by a blend"
        lines = [
            f"the reader rolls up to {low}; the model blends between {p['v_blend_low']:g} and "
            f"{p['v_blend_high']:g} m/s"
        ]
        if source.spec.name == LINEAR:
            lines.append(
                f"ST lets the drive give a_max = {p['a_max']:.3g} m/s^2 whatever the road; the model stops "
                "at mu g"
            )
        return lines

    def render(
        self, entries: Sequence[Entry], head: Head, source: Source, values: Mapping[str, float]
    ) -> dict[str, bytes]:
        """YAML with the tyre behind the car."""
        model = "ST" if source.spec.name == LINEAR else "STD (and ST)"
        more = [
            f"Enough for {model}. Read it with OmegaConf.merge(OmegaConf.structured(VehicleParameters), "
            "OmegaConf.load(path)).",
            f"Not identified, so not written, and needed by MB: {MISSING}.",
        ]
        return {self.file: (commented([*head.lines, *more]) + yaml_lines(entries)).encode()}


def structured(values: Mapping[str, float]) -> Any:
    """The package's own parameters object with these values, nothing else set."""
    from vehiclemodels.vehicle_parameters import VehicleParameters

    p: Any = VehicleParameters()
    for key, value in values.items():
        *path, name = key.split(".")
        of = getattr(p, path[0]) if path else p
        setattr(of, name, value)
    return p


TARGET = CommonRoad()
export = TARGET.export
