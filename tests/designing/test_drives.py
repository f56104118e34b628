"""Closed loops follow, information is that of a fit's covariance, and limits hold on drawn cars."""

import dataclasses
from typing import Any

import numpy as np
import pytest

import pct
from pct.designing.area import FINENESS, closed_path
from pct.designing.drives import Workshop, design_drive, params_of
from pct.designing.information import about, by_group, log_determinant, normal_equations, whole_windows
from pct.designing.reference import Reference
from pct.designing.settings import DesignSettings
from pct.errors import UsageError
from pct.rollout.integration import integrate_rk4
from pct.rollout.native.sensitivities import Log

CAR = pct.model("singletrack-pacejka").hold("lf", "lr", "C_b", "C_r2", "C_m2")
SMALL: dict[str, Any] = {"duration": 4.0, "draws": 2, "candidates": 4, "generations": 4}


@pytest.fixture(scope="module")
def workshop() -> Workshop:
    return Workshop(CAR.spec, ("D_f", "D_r", "I"), DesignSettings(**SMALL))


def circle(speed: float, radius: float = 5.0, points: int = FINENESS * 6) -> Reference:
    turn = np.linspace(0, 2 * np.pi, points, endpoint=False)
    path = closed_path(radius * np.stack([np.cos(turn), np.sin(turn)], axis=-1))
    return Reference(path, np.full((1, points), speed), np.zeros((1, points)))


def test_the_follower_keeps_to_a_circle_at_its_speed(workshop: Workshop) -> None:
    cars = workshop.cars(5, np.random.default_rng(0))
    driven = workshop.drive(circle(3.0), cars)
    assert driven.states.shape == (1, 5, 200, 7)
    assert np.abs(driven.offset[..., 50:]).max() < 0.35
    np.testing.assert_allclose(driven.states[..., -50:, 3], 3.0, atol=0.15)
    place = driven.states[0, 0, :, :2].astype(float)
    np.testing.assert_allclose(np.hypot(*place.T) - 5.0, -driven.offset[0, 0], atol=6e-3)


def test_a_batch_of_drives_is_each_drive_by_itself(workshop: Workshop) -> None:
    rng = np.random.default_rng(1)
    reference = workshop.shapes.references(np.stack([workshop.shapes.draw(rng) for _ in range(5)]))
    cars = workshop.cars(3, rng)
    together = workshop.drive(reference, cars).states
    one = Reference(
        *(type(reference.path)(*(a[3:4] for a in reference.path)), *(a[3:4] for a in reference[1:]))
    )
    alone = workshop.drive(one, cars.select(np.array([2]))).states
    np.testing.assert_allclose(alone[0, 0], together[3, 2], atol=1e-4)


def rolled(params: dict[str, Any], start: np.ndarray, controls: np.ndarray) -> np.ndarray:
    """States after each step of 0.02 s in double precision, (T, ..., S), without JAX."""
    rows, z = [], start
    for control in controls:
        z = np.concatenate([z, np.broadcast_to(control, (*z.shape[:-1], 2))], axis=-1)
        z = integrate_rk4(lambda z, p: CAR.spec.dynamics_fn(z, p, np), z, params, 0.02)[..., :7]
        rows.append(z)
    return np.stack(rows)


def test_controls_make_the_states(workshop: Workshop) -> None:
    """What is written as a drive is a drive of the model: its equations lead from row to row."""
    driven = workshop.drive(circle(3.0), workshop.cars(1, np.random.default_rng(0)))
    states, controls = (part[0, 0, 20:71].astype(float) for part in (driven.states, driven.controls))
    after = rolled(dict(CAR.spec.default_params), states[0], controls[:50])
    np.testing.assert_allclose(after, states[1:], atol=2e-3)


def test_information_is_that_of_finite_differences(workshop: Workshop) -> None:
    """Of one window with an unknown start, from rollouts in double precision."""
    spec, info = CAR.spec, workshop._information
    cars = workshop.cars(1, np.random.default_rng(0))
    driven = workshop.drive(circle(4.0), cars)
    states, controls = (a[0, 0, 60:113].astype(float) for a in (driven.states, driven.controls))
    log = Log(states.astype(np.float32), controls.astype(np.float32), 1, 50)
    found = by_group(
        normal_equations(info._errors, log, np.array([1]), cars.raw[0], info._noise), np.array([0]), 1
    )[0]
    size = len(cars.raw[0])
    steps = 1e-4 * np.concatenate([np.eye(size + 7), -np.eye(size + 7)])
    params = params_of(spec, cars.raw[0] + steps[:, :size])
    start = states[1] + steps[:, size:]
    rows = np.concatenate([start[None], rolled(params, start, controls[1:51])]) / info._noise
    jacobian = (rows[:, : size + 7] - rows[:, size + 7 :]).swapaxes(1, 2).reshape(-1, size + 7) / 2e-4
    expected = about(jacobian.T @ jacobian, list(range(size)))
    # Directions that are hardly seen are rounding in single precision; those that count agree.
    scale = np.sqrt(np.diag(expected))
    np.testing.assert_allclose(found / np.outer(scale, scale), expected / np.outer(scale, scale), atol=0.02)


