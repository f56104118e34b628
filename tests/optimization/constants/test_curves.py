"""Curves are those of the model's equations, and their bands those of the covariance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS, ModelSpec, flatten_bounds, with_fixed
from pct.dynamics.bounds import Bounds
from pct.dynamics.core import flatten_params
from pct.measurement import Measurement, with_measurement
from pct.optimization.constants.curves import NORMAL_95, Curves, curves_table, make_curves
from pct.optimization.constants.estimate import Estimate

TYRES = [name for name, spec in MODEL_SPECS.items() if spec.side_force is not None]
PACEJKA = MODEL_SPECS["singletrack-pacejka"]


def fit_of(spec: ModelSpec, spread: float = 1e-3, **values: float) -> Estimate:
    """A fit that found these values, else the defaults, each alike uncertain."""
    low, high = flatten_bounds(spec.param_keys, spec.param_bounds, spec.full_shapes)
    given = flatten_params({**spec.default_params, **values}, spec.param_keys, spec.full_shapes)
    raw = Bounds(low, high).back(given)
    covariance = spread**2 * np.eye(raw.size)
    found = np.asarray(Bounds(low, high).to(raw))
    return Estimate(found, raw, covariance, np.linalg.inv(covariance), np.ones(1), (), np.ones(1, bool))


def rows(spec: ModelSpec, **columns: Any) -> tuple[np.ndarray, np.ndarray]:
    """States and controls at 5 m/s, but for the columns that are given."""
    count = max(np.size(column) for column in columns.values())
    known = {"v": 5.0, "vx": 5.0, **columns}

    def stack(names: tuple[str, ...]) -> np.ndarray:
        return np.stack([np.broadcast_to(known.get(name, 0.0), count) for name in names], axis=-1)

    return stack(spec.state_names), stack(spec.control_names)


def curves_of(spec: ModelSpec, fit: Estimate, **columns: Any) -> Curves:
    found = make_curves(fit, spec, *rows(spec, **columns))
    assert found is not None
    return found


def at(curve: Any, x: float) -> float:
    return float(np.interp(x, curve.x, curve.value))


def test_every_model_with_tyres_has_curves() -> None:
    tyres = {
        name for name, spec in MODEL_SPECS.items() if {"C_Sf", "p_ky1", "D_f"} & set(spec.default_params)
    }
    assert set(TYRES) == tyres


@pytest.mark.parametrize("name", TYRES)
def test_side_forces_are_those_of_the_equations(name: str) -> None:
    """Both axles' forces give the yaw and lateral acceleration at a state that slips."""
    spec = with_fixed(MODEL_SPECS[name], {"h": 0.0, "m": None})
    p = spec.default_params
    v, psi_dot, beta, lf, lr, m = 5.0, 0.4, -0.02, p["lf"], p["lr"], p["m"]
    vx, vy = v * np.cos(beta), v * np.sin(beta)
    wheel = vx / p.get("R_w", 1.0)
    state = {"v": v, "vx": vx, "vy": vy, "psi_dot": psi_dot, "beta": beta, "omega_f": wheel, "omega_r": wheel}
    x = tuple(np.asarray(state.get(n, 0.0)) for n in spec.state_names)
    rates = spec.lane_rates(x, tuple(np.zeros(()) for _ in spec.control_names), p, np)
    rate = dict(zip(spec.state_names, map(float, rates), strict=True))
    vy_dot = rate.get("vy", 0.0) if "vy" in rate else rate["v"] * np.sin(beta) + vx * rate["beta"]
    slips = -np.arctan((vy + lf * psi_dot) / vx), -np.arctan((vy - lr * psi_dot) / vx)
    curves = curves_of(spec, fit_of(spec), beta=np.linspace(-0.2, 0.2, 9), vy=np.linspace(-1, 1, 9))
    front, rear = (at(curve, slip) for curve, slip in zip(curves.side_force.values(), slips, strict=True))
    assert curves.force_unit == "N"
    assert front + rear == pytest.approx(m * (vy_dot + vx * psi_dot), rel=0.01, abs=0.01 * abs(front))
    assert lf * front - lr * rear == pytest.approx(p["I"] * rate["psi_dot"], rel=0.02)


def test_understeer_gradient_of_linear_tyres() -> None:
    spec = MODEL_SPECS["singletrack"]
    p = spec.default_params
    curves = curves_of(spec, fit_of(spec), beta=np.linspace(-0.1, 0.1, 9), psi_dot=np.linspace(-1, 1, 9))
    # Normalised stiffnesses: the loads cancel, and 1 / (mu g) (1 / C_Sf - 1 / C_Sr) is left.
    expected = (1 / p["C_Sf"] - 1 / p["C_Sr"]) / (p["mu"] * 9.81)
    value, std = curves.understeer_gradient
    assert value == pytest.approx(expected, rel=1e-3)
    assert 0 < std < 0.1 * abs(value)
    assert curves.handling is not None
    slope = np.polyfit(curves.handling.x, curves.handling.value, 1)[0]
    assert slope == pytest.approx(expected, rel=0.01)
    assert curves.handling.reached == pytest.approx((-5.0, 5.0), abs=0.2)


