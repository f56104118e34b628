"""The Magic Formula single-track model against published equations, logs, closed forms and its limits."""

import os
from collections import namedtuple
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS, bicycle, singletrack_pacejka
from pct.dynamics.vehicles import VEHICLES, with_vehicle
from pct.rollout.integration import integrate_rk4

G = 9.81
PACEJKA = MODEL_SPECS["singletrack-pacejka"]
DATA = Path(os.environ.get("PCT_DATA", Path(__file__).parents[3] / "shared" / "data"))

State = namedtuple("State", PACEJKA.state_names)
Control = namedtuple("Control", PACEJKA.control_names)


def point(state: dict, control: dict) -> np.ndarray:
    """The stacked state and control; what is not named is zero."""
    named = {**state, **control}
    return np.array([named.get(name, 0.0) for name in PACEJKA.state_names + PACEJKA.control_names])


def rates(state: dict, control: dict, params: dict) -> State:
    return State(*PACEJKA.dynamics_fn(point(state, control), params, np)[:7])


def simulate(state: dict, control: dict, params: dict, seconds: float, dt: float) -> State:
    """The state at the end, with the control held."""
    z = point(state, control)
    for _ in range(round(seconds / dt)):
        z = integrate_rk4(partial(PACEJKA.dynamics_fn, xp=np), z, params, dt)
    return State(*z[:7])


def car(**changes: float) -> dict:
    return {**PACEJKA.default_params, **changes}


def random_params(rng: np.random.Generator, points: int) -> dict:
    params = dict(PACEJKA.default_params)
    for key in PACEJKA.param_keys:
        params[key] = rng.uniform(*PACEJKA.param_bounds[key], points)
    return params


# The equations.


def test_published_equations_stage_by_stage() -> None:
    """Slip angles, tyre and drivetrain forces and their sums as Deep Dynamics has them, arctan2 included.

    J. Chrosniak et al., arXiv:2312.04374, eq. (1) to (3), with the shifts added.
    """
    rng = np.random.default_rng(0)
    points = 400
    p = random_params(rng, points) | {"h": 0.0, "C_b": 0.0}
    vx, vy, r = rng.uniform(1.6, 15.0, points), rng.uniform(-3, 3, points), rng.uniform(-4, 4, points)
    psi, delta, d = rng.uniform(-3, 3, points), rng.uniform(-0.4, 0.4, points), rng.uniform(-1, 1, points)
    alpha_f = delta - np.arctan2(p["lf"] * r + vy, vx)
    alpha_r = np.arctan2(p["lr"] * r - vy, vx)

    def side_force(alpha: np.ndarray, axle: str) -> np.ndarray:
        B, C, D, E, S_h, S_v = (p[f"{name}{axle}"] for name in ("B_", "C_", "D_", "E_", "S_h", "S_v"))
        s = B * (alpha + S_h)
        return D * np.sin(C * np.arctan(s - E * (s - np.arctan(s)))) + S_v

    front, rear = side_force(alpha_f, "f"), side_force(alpha_r, "r")
    drive = (p["C_m1"] - p["C_m2"] * vx) * d - p["C_r0"] - p["C_r2"] * vx**2
    expected = [
        vx * np.cos(psi) - vy * np.sin(psi),
        vx * np.sin(psi) + vy * np.cos(psi),
        r,
        (drive - front * np.sin(delta)) / p["m"] + vy * r,
        (rear + front * np.cos(delta)) / p["m"] - vx * r,
        (front * p["lf"] * np.cos(delta) - rear * p["lr"]) / p["I"],
        np.full(points, 0.7),
    ]
    z = np.stack([0 * vx, 0 * vx, psi, vx, vy, r, delta, 0.7 + 0 * vx, d], axis=-1)
    found = PACEJKA.dynamics_fn(z, p, np)[:, :7]
    np.testing.assert_allclose(found, np.stack(expected, axis=-1), rtol=1e-11, atol=1e-10)


def test_simulator_s_log_is_reproduced() -> None:
    """BayesRace's ``dstates`` are Euler steps of 0.02 s: from each row the equations give the next.

    The simulator has E and shifts; the car is the preset's with these and another B.
    """
    file = DATA / "bayesrace" / "DYN-PP-ETHZ.npz"
    if not file.is_file():
        pytest.skip(f"no log at {file}: set PCT_DATA to the folder that holds 'bayesrace'")
    with np.load(file) as log:
        states, inputs = log["dstates"][:6, :-1].T, log["inputs"].T
    params = with_vehicle(PACEJKA, "orca").default_params | {
        "B_f": 5.579, "B_r": 5.3852, "E_f": -0.083, "E_r": -0.019,
        "S_hf": -0.0013, "S_vf": 0.00043, "S_hr": -0.00376, "S_vr": 0.00091,
    }  # fmt: skip
    drive, delta = inputs[:, 0], inputs[:, 1]
    rows = np.column_stack([states, delta, 0.0 * delta, drive])
    step = 0.02 * PACEJKA.dynamics_fn(rows, params, np)[:-1, :6]
    # The first row's pose is missing.
    np.testing.assert_allclose(np.diff(states, axis=0)[1:], step[1:], rtol=0.0, atol=1e-14)
    np.testing.assert_allclose(np.diff(states, axis=0)[0, 3:], step[0, 3:], rtol=0.0, atol=1e-14)


