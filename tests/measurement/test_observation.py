"""What a log shows of a model: each option against the plain model, in NumPy and step by step."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS, ModelSpec, with_fixed
from pct.dynamics.vehicles import with_vehicle
from pct.errors import UsageError
from pct.measurement.observation import (
    GAINS,
    Measurement,
    corrected,
    delayed,
    hidden_start,
    vehicle_motion,
    with_measurement,
)
from pct.rollout.integration import TABLEAUS, explicit_step

UNICYCLE, CAR = MODEL_SPECS["unicycle"], MODEL_SPECS["singletrack-pacejka"]
DT, STEPS = 0.02, 16
# Three windows: one in a bend, one that rolls without slip, one in reverse.
START = {
    "vx": np.array([6.0, 0.4, -1.0]),
    "vy": np.array([0.2, 0.01, 0.0]),
    "psi_dot": np.array([1.0, 0.1, 0.2]),
    "delta": np.array([0.1, -0.1, 0.05]),
}
T = np.arange(STEPS)[:, None] * DT
STEERING = 0.3 * np.sin(8.0 * T + np.arange(3))
DRIVE = 0.5 * np.cos(5.0 * T + np.arange(3))
ALL = Measurement(
    lag=("vx", "vy", "psi_dot", "psi_dot"),
    bias=("vx", "vy", "psi_dot"),
    drift=("vx", "psi_dot"),
    actuator_lag=("delta", "throttle", "brake"),
    delay=("delta_dot", "throttle", "brake"),
    steering=True,
    lever_arm=True,
    misaligned=True,
    pedals=True,
    observer=True,
)


def drive(spec: ModelSpec, start: dict[str, Any], *controls: Any, h: float = DT, **params: Any) -> Any:
    """Every state by name, (N + 1, B) each, by Heun's method; states not in ``start`` begin at zero.

    Hidden states begin where `hidden_start` says, or at ``start``.
    """
    values = {**spec.default_params, **params}
    batch = np.zeros(controls[0].shape[1])
    x = tuple(batch + start.get(name, 0.0) for name in spec.state_names)
    hidden = hidden_start(spec, x, tuple(u[0] for u in controls))
    behind = (start.get(c.name, value) + batch for c, value in zip(spec.hidden, hidden, strict=True))
    rows = [(*x, *behind)]

    for u in zip(*controls, strict=True):

        def rate(x: Any, u: Any = u) -> Any:
            return spec.lane_rates(x, u, values, np)

        rows.append(explicit_step(TABLEAUS["heun"], rate, rows[-1], h))
    names = (*spec.state_names, *(c.name for c in spec.hidden))
    return {name: np.stack(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}


def assert_same(found: Any, wanted: Any, names: Any) -> None:
    for name in names:
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-9, atol=1e-9, err_msg=name)


PLAIN = drive(CAR, START, STEERING, DRIVE)


def test_the_drive_is_no_trivial_one() -> None:
    for name in CAR.state_names:
        assert np.ptp(PLAIN[name], axis=0).min() > 1e-3, name


@pytest.mark.parametrize("name", sorted(MODEL_SPECS))
def test_nothing_measured_is_the_model_itself(name: str) -> None:
    assert with_measurement(MODEL_SPECS[name], Measurement()) is MODEL_SPECS[name]


def test_a_lag_answers_a_step_as_a_first_order_system() -> None:
    spec = with_measurement(UNICYCLE, Measurement(lag=("v",)))
    tau, count = 0.05, 100
    still = np.zeros((count, 1))
    shown = drive(spec, {"v": 1.0, "v_true": 3.0}, still, still, h=1e-3, tau_v=tau)
    t = 1e-3 * np.arange(count + 1)[:, None]
    np.testing.assert_allclose(shown["v"], 3.0 - 2.0 * np.exp(-t / tau), rtol=1e-4)
    np.testing.assert_allclose(shown["x"], 3.0 * t, atol=1e-12)


def test_behind_a_lag_the_car_moves_as_without() -> None:
    spec = with_measurement(CAR, Measurement(lag=("psi_dot", "vx")))
    shown = drive(spec, START, STEERING, DRIVE, tau_psi_dot=0.3, tau_vx=0.05)
    assert_same(shown, PLAIN, ("x", "y", "psi", "vy", "delta"))
    for name in ("psi_dot", "vx"):
        np.testing.assert_allclose(shown[f"{name}_true"], PLAIN[name], rtol=1e-9)
        assert np.abs(shown[name] - PLAIN[name]).max() > 0.05


def test_a_bias_shifts_what_is_shown_and_fades() -> None:
    spec = with_measurement(CAR, Measurement(bias=("vx", "psi_dot")))
    bias = {"vx": 0.4, "psi_dot": -0.1}
    start = {**START, **{f"{n}_bias": b for n, b in bias.items()}, **{n: START[n] + bias[n] for n in bias}}
    shown = drive(spec, start, STEERING, DRIVE, fade_vx_bias=0.5, fade_psi_dot_bias=0.2)
    for name, fade in (("vx", 0.5), ("psi_dot", 0.2)):
        np.testing.assert_allclose(shown[name] - shown[f"{name}_bias"], PLAIN[name], rtol=1e-9)
        left = bias[name] * np.exp(-DT * np.arange(STEPS + 1) / fade)
        np.testing.assert_allclose(shown[f"{name}_bias"][:, 0], left, rtol=5e-3)
    assert_same(shown, PLAIN, ("x", "y", "psi", "vy", "delta"))


def test_a_lag_and_a_bias_add_up() -> None:
    """The bias is the sensor's: it stands at once, behind the lag there is none of it."""
    lag = drive(
        with_measurement(CAR, Measurement(lag=("vx",))),
        {**START, "vx_true": START["vx"] + 0.5},
        STEERING,
        DRIVE,
    )
    both = drive(
        with_measurement(CAR, Measurement(lag=("vx",), bias=("vx",))),
        {**START, "vx": START["vx"] + 0.2, "vx_true": START["vx"] + 0.5, "vx_bias": 0.2},
        STEERING,
        DRIVE,
    )
    np.testing.assert_allclose(both["vx"] - both["vx_bias"], lag["vx"], rtol=1e-9)
    assert_same(both, lag, ("x", "y", "psi", "vy", "psi_dot", "delta", "vx_true"))


