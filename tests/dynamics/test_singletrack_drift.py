"""The drift model against CommonRoad's values, closed forms, the linear model and its limits."""

from collections import namedtuple
from functools import partial
from typing import Any

import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS, bicycle, singletrack_drift
from pct.dynamics.vehicles import VEHICLES, with_vehicle
from pct.rollout.integration import integrate_rk4

G = 9.81
DRIFT = MODEL_SPECS["singletrack-drift"]
BMW = with_vehicle(DRIFT, "bmw-320i").default_params

State = namedtuple("State", DRIFT.state_names)


# A tyre that is symmetric, and has no force where it does not slip.
SYMMETRIC = dict.fromkeys(("p_hx1", "p_vx1", "r_hx1", "r_by3", "r_vy1"), 0.0)


def car(**changes: float) -> dict:
    """The 1:10 car on symmetric tyres."""
    return {**DRIFT.default_params, **SYMMETRIC, **changes}


def point(state: dict, control: dict) -> np.ndarray:
    """The stacked state and control; what is not named is zero."""
    named = {**state, **control}
    return np.array([named.get(name, 0.0) for name in DRIFT.state_names + DRIFT.control_names])


def rates(state: dict, control: dict, params: dict) -> State:
    return State(*DRIFT.dynamics_fn(point(state, control), params, np)[:9])


def simulate(state: dict, control: dict, params: dict, seconds: float, dt: float) -> State:
    """The state at the end, with the control held."""
    z = point(state, control)
    for _ in range(round(seconds / dt)):
        z = integrate_rk4(partial(DRIFT.dynamics_fn, xp=np), z, params, dt)
    return State(*z[:9])


def driving(v: float, params: dict, **more: float) -> dict:
    """Straight ahead with rolling wheels."""
    return {"v": v, "omega_f": v / params["R_w"], "omega_r": v / params["R_w"], **more}


# Published values.


def test_published_derivative() -> None:
    """CommonRoad's test_derivatives.py, vehicle 2 under 0.15 rad/s and 0.63 g; its load does not move.

    The car's centre of gravity lies on the ground there (h_s = 0), as the published value shows.
    """
    state = [
        2.0233348142065677, 0.0041907137716636, 0.0197545248559617, 15.7216236334290116, 0.0025857914776859,
        0.0529001056654038, 0.0033012170610298, 53.6551710641082451, 56.7917911784219598,
    ]  # fmt: skip
    published = [
        15.72135120308624, 0.09255279797193551, 0.15, 11.359186518121511, 0.0529001056654038,
        0.5870894694428362, -0.007910389538735838, -1403.4833546513996, 72.25313872307531,
    ]  # fmt: skip
    z = np.array([*state, 0.15, 0.63 * G])
    params = BMW | {"h": 0.0}
    np.testing.assert_allclose(DRIFT.dynamics_fn(z, params, np)[:9], published, rtol=4e-15)
    np.testing.assert_allclose(DRIFT.dynamics_fn(z, params)[:9], published, rtol=1e-13)