@pytest.mark.parametrize("vehicle", sorted(name for name in VEHICLES if not VEHICLES[name].like))
def test_steady_state_is_the_linear_model_s(vehicle: str) -> None:
    """At small slip held steering ends in psi_dot = vx delta / (L + K vx^2), with the slopes B C D.

    K is in Rajamani, "Vehicle Dynamics and Control", section 3.3.
    """
    p = with_vehicle(PACEJKA, vehicle).default_params | {"C_r0": 0.0, "C_r2": 0.0}
    vx, delta = 1.5 * p["v_blend_high"], 1e-5
    wheelbase = p["lf"] + p["lr"]
    stiff_front, stiff_rear = (p[f"B_{axle}"] * p[f"C_{axle}"] * p[f"D_{axle}"] for axle in "fr")
    understeer = p["m"] / wheelbase * (p["lr"] / stiff_front - p["lf"] / stiff_rear)
    psi_dot = vx * delta / (wheelbase + understeer * vx**2)
    vy = psi_dot * (p["lr"] - p["lf"] * p["m"] * vx**2 / (stiff_rear * wheelbase))
    end = simulate({"vx": vx, "delta": delta}, {}, p, seconds=2.0, dt=0.005)
    np.testing.assert_allclose((end.psi_dot, end.vy), (psi_dot, vy), rtol=1e-6)


@pytest.mark.parametrize("vehicle", ["f1tenth", "bmw-320i", "av-21"])
def test_at_small_slip_it_is_the_linear_single_track(vehicle: str) -> None:
    """The same car in both models: the presets agree with one another."""
    linear, p = (
        with_vehicle(MODEL_SPECS[name], vehicle).default_params for name in ("singletrack", PACEJKA.name)
    )
    v, tiny = 2.0 * p["v_blend_high"], 1e-6
    beta, psi_dot, delta = 1.0 * tiny, 2.0 * tiny, 3.0 * tiny
    z = np.array([0.0, 0.0, delta, v, 0.0, psi_dot, beta, 0.0, 0.0])
    expected = MODEL_SPECS["singletrack"].dynamics_fn(z, linear, np)
    p |= {"C_r0": 0.0, "C_r2": 0.0}
    found = rates({"vx": v, "vy": v * beta, "psi_dot": psi_dot, "delta": delta}, {}, p)
    np.testing.assert_allclose((found.psi_dot, found.vy / v), expected[5:7], rtol=1e-6)


@pytest.mark.parametrize("axle", ["f", "r"])
def test_peak_of_an_axle_is_d(axle: str) -> None:
    """Whatever the slide, no more than D across the car, and D is reached."""
    other = "r" if axle == "f" else "f"
    p = car(h=0.0, **{f"D_{other}": 0.0})
    vy = np.linspace(-20.0, 20.0, 4001)
    z = np.zeros((len(vy), 9))
    z[:, 3], z[:, 4] = 5.0, vy
    force = p["m"] * PACEJKA.dynamics_fn(z, p, np)[:, 4]
    np.testing.assert_allclose(np.abs(force).max(), p[f"D_{axle}"], rtol=1e-5)


def test_shifts_move_the_curve() -> None:
    """Straight ahead a tyre with shifts pulls to the side; a slip angle of -S_h leaves S_v alone."""
    p = car(S_hf=0.02, S_vf=0.5, h=0.0)
    moved = rates({"vx": 5.0, "delta": -0.02}, {}, p)
    assert moved.psi_dot * p["I"] == pytest.approx(0.5 * p["lf"] * np.cos(0.02), rel=1e-12)


# Along the car.


def test_coast_down_is_the_closed_form() -> None:
    """m dv/dt = -C_r0 - C_r2 v^2 gives v = sqrt(C_r0 / C_r2) tan(c - sqrt(C_r0 C_r2) t / m)."""
    p = car(C_r0=2.0, C_r2=0.1)
    end = simulate({"vx": 10.0}, {}, p, seconds=3.0, dt=0.01)
    root = np.sqrt(p["C_r0"] / p["C_r2"])
    c = np.arctan(10.0 / root)
    t = 3.0 * np.sqrt(p["C_r0"] * p["C_r2"]) / p["m"]
    np.testing.assert_allclose(end.vx, root * np.tan(c - t), rtol=1e-9)
    distance = p["m"] / p["C_r2"] * np.log(np.cos(c - t) / np.cos(c))
    np.testing.assert_allclose(end.x, distance, rtol=1e-9)
    assert (end.y, end.psi, end.vy, end.psi_dot) == (0.0, 0.0, 0.0, 0.0)