def test_force_per_load_where_the_mass_was_learned() -> None:
    free, held = MODEL_SPECS["singletrack"], with_fixed(MODEL_SPECS["singletrack"], {"m": None})
    slips = {"beta": np.linspace(-0.1, 0.1, 9)}
    per_load, newtons = (curves_of(spec, fit_of(spec), **slips) for spec in (free, held))
    assert (per_load.force_unit, newtons.force_unit) == ("1", "N")
    p = free.default_params
    load = p["m"] * 9.81 * p["lr"] / (p["lf"] + p["lr"])
    np.testing.assert_allclose(
        per_load.side_force["front"].value * load, newtons.side_force["front"].value, rtol=1e-3
    )


def test_bands_are_those_of_drawn_parameters() -> None:
    fit = fit_of(PACEJKA, spread=0.05)
    columns = {"vy": np.linspace(-1, 1, 9), "drive": np.linspace(-0.5, 0.8, 9)}
    curves = curves_of(PACEJKA, fit, **columns)
    rng = np.random.default_rng(0)
    low, high = flatten_bounds(PACEJKA.param_keys, PACEJKA.param_bounds, PACEJKA.full_shapes)
    drawn = np.asarray(Bounds(low, high).to(fit.raw + 0.05 * rng.standard_normal((4000, fit.raw.size))))
    p = dict(zip(PACEJKA.param_keys, drawn.T[..., None], strict=True))
    slip = curves.side_force["rear"].x + p["S_hr"]
    scaled = p["B_r"] * slip
    force = p["D_r"] * np.sin(p["C_r"] * np.arctan(scaled - p["E_r"] * (scaled - np.arctan(scaled))))
    spread = (force + p["S_vr"]).std(axis=0)
    np.testing.assert_allclose(curves.side_force["rear"].std, spread, rtol=0.08)
    full = max(curves.drive_force)
    v = curves.drive_force[full].x
    drive = (p["C_m1"] - p["C_m2"] * v) * full - p["C_r0"] - p["C_r2"] * v**2
    np.testing.assert_allclose(curves.drive_force[full].std, drive.std(axis=0), rtol=0.08)


def test_what_was_reached_is_marked() -> None:
    curves = curves_of(PACEJKA, fit_of(PACEJKA), vy=np.linspace(-0.5, 1.0, 201))
    rear = curves.side_force["rear"]
    # vy of 1 m/s at 5 m/s is a slip angle of -0.2; a hundredth is left out on each side.
    assert rear.reached == pytest.approx((-np.arctan(0.2), np.arctan(0.1)), abs=0.005)
    assert rear.x[-1] == pytest.approx(1.5 * abs(rear.reached[0]))
    assert rear.inside[rear.x.size // 2]
    assert not rear.inside[0]


def test_steering_and_lever_arm_are_undone() -> None:
    spec = with_measurement(PACEJKA, Measurement(steering=True, lever_arm=True))
    fit = fit_of(spec, steering_ratio=1.5, steering_offset=0.05, ahead=0.1)
    curves = curves_of(spec, fit, delta=np.linspace(-0.1, 0.1, 201), psi_dot=1.0, vy=0.1 - 0.15875)
    # vy of the centre of gravity undoes the yaw rate's part: the slip angle is the wheel's.
    assert curves.side_force["front"].reached == pytest.approx((-0.1, 0.2), abs=0.005)


def test_a_pedal_log_has_drive_forces() -> None:
    spec = with_measurement(PACEJKA, Measurement(pedals=True))
    curves = curves_of(
        spec, fit_of(spec), throttle=np.repeat([1.0, 0.0], 20), brake=np.repeat([0.0, 0.5], 20)
    )
    assert list(curves.drive_force) == [1.0, 0.0, -0.5]
    assert at(curves.drive_force[1.0], 0.0) == pytest.approx(35.6 - 1.0)


@pytest.mark.parametrize(("name", "columns"), [("unicycle", {"v": 5.0}), ("singletrack", {"v": 0.3})])
def test_no_curves_without_tyres_or_slip(name: str, columns: dict[str, float]) -> None:
    spec = MODEL_SPECS[name]
    assert make_curves(fit_of(spec), spec, *rows(spec, **columns)) is None


def test_the_table_has_units_and_reach() -> None:
    curves = curves_of(PACEJKA, fit_of(PACEJKA), vy=np.linspace(-1, 1, 9), psi_dot=np.linspace(-1, 1, 9))
    table = curves_table(curves)
    front = table["side_force"]["front"]
    assert front["unit"] == "N"
    assert front["slip_angle"]["unit"] == "rad"
    np.testing.assert_allclose(front["high_95"] - front["low_95"], 2 * NORMAL_95 * front["std"])
    assert table["understeer_gradient"]["unit"] == "rad s^2/m"
    assert set(table) == {"side_force", "understeer_gradient", "handling", "drive_force"}
