"""Verdicts, from covariances made by hand."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS, flatten_bounds
from pct.dynamics.bounds import Bounds
from pct.dynamics.roles import manoeuvre
from pct.optimization.constants.agreed import Agreed, Agreement
from pct.optimization.constants.estimate import Estimate
from pct.optimization.constants.profile import Profile
from pct.optimization.constants.random_effects import RandomEffects
from pct.optimization.constants.verdicts import (
    Facts,
    correlations,
    judge,
    make_verdicts,
    strongest_pairs,
    with_profile,
)

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
    spread = np.diag([0.01, 0.95, 0.5, 0.6])
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
    # Both begin there, so that the data have not moved them.
    bounds = {key: SPEC.param_bounds[key][1] for key in ("alpha_accel", "beta_accel")}
    spec = dataclasses.replace(SPEC, default_params={**SPEC.default_params, **bounds})
    found = make_verdicts(dataclasses.replace(fit, information=seen), spec, 1.0)
    assert [entry["verdict"] for entry in found.values()][2:] == ["at bound", "not excited"]


def test_what_is_not_identified_gets_advice() -> None:
    correlation = np.eye(SIZE)
    correlation[0, 3] = correlation[3, 0] = -0.99
    spread = np.diag([0.69, 0.01, 0.95, 0.69])
    found = make_verdicts(made(np.full(SIZE, 0.3), spread @ correlation @ spread), SPEC, 1.0)
    advice = {name: entry["advice"] for name, entry in found.items()}
    keys = SPEC.param_keys
    said = advice[keys[0]]
    assert said is not None
    assert said.startswith("Only a combination of alpha_psi_dot and beta_accel is known.")
    assert said.endswith(f"Hold beta_accel, or: {manoeuvre(SPEC, keys[0])}")
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


GRID = [
    Facts(
        size=1.0,
        std=std,
        between=between,
        prior_share=share,
        moved=moved,
        outwards=outwards,
        raw_error=raw_error,
        beside_bound=share,
        sound=sound,
        clipped_share=clipped,
        partner=("beta_accel", correlation),
        varies=varies,
        within=within,
    )
    for (std, between, share, moved, outwards, raw_error, sound, clipped, correlation, varies, within) in (
        itertools.product(
            (0.01, 0.5, np.nan),
            (None, 0.0, 0.4),
            (0.05, 0.95),
            (0.1, 4.0),
            (0.3, -5.0),
            (0.02, 0.9),
            (True, False),
            (1.0, 0.2),
            (0.1, -0.99),
            (None, (0.4, 1.0)),
            (False, True),
        )
    )
]


def test_verdict_and_advice_never_contradict_each_other() -> None:
    """Over a grid of all situations: what is called identified is sound, known, equal, and not clipped."""
    seen = set()
    for facts in GRID:
        said = judge(SPEC, "alpha_psi_dot", facts)
        verdict, advice = said["verdict"], said["advice"]
        seen.add(verdict.split(" (")[0])
        assert (advice is None) == (verdict == "identified")
        if verdict == "identified":
            assert facts.sound
            assert np.hypot(facts.std, facts.between or 0.0) < 0.15
            assert facts.varies is None
            assert facts.clipped_share >= 0.5
            assert not facts.at_bound
        if not facts.sound or np.isnan(facts.std):
            assert verdict == "error not known"
        if verdict == "not excited":
            assert facts.moved <= 2
        if verdict == "at bound":
            assert facts.raw_error > 0.2
            assert abs(facts.outwards) > 2
        assert (said["with"] is None) == (not verdict.startswith("traded off"))
        if facts.varies is not None and verdict.startswith("varies"):
            assert verdict == "varies between recordings (from 0.4 to 1)"
            assert advice is not None
            assert advice.startswith("The model" if facts.within else "The car")
    assert seen == {
        "identified",
        "weak",
        "traded off with beta_accel",
        "varies between recordings",
        "at bound",
        "leans on clipped rows",
        "error not known",
        "not excited",
    }


def test_what_the_data_moved_far_is_not_called_not_excited() -> None:
    """Where the unbounded axis is flat, the share of the prior is near one although the data pushed."""
    pushed = Facts(
        size=1.0, std=0.01, prior_share=0.95, moved=4.0, outwards=4.0, raw_error=0.95, beside_bound=0.9
    )
    assert judge(SPEC, "alpha_psi_dot", pushed)["verdict"] == "at bound"
    back = pushed._replace(outwards=0.5)
    assert judge(SPEC, "alpha_psi_dot", back)["verdict"] == "identified"
    still = pushed._replace(moved=0.0)
    assert judge(SPEC, "alpha_psi_dot", still)["verdict"] == "not excited"


def test_a_value_near_a_bound_that_is_known_to_lie_inside_is_identified() -> None:
    raw = np.array([0.3, 0.3, 5.0, 0.3])
    assert verdicts(raw, np.diag([0.01, 0.01, 0.01, 0.01]) ** 2)[2] == "identified"


def test_few_blocks_widen_what_is_compared() -> None:
    fit = made(np.full(SIZE, 0.3), np.diag([0.1] * SIZE) ** 2)
    shares = [
        make_verdicts(dataclasses.replace(fit, blocks=blocks), SPEC, 1.0)["alpha_psi_dot"]["share_of_value"]
        for blocks in (2, 5, 100)
    ]
    assert shares[0] > 2 * shares[1] > 2 * shares[2]


@pytest.mark.parametrize(("tau", "verdict"), [(0.0, "identified"), (0.1, "weak")])
def test_few_drives_widen_only_what_differs_between_them(tau: float, verdict: str) -> None:
    """Errors of 10 % in all; Student's t of 2 degrees of freedom would widen them to 22 %."""
    fit = made(np.full(SIZE, 0.3), np.diag([0.01] * SIZE) ** 2)
    name, value = SPEC.param_keys[0], float(fit.values[0])
    error = value * np.sqrt(0.1**2 - tau**2)
    effects = RandomEffects(value, error, value * tau, *[0.0] * 5, p=0.5, drives=3, freedom=60.0)
    item = Agreed("1", np.full(3, value), np.full(3, error), np.ones(3, bool), value, effects, error, 60.0)
    others = {key: item._replace(effects=None) for key in SPEC.param_keys}
    agreement = Agreement("recording", ("a", "b", "c"), (9, 9, 9), {**others, name: item}, {})
    assert make_verdicts(fit, SPEC, 1.0, agreement)[name]["verdict"] == verdict


@pytest.mark.parametrize("change", [{"sound": False}, {"covariance": np.full((SIZE, SIZE), np.nan)}])
def test_without_a_sound_covariance_nothing_is_identified(change: dict[str, Any]) -> None:
    fit = dataclasses.replace(made(np.full(SIZE, 0.3), np.diag([0.01] * SIZE) ** 2), **change)
    assert {entry["verdict"] for entry in make_verdicts(fit, SPEC, 1.0).values()} == {"error not known"}


def test_what_leans_on_clipped_rows_is_not_identified() -> None:
    fit = made(np.full(SIZE, 0.3), np.diag([0.01] * SIZE) ** 2)
    fit = dataclasses.replace(fit, clipped_share=np.array([0.1, 0.9, 1.0, 0.4]))
    found = [entry["verdict"] for entry in make_verdicts(fit, SPEC, 1.0).values()]
    assert found == ["leans on clipped rows", "identified", "identified", "leans on clipped rows"]