def test_several_lags_in_a_row_answer_a_step_as_a_cascade() -> None:
    spec = with_measurement(UNICYCLE, Measurement(lag=("v", "v", "v")))
    tau, count = 0.09, 200
    still = np.zeros((count, 1))
    start = {"v": 1.0, "v_stage1": 1.0, "v_stage2": 1.0, "v_true": 3.0}
    shown = drive(spec, start, still, still, h=1e-3, tau_v=tau)
    s = 3 * 1e-3 * np.arange(count + 1)[:, None] / tau
    np.testing.assert_allclose(shown["v"], 3.0 - 2.0 * np.exp(-s) * (1 + s + s**2 / 2), rtol=1e-4)


@pytest.mark.parametrize("lag", [(), ("vy", "psi_dot")])
def test_a_lever_arm_shows_the_motion_of_another_point(lag: tuple[str, ...]) -> None:
    spec = with_measurement(CAR, Measurement(lever_arm=True, lag=lag))
    ahead = 0.15
    point = START["vy"] + ahead * START["psi_dot"]
    shown = drive(spec, {**START, "vy": point}, STEERING, DRIVE, ahead=ahead)
    vy, psi_dot = (shown[f"{name}_true" if lag else name] for name in ("vy", "psi_dot"))
    np.testing.assert_allclose(vy, PLAIN["vy"] + ahead * PLAIN["psi_dot"], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(psi_dot, PLAIN["psi_dot"], rtol=1e-9)
    assert_same(shown, PLAIN, ("x", "y", "psi", "vx", "delta"))


def test_turned_axes_show_the_velocity_in_them() -> None:
    spec = with_measurement(CAR, Measurement(misaligned=True))
    turn = 0.05  # the sensor's axes are to the left of the car's
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    vx, vy = rotation @ [START["vx"], START["vy"]]
    shown = drive(spec, {**START, "vx": vx, "vy": vy}, STEERING, DRIVE, misalignment=turn)
    wanted = rotation @ np.stack([PLAIN["vx"].ravel(), PLAIN["vy"].ravel()])
    np.testing.assert_allclose([shown["vx"].ravel(), shown["vy"].ravel()], wanted, rtol=1e-9, atol=1e-9)
    assert_same(shown, PLAIN, ("x", "y", "psi", "psi_dot", "delta"))


@pytest.mark.parametrize("model", ["singletrack-pacejka", "kinematic-singletrack"])
def test_steering_is_that_of_the_changed_angle(model: str) -> None:
    spec = MODEL_SPECS[model]
    ratio, offset = 0.8, 0.02
    names = {"vx": "v", "vy": "", "psi_dot": ""} if "v" in spec.state_names else {}
    start = {names.get(name, name): value for name, value in START.items()}
    changed = {**start, "delta": ratio * start["delta"] + offset}
    wanted = drive(spec, changed, ratio * STEERING, DRIVE)
    shown = drive(
        with_measurement(spec, Measurement(steering=True)),
        start,
        STEERING,
        DRIVE,
        steering_ratio=ratio,
        steering_offset=offset,
    )
    np.testing.assert_allclose(ratio * shown["delta"] + offset, wanted["delta"], rtol=1e-9)
    assert_same(shown, wanted, set(spec.state_names) - {"delta"})


def test_a_ratio_that_rises_with_the_angle_steers_more() -> None:
    ratio, curve = 0.9, 0.8

    def wheel(angle: Any) -> Any:
        return ratio * angle * (1 + curve * angle**2)

    def rate(angle: Any) -> Any:
        return ratio * (1 + 3 * curve * angle**2)

    spec = with_measurement(CAR, Measurement(steering=True))
    rng = np.random.default_rng(0)
    x, u = rng.uniform(0.1, 0.3, (7, 5)), rng.uniform(-0.2, 0.2, (2, 5))
    x[CAR.state_indices["vx"]] += 4.0
    params = {**CAR.default_params, "steering_ratio": ratio, "steering_curve": curve, "steering_offset": 0.0}
    bent, faster = x.copy(), u.copy()
    i = CAR.state_indices["delta"]
    bent[i] = wheel(x[i])
    faster[0] = rate(x[i]) * u[0]
    wanted = list(CAR.lane_rates(tuple(bent), tuple(faster), CAR.default_params, np))
    wanted[i] = wanted[i] / rate(x[i])
    for found, plain in zip(spec.lane_rates(tuple(x), tuple(u), params, np), wanted, strict=True):
        np.testing.assert_allclose(found, plain, rtol=1e-12)


@pytest.mark.parametrize("curve", [-4.0, 4.0])
def test_a_bent_ratio_never_turns_the_steering_round(curve: float) -> None:
    angle = np.linspace(-1.5, 1.5, 301)
    p = SimpleNamespace(steering_ratio=1.0, steering_curve=curve, steering_offset=0.0)
    shown = vehicle_motion(Measurement(steering=True), p, {"delta": angle}, np)["delta"]
    assert np.diff(shown).min() > 0


def test_an_actuator_follows_its_control_as_a_first_order_system() -> None:
    spec = with_measurement(UNICYCLE, Measurement(actuator_lag=("accel",)))
    tau, count = 0.05, 100
    still, push = np.zeros((count, 1)), np.full((count, 1), 2.0)
    shown = drive(spec, {"accel_acting": -1.0}, still, push, h=1e-3, tau_accel_acting=tau)
    t = 1e-3 * np.arange(count + 1)[:, None]
    np.testing.assert_allclose(shown["accel_acting"], 2.0 - 3.0 * np.exp(-t / tau), atol=1e-4)
    np.testing.assert_allclose(shown["v"], 2.0 * t - 3.0 * tau * (1.0 - np.exp(-t / tau)), atol=1e-4)


def test_a_state_acts_late_and_is_shown_as_it_is() -> None:
    spec = with_measurement(CAR, Measurement(actuator_lag=("delta",)))
    rng = np.random.default_rng(0)
    x, u = rng.uniform(0.1, 2.0, (8, 5)), rng.uniform(-0.2, 0.2, (2, 5))
    params = {**CAR.default_params, "tau_delta_acting": 0.25}
    seen = x[:7].copy()
    seen[CAR.state_indices["delta"]] = x[7]
    rates = spec.lane_rates(tuple(x), tuple(u), params, np)
    wanted = CAR.lane_rates(tuple(seen), tuple(u), CAR.default_params, np)
    for found, plain in zip(rates[:7], wanted, strict=True):
        np.testing.assert_allclose(found, plain, rtol=1e-12)
    np.testing.assert_allclose(rates[7], (x[CAR.state_indices["delta"]] - x[7]) / 0.25, rtol=1e-12)


def test_a_drift_adds_its_rate_and_fades() -> None:
    spec = with_measurement(UNICYCLE, Measurement(drift=("v",)))
    count, fade = 100, 0.1
    still = np.zeros((count, 1))
    shown = drive(spec, {"v": 1.0, "v_drift": 0.7}, still, still, h=1e-3, fade_v_drift=fade)
    t = 1e-3 * np.arange(count + 1)[:, None]
    np.testing.assert_allclose(shown["v_drift"], 0.7 * np.exp(-t / fade), rtol=1e-4)
    np.testing.assert_allclose(shown["v"], 1.0 + 0.7 * fade * (1.0 - np.exp(-t / fade)), rtol=1e-5)


def test_pedals_make_the_drive_command() -> None:
    spec = with_measurement(CAR, Measurement(pedals=True))
    assert spec.control_names == ("delta_dot", "throttle", "brake")
    assert spec.control_dim == 3
    brakes = {"C_b": 20.0, "k_b": 0.0}
    shown = drive(spec, START, STEERING, np.maximum(DRIVE, 0), np.maximum(-DRIVE, 0), **brakes)
    assert_same(shown, drive(CAR, START, STEERING, DRIVE, **brakes), CAR.state_names)


def test_a_brake_that_was_released_lets_the_throttle_act() -> None:
    """Behind its lag the brake never is exactly zero again."""
    spec = with_measurement(CAR, Measurement(pedals=True, actuator_lag=("brake",)))
    count = 100
    throttle, zero = np.ones((count, 1)), np.zeros((count, 1))
    shown = drive(spec, {"vx": 3.0, "brake_acting": 0.5}, zero, throttle, zero, tau_brake_acting=0.02)
    assert shown["brake_acting"][-1] > 0
    full = drive(CAR, {"vx": shown["vx"][50]}, zero[50:], throttle[50:])
    np.testing.assert_allclose(shown["vx"][-1], full["vx"][-1], rtol=1e-3)


DELAYED = with_measurement(UNICYCLE, Measurement(delay=("accel",)))
ROWS = np.random.default_rng(0).standard_normal((8, 2))


def late(delay: float, rows: Any = ROWS) -> np.ndarray:
    other, column = delayed(DELAYED, {"delay_accel": jnp.asarray(delay)}, (ROWS, jnp.asarray(rows)), 0.1)
    np.testing.assert_array_equal(other, ROWS)
    return np.asarray(column)


def test_a_delay_shifts_a_control_and_keeps_its_ends() -> None:
    np.testing.assert_array_equal(late(0.0), ROWS)
    np.testing.assert_allclose(late(0.2), ROWS[[0, 0, 0, 1, 2, 3, 4, 5]], rtol=1e-12)
    np.testing.assert_allclose(late(-0.3), ROWS[[3, 4, 5, 6, 7, 7, 7, 7]], rtol=1e-12)
    np.testing.assert_array_equal(late(50.0), ROWS[[0] * 8])
    np.testing.assert_array_equal(late(-50.0), ROWS[[7] * 8])


@pytest.mark.parametrize("delay", [0.04, 0.25, -0.13, -0.31])
def test_between_rows_a_delay_is_a_straight_line(delay: float) -> None:
    t = 0.1 * np.arange(8)
    wanted = np.stack([np.interp(t - delay, t, column) for column in ROWS.T], axis=1)
    np.testing.assert_allclose(late(delay), wanted, rtol=1e-12)


def test_the_derivative_of_a_delay_is_the_slope() -> None:
    found = jax.jacfwd(lambda d: delayed(DELAYED, {"delay_accel": d}, (ROWS, jnp.asarray(ROWS)), 0.1)[1])(
        0.13
    )
    wanted = (late(0.13 + 1e-4) - late(0.13 - 1e-4)) / 2e-4
    np.testing.assert_allclose(found, wanted, atol=1e-8)


def test_every_option_at_once_is_finite_at_standstill() -> None:
    spec = with_measurement(CAR, ALL)
    count = len(spec.states) + len(spec.hidden)
    # At rest with all at zero, at walking speed, and fast; single precision, as fits run.
    x = np.zeros((3, count))
    x[1:] = 0.01 * np.random.default_rng(0).standard_normal((2, count))
    x[2, CAR.state_indices["vx"]] = 7.0
    u = np.array([[0.0, 0.0, 0.0], [0.1, 0.3, 0.0], [0.0, 0.0, 0.5]])
    z = jnp.asarray(np.concatenate([x, u], axis=1), jnp.float32)
    scalars = [key for key, shape in spec.full_shapes.items() if not shape]
    learned = {key: jnp.asarray(spec.default_params[key], jnp.float32) for key in scalars}

    def rates(z: Any, learned: Any) -> Any:
        found = spec.dynamics_fn(z, {**spec.default_params, **learned})
        return found, found

    slopes, values = jax.jit(jax.vmap(jax.jacfwd(rates, argnums=(0, 1), has_aux=True), in_axes=(0, None)))(
        z, learned
    )
    assert values.shape == (3, count + 3)
    for leaf in jax.tree.leaves((values, slopes)):
        assert np.isfinite(leaf).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lag": ("v",)}, "--lag v: 'singletrack-pacejka' has no such channel; expected one of vx, vy,"),
        ({"bias": ("vx", "vx")}, "--bias vx vx: expected each channel once"),
        ({"delay": ("drive", "drive")}, "--delay drive drive: expected each channel once"),
        ({"lag": ("psi",)}, "--lag psi:"),
        ({"bias": ("vx", "beta")}, "--bias beta:"),
        ({"drift": ("x",)}, "--drift x:"),
        ({"actuator_lag": ("accel",)}, "--actuator-lag accel:.*delta_dot, drive"),
        ({"delay": ("delta",)}, "--delay delta:"),
        ({"delay": ("drive",), "pedals": True}, "--delay drive:.*throttle, brake"),
    ],
)
def test_an_unknown_channel_is_refused_by_flag_and_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        with_measurement(CAR, Measurement(**options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steering": True}, "--steering delta: 'unicycle'"),
        ({"lever_arm": True}, "--lever-arm vx: 'unicycle'"),
        ({"pedals": True}, "--pedals drive: 'unicycle'"),
    ],
)
def test_an_option_that_the_model_cannot_take_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        with_measurement(UNICYCLE, Measurement(**options))