def test_full_drive_ends_at_top_speed() -> None:
    """Where the motor's force equals the resistances."""
    p = car()
    end = simulate({"vx": 10.0}, {"drive": 1.0}, p, seconds=40.0, dt=0.05)
    a, b, c = p["C_r2"], p["C_m2"], p["C_r0"] - p["C_m1"]
    np.testing.assert_allclose(end.vx, (-b + np.sqrt(b**2 - 4 * a * c)) / (2 * a), rtol=1e-6)
    # The gym's 1:10 car.
    assert end.vx == pytest.approx(20.0, rel=1e-3)


@pytest.mark.parametrize("vx", [4.0, -4.0])
def test_brakes_oppose_motion_and_a_motor_its_command(vx: float) -> None:
    sign = np.sign(vx)
    engine = car(C_b=30.0, k_b=0.0, C_r0=0.0, C_r2=0.0)
    assert rates({"vx": vx}, {"drive": -0.5}, engine).vx == pytest.approx(-sign * 15.0 / engine["m"])
    motor = car(C_r0=0.0, C_r2=0.0)
    for drive in (-0.5, 0.5):
        expected = drive * (motor["C_m1"] - motor["C_m2"] * 4.0) / motor["m"]
        assert rates({"vx": vx}, {"drive": drive}, motor).vx == pytest.approx(expected)
    coasting = car(C_r0=2.0, C_r2=0.1)
    assert rates({"vx": vx}, {}, coasting).vx == pytest.approx(-sign * (2.0 + 1.6) / coasting["m"])


def test_brakes_stop_the_car_and_leave_it_standing() -> None:
    engine = car(C_b=30.0, k_b=0.0)
    end = simulate({"vx": 3.0}, {"drive": -1.0}, engine, seconds=3.0, dt=0.01)
    assert 0.0 <= end.vx < 1e-6
    assert end.x == pytest.approx(3.0**2 / 2 / (31.0 / engine["m"]), rel=0.1)


@pytest.mark.parametrize(
    "params", [car(), car(k_b=0.0, C_b=50.0, S_hf=0.02, S_vf=1.0)], ids=["motor", "shifts"]
)
def test_nothing_moves_at_rest(params: dict) -> None:
    """However the wheels are turned, tyres that are off included; a friction brake does not push."""
    np.testing.assert_array_equal(rates({"delta": 0.3, "psi": 1.0}, {}, params), 0.0)
    if params["k_b"] == 0.0:
        np.testing.assert_array_equal(rates({"delta": 0.3}, {"drive": -1.0}, params), 0.0)


def test_load_moves_with_the_force_and_h_zero_turns_it_off() -> None:
    """Side forces follow the axles' loads, m (g lr - a h) / L in front and m (g lf + a h) / L behind."""
    state = {"vx": 5.0, "vy": 0.4, "psi_dot": 0.6, "delta": 0.0}
    control = {"drive": 0.6}

    def axles(p: dict) -> np.ndarray:
        """Side forces in front and behind, from the two sums."""
        found = rates(state, control, p)
        total = p["m"] * (found.vy + state["vx"] * state["psi_dot"])
        moment = p["I"] * found.psi_dot
        return np.linalg.solve([[1.0, 1.0], [p["lf"], -p["lr"]]], [total, moment])

    p = car(h=0.1)
    along = p["m"] * (rates(state, control, p).vx - state["vy"] * state["psi_dot"])
    loads = np.array([G * p["lr"] - along / p["m"] * p["h"], G * p["lf"] + along / p["m"] * p["h"]])
    still = np.array([G * p["lr"], G * p["lf"]])
    np.testing.assert_allclose(axles(p) / axles(car(h=0.0)), loads / still, rtol=1e-10)
    # An axle that would lift has no force left, and not one that pulls down.
    np.testing.assert_allclose(axles(car(h=2.0))[0], 0.0, atol=1e-12)


# Slow, and backwards.


