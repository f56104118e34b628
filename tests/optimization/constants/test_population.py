"""Fleets of cars that are drawn: mean, spread, single cars, unlike cars, and the prior for the next car."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS, with_fixed
from pct.errors import UsageError
from pct.evaluation import fleet_report
from pct.optimization.constants.estimate import raw_values, scalar_places
from pct.optimization.constants.fleet import (
    FleetPrior,
    Summary,
    car_cells,
    summarise,
    summary_cells,
    with_fleet,
)
from pct.optimization.constants.population import (
    CarFit,
    effects_of,
    estimate_population,
    find_outliers,
    read_cars,
)

CENTRE = np.array([0.2, -0.4, 0.1])
MEAN, SPREAD = np.array([0.7, -0.5, 0.4]), np.array([0.2, 0.1, 0.3])
SPEC = with_fixed(MODEL_SPECS["singletrack"], {"mu": None, "m": None})


def cars_of(
    values: np.ndarray,
    information: np.ndarray,
    *,
    prior: float = 1.0,
    ratio: float = 1.0,
    seed: int = 1,
    blocks: int = 50,
) -> list[CarFit]:
    """Fits of cars (M, P), with variances that are ``ratio`` times as large as their information says."""
    rng, size = np.random.default_rng(seed), values.shape[1]
    known = np.eye(size) / prior**2
    fits = []
    for theta in values:
        own, vectors = np.linalg.eigh(information)
        score = vectors @ (np.sqrt(np.maximum(own, 0.0)) * rng.standard_normal(size)) * np.sqrt(ratio)
        bread = np.linalg.inv(information + known)
        raw = CENTRE + bread @ (information @ (theta - CENTRE) + score)
        covariance = bread @ (ratio * information + known) @ bread
        fits.append(CarFit(raw, covariance, information, blocks))
    return fits


def drawn(cars: int, seed: int = 0) -> np.ndarray:
    return MEAN + SPREAD * np.random.default_rng(seed).standard_normal((cars, 3))


def test_mean_and_spread_are_found_whatever_the_prior_of_the_fits() -> None:
    truth, information = drawn(300), np.diag([400.0, 400.0, 100.0])
    for prior in (1.0, 0.2):
        readings = read_cars(cars_of(truth, information, prior=prior), CENTRE, prior)
        found = estimate_population(readings, CENTRE, prior)
        np.testing.assert_allclose(found.mean, MEAN, atol=0.05)
        np.testing.assert_allclose(np.sqrt(np.diag(found.between)), SPREAD, rtol=0.12)
        for effects, mean, spread in zip(effects_of(readings), MEAN, SPREAD, strict=True):
            assert effects is not None
            assert effects.mean == pytest.approx(mean, abs=0.06)
            assert effects.tau == pytest.approx(spread, rel=0.15)


def test_errors_are_those_of_the_jackknife() -> None:
    """Residuals that are correlated along a drive: each car's error is three times what its model says."""
    fits = cars_of(drawn(300), 400.0 * np.eye(3), ratio=9.0)
    readings = read_cars(fits, CENTRE, 1.0)
    np.testing.assert_allclose(readings.errors, 3 / 20, rtol=0.1)
    assert np.sqrt(np.diag(estimate_population(readings, CENTRE, 1.0).between)) == pytest.approx(
        SPREAD, rel=0.2
    )


def test_single_cars_are_better_known_with_the_fleet_and_their_intervals_hold() -> None:
    truth = drawn(200)
    fits = cars_of(truth, np.diag([25.0, 25.0, 4.0]))
    readings = read_cars(fits, CENTRE, 1.0)
    found = estimate_population(readings, CENTRE, 1.0)
    alone = np.sqrt(np.mean((np.array([fit.raw for fit in fits]) - truth) ** 2, axis=0))
    shared = np.sqrt(np.mean((found.values - truth) ** 2, axis=0))
    assert np.all(shared < 0.8 * alone)
    inside = np.abs(found.values - truth) < 1.96 * found.errors
    assert 0.9 < inside.mean() < 0.99


def test_the_next_car_lies_where_the_prior_says_also_of_a_small_fleet() -> None:
    distances = []
    for seed in range(60):
        readings = read_cars(cars_of(drawn(4, seed), 400.0 * np.eye(3), seed=seed), CENTRE, 1.0)
        found = estimate_population(readings, CENTRE, 1.0)
        away = drawn(1, 1000 + seed)[0] - found.mean
        distances.append(np.abs(away) / np.sqrt(np.diag(found.next_car)))
    assert 0.9 < np.mean(np.array(distances) < 1.96) <= 1.0


def test_what_no_car_tells_stays_as_it_was() -> None:
    """Only the sum of two parameters is known of each car: of each of them alone the fleet says nothing."""
    ridge = 400.0 * np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    readings = read_cars(cars_of(drawn(50), ridge), CENTRE, 1.0)
    assert readings.used.sum(axis=0).tolist() == [0, 0, 50]
    found = estimate_population(readings, CENTRE, 1.0)
    errors = np.sqrt(np.diag(found.next_car))
    assert np.all(errors[:2] > 0.5)
    assert errors[2] == pytest.approx(SPREAD[2], rel=0.25)
    assert found.mean[:2].sum() == pytest.approx(MEAN[:2].sum(), abs=0.1)
    both = np.array([1.0, 1.0, 0.0])
    assert np.sqrt(both @ found.next_car @ both) < 0.6