def every_option(spec: ModelSpec) -> Measurement:
    """All that a model can take."""
    if spec is CAR:
        return ALL
    moving = tuple(name for name in spec.state_names if name not in spec.pose)
    return Measurement(
        lag=moving[:1],
        bias=moving,
        drift=moving,
        actuator_lag=spec.control_names,
        delay=spec.control_names,
        steering="delta" in moving,
        observer=True,
    )


@pytest.mark.parametrize("name", sorted(MODEL_SPECS))
def test_rows_and_values_are_complete(name: str) -> None:
    plain = MODEL_SPECS[name]
    spec = with_measurement(plain, every_option(plain))
    added = [row for row in spec.parameters if row not in plain.parameters]
    assert spec.parameters[: len(plain.parameters)] == plain.parameters
    assert len(added) > 5
    assert spec.param_keys == (*plain.param_keys, *(row.name for row in added))
    assert spec.global_keys == (*plain.global_keys, *(row.name for row in added))
    assert set(spec.param_bounds) == set(spec.default_params) == {row.name for row in spec.parameters}
    for row in added:
        (low, high), default = spec.param_bounds[row.name], spec.default_params[row.name]
        assert np.all(low < high), row.name
        assert np.all(low <= default), row.name
        assert np.all(default <= high), row.name
        assert row.scope == "global"
        assert row.unit
        assert row.doc
    assert spec.full_shapes[GAINS] == np.shape(spec.default_params[GAINS])
    assert (spec.states, spec.state_names, spec.pose) == (plain.states, plain.state_names, plain.pose)
    assert not {c.name for c in spec.hidden} & {*spec.state_names, *spec.control_names}


