"""Models as their logs show them: all effects together, and what holds for every one of them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from measurement.driving import ALL, CAR, PLAIN, UNICYCLE
from pct.dynamics import MODEL_SPECS, ModelSpec, with_fixed
from pct.dynamics.vehicles import with_vehicle
from pct.errors import UsageError
from pct.measurement import Measurement, with_measurement
from pct.measurement.chain import hidden_start
from pct.measurement.filter import NOISE


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


def test_the_drive_is_no_trivial_one() -> None:
    for name in CAR.state_names:
        assert np.ptp(PLAIN[name], axis=0).min() > 1e-3, name


@pytest.mark.parametrize("name", sorted(MODEL_SPECS))
def test_nothing_measured_is_the_model_itself(name: str) -> None:
    assert with_measurement(MODEL_SPECS[name], Measurement()) is MODEL_SPECS[name]


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
        ({"lag": ("v",)}, "`lag`: unknown channel 'v' of model 'singletrack-pacejka'.* Known: vx, vy,"),
        ({"bias": ("vx", "vx")}, "`bias`: expected each channel once, got vx, vx"),
        ({"delay": ("drive", "drive")}, "`delay`: expected each channel once, got drive, drive"),
        ({"lag": ("psi",)}, "`lag`: unknown channel 'psi'"),
        ({"bias": ("vx", "beta")}, "`bias`: unknown channel 'beta'"),
        ({"drift": ("x",)}, "`drift`: unknown channel 'x'"),
        ({"actuator_lag": ("accel",)}, "`actuator_lag`: unknown channel 'accel'.*delta_dot, drive"),
        ({"delay": ("delta",)}, "`delay`: unknown channel 'delta'"),
        ({"delay": ("drive",), "pedals": True}, "`delay`: unknown channel 'drive'.*throttle, brake"),
    ],
)
def test_an_unknown_channel_is_refused_by_argument_and_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        with_measurement(CAR, Measurement(**options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steering": True}, "`steering`: model 'unicycle' has no channel 'delta'"),
        ({"lever_arm": True}, "`lever_arm`: model 'unicycle' has no channel 'vx'"),
        ({"pedals": True}, "`pedals`: model 'unicycle' has no channel 'drive'"),
    ],
)
def test_an_option_that_the_model_cannot_take_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        with_measurement(UNICYCLE, Measurement(**options))


@pytest.mark.parametrize("name", sorted(MODEL_SPECS))
def test_rows_and_values_are_complete(name: str) -> None:
    plain = MODEL_SPECS[name]
    spec = with_measurement(plain, every_option(plain))
    added = [row for row in spec.parameters if row not in plain.parameters]
    assert spec.parameters[: len(plain.parameters)] == plain.parameters
    assert len(added) > 5
    # What the filter takes for granted is no parameter to fit.
    fixed = {*NOISE, *(row.name for row in added if row.name.endswith("_drift"))}
    learned = [row.name for row in added if row.name not in fixed]
    assert spec.param_keys == (*plain.param_keys, *learned)
    assert spec.global_keys == (*plain.global_keys, *learned)
    assert set(spec.param_bounds) == set(spec.default_params) == {row.name for row in spec.parameters}
    for row in added:
        (low, high), default = spec.param_bounds[row.name], spec.default_params[row.name]
        assert np.all(low < high), row.name
        assert np.all(low <= default), row.name
        assert np.all(default <= high), row.name
        assert row.scope == ("fixed" if row.name in fixed else "global")
        assert row.unit
        assert row.doc
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
