"""The size of a car, the vehicle of that size, and a model brought to it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pct.choices.car import (
    POWERS,
    SAME,
    Size,
    measure,
    nearest_vehicle,
    to_scale,
    tolerance,
    vehicles_near,
    wheelbase_of,
)
from pct.dynamics import MODEL_SPECS, get_model
from pct.dynamics.vehicles.vehicle import VEHICLES, with_vehicle
from pct.recordings.trajectory import Trajectory
from pct.simulation.drive import simulate

BASE = get_model("kinematic-singletrack")


@pytest.mark.parametrize("vehicle", ["f1tenth", "orca", "bmw-320i", "av-21"])
def test_the_wheelbase_of_a_simulated_car_is_found(vehicle: str) -> None:
    spec = with_vehicle(get_model("singletrack"), vehicle)
    drives = simulate(spec, duration=30.0, dt=0.05, noise=0.1, recordings=2)
    size = measure(drives)
    assert size.wheelbase == pytest.approx(wheelbase_of(vehicle, BASE), rel=0.15)
    assert wheelbase_of(nearest_vehicle(size, BASE)[0], BASE) == pytest.approx(size.wheelbase, rel=0.2)


@pytest.mark.parametrize(("vehicle", "speed"), [("f1tenth", (1.5, 6.0)), ("bmw-320i", (6.0, 28.0))])
def test_the_wheelbase_is_found_in_noise_and_near_the_limit_of_grip(
    vehicle: str, speed: tuple[float, float]
) -> None:
    """Bends of few degrees beside noise as large: within its standard error, which is small."""
    spec = with_vehicle(get_model("singletrack"), vehicle)
    drives = simulate(spec, duration=60.0, dt=0.02, noise=0.8, recordings=1, mu=(0.8,), speed=speed, grip=0.9)
    size = measure(drives)
    truth = wheelbase_of(vehicle, BASE)
    assert size.wheelbase is not None
    assert abs(size.wheelbase - truth) < 3 * size.error
    assert size.error < 0.08 * truth
    assert vehicles_near(size, BASE) == [vehicle]


def test_a_wheelbase_that_is_known_badly_leaves_several_vehicles() -> None:
    assert vehicles_near(Size(2.6, 40.0, 8.0, error=0.03), BASE) == ["bmw-320i"]
    unsure = Size(2.6, 40.0, 8.0, error=0.4)
    assert vehicles_near(unsure, BASE) == ["av-21", "bmw-320i"]
    assert tolerance(unsure) > math.log(SAME)
    assert unsure.told == "2.6 ± 0.4 m"


def test_a_steering_that_turns_nothing_tells_no_wheelbase() -> None:
    rng = np.random.default_rng(0)
    channels = {"v": np.full(400, 5.0), "psi_dot": rng.normal(size=400), "delta": rng.normal(size=400)}
    drive = Trajectory("noise", 0.05, channels, {"v": "m/s", "psi_dot": "rad/s", "delta": "rad"}, {})
    assert measure([drive]).wheelbase is None


def test_a_drive_without_steering_is_judged_by_its_speed() -> None:
    drive = Trajectory("straight", 0.05, {"v": np.full(400, 30.0)}, {"v": "m/s"}, {})
    size = measure([drive])
    assert size.wheelbase is None
    assert nearest_vehicle(size, BASE)[0] == "bmw-320i"
    assert nearest_vehicle(Size(None, 3.0, 4.0), BASE)[0] == "f1tenth"


def test_full_size_cars_are_told_apart_by_how_hard_they_corner() -> None:
    assert nearest_vehicle(Size(2.8, 45.0, 8.0), BASE)[0] == "bmw-320i"
    assert nearest_vehicle(Size(2.8, 45.0, 16.0), BASE)[0] == "av-21"


@pytest.mark.parametrize("name", [name for name in MODEL_SPECS if "lf" in MODEL_SPECS[name].default_params])
def test_a_car_of_another_size_has_the_same_accelerations(name: str) -> None:
    spec = get_model(name)
    scaled = to_scale(spec, 2 * float(spec.default_params["lf"] + spec.default_params["lr"]))
    for row in spec.parameters:
        by = 2.0 ** POWERS.get(row.unit, 0)
        assert np.allclose(scaled.default_params[row.name], spec.default_params[row.name] * by)
        low, high = scaled.param_bounds[row.name]
        assert np.all(low <= scaled.default_params[row.name])
        assert np.all(scaled.default_params[row.name] <= high)
    # A stationary bend at the same speed: all forces over the mass as before.
    force, mass = 2.0 ** POWERS["N"], 2.0 ** POWERS["kg"]
    assert math.isclose(force / mass, 1.0)


@pytest.mark.parametrize("vehicle", VEHICLES)
def test_a_car_of_about_the_same_size_is_the_vehicle_itself(vehicle: str) -> None:
    spec = with_vehicle(get_model("singletrack"), vehicle)
    assert to_scale(spec, 1.05 * wheelbase_of(vehicle, BASE)) is spec
