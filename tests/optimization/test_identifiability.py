"""Verdicts, from covariances made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS, flatten_bounds
from pct.optimization.fitting import Fit
from pct.optimization.identifiability import judge
from pct.optimization.network import to_bounds

SPEC = MODEL_SPECS["unicycle"]
SIZE = SPEC.vector_size


def made(raw: np.ndarray, covariance: np.ndarray) -> Fit:
    low, high = flatten_bounds(SPEC.param_keys, SPEC.param_bounds, SPEC.full_shapes)
    values = np.asarray(to_bounds(raw, low, high))
    return Fit(values, raw, covariance, np.linalg.inv(covariance), np.ones(1), (), np.ones(1, bool))


def verdicts(raw: np.ndarray, covariance: np.ndarray, prior: float = 1.0) -> list[str]:
    return [entry["verdict"] for entry in judge(made(raw, covariance), SPEC, prior).values()]


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
