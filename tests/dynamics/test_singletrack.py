"""The single-track models against published values, closed forms and each other."""

import dataclasses
from collections import namedtuple
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS, ModelSpec, bicycle
from pct.dynamics.vehicles import VEHICLES, with_vehicle
from pct.rollout.integration import integrate_rk4

G = 9.81
SINGLETRACK = MODEL_SPECS["singletrack"]
AUGMENTED = MODEL_SPECS["singletrack-augmented"]
KINEMATIC = MODEL_SPECS["kinematic-singletrack"]


def bmw(spec: ModelSpec) -> dict:
    """Vehicle 2 of CommonRoad, with the kinematic model's reference point on the rear axle as there."""
    params = dict(with_vehicle(spec, "bmw-320i").default_params)
    if spec is KINEMATIC:
        params |= {"lf": params["lf"] + params["lr"], "lr": 0.0}
    return params


def simulate(
    spec: ModelSpec, start: list, control: list, params: dict, seconds: float, dt: float
) -> np.ndarray:
    """The state at the end, with the control held."""
    z = np.array([*start, *control], dtype=float)
    for _ in range(round(seconds / dt)):
        z = integrate_rk4(lambda z, p: spec.dynamics_fn(z, p, np), z, params, dt)
    return z[: len(spec.states)]


# Published with 16 digits in CommonRoad's vehicle models (test_derivatives.py) and in the f1tenth gym's
# dynamic_models.py, for vehicle 2 under 0.15 rad/s and 0.63 g. Its acceleration is limited by power there.
PUBLISHED = [
    (
        KINEMATIC,
        [3.9579422297936526, 0.0391650102771405, 0.0378491427211811, 16.3546957860883566, 0.0294717351052816],
        [16.3475935934250209, 0.4819314886013121, 0.15, 5.1464424102339752, 0.2401426578627629],
    ),
    *(
        (
            spec,
            [
                2.0233348142065677, 0.0041907137716636, 0.0197545248559617, 15.7216236334290116,
                0.0025857914776859, 0.0529001056654038, 0.0033012170610298,
            ],
            [
                15.7213512030862397, 0.0925527979719355, 0.15, 5.3536773276413925,
                0.0529001056654038, 0.6435589397748606, 0.0313297971641291,
            ],
        )
        for spec in (SINGLETRACK, AUGMENTED)
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "state", "rates"), PUBLISHED, ids=["kinematic", "single-track", "augmented"]
)
def test_published_derivatives(spec: ModelSpec, state: list, rates: list) -> None:
    z = np.array([*state, 0.15, 0.63 * G])
    np.testing.assert_allclose(
        spec.dynamics_fn(z, bmw(spec), np)[: len(rates)], rates, rtol=4e-16, atol=2e-16
    )
    np.testing.assert_allclose(spec.dynamics_fn(z, bmw(spec))[: len(rates)], rates, rtol=1e-15, atol=2e-16)


# Published in CommonRoad's test_zeroInitialVelocity.py with a tolerance of 1e-2: the states after one second
# from standstill, for vehicle 2. Its single-track model is kinematic below 0.1 m/s.
@pytest.mark.parametrize(
    ("spec", "control", "end"),
    [
        (SINGLETRACK, [0.0, 0.0], [0.0] * 7),
        (SINGLETRACK, [0.0, -0.7 * G], [-3.4335, 0.0, 0.0, -6.867, 0.0, 0.0, 0.0]),
        (
            SINGLETRACK,
            [0.15, 0.63 * G],
            [3.0731976046859715, 0.2869835398304389, 0.15, 6.1803, 0.1097747074946325, 0.3248268063223301,
             0.0697547542798040],
        ),
        (KINEMATIC, [0.0, -0.7 * G], [-3.4335, 0.0, 0.0, -6.867, 0.0]),
        (
            KINEMATIC,
            [0.15, 0.63 * G],
            [3.0845676868494927, 0.1484249221523042, 0.15, 6.1803, 0.1203664469224163],
        ),
        (KINEMATIC, [0.15, 0.0], [0.0, 0.0, 0.15, 0.0, 0.0]),
    ],
    ids=["rest", "reverse", "away", "kinematic-reverse", "kinematic-away", "kinematic-steer"],
)  # fmt: skip
def test_published_drives_from_standstill(spec: ModelSpec, control: list, end: list) -> None:
    params = bmw(spec) | {"v_blend_low": 0.09, "v_blend_high": 0.11}
    states = simulate(spec, [0.0] * len(end), control, params, seconds=1.0, dt=1e-3)
    np.testing.assert_allclose(states, end, rtol=0.0, atol=1e-2)