@pytest.mark.slow
def test_jax_gives_what_native_code_gives() -> None:
    car = pct.model("kinematic-singletrack")
    workshop = Workshop(car.spec, (), DesignSettings(**SMALL))
    info = workshop._information
    if info._errors.native is None:
        pytest.skip("no compiler")
    cars = workshop.cars(1, np.random.default_rng(0))
    driven = workshop.drive(workshop.shapes.references(np.zeros((1, workshop.shapes.size)) + 0.3), cars)
    log = Log(*(np.ascontiguousarray(a[0, 0]) for a in (driven.states, driven.controls)), 1, 50)
    starts = np.array([60, 111])
    errors = dataclasses.replace(info._errors, native=None)
    parts = [normal_equations(e, log, starts, cars.raw[0], info._noise) for e in (info._errors, errors)]
    native, jaxed = (by_group(part, np.array([0, 0]), 1)[0] for part in parts)
    size = np.sqrt(np.diag(native))
    np.testing.assert_allclose(jaxed / np.outer(size, size), native / np.outer(size, size), atol=2e-3)
    assert whole_windows(car.spec, log, starts).states[0][1].tolist() == [0.0, 0.0]


def test_other_unknowns_take_information_away() -> None:
    root = np.random.default_rng(3).standard_normal((6, 4))
    information = root.T @ root
    covariance = np.linalg.inv(information)
    np.testing.assert_allclose(about(information, [1, 3]), np.linalg.inv(covariance[np.ix_([1, 3], [1, 3])]))
    prior = np.eye(4)
    value = log_determinant(information, prior, [1, 3])
    assert value < np.linalg.slogdet((information + prior)[np.ix_([1, 3], [1, 3])])[1]
    assert log_determinant(np.full((4, 4), np.nan), prior, [1, 3]) == pytest.approx(0.0)


def test_limits_are_what_the_drive_uses(workshop: Workshop) -> None:
    cars = workshop.cars(3, np.random.default_rng(0))
    reference = circle(3.0)
    driven = workshop.drive(reference, cars)
    used = workshop.used(reference, driven, cars)
    assert used["speed"][0, 0] == pytest.approx(
        driven.states[0, 0, :, 3].max() / workshop.limits.speed, rel=1e-3
    )
    far = np.abs(driven.states[0, 0, :, :2]).max() / (10 - workshop.area.margin)
    assert used["area"][0, 0] == pytest.approx(far, rel=1e-5)
    assert (used["steering_rate"] <= 1).all()
    spun = driven._replace(states=np.where(np.arange(200)[:, None] > 100, np.nan, driven.states))
    assert np.isinf(workshop.used(reference, spun, cars)["speed"]).all()


def test_a_design_tells_more_than_what_it_began_with_and_is_the_same_again(workshop: Workshop) -> None:
    first, second = design_drive(workshop), design_drive(workshop)
    np.testing.assert_array_equal(first.guess[0], second.guess[0])
    assert first.errors == second.errors
    for name in first.chosen:
        assert first.together[name] < first.now[name]
    assert 0 <= first.kept <= 1
    assert set(first.kept_by_limit) >= {"area", "speed", "slip", "steering"}


def test_a_drive_keeps_to_a_road() -> None:
    turn = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    centre = 8.0 * np.stack([np.cos(turn), np.sin(turn)], axis=-1)
    road = centre, np.full(200, 1.0), np.full(200, 1.5)
    settings = DesignSettings(**SMALL, speed=3.0, margin=0.2)
    workshop = Workshop(pct.model("unicycle").spec, (), settings, track=road)
    cars = workshop.cars(2, np.random.default_rng(0))
    reference = workshop.shapes.references(np.zeros((2, workshop.shapes.size)))
    driven = workshop.drive(reference, cars)
    used = workshop.used(reference, driven, cars)["area"]
    radius = np.hypot(driven.states[..., 0], driven.states[..., 1])
    assert (used < 1).all()
    assert 7.2 < radius.min() <= radius.max() < 9.3
    beside = driven._replace(offset=driven.offset + 1.2)
    assert (workshop.used(reference, beside, cars)["area"] > 1).all()
    assert workshop.limits.speed == 3.0


def test_what_cannot_be_designed_for_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown parameter 'D_x'"):
        Workshop(CAR.spec, ("D_x",), DesignSettings(**SMALL))
    with pytest.raises(UsageError, match="`identify=lf`: expected a learned scalar parameter"):
        Workshop(CAR.spec, ("lf",), DesignSettings(**SMALL))
    with pytest.raises(UsageError, match="expected a model that is steered by"):
        Workshop(pct.model("tv-linear").spec, (), DesignSettings(**SMALL))