def test_blend_is_exact_outside_its_range() -> None:
    """To the last digit: dynamic from v_blend_high on, rolling up to v_blend_low, in any direction."""
    rng = np.random.default_rng(1)
    p = namedtuple("Params", PACEJKA.default_params)(**PACEJKA.default_params)
    for low, high, expected in (
        (p.v_blend_high + 1e-9, 9.0, singletrack_pacejka.slipping_rates),
        (0.0, p.v_blend_low - 1e-9, singletrack_pacejka.rolling_rates),
    ):
        speed, course = rng.uniform(low, high, 200), rng.uniform(-np.pi, np.pi, 200)
        z = rng.uniform(-1.0, 1.0, (200, 9))
        z[:, 3], z[:, 4], z[:, 6] = speed * np.cos(course), speed * np.sin(course), 0.4 * z[:, 6]
        x, u = State(*z.T[:7]), Control(*z.T[7:])
        direction = singletrack_pacejka.travel_direction(x.vx, p, np)
        force = singletrack_pacejka.longitudinal_force(x.vx, direction, u.drive, p, np)
        second = direction if expected is singletrack_pacejka.slipping_rates else u.delta_dot
        found = PACEJKA.dynamics_fn(z, p._asdict(), np)[:, 3:6]
        np.testing.assert_array_equal(found.T, expected(x, second, force, p, np))


def test_blend_is_smooth() -> None:
    """Rates have no jump in value, slope or curvature over speed, through standstill into reverse."""
    p = PACEJKA.default_params

    @jax.jit
    def orders(vx: jax.Array) -> list:
        def rates(vx: jax.Array) -> jax.Array:
            z = jnp.array([0.0, 0.0, 0.2, 0.0, 0.0, 0.4, 0.1, 0.3, 0.5]).at[3].set(vx)
            return PACEJKA.dynamics_fn(z, p)[3:6]

        slope = jax.jacfwd(rates)
        return [rates(vx), slope(vx), jax.jacfwd(slope)(vx)]

    for vx in (0.0, *(side * p[name] for side in (-1, 1) for name in ("v_blend_low", "v_blend_high"))):
        for below, above in zip(orders(vx - 1e-9), orders(vx + 1e-9), strict=True):
            np.testing.assert_allclose(below, above, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("vx", [-0.4, 0.0, 0.3])
def test_slow_car_rolls(vx: float) -> None:
    """Yaw rate and side velocity keep to rolling: their rates are the derivatives of what it asks for."""
    p, delta, delta_dot = car(), 0.2, 0.4
    wheelbase = p["lf"] + p["lr"]
    yaw_rate = vx * np.tan(delta) / wheelbase
    found = rates(
        {"vx": vx, "vy": p["lr"] * yaw_rate, "psi_dot": yaw_rate, "delta": delta},
        {"delta_dot": delta_dot, "drive": 0.2},
        p,
    )
    yaw_acceleration = (found.vx * np.tan(delta) + vx * delta_dot / np.cos(delta) ** 2) / wheelbase
    np.testing.assert_allclose(
        (found.psi_dot, found.vy), (yaw_acceleration, p["lr"] * yaw_acceleration), rtol=1e-12, atol=1e-14
    )


def test_slow_car_returns_to_rolling() -> None:
    end = simulate({"vx": 0.0, "vy": 0.1, "psi_dot": 1.0}, {}, car(), bicycle.RELAXATION_TIME, 1e-3)
    np.testing.assert_allclose((end.vy, end.psi_dot), np.exp(-1.0) * np.array([0.1, 1.0]), rtol=1e-6)


@pytest.mark.parametrize("vx", [3.0, -3.0])
def test_rolling_wheels_have_no_side_force(vx: float) -> None:
    """Forward and in reverse: a car that goes where its wheels point needs only to be turned."""
    p, delta = car(h=0.0, C_r0=0.0, C_r2=0.0), 0.1
    yaw_rate = vx * np.tan(delta) / (p["lf"] + p["lr"])
    found = rates({"vx": vx, "vy": p["lr"] * yaw_rate, "psi_dot": yaw_rate, "delta": delta}, {}, p)
    np.testing.assert_allclose(found.psi_dot, 0.0, atol=1e-12)
    np.testing.assert_allclose(found.vy, -vx * yaw_rate, rtol=1e-12)


@pytest.mark.parametrize("vx", [-2.0, 0.0, 2.0])
def test_a_slide_loses_energy(vx: float) -> None:
    """Sideways, backwards and turning, the tyres take energy and never give it."""
    p = car(C_r0=0.0, C_r2=0.0)
    rng = np.random.default_rng(2)
    z = np.zeros((500, 9))
    z[:, 3], z[:, 4], z[:, 5] = vx, rng.uniform(-6, 6, 500), rng.uniform(-8, 8, 500)
    change = PACEJKA.dynamics_fn(z, p, np)
    power = p["m"] * (z[:, 3] * change[:, 3] + z[:, 4] * change[:, 4]) + p["I"] * z[:, 5] * change[:, 5]
    assert (power <= 1e-9).all()
