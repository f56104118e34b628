"""Every vehicle suits every model: values within bounds, both axles on the road, known names."""

import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS, ModelSpec
from pct.dynamics.vehicles import VEHICLES, Vehicle, register_vehicle, with_vehicle
from pct.errors import UsageError


@pytest.fixture(params=sorted(MODEL_SPECS))
def spec(request: pytest.FixtureRequest) -> ModelSpec:
    return MODEL_SPECS[request.param]


def test_values_lie_within_bounds(spec: ModelSpec) -> None:
    for vehicle in VEHICLES:
        named = with_vehicle(spec, vehicle)
        assert set(named.default_params) == set(named.param_bounds) == {row.name for row in spec.parameters}
        for key, value in named.default_params.items():
            low, high = named.param_bounds[key]
            assert np.all(np.asarray(low) < high), (vehicle, key)
            assert np.all(np.asarray(low) <= value), (vehicle, key)
            assert np.all(value <= np.asarray(high)), (vehicle, key)


def test_default_vehicle_is_the_one_tenth_car(spec: ModelSpec) -> None:
    """Also after another vehicle."""
    for other in VEHICLES:
        back = with_vehicle(with_vehicle(spec, other), "f1tenth")
        for key, value in spec.default_params.items():
            assert np.array_equal(back.default_params[key], value), (other, key)
            # The kinematic model's geometry is learned, so all its bounds return too.
            assert np.array_equal(back.param_bounds[key], spec.param_bounds[key]), (other, key)


def test_default_is_the_gym_s_car() -> None:
    """The default parameters of f1tenth_gym (F110Env)."""
    published = {
        "mu": 1.0489, "C_Sf": 4.718, "C_Sr": 5.4562, "lf": 0.15875, "lr": 0.17145, "h": 0.074, "m": 3.74,
        "I": 0.04712, "s_min": -0.4189, "s_max": 0.4189, "sv_min": -3.2, "sv_max": 3.2, "v_switch": 7.319,
        "a_max": 9.51, "v_min": -5.0, "v_max": 20.0,
    }  # fmt: skip
    defaults = MODEL_SPECS["singletrack"].default_params
    assert {key: defaults[key] for key in published} == published


@pytest.mark.parametrize("vehicle", sorted(VEHICLES))
def test_axles_stay_on_the_road(vehicle: str) -> None:
    """At the hardest driving and braking neither axle's load changes sign."""
    p = with_vehicle(MODEL_SPECS["singletrack"], vehicle)
    values = p.default_params
    hardest = min(values["a_max"], 9.81 * p.param_bounds["mu"][1])
    assert hardest * values["h"] < 9.81 * min(values["lf"], values["lr"])


def test_an_unknown_vehicle_lists_the_known() -> None:
    with pytest.raises(UsageError, match=r"unknown vehicle 'truck'\..*Known: av-21, bmw-320i, f1tenth, orca"):
        with_vehicle(MODEL_SPECS["singletrack"], "truck")


def test_an_unknown_parameter_of_a_vehicle_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown parameter 'C_sf' of vehicle 'cart': did you mean 'C_Sf'"):
        register_vehicle("cart", Vehicle("a cart", {"m": 2.0, "C_sf": 4.0}))
    assert "cart" not in VEHICLES
    with pytest.raises(ValueError, match="already registered"):
        register_vehicle("orca", Vehicle("another", {}))