def test_an_equal_fleet_has_no_spread() -> None:
    equal = np.tile(MEAN, (30, 1))
    found = [
        effects
        for seed in range(20)
        for effects in effects_of(read_cars(cars_of(equal, 100.0 * np.eye(3), seed=seed), CENTRE, 1.0))
    ]
    assert np.mean([effects.tau for effects in found if effects]) < 0.03
    assert np.mean([effects.p < 0.05 for effects in found if effects]) < 0.1


def test_unlike_cars_are_named_and_no_others() -> None:
    truth = drawn(30)
    truth[4, 1] += 1.5
    truth[9] += (2.5, 0.0, -3.0)
    found = find_outliers(read_cars(cars_of(truth, 400.0 * np.eye(3)), CENTRE, 1.0))
    assert found == {4: [1], 9: [0, 2]}
    assert find_outliers(read_cars(cars_of(drawn(30), 400.0 * np.eye(3)), CENTRE, 1.0)) == {}


def test_cars_that_say_nothing_of_any_parameter_have_no_outlier() -> None:
    readings = read_cars(cars_of(drawn(6), 400.0 * np.eye(3)), CENTRE, 1.0)
    assert find_outliers(readings._replace(used=np.zeros_like(readings.used))) == {}


@pytest.fixture(scope="module")
def summary() -> Summary:
    centre = raw_values(SPEC, SPEC.default_params)
    values = centre + 0.3 + 0.1 * np.random.default_rng(2).standard_normal((6, 3))
    values[5, 2] += 4.0
    known = np.eye(3)
    fits = {}
    for k, theta in enumerate(values):
        information = 900.0 * np.eye(3)
        bread = np.linalg.inv(information + known)
        raw = centre + bread @ information @ (theta - centre)
        fits[f"car {k}"] = CarFit(raw, bread, information, 40)
    return summarise(SPEC, fits)


def test_a_summary_is_in_units(summary: Summary) -> None:
    item = summary.parameters["C_Sf"]
    assert item.unit == "1/rad"
    assert item.effects is not None
    low, high = SPEC.param_bounds["C_Sf"]
    assert low < item.effects.low < item.effects.mean < item.effects.high < high
    np.testing.assert_allclose(item.values, item.shared, rtol=0.02)
    assert np.all((item.low < item.shared) & (item.shared < item.high))
    assert summary.outliers == {"car 5": ("I",)}
    head, rows = summary_cells(summary)
    assert [row[0] for row in rows] == ["C_Sf", "C_Sr", "I"]
    assert {len(row) for row in rows} == {len(head)}
    assert car_cells(summary, 1)[1][0][0] == "car 5"


def test_a_figure_shows_unlike_cars_of_many(summary: Summary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet_report, "DRAWN", 3)
    drawn = fleet_report.fleet_figure(summary, "vehicle").keywords
    assert drawn["names"] == ["car 0", "car 4", "car 5"]
    assert {len(forest.values) for forest in drawn["forests"]} == {3}
    assert drawn["title"] == "Fleet of singletrack: 6 vehicles, 3 of them drawn"


def test_a_fleet_is_the_prior_of_its_next_car(summary: Summary) -> None:
    centred, covariance = with_fleet(SPEC, summary.prior)
    np.testing.assert_allclose(raw_values(centred, centred.default_params), summary.prior.mean, rtol=1e-9)
    np.testing.assert_allclose(covariance, summary.prior.covariance, rtol=1e-6)


def test_a_car_with_other_bounds_and_other_unknowns_takes_what_it_can(summary: Summary) -> None:
    wider = {**SPEC.param_bounds, "C_Sf": (0.5, 24.0)}
    own = dataclasses.replace(with_fixed(MODEL_SPECS["singletrack"], {"I": None}), param_bounds=wider)
    centred, covariance = with_fleet(own, summary.prior)
    same, _ = with_fleet(SPEC, summary.prior)
    assert centred.default_params["C_Sf"] == pytest.approx(same.default_params["C_Sf"])
    assert centred.default_params["m"] == own.default_params["m"]
    places = scalar_places(own)
    assert covariance[places["m"], places["m"]] == 1.0
    assert covariance[places["C_Sf"], places["C_Sf"]] < summary.prior.covariance[0, 0]


def test_a_fleet_of_another_kind_is_refused(summary: Summary) -> None:
    with pytest.raises(UsageError, match="`prior`: expected a fleet of unicycle, found one of singletrack"):
        with_fleet(MODEL_SPECS["unicycle"], summary.prior)
    nothing = FleetPrior(SPEC, ("h",), np.zeros(1), np.eye(1), 2)
    with pytest.raises(
        UsageError, match="`prior`: expected a fleet that has learned C_Sf or C_Sr or I, found"
    ):
        with_fleet(SPEC, nothing)
