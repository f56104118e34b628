"""What a fit says of the held parameters: its standard errors, with its correlations."""

from types import SimpleNamespace

import numpy as np

import pct
from pct.tracking.knowledge import covariance_of


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