# vehicle_dynamics_std of commonroad-vehicle-models 3.0.2 for vehicle 2, with load transfer.
CASES = {
    "power slide": (
        [1.0, 2.0, -0.3, 12.0, 0.4, 1.1, -0.45, 40.0, 55.0, 0.2, 7.0],
        [
            11.985003124739595, -0.5997500312481399, 0.2, 6.244454172047303, 1.1,
            -3.0186926373362346, -0.506482849187733, -934.2920431478066, 605.6032440351837,
        ],
    ),
    "braking in a turn": (
        [-5.0, 3.0, 0.15, 30.0, -2.0, 0.5, -0.03, 60.0, 82.0, -0.3, -8.0],
        [
            -13.297032469971267, -26.892172234546802, -0.3, -9.311133608415293, 0.5,
            0.2944531178073652, -0.3485153652859033, 300.20219593376345, -153.09415949802096,
        ],
    ),
    "locking in front": (
        [0.0, 0.0, 0.05, 20.0, 1.0, 0.1, 0.01, 5.0, 50.0, 0.0, -11.5],
        [
            10.637214427487109, 16.936636892360305, 0.0, -8.406618534052743, 0.1,
            -0.07499034746186684, -0.10366395420999051, -250.61218018385824, -434.29540957430095,
        ],
    ),
    "coasting": (
        [0.0, 0.0, 0.0, 25.0, 0.0, 0.0, 0.0, 72.67441860465117, 72.67441860465117, 0.1, 0.0],
        [25.0, 0.0, 0.1, -0.2808119921978121, 0.0, 0.0, 0.0, 40.42368710714703, 21.70077284826576],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_reference_implementation(name: str) -> None:
    z, expected = CASES[name]
    found = DRIFT.dynamics_fn(np.array(z), BMW, np)[:9]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


# Limits.


@pytest.mark.parametrize("vehicle", sorted(name for name in VEHICLES if not VEHICLES[name].like))
def test_steady_state_is_the_linear_model_s(vehicle: str) -> None:
    """At small slip the car ends in the linear single-track's circle, with mu C_S = -p_ky1.

    With a symmetric tyre, on wheels that roll: psi_dot = v delta / (L + K v^2), K from Rajamani, "Vehicle
    Dynamics and Control", section 3.3; equal tyres have K = 0.
    """
    p = with_vehicle(DRIFT, vehicle).default_params | SYMMETRIC | {"tau_w": 0.02}
    v, delta = 1.5 * p["v_blend_high"], 1e-5
    wheelbase = p["lf"] + p["lr"]
    psi_dot = v * delta / wheelbase
    # The rear tyre carries m v psi_dot lf / L under the load m g lf / L.
    beta = psi_dot * p["lr"] / v - v * psi_dot / (G * -p["p_ky1"])
    end = simulate(driving(v, p, delta=delta), {}, p, seconds=1.5, dt=0.005)
    np.testing.assert_allclose((end.psi_dot, end.beta), (psi_dot, beta), rtol=1e-6)


def test_wheels_that_roll_straight_ahead_stay_so() -> None:
    p = car()
    found = rates(driving(8.0, p), {}, p)
    np.testing.assert_array_equal(found._replace(x=0.0), 0.0)


@pytest.mark.parametrize("accel", [2.0, -4.0])
def test_torque_becomes_acceleration(accel: float) -> None:
    """Car and wheels share it: m a = m v_dot + I_y_w (omega_f_dot + omega_r_dot) / R_w, settled or not."""
    p = car(tau_w=0.0)
    state = driving(12.0, p)
    for _ in range(3):
        found = rates(state, {"accel": accel}, p)
        turning = p["I_y_w"] * (found.omega_f + found.omega_r) / p["R_w"]
        assert p["m"] * found.v + turning == pytest.approx(p["m"] * accel, rel=1e-12)
        state = simulate(state, {"accel": accel}, p, seconds=0.2, dt=0.001)._asdict()
    slips = 1.0 - p["R_w"] * np.array([state["omega_f"], state["omega_r"]]) / state["v"]
    assert (np.sign(slips) == -np.sign(accel)).all()
    # A wheel that keeps its slip speeds up as the car does.
    np.testing.assert_allclose(found[7:] / (1.0 - slips) * p["R_w"], found.v, rtol=0.01)


@pytest.mark.parametrize("accel", [9.0, -9.0])
def test_road_gives_no_more_than_friction(accel: float) -> None:
    """On ice the wheels spin up or lock, and the car gains or loses mu g at most."""
    p = car(mu=0.2)
    end = simulate(driving(6.0, p), {"accel": accel}, p, seconds=0.4, dt=0.005)
    found = rates(end._asdict(), {"accel": accel}, p)
    assert 0.3 < np.sign(accel) * found.v / (0.2 * p["mu_xy"] * G) <= 1.0
    slips = 1.0 - p["R_w"] * np.array([end.omega_f, end.omega_r]) / end.v
    assert (np.sign(accel) * slips < -0.5).all()


def test_torque_split_decides_which_wheels_spin() -> None:
    p = car(mu=0.2, T_se=0.0, T_sb=1.0)
    end = simulate(driving(6.0, p), {"accel": 9.0}, p, seconds=0.4, dt=0.005)
    assert p["R_w"] * end.omega_r > 1.3 * end.v
    assert p["R_w"] * end.omega_f == pytest.approx(end.v, rel=0.02)
    end = simulate(driving(6.0, p), {"accel": -9.0}, p, seconds=0.4, dt=0.005)
    assert p["R_w"] * end.omega_f < 0.1 * end.v
    assert p["R_w"] * end.omega_r == pytest.approx(end.v, rel=0.02)


def test_locked_wheel_stays_locked_and_turns_again() -> None:
    p = car(mu=0.2)
    locked = {"v": 6.0, "omega_f": 0.0, "omega_r": 0.0}
    assert rates(locked, {"accel": -9.0}, p)[7:] == (0.0, 0.0)
    released = rates(locked, {}, p)
    assert released.omega_f > 1.0
    assert released.omega_r > 1.0
    end = simulate(locked, {}, p, seconds=2.0, dt=0.005)
    np.testing.assert_allclose(p["R_w"] * np.array([end.omega_f, end.omega_r]), end.v, rtol=1e-3)


def test_spinning_wheels_let_the_tail_out() -> None:
    """Combined slip: with rear wheels that spin, a turn that holds without throttle does not."""
    p = car(T_se=0.0, mu=0.6)
    start = driving(4.0, p, delta=0.08)
    coasting, driven = (simulate(start, {"accel": accel}, p, seconds=1.0, dt=0.005) for accel in (0.0, 9.0))
    assert abs(coasting.beta) < 0.15
    assert driven.beta < -0.5


# The time constant of slip.


def test_slow_slip_settles_where_fast_slip_does() -> None:
    """``tau_w`` changes how long it takes, and allows the time steps of logs."""
    control = {"accel": 3.0}
    ends = [
        simulate(driving(5.0, car(), delta=0.05), control, car(tau_w=tau_w), seconds=1.0, dt=dt)
        for tau_w, dt in ((0.0, 0.004), (0.02, 0.004), (0.02, 0.025))
    ]
    exact, slow, coarse = (
        np.array([1.0 - DRIFT.default_params["R_w"] * end.omega_r / end.v, end.psi_dot, end.beta])
        for end in ends
    )
    np.testing.assert_allclose(slow, exact, rtol=0.03)
    np.testing.assert_allclose(coarse, slow, rtol=1e-3)
    # Until its wheels slip the car does not speed up.
    lost = ends[0].v - ends[1].v
    assert 0.0 < lost < 1.5 * 3.0 * 0.02


@pytest.mark.parametrize("tau_w", [0.0, 0.03])
def test_slip_settles_in_its_time(tau_w: float) -> None:
    """A small slip decays with I_y_w u / (R_w^2 p_kx1 F_z) and ``tau_w`` on top, of a car that is held."""
    p = car(tau_w=tau_w, m=1e6, I=1e6, T_se=0.0)
    # So heavy a car is held by its mass; the wheels are as heavy for its load.
    p["I_y_w"] = 3.4e-4 * p["m"] / DRIFT.default_params["m"]
    v = 8.0
    load = p["m"] * G * p["lf"] / (p["lf"] + p["lr"])
    time = p["I_y_w"] * v / (p["R_w"] ** 2 * p["p_kx1"] * load) + tau_w
    rolling = driving(v, p)
    found = rates({**rolling, "omega_r": rolling["omega_r"] + 1e-4}, {}, p)
    held = found.omega_r - rolling["omega_r"] * found.v / v * tau_w / time
    assert held == pytest.approx(-1e-4 / time, rel=1e-3)


# Slow, and backwards.


def test_blend_is_exact_outside_its_range() -> None:
    """To the last digit: slipping from v_blend_high on, rolling up to v_blend_low and in reverse."""
    rng = np.random.default_rng(0)
    p: Any = namedtuple("Params", DRIFT.default_params)(**DRIFT.default_params)
    z = rng.uniform(-1.0, 1.0, (200, 11))
    z[:, 2] *= 0.3
    z[:, 7:9] = rng.uniform(0.0, 200.0, (200, 2))
    for speeds, expected in (
        (rng.uniform(p.v_blend_high, 9.0, 200), singletrack_drift.slipping_rates),
        (rng.uniform(-9.0, p.v_blend_low, 200), singletrack_drift.rolling_rates),
    ):
        z[:, 3] = np.clip(speeds, p.v_min, None)
        found = State(*DRIFT.dynamics_fn(z, p._asdict(), np).T[:9])
        x = State(*z.T[:9])
        held = expected(x, z[:, 9], np.where((x.v <= p.v_min) & (z[:, 10] < 0), 0.0, z[:, 10]), p, np)
        for name, value in held._asdict().items():
            np.testing.assert_array_equal(getattr(found, name), value, err_msg=name)


@pytest.mark.parametrize("v", [-3.0, 0.0, 0.3])
def test_slow_car_rolls(v: float) -> None:
    """And its wheels with it, backwards too: their rates are the derivatives of their hubs' speeds."""
    p, delta, delta_dot, accel = car(), 0.2, 0.4, 0.6
    beta = np.arctan(p["lr"] / (p["lf"] + p["lr"]) * np.tan(delta))

    def rolling(v: float, delta: float) -> tuple[float, float, float, float]:
        beta = np.arctan(p["lr"] / (p["lf"] + p["lr"]) * np.tan(delta))
        # The rear wheel rolls at v cos(beta), the front one at that over cos(delta).
        rear = v * np.cos(beta) / p["R_w"]
        return v * np.sin(beta) / p["lr"], beta, rear / np.cos(delta), rear

    psi_dot, beta, front, rear = rolling(v, delta)
    state = {"v": v, "delta": delta, "psi_dot": psi_dot, "beta": beta, "omega_f": front, "omega_r": rear}
    found = rates(state, {"delta_dot": delta_dot, "accel": accel}, p)
    step = 1e-6
    ahead, behind = (
        np.array(rolling(v + side * step * accel, delta + side * step * delta_dot)) for side in (1, -1)
    )
    assert found.v == accel
    np.testing.assert_allclose(found[5:], (ahead - behind) / (2 * step), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("accel", [9.0, -9.0])
def test_slow_car_gets_no_more_than_friction_either(accel: float) -> None:
    assert rates({"v": 0.2}, {"accel": accel}, car(mu=0.2)).v == np.sign(accel) * 0.2 * G


def test_slow_wheels_return_to_rolling() -> None:
    p = car()
    end = simulate({"v": 0.0, "omega_f": 5.0, "omega_r": -5.0}, {}, p, bicycle.RELAXATION_TIME, 1e-3)
    np.testing.assert_allclose((end.omega_f, end.omega_r), np.exp(-1.0) * np.array([5.0, -5.0]), rtol=1e-6)


def test_nothing_moves_at_rest() -> None:
    """However the wheels are turned, with the tyre's shifts in place."""
    for p in (DRIFT.default_params, BMW):
        beta = np.arctan(p["lr"] / (p["lf"] + p["lr"]) * np.tan(0.3))
        np.testing.assert_allclose(rates({"delta": 0.3, "psi": 1.0, "beta": beta}, {}, p), 0.0, atol=1e-14)


def test_it_starts_from_rest() -> None:
    """Through the blend, without a wheel left behind."""
    p = car()
    end = simulate({}, {"accel": 3.0}, p, seconds=2.0, dt=0.005)
    assert 4.0 < end.v < 6.0
    np.testing.assert_allclose(p["R_w"] * np.array([end.omega_f, end.omega_r]), end.v, rtol=0.15)
    assert end.beta == pytest.approx(0.0, abs=0.05)