@pytest.mark.parametrize("name", sorted(MODEL_SPECS))
def test_mirrored_errors_give_a_mirrored_drive(name: str) -> None:
    spec = with_measurement(MODEL_SPECS[name], every_option(MODEL_SPECS[name]))
    rng = np.random.default_rng(1)
    rows = (*spec.states, *spec.hidden, *spec.controls)
    z = rng.uniform(0.1, 1.0, (20, len(rows)))
    params = dict(spec.default_params)
    for key, shape in spec.full_shapes.items():
        params[key] = rng.uniform(*spec.param_bounds[key], (20, *shape))
    sign = np.array([-1.0 if row.odd else 1.0 for row in rows])
    mirrored = {row.name: np.where(row.odd, -1.0, 1.0) * params[row.name] for row in spec.parameters}
    rates = spec.dynamics_fn(z, params, np)
    found = spec.dynamics_fn(sign * z, mirrored, np)
    np.testing.assert_allclose(found, sign * rates, rtol=1e-9, atol=1e-9)

    # The observer, too: its gains change sign between odd and even.
    count = len(spec.states)
    x, logged = z[:, : count + len(spec.hidden)].T, rng.uniform(-1.0, 1.0, (count, 20))
    gains, swapped = params[GAINS][0], mirrored[GAINS][0]
    s = sign[: len(x), None]
    gate = np.ones(())
    after = np.stack(corrected(spec, {GAINS: gains}, tuple(x), tuple(logged), gate))
    other = np.stack(corrected(spec, {GAINS: swapped}, tuple(s * x), tuple(s[:count] * logged), gate))
    np.testing.assert_allclose(other, s * after, rtol=1e-9, atol=1e-9)


