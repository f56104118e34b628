"""Rollouts that begin with a history, against loops of steps, and their derivatives against JAX's own."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS, ModelSpec, with_fixed
from pct.dynamics.core import flatten_params, unflatten_params
from pct.measurement import Measurement, with_measurement
from pct.measurement.filter import layout
from pct.measurement.observer import GAINS
from pct.rollout.history import HistoryRollout, make_history_rollout
from pct.types import WholeWindows

UNICYCLE, CAR = MODEL_SPECS["unicycle"], MODEL_SPECS["singletrack-pacejka"]
HISTORY, HORIZON, WINDOWS = 3, 4, 2
DT, SUBSTEPS = 0.1, 2
OBSERVED = with_measurement(
    UNICYCLE,
    Measurement(
        lag=("v",), bias=("v",), drift=("v",), actuator_lag=("accel",), delay=("accel",), observer=True
    ),
    gains=True,
)
DELAYED = with_measurement(UNICYCLE, Measurement(lag=("v",), delay=("psi_dot", "accel")))
SLIPPING = with_measurement(
    CAR, Measurement(lag=("psi_dot",), delay=("delta_dot",), observer=True), gains=True
)
FILTERED = with_measurement(CAR, Measurement(lag=("psi_dot",), delay=("delta_dot",), observer=True))
SPECS = {
    "observer": OBSERVED,
    "delays alone": DELAYED,
    "plain": UNICYCLE,
    "slipping": SLIPPING,
    "filtered": FILTERED,
}


class Case(NamedTuple):
    """A rollout compiled, its windows and learned parameters."""

    roll: HistoryRollout
    windows: WholeWindows
    params: dict[str, Any]
    base: dict[str, Any]


def make_windows(spec: ModelSpec) -> WholeWindows:
    """Windows that no model would show: each state walks at random."""
    rng = np.random.default_rng(0)
    rows, shape = HISTORY + HORIZON, (HISTORY + HORIZON + 1, WINDOWS)
    fast = {"v": 3.0, "vx": 5.0}
    states = (fast.get(c.name, 0.0) + c.scale * rng.standard_normal(shape) for c in spec.states)
    controls = (c.scale * rng.standard_normal((rows, WINDOWS)) for c in spec.controls)
    return WholeWindows(tuple(map(jnp.asarray, states)), tuple(map(jnp.asarray, controls)))


@cache
def case(name: str) -> Case:
    spec = SPECS[name]
    rng = np.random.default_rng(1)
    params = {}
    for key, shape in spec.full_shapes.items():
        low, high = (np.broadcast_to(side, shape) for side in spec.param_bounds[key])
        params[key] = jnp.asarray(low + (high - low) * rng.uniform(0.3, 0.6, shape))
    params |= {key: jnp.asarray(rng.uniform(-0.15, 0.15)) for key in params if key.startswith("delay_")}
    if GAINS in params:
        params[GAINS] = jnp.asarray(rng.uniform(0.1, 0.4, params[GAINS].shape))
    base = {**spec.default_params, "dt": DT}
    roll = make_history_rollout(spec, base, "euler", SUBSTEPS, HISTORY)
    gains = None if roll.gains is None else jax.jit(roll.gains)
    compiled = HistoryRollout(jax.jit(roll.states), jax.jit(roll.sensitivities), gains)
    return Case(compiled, make_windows(spec), params, base)


def loop(
    spec: ModelSpec, values: dict[str, Any], windows: WholeWindows, gains: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """The states at the end of the history, (S, B), and those of the table after, (S, T, B)."""
    states = np.stack(windows.states)
    first = HISTORY if gains is None else 0
    t = DT * np.arange(HISTORY + HORIZON)
    acting = [
        np.stack([np.interp(t - values.get(f"delay_{name}", 0.0), t, one) for one in np.asarray(column).T], 1)
        for name, column in zip(spec.control_names, windows.controls, strict=True)
    ]
    logged = dict(zip((*spec.state_names, *spec.control_names), (*states, *windows.controls), strict=True))
    x = [column[first] for column in states]
    for channel in spec.hidden:
        name, _, what = channel.name.rpartition("_")
        x.append(np.asarray(logged[name][first]) * (what in ("true", "acting")))
    places = layout(spec)
    at_start, rows = x, []
    for row in range(first, HISTORY + HORIZON):
        u = tuple(column[row] for column in acting)
        for _ in range(SUBSTEPS):
            rates = spec.lane_rates(tuple(x), u, values, np)
            x = [value + DT / SUBSTEPS * rate for value, rate in zip(x, rates, strict=True)]
        if gains is not None and row + 1 <= HISTORY:
            error = states[:, row + 1] - np.stack(x[: len(states)])
            move = np.einsum("kjb,jb->kb", gains[row] + 0 * error[0], error[list(places.read)])
            after = list(x)
            for i in places.logged:
                after[i] = states[i, row + 1]
            for k, i in enumerate(places.estimated):
                after[i] = x[i] + move[k]
            x = after
        if row + 1 == HISTORY:
            at_start = x
        if row >= HISTORY:
            rows.append(np.stack(x[: len(states)]))
    return np.stack(at_start), np.stack(rows, axis=1)


@pytest.mark.parametrize("name", SPECS)
def test_states_are_those_of_a_loop(name: str) -> None:
    roll, windows, params, base = case(name)
    at_start, ahead = roll.states(params, windows)
    values = {key: np.asarray(value) for key, value in {**base, **params}.items()}
    gains = None if roll.gains is None else np.asarray(roll.gains(params, windows))
    start, rows = loop(SPECS[name], values, windows, gains)
    np.testing.assert_allclose(np.stack(at_start), start, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(np.stack(ahead), rows, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", SPECS)
def test_sensitivities_are_jaxs_derivatives(name: str) -> None:
    roll, windows, params, _ = case(name)
    keys, shapes = SPECS[name].param_keys, SPECS[name].full_shapes
    flat = jnp.asarray(flatten_params(params, keys, shapes))
    directions = jax.vmap(lambda d: unflatten_params(d, keys, shapes))(jnp.eye(flat.size))
    gains = None if roll.gains is None else roll.gains(params, windows)
    states, change = roll.sensitivities(params, directions, windows, gains)
    ahead = lambda p: roll.states(unflatten_params(p, keys, shapes), windows, gains)[1]  # noqa: E731
    wanted = jax.jit(jax.jacfwd(ahead))(flat)
    np.testing.assert_allclose(np.stack(states), np.stack(roll.states(params, windows)[1]), rtol=1e-12)
    found, wanted = np.stack(change), np.moveaxis(np.stack(wanted), -1, 2)
    assert found.shape == (len(states), HORIZON, flat.size, WINDOWS)
    size = np.abs(wanted).max(axis=(0, 1, 3), keepdims=True)
    np.testing.assert_allclose(found / np.maximum(size, 1e-9), wanted / np.maximum(size, 1e-9), atol=1e-9)
    if name == "observer":
        # The gains are held.
        moved = np.array([key != GAINS for key in keys for _ in range(int(np.prod(shapes[key])))])
        assert (size[0, 0, moved] > 1e-6).all()


def test_the_start_can_be_turned_too() -> None:
    """Along speed and heading of the row it starts from."""
    roll, windows, params, _ = case("plain")
    turned = {2: 0.5, 3: -2.0}
    still = jax.tree.map(lambda value: jnp.zeros((1, *value.shape)), params)
    along = tuple(jnp.full((1, 1), turned.get(i, 0.0)) for i in range(len(UNICYCLE.states)))
    _, change = roll.sensitivities(params, still, windows, along_start=along)

    def moved(by: Any) -> Any:
        states = tuple(x.at[HISTORY].add(by * turned.get(i, 0.0)) for i, x in enumerate(windows.states))
        return roll.states(params, windows._replace(states=states))[1]

    _, wanted = jax.jvp(moved, (jnp.asarray(0.0),), (jnp.asarray(1.0),))
    np.testing.assert_allclose(np.stack(change)[:, :, 0], np.stack(wanted), rtol=1e-9, atol=1e-12)


def test_without_gains_it_is_an_open_loop_from_the_first_row() -> None:
    roll, windows, params, base = case("observer")
    params = {**params, GAINS: jnp.zeros_like(params[GAINS])}
    at_start, _ = roll.states(params, windows)
    # The same windows, as if all of it lay ahead.
    open_loop = with_measurement(UNICYCLE, dataclasses.replace(OBSERVED.measurement, observer=False))
    whole = jax.jit(make_history_rollout(open_loop, {**base, **params}, "euler", SUBSTEPS, 0).states)
    learned = {key: params[key] for key in open_loop.param_keys}
    speed = UNICYCLE.state_indices["v"]
    _, rows = whole(learned, windows)
    np.testing.assert_allclose(at_start[speed], rows[speed][HISTORY - 1], rtol=1e-12)
    # Errors that nobody corrects stay at zero.
    for channel, value in zip(OBSERVED.hidden, at_start[len(UNICYCLE.states) :], strict=True):
        if channel.name in ("v_bias", "v_drift"):
            np.testing.assert_array_equal(value, 0.0)


def test_what_is_logged_ahead_is_never_read() -> None:
    roll, windows, params, _ = case("observer")
    spoiled = windows._replace(states=tuple(x.at[HISTORY + 1 :].add(9.0) for x in windows.states))
    for found, wanted in zip(
        jax.tree.leaves(roll.states(params, spoiled)),
        jax.tree.leaves(roll.states(params, windows)),
        strict=True,
    ):
        np.testing.assert_array_equal(found, wanted)


def test_a_log_of_the_models_own_motion_needs_no_correction() -> None:
    """The true parameters meet it, whatever the gains."""
    roll, windows, params, base = case("observer")
    params = {**params, "delay_accel": jnp.asarray(0.0)}
    # From the first row on, all of it open loop.
    open_loop = with_measurement(UNICYCLE, dataclasses.replace(OBSERVED.measurement, observer=False))
    whole = jax.jit(make_history_rollout(open_loop, {**base, **params}, "euler", SUBSTEPS, 0).states)
    _, rows = whole({key: params[key] for key in open_loop.param_keys}, windows)
    own = tuple(jnp.concatenate([x[:1], row]) for x, row in zip(windows.states, rows, strict=True))
    _, ahead = roll.states(params, windows._replace(states=own))
    np.testing.assert_allclose(np.stack(ahead), np.stack(own)[:, HISTORY + 1 :], rtol=1e-9, atol=1e-12)


def test_held_parameters_take_their_given_values() -> None:
    """Gains and delays, too, can be held."""
    roll, windows, params, base = case("observer")
    held = with_fixed(OBSERVED, dict.fromkeys((GAINS, "delay_accel", "tau_v")))
    fixed = make_history_rollout(held, {**base, **params}, "euler", SUBSTEPS, HISTORY)
    learned = {key: params[key] for key in held.param_keys}
    wanted = roll.states(params, windows)[1]
    found = jax.jit(fixed.states)(learned, windows)[1]
    np.testing.assert_allclose(np.stack(found), np.stack(wanted), rtol=1e-12)
    directions = {key: jnp.ones((1,)) if key == "alpha_accel" else jnp.zeros((1,)) for key in learned}
    _, change = jax.jit(fixed.sensitivities)(learned, directions, windows)
    all_directions = {key: jnp.zeros((1, *jnp.shape(params[key]))) for key in params} | directions
    _, wanted = roll.sensitivities(params, all_directions, windows)
    np.testing.assert_allclose(np.stack(change), np.stack(wanted), rtol=1e-9, atol=1e-12)


def test_in_single_precision_it_is_the_same_to_single_precision() -> None:
    roll, windows, params, _ = case("slipping")
    windows32, params32 = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), (windows, params))
    found, wanted = roll.states(params32, windows32)[1], roll.states(params, windows)[1]
    for channel, x32, x64 in zip(CAR.states, found, wanted, strict=True):
        assert x32.dtype == jnp.float32
        np.testing.assert_allclose(x32, x64, atol=2e-2 * channel.scale, rtol=1e-3)
