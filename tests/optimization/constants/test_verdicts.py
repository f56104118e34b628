"""Verdicts, from covariances made by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS, flatten_bounds
from pct.dynamics.bounds import Bounds
from pct.dynamics.roles import manoeuvre
from pct.optimization.constants.estimate import Estimate
from pct.optimization.constants.profile import Profile
from pct.optimization.constants.verdicts import correlations, make_verdicts, strongest_pairs, with_profile

SPEC = MODEL_SPECS["unicycle"]
SIZE = SPEC.vector_size


def made(raw: np.ndarray, covariance: np.ndarray) -> Estimate:
    low, high = flatten_bounds(SPEC.param_keys, SPEC.param_bounds, SPEC.full_shapes)
    values = np.asarray(Bounds(low, high).to(raw))
    return Estimate(values, raw, covariance, np.linalg.inv(covariance), np.ones(1), (), np.ones(1, bool))


def verdicts(raw: np.ndarray, covariance: np.ndarray, prior: float = 1.0) -> list[str]:
    return [entry["verdict"] for entry in make_verdicts(made(raw, covariance), SPEC, prior).values()]


def test_each_verdict() -> None:
    raw = np.array([0.3, 0.3, 5.0, 0.3])
    spread = np.diag([0.01, 0.95, 0.01, 0.6])
    assert verdicts(raw, spread**2) == ["identified", "not excited", "at bound", "weak"]


def test_what_is_traded_off_names_its_partner() -> None:
    correlation = np.eye(SIZE)
    correlation[0, 3] = correlation[3, 0] = -0.99
    spread = np.diag([0.69, 0.01, 0.01, 0.69])
    found = verdicts(np.full(SIZE, 0.3), spread @ correlation @ spread)
    assert found == [
        "traded off with beta_accel",
        "identified",
        "identified",
        "traded off with alpha_psi_dot",
    ]


@pytest.mark.parametrize(("prior", "verdict"), [(0.5, "not excited"), (5.0, "weak")])
def test_what_the_data_say_is_measured_by_the_prior(prior: float, verdict: str) -> None:
    assert verdicts(np.full(SIZE, 0.3), np.diag([0.45] * SIZE) ** 2, prior)[3] == verdict


def test_a_bound_that_the_data_push_to_is_told_from_one_that_they_do_not_see() -> None:
    """On the unbounded axis nothing moves at a bound: the spread there is the prior's either way."""
    raw = np.array([0.3, 0.3, 6.0, 6.0])
    spread = np.diag([0.01, 0.01, 0.99, 0.99])
    fit = made(raw, spread**2)
    slope = np.exp(-6.0)  # of the share of the range
    seen = np.diag([1e4, 1e4, (40 * slope) ** 2, (0.1 * slope) ** 2])
    found = make_verdicts(dataclasses.replace(fit, information=seen), SPEC, 1.0)
    assert [entry["verdict"] for entry in found.values()][2:] == ["at bound", "not excited"]


def test_what_is_not_identified_gets_advice() -> None:
    correlation = np.eye(SIZE)
    correlation[0, 3] = correlation[3, 0] = -0.99
    spread = np.diag([0.69, 0.01, 0.95, 0.69])
    found = make_verdicts(made(np.full(SIZE, 0.3), spread @ correlation @ spread), SPEC, 1.0)
    advice = {name: entry["advice"] for name, entry in found.items()}
    keys = SPEC.param_keys
    assert advice[keys[0]] == f"Hold beta_accel, or: {manoeuvre(SPEC, keys[0])}"
    assert advice[keys[1]] is None
    assert advice[keys[2]] == manoeuvre(SPEC, keys[2])


def test_correlations_are_of_the_scalars() -> None:
    correlation = np.eye(SIZE)
    correlation[0, 3] = correlation[3, 0] = -0.9
    spread = np.diag([0.5, 0.01, 0.01, 0.2])
    names, found = correlations(made(np.full(SIZE, 0.3), spread @ correlation @ spread), SPEC)
    assert names == list(SPEC.param_keys)
    np.testing.assert_allclose(found, correlation, atol=1e-12)
    ((first, second, strength),) = strongest_pairs(names, found)
    assert (first, second) == ("alpha_psi_dot", "beta_accel")
    assert strength == pytest.approx(-0.9)


@pytest.mark.parametrize(
    ("interval", "converged", "verdict"),
    [
        ((1.0, 1.2), True, "identified"),
        ((1.0, None), True, "weak"),
        ((None, None), True, "not excited"),
        ((None, None), False, "identified"),
    ],
)
def test_a_profile_overrules_what_the_curvature_says(
    interval: tuple[float | None, float | None], converged: bool, verdict: str
) -> None:
    judged = make_verdicts(made(np.full(SIZE, 0.3), np.diag([0.01] * SIZE) ** 2), SPEC, 1.0)["beta_accel"]
    profile = Profile("beta_accel", np.arange(3.0), np.ones(3), interval, 1.0, converged)
    found = with_profile(judged, profile, SPEC)
    assert found["verdict"] == verdict
    assert found["profile"] == profile.verdict
    assert (found["advice"] is None) == (verdict == "identified")