def test_a_correction_is_gains_times_errors() -> None:
    spec = with_measurement(UNICYCLE, Measurement(lag=("v",), bias=("v",), observer=True))
    assert [c.name for c in spec.hidden] == ["v_true", "v_bias"]
    x = tuple(np.array([value]) for value in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0))
    logged = tuple(np.array([value]) for value in (1.5, 2.5, 3.5, 4.5))
    params = {GAINS: np.array([[0.2], [0.4], [-0.6]])}
    after = corrected(spec, params, x, logged, np.ones(()))
    # The pose is taken from the log, moving states go part of the way.
    np.testing.assert_allclose(np.concatenate(after), [1.5, 2.5, 3.5, 4.1, 5.2, 5.7])
    np.testing.assert_array_equal(corrected(spec, params, x, logged, np.zeros(())), x)


def test_gains_start_at_a_channels_own_error() -> None:
    spec = with_measurement(CAR, Measurement(lag=("vy",), drift=("vx",), observer=True))
    gains = spec.default_params[GAINS]
    corrects = [c.name for c in (*CAR.states[3:], *spec.hidden)]
    assert corrects == ["vx", "vy", "psi_dot", "delta", "vy_true", "vx_drift"]
    np.testing.assert_array_equal(gains[:4], 0.3 * np.eye(4))
    np.testing.assert_array_equal(gains[4:], [[0.0, 0.3, 0.0, 0.0], [0.0] * 4])