@pytest.mark.parametrize("vehicle", sorted(name for name in VEHICLES if not VEHICLES[name].like))
def test_steady_state_is_the_closed_form(vehicle: str) -> None:
    """Held speed and steering end in psi_dot = v delta / (L + K v^2) with the understeer gradient K.

    K and the slip angle are in Rajamani, "Vehicle Dynamics and Control", sections 3.1 to 3.3.
    """
    spec = with_vehicle(SINGLETRACK, vehicle)
    p = spec.default_params
    v, delta = 1.5 * p["v_blend_high"], 0.01
    wheelbase = p["lf"] + p["lr"]
    stiff_front = p["mu"] * p["C_Sf"] * p["m"] * G * p["lr"] / wheelbase
    stiff_rear = p["mu"] * p["C_Sr"] * p["m"] * G * p["lf"] / wheelbase
    understeer = p["m"] / wheelbase * (p["lr"] / stiff_front - p["lf"] / stiff_rear)
    psi_dot = v * delta / (wheelbase + understeer * v**2)
    beta = psi_dot / v * (p["lr"] - p["lf"] * p["m"] * v**2 / (stiff_rear * wheelbase))
    end = simulate(spec, [0.0, 0.0, delta, v, 0.0, 0.0, 0.0], [0.0, 0.0], p, seconds=4.0, dt=0.005)
    np.testing.assert_allclose(end[5:], [psi_dot, beta], rtol=1e-9)
    if vehicle == "f1tenth":
        assert understeer > 0.0


@pytest.mark.parametrize("v", [-3.0, 0.0, 0.3])
@pytest.mark.parametrize("name", ["singletrack", "singletrack-augmented", "mlp-dynamics"])
def test_slow_car_rolls(name: str, v: float) -> None:
    """Up to v_blend_low, and in reverse, a car that rolls goes on as the kinematic model does."""
    spec = MODEL_SPECS[name]
    params = spec.default_params
    delta, beta, curvature = 0.2, *rolling(0.2, params)
    z = np.array([1.0, 2.0, delta, v, 0.7, v * curvature, beta, 0.4, 0.6])
    rates = spec.dynamics_fn(z, params, np)
    kinematic = KINEMATIC.dynamics_fn(np.delete(z, [5, 6]), KINEMATIC.default_params, np)
    np.testing.assert_allclose(rates[:5], kinematic[:5], rtol=1e-14)
    # Yaw rate and slip angle keep to rolling: their rates are the derivatives of what rolling asks for.
    step = 1e-6
    ahead, behind = (np.array(rolling(delta + side * step * 0.4, params)) for side in (1, -1))
    speeds = np.array([v + step * 0.6, v - step * 0.6])
    psi_ddot = (speeds[0] * ahead[1] - speeds[1] * behind[1]) / (2 * step)
    beta_dot = (ahead[0] - behind[0]) / (2 * step)
    np.testing.assert_allclose(rates[5:7], [psi_ddot, beta_dot], rtol=1e-7, atol=1e-9)


def test_slow_car_returns_to_rolling() -> None:
    """A yaw rate and slip angle that a slow car cannot have decay with the relaxation time."""
    start = [0.0, 0.0, 0.0, 0.2, 0.0, 1.0, 0.3]
    end = simulate(SINGLETRACK, start, [0.0, 0.0], SINGLETRACK.default_params, bicycle.RELAXATION_TIME, 1e-3)
    np.testing.assert_allclose(end[5:], np.exp(-1.0) * np.array([1.0, 0.3]), rtol=1e-6)


def rolling(delta: float, p: dict) -> tuple[float, float]:
    """Slip angle in rad and curvature in 1/m at the centre of gravity of a car that rolls."""
    beta = np.arctan(p["lr"] / (p["lf"] + p["lr"]) * np.tan(delta))
    return beta, np.sin(beta) / p["lr"]


def test_blend_is_exact_outside_its_range() -> None:
    """To the last digit: dynamic from v_blend_high on, rolling up to v_blend_low."""
    p = bicycle_params()
    z = random_states()
    z[:, 3] = np.abs(z[:, 3]) + p.v_blend_high
    z[0, 3] = p.v_blend_high
    x = State(*z.T[:7])
    fast = SINGLETRACK.dynamics_fn(z, p._asdict(), np)
    expected = bicycle.dynamic_rates(x.delta, x.v, x.psi_dot, x.beta, fast[:, 3], p)
    np.testing.assert_array_equal(fast[:, 5:7].T, expected)
    z[:, 3] = p.v_blend_low - (z[:, 3] - p.v_blend_high)
    x = State(*z.T[:7])
    slow = SINGLETRACK.dynamics_fn(z, p._asdict(), np)
    expected = bicycle.rolling_rates(x, slow[:, 2], slow[:, 3], p, np)
    np.testing.assert_array_equal(slow[:, 5:7].T, expected)


