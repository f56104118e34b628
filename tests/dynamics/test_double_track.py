"""Four wheels: what they share with one track, where loads and forces go, and CommonRoad's multi-body car."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.optimize import fsolve
from scipy.stats import t

from pct.dynamics import MODEL_SPECS
from pct.dynamics.double_track import locked_difference, slipping_rates, wheel_forces, wheel_loads
from pct.dynamics.limits import GRAVITY
from pct.dynamics.singletrack_pacejka import longitudinal_force
from pct.dynamics.vehicles import with_vehicle

SPEC, SINGLE = MODEL_SPECS["double-track"], MODEL_SPECS["singletrack-pacejka"]
CORNERING = (0.0, 0.0, 0.3, 6.0, 0.4, 1.8, 0.15)


def parameters(vehicle: str = "f1tenth", **own: Any) -> SimpleNamespace:
    return SimpleNamespace(**{**with_vehicle(SPEC, vehicle).default_params, **own})


def rates(p: SimpleNamespace, state: tuple[float, ...] = CORNERING, drive: float = 0.0) -> np.ndarray:
    return np.asarray(SPEC.lane_rates(state, (0.1, drive), vars(p), np))


def test_narrow_and_coasting_it_is_the_single_track_model() -> None:
    narrow = parameters(track_f=1e-9, track_r=1e-9, k_mu=0.0)
    own = {**SINGLE.default_params, "h": narrow.h}
    expected = SINGLE.lane_rates(CORNERING, (0.1, 0.0), own, np)
    # Rolling resistance and drag move load in both.
    np.testing.assert_allclose(rates(narrow), np.asarray(expected), rtol=1e-6)


def test_side_forces_are_those_of_open_car_dynamics() -> None:
    """Hubs, slip angles in the steered frame, tyre, forces and moment as published, under our loads.

    Open-Car-Dynamics, TU Munich, https://github.com/TUMFTM/Open-Car-Dynamics: vehicle_dynamics_equations.cpp,
    mf_simple.cpp with the slip angle in place of its tangent, and the load's effect of
    mf_simple_extended.cpp: D + PDY2 (F_z - FNOMIN) / FNOMIN, whose PDY2 is -D k_mu.
    """
    coast = {"C_r0": 0.0, "C_r2": 0.0}
    p = parameters("av-21", C_lf=0.8, C_lr=1.0, roll_f=0.6, **coast)
    vx, vy, psi_dot, delta = 30.0, -0.9, 0.35, 0.06
    loads = wheel_loads(vx, psi_dot, 0.0, p, np)
    force, moment = np.zeros(2), 0.0
    for axle, x, width, angle in (("front", p.lf, p.track_f, delta), ("rear", -p.lr, p.track_r, 0.0)):
        B, C, D, E = (getattr(p, f"{name}_{axle[0]}") for name in "BCDE")
        nominal = p.m * GRAVITY * (p.lr if axle == "front" else p.lf) / (p.lf + p.lr) / 2
        for y, load in zip((width / 2, -width / 2), loads[axle], strict=True):
            turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
            ahead, across = turn @ [vx - y * psi_dot, vy + x * psi_dot]
            slip = B * -np.arctan2(across, ahead)
            friction = D / (2 * nominal) * (1 - p.k_mu * (load - nominal) / nominal)
            side = load * friction * np.sin(C * np.arctan(slip - E * (slip - np.arctan(slip))))
            on_car = turn.T @ [0.0, side]
            force += on_car
            moment += x * on_car[1] - y * on_car[0]
    found = rates(p, (0.0, 0.0, 0.0, vx, vy, psi_dot, delta))
    wanted = (force[0] / p.m + psi_dot * vy, force[1] / p.m - psi_dot * vx, moment / p.I)
    np.testing.assert_allclose(found[3:6], wanted, rtol=1e-9)


def test_loads_are_weight_and_downforce_and_move_as_the_car_accelerates() -> None:
    p = parameters("av-21", C_lf=0.8, C_lr=1.0, roll_f=0.6)
    vx, psi_dot, force = 40.0, 0.1, -2000.0
    loads = wheel_loads(vx, psi_dot, force, p, np)
    (left, right), (behind_left, behind_right) = loads["front"], loads["rear"]
    total = left + right + behind_left + behind_right
    assert total == pytest.approx(p.m * GRAVITY + 1.8 * vx**2)
    # Braking loads the front by h F / L.
    static = p.m * GRAVITY * p.lr / (p.lf + p.lr)
    assert left + right == pytest.approx(static + 0.8 * vx**2 + p.h * 2000.0 / (p.lf + p.lr))
    # To the left, the right wheels carry more: the moment m a_y h, split by roll stiffness.
    moment = p.m * vx * psi_dot * p.h
    assert (right - left) * p.track_f / 2 == pytest.approx(0.6 * moment)
    assert (behind_right - behind_left) * p.track_r / 2 == pytest.approx(0.4 * moment)


def test_a_wheel_that_leaves_the_ground_carries_nothing() -> None:
    p = parameters(h=0.5)
    left, right = wheel_loads(8.0, 3.0, 0.0, p, np)["front"]
    assert left == 0
    assert right == pytest.approx(p.m * GRAVITY * p.lr / (p.lf + p.lr))


def test_load_sensitive_tyres_lose_grip_by_load_transfer() -> None:
    sideways = [rates(parameters(k_mu=k))[4] for k in (0.0, 0.3)]
    flat = [rates(parameters(k_mu=k, h=0.0))[4] for k in (0.0, 0.3)]
    assert sideways[1] < sideways[0]
    assert flat[1] == pytest.approx(flat[0], rel=1e-6)


def test_wheels_transmit_motor_and_brakes_and_nothing_else() -> None:
    p = parameters("av-21")
    for drive in (0.6, -0.4):
        motor, brake = wheel_forces(30.0, 1.0, drive, p, np)
        resistance = p.C_r0 + p.C_r2 * 30.0**2
        assert motor + brake - resistance == pytest.approx(longitudinal_force(30.0, 1.0, drive, p, np))


@pytest.mark.parametrize(("share", "sign"), [(1.0, -1.0), (0.0, 1.0)])
def test_braking_takes_side_force_of_the_axle_that_brakes(share: float, sign: float) -> None:
    brakes = {"C_b": 15.0, "k_b": 0.0, "h": 0.0}
    steady = (0.0, 0.0, 0.3, 6.0, -0.4, 1.8, 0.15)
    braked = rates(parameters(T_sb=share, **brakes), steady, drive=-0.9)[5]
    coasting = rates(parameters(T_sb=share, **brakes), steady)[5]
    # The front brakes push the nose out of the corner, those behind turn it in.
    assert np.sign(braked - coasting) == sign


def test_no_wheel_has_more_than_its_peak() -> None:
    p = parameters(T_se=0.0, C_m1=80.0, k_mu=0.0, h=0.0)
    forward = rates(p, (0.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0), drive=1.0)[3]
    # D of the rear axle, but for the share that is left to steer.
    assert forward == pytest.approx((0.98 * p.D_r - p.C_r0 - p.C_r2 * 9.0) / p.m, rel=1e-4)


def test_a_differential_is_open_limited_or_locked() -> None:
    x = SimpleNamespace(vx=5.0, psi_dot=1.0)

    def difference(force: float = 10.0, **own: float) -> float:
        return float(locked_difference(x, "rear", 0.2, force, 1.0, parameters(**own), np))

    assert difference() == 0
    # Rigid: slips that differ by psi_dot width / vx.
    p = parameters()
    load = p.m * GRAVITY * p.lf / (p.lf + p.lr)
    assert difference(diff_pre=100.0) == pytest.approx(0.5 * p.p_kx1 * load * 0.04, rel=1e-3)
    assert 0 < difference(diff_lock=0.1) < 1.0
    assert difference(force=0.0, diff_lock=0.1) < 1e-4
    # It turns the car out of the corner.
    assert rates(parameters(diff_pre=100.0))[5] < rates(parameters())[5]


@pytest.mark.parametrize(
    ("speed", "delta", "yaw_rate", "vy"),
    [(15.0, 0.01, 0.058720, 0.041610), (15.0, 0.04, 0.234614, 0.112358), (25.0, 0.01, 0.099350, -0.105887)],
)
def test_it_corners_as_commonroads_multi_body_car(
    speed: float, delta: float, yaw_rate: float, vy: float
) -> None:
    """References: vehicle 2 of commonroad-vehicle-models 3.0.2, 6 s at a held angle and speed (midpoint rule,
    0.2 ms). Its wheels lean and its tyres have shifts, which ours do not: 3 % of yaw rate, 2.5 mrad of slip.
    """
    p = parameters("bmw-320i", k_mu=0.0)

    def steady(unknown: np.ndarray) -> np.ndarray:
        x = SimpleNamespace(vx=speed, vy=unknown[0], psi_dot=unknown[1], delta=delta)
        return np.array(slipping_rates(x, 1.0, 0.0, 0.0, p, np)[1:])

    own_vy, own_rate = fsolve(steady, [vy, yaw_rate])
    assert own_rate == pytest.approx(yaw_rate, rel=0.03)
    assert own_vy == pytest.approx(vy, abs=0.0025 * speed)


@pytest.mark.slow
def test_a_fit_finds_its_parameters_again() -> None:
    """Each that is identified lies in its 95 % interval; two minutes of driving with noisy sensors."""
    import pct

    car = pct.model("double-track")
    factors = {
        "B_f": 1.2,
        "D_f": 0.9,
        "B_r": 1.1,
        "C_r": 0.95,
        "D_r": 1.1,
        "I": 1.15,
        "C_m1": 0.9,
        "k_mu": 2.0,
    }
    truth = {name: car.spec.default_params[name] * factor for name, factor in factors.items()}
    drives = pct.simulate(car, recordings=1, duration=120.0, dt=0.02, mu=(0.9,), fixed=truth, noise=1.0)
    fit = pct.fit(
        car.hold("C_b").measured(observer=False),
        drives,
        horizon=50,
        history=1,
        stride=51,
        free_start=True,
        compare=("vx", "vy", "psi_dot"),
    )
    reach = t.ppf(0.975, fit.result.estimate.blocks - 1)
    found = fit.table().filter(pl.col("verdict") == "identified")
    assert {"D_f", "D_r", "I", "k_mu"} <= {*found["parameter"]}
    for name, value, error in found.select("parameter", "value", "std. error").iter_rows():
        assert abs(value - truth.get(name, car.spec.default_params[name])) < reach * error, name