def test_what_was_set_before_stays_set() -> None:
    patched = with_fixed(with_vehicle(CAR, "av-21"), {"I": 900.0})
    spec = with_measurement(patched, Measurement(lever_arm=True, observer=True))
    assert spec.default_params["I"] == 900.0
    assert "I" not in spec.param_keys
    assert spec.default_params["m"] == 790.0
    assert spec.param_bounds["D_f"] == patched.param_bounds["D_f"]
    # Distances are the vehicle's.
    low, high = spec.param_bounds["ahead"]
    np.testing.assert_allclose((low, high), (-2 * 1.7328, 2 * 1.248))


def test_hidden_states_start_from_the_log_and_errors_at_zero() -> None:
    spec = with_measurement(
        CAR, Measurement(lag=("psi_dot",), actuator_lag=("delta", "drive"), drift=("vx",), bias=("vy",))
    )
    x = tuple(np.full(2, float(i)) for i in range(7))
    u = np.full(2, 20.0), np.full(2, 30.0)
    found = dict(zip((c.name for c in spec.hidden), hidden_start(spec, x, u), strict=True))
    wanted = {
        "psi_dot_true": 5.0, "delta_acting": 6.0, "drive_acting": 30.0, "vx_drift": 0.0, "vy_bias": 0.0,
    }  # fmt: skip
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], value)