State = namedtuple("State", SINGLETRACK.state_names)


def bicycle_params() -> Any:
    defaults = SINGLETRACK.default_params
    return namedtuple("Params", defaults)(**defaults)


def test_blend_is_smooth() -> None:
    """Rates of yaw rate and slip angle have no jump in value, slope or curvature over speed."""
    p = SINGLETRACK.default_params

    def rates(v: jax.Array) -> jax.Array:
        z = jnp.array([0.0, 0.0, 0.1, 0.0, 0.0, 0.4, 0.05, 0.3, 0.5]).at[3].set(v)
        return SINGLETRACK.dynamics_fn(z, p)[5:7]

    @jax.jit
    def orders(v: jax.Array) -> list:
        slope = jax.jacfwd(rates)
        return [rates(v), slope(v), jax.jacfwd(slope)(v)]

    for v in (p["v_blend_low"], p["v_blend_high"]):
        for below, above in zip(orders(v - 1e-9), orders(v + 1e-9), strict=True):
            np.testing.assert_allclose(below, above, rtol=1e-4, atol=1e-4)


def test_friction_limits_acceleration() -> None:
    """A slippery road transmits mu g and no more, in driving and braking."""
    params = SINGLETRACK.default_params | {"mu": 0.3}
    for accel in (9.0, -9.0):
        z = np.array([0.0, 0.0, 0.0, 5.0, 0.0, 0.0, 0.0, 0.0, accel])
        assert SINGLETRACK.dynamics_fn(z, params, np)[3] == np.sign(accel) * 0.3 * G


def test_side_force_depends_on_products_only() -> None:
    """mu against both stiffnesses, and m against I, cannot be told apart from lateral motion."""
    z = np.array([0.0, 0.0, 0.1, 5.0, 0.0, 0.4, 0.05, 0.3, 0.5])
    p = SINGLETRACK.default_params
    swapped = p | {
        "mu": p["mu"] / 2, "C_Sf": 2 * p["C_Sf"], "C_Sr": 2 * p["C_Sr"], "m": p["m"] / 4, "I": p["I"] / 4,
    }  # fmt: skip
    np.testing.assert_allclose(
        SINGLETRACK.dynamics_fn(z, swapped, np), SINGLETRACK.dynamics_fn(z, p, np), rtol=1e-13
    )


def test_augmented_is_singletrack_at_gains_one() -> None:
    z = random_states()
    same = AUGMENTED.dynamics_fn(z, AUGMENTED.default_params, np)
    np.testing.assert_array_equal(same, SINGLETRACK.dynamics_fn(z, SINGLETRACK.default_params, np))


def test_augmented_is_singletrack_seen_through_its_sensors() -> None:
    """The physical values follow the single-track model, whatever the gains and biases."""
    shown = random_states()
    gains = {"delta": 1.2, "psi_dot": 0.8, "beta": 1.1, "accel": 0.9}
    biases = {"delta": 0.02, "psi_dot": -0.05, "beta": 0.03, "accel": 0.4}
    params = AUGMENTED.default_params | {
        **{f"alpha_{key}": value for key, value in gains.items()},
        **{f"beta_{key}": value for key, value in biases.items()},
    }
    names = AUGMENTED.state_names + AUGMENTED.control_names
    gain = np.array([gains.get(key, 1.0) for key in names])
    gain[names.index("delta_dot")] = gains["delta"]
    bias = np.array([biases.get(key, 0.0) for key in names])
    physical = SINGLETRACK.dynamics_fn(gain * shown + bias, SINGLETRACK.default_params, np)[:, :7]
    np.testing.assert_allclose(
        gain[:7] * AUGMENTED.dynamics_fn(shown, params, np)[:, :7], physical, rtol=1e-12, atol=1e-12
    )


def random_states(points: int = 200) -> np.ndarray:
    rng = np.random.default_rng(0)
    size = np.array([10.0, 10.0, 0.4, 8.0, 3.0, 3.0, 0.5, 4.0, 12.0])
    return rng.uniform(-size, size, (points, 9))


def test_patched_spec_keeps_its_equations() -> None:
    """`dataclasses.replace` changes values, not the model."""
    patched = dataclasses.replace(SINGLETRACK, default_params=SINGLETRACK.default_params | {"mu": 0.5})
    assert patched.build_base_params(5)["mu"] == 0.5
    assert patched.build_base_params(5)["dt"] == 0.05
    assert patched.dynamics_fn is SINGLETRACK.dynamics_fn
