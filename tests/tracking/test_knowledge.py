"""What is known before a drive: standard errors of a fit with their correlations, factors, levels."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

import pct
from pct.api.tracking import make_problem
from pct.errors import UsageError
from pct.tracking.drives import Tracked
from pct.tracking.knowledge import check_factors, covariance_of, ranges_of
from pct.tracking.levels import MOST_JUMPS
from pct.tracking.problem import usual_levels
from pct.tracking.report import facts


def test_held_parameters_have_the_covariance_of_the_fit() -> None:
    spec = pct.model("singletrack").hold("I").spec
    assert spec.param_keys == ("mu", "C_Sf", "C_Sr", "m")
    raw = np.diag([1.0, 4.0, 9.0, 16.0])
    raw[1, 2] = raw[2, 1] = 0.5 * 2.0 * 3.0
    deviations = {"mu": 0.1, "C_Sf": 0.2, "C_Sr": 0.3, "m": np.inf}
    held, covariance = covariance_of(
        spec, spec.default_params, SimpleNamespace(covariance=raw), deviations, ["mu"]
    )
    assert held == ("C_Sf", "C_Sr", "m")
    # What is not known is as wide as its bounds: a uniform distribution's deviation.
    width = (spec.param_bounds["m"][1] - spec.param_bounds["m"][0]) / np.sqrt(12)
    np.testing.assert_allclose(np.sqrt(np.diag(covariance)), [0.2, 0.3, width])
    np.testing.assert_allclose(covariance[0, 1], 0.5 * 0.2 * 0.3)
    _, alone = covariance_of(spec, spec.default_params, None, deviations, ["mu"])
    np.testing.assert_allclose(alone, np.diag(np.diag(covariance)))


def test_factors_are_of_parameters_that_are_there_once() -> None:
    spec = pct.model("singletrack-pacejka").spec
    assert ranges_of(spec, "D_f+D_r/B_f/B_r") == {"D_f+D_r/B_f/B_r": None}
    with pytest.raises(UsageError, match="expected each parameter once, found D_f more than once"):
        ranges_of(spec, ["D_f+D_r", "B_f/D_f"])
    with pytest.raises(UsageError, match=r"`vary=D_f/S_hf`: a factor changes nothing of S_hf, which is zero"):
        check_factors(spec.default_params, ["D_f/S_hf"])


def test_changes_as_often_as_is_allowed_are_doubted() -> None:
    problem = make_problem(pct.model("singletrack"), "mu")
    usual = usual_levels(problem)
    t = np.arange(3.0)
    drive = Tracked("drive", t, t, t, {}, {}, {"mu": t + 1}, {"mu": 0 * t}, ())
    often = dataclasses.replace(usual, jumps=MOST_JUMPS * usual.jumps)
    said = {
        (levels is often, estimated): any(
            "errors of the model look like changes" in line
            for line in facts(problem, levels, [drive], estimated=estimated)
        )
        for levels in (usual, often)
        for estimated in (True, False)
    }
    assert [case for case, doubted in said.items() if doubted] == [(True, True)]
