"""The tables and what is derived from them."""

import dataclasses
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from pct.dynamics import (
    MODEL_SPECS,
    Parameter,
    flatten_bounds,
    get_model,
    register_model_spec,
    with_fixed,
    with_scope,
)
from pct.errors import UsageError

SINGLETRACK = MODEL_SPECS["singletrack"]


def test_documented_models_are_registered() -> None:
    assert sorted(MODEL_SPECS) == [
        "double-track",
        "kinematic-singletrack",
        "mlp-dynamics",
        "singletrack",
        "singletrack-augmented",
        "singletrack-drift",
        "singletrack-pacejka",
        "tv-linear",
        "unicycle",
    ]


def test_a_name_is_registered_once() -> None:
    with pytest.raises(ValueError, match="'singletrack' is already registered"):
        register_model_spec(SINGLETRACK)


@pytest.mark.parametrize(
    ("low", "default", "high", "log", "message"),
    [
        (1.0, 0.5, 2.0, False, "low <= default"),
        (2.0, 2.0, 2.0, False, "low < high"),
        (0.0, 0.5, 2.0, True, "log bounds need low > 0"),
    ],
)
def test_a_wrong_row_is_refused(low: float, default: float, high: float, log: bool, message: str) -> None:
    with pytest.raises(ValueError, match=f"Parameter k.*{message}"):
        Parameter("k", "k", "1", low, high, default, "a row", log=log)


def test_fixed_parameters_leave_the_network_s_answer() -> None:
    spec = with_fixed(SINGLETRACK, {"C_Sf": None, "m": 3.0})
    assert spec.param_keys == ("mu", "C_Sr", "I")
    assert spec.vector_size == 3
    assert spec.default_params["m"] == 3.0
    assert spec.default_params["C_Sf"] == 4.718
    assert SINGLETRACK.default_params["m"] == 3.74


@pytest.mark.parametrize(
    ("fixed", "message"),
    [
        ({"grip": 1.0}, "unknown parameter 'grip' of model 'singletrack'. Known: mu, C_Sf"),
        ({"mu": 7.0}, "`fixed=mu=7.0`: expected a value within"),
        (dict.fromkeys(SINGLETRACK.param_keys), "nothing is left to learn"),
    ],
)
def test_fixing_what_cannot_be_fixed(fixed: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        with_fixed(SINGLETRACK, fixed)


def test_bounds_are_flat_in_the_order_of_the_keys() -> None:
    spec = MODEL_SPECS["tv-linear"]
    low, high = flatten_bounds(spec.param_keys, spec.param_bounds, spec.full_shapes)
    assert low.shape == (35,)
    np.testing.assert_array_equal(low[25:].reshape(5, 2), spec.param_bounds["B"][0])
    np.testing.assert_array_equal(high[:25].reshape(5, 5), spec.param_bounds["A"][1])


def test_models_load_without_jax() -> None:
    code = "import sys, pct.dynamics, pct.dynamics.vehicles; assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_scopes_release_and_bind_parameters() -> None:
    spec = MODEL_SPECS["singletrack"]
    held = with_fixed(spec, {"mu": None})
    released = with_scope(held, ["mu"], "global")
    assert set(released.param_keys) == set(spec.param_keys)
    assert released.global_keys == ("mu",)
    assert with_scope(released, ["mu"], "context").global_keys == ()
    with pytest.raises(UsageError, match="wings"):
        with_scope(spec, ["wings"], "context")


def test_a_new_row_brings_its_values_and_patched_ones_stay() -> None:
    """Tables and derivative are all that is replaced; names, vectors and dictionaries follow."""
    spec = dataclasses.replace(
        SINGLETRACK,
        param_bounds={**SINGLETRACK.param_bounds, "m": (2.0, 5.0)},
        default_params={**SINGLETRACK.default_params, "m": 3.0},
    )
    assert spec.dynamics_fn is SINGLETRACK.dynamics_fn
    drag = Parameter("drag", "d", "1/s", 0.0, 1.0, 0.25, "drag")

    def derivative(x: Any, u: Any, p: Any, xp: Any) -> Any:
        rates = SINGLETRACK.derivative(x, u, p, xp)
        return rates._replace(v=rates.v - p.drag * x.v)

    slower = dataclasses.replace(spec, parameters=(*spec.parameters, drag), derivative=derivative)
    assert slower.param_keys == spec.param_keys
    assert slower.param_bounds["drag"] == (0.0, 1.0)
    row = slower.parameter("m")
    assert (row.low, row.high, row.default) == (2.0, 5.0, 3.0)
    z = np.array([0.0, 0.0, 0.0, 4.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    change = slower.dynamics_fn(z, slower.default_params, np) - spec.dynamics_fn(z, spec.default_params, np)
    np.testing.assert_allclose(change, [0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    stays = dataclasses.replace(slower, dynamics_fn=np.negative)
    assert dataclasses.replace(stays, default_params={}).dynamics_fn is np.negative


def test_the_time_step_is_in_seconds_but_for_the_documented_function() -> None:
    assert SINGLETRACK.base_params(0.05)["dt"] == SINGLETRACK.build_base_params(5)["dt"] == 0.05


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"parameter 'c_sf' of model 'singletrack': did you mean 'C_Sf'\?"):
        SINGLETRACK.parameter("c_sf")
    with pytest.raises(UsageError, match=r"channel 'vel' of model 'singletrack'\. Known: x, y, delta, v"):
        SINGLETRACK.channel("vel")
    with pytest.raises(UsageError, match=r"model 'single-track': did you mean 'singletrack'\?"):
        get_model("single-track")
