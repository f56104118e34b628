"""The prior of a fit: one deviation, one of each parameter, or a covariance."""

from __future__ import annotations

import numpy as np
import pytest

import pct
from pct.errors import UsageError
from pct.optimization.constants import fitting
from pct.optimization.constants.agreement import agreement_of
from pct.optimization.constants.estimate import raw_values
from pct.optimization.constants.prior import Prior, covariance_of, deviations_of, information_of, without
from pct.optimization.settings import FitSettings
from pct.windows.store import make_window_store
from pct.windows.window_set import WindowSet

SPEC = pct.model("unicycle").hold(alpha_accel=1.0).spec
SETTINGS = FitSettings(horizon=4, history=4, iterations=12, prior=0.5)
SIZE = SPEC.vector_size


@pytest.fixture(scope="module")
def windows() -> WindowSet:
    drives = pct.simulate(pct.model("singletrack"), recordings=2, duration=4.0, mu=(0.7,), noise=0.1)
    return fitting.fit_windows(SPEC, make_window_store(drives.recordings, SPEC), SETTINGS)


def fitted(windows: WindowSet, prior: Prior | None) -> fitting.ConstantFit:
    return fitting.fit(SPEC, windows, SETTINGS, prior=prior)


def test_equal_priors_give_equal_fits_and_verdicts(windows: WindowSet) -> None:
    usual = fitted(windows, None)
    pair = agreement_of(usual)
    for prior in (np.full(SIZE, 0.5), 0.25 * np.eye(SIZE)):
        other = fitted(windows, prior)
        np.testing.assert_allclose(other.estimate.raw, usual.estimate.raw, rtol=1e-9)
        np.testing.assert_allclose(other.estimate.covariance, usual.estimate.covariance, rtol=1e-9)
        assert other.verdicts == usual.verdicts
    again = agreement_of(other)
    assert again is not None
    assert pair is not None
    for name, item in again.parameters.items():
        np.testing.assert_allclose(item.values, pair.parameters[name].values, rtol=1e-8)
        np.testing.assert_allclose(item.errors, pair.parameters[name].errors, rtol=1e-8)


def test_a_covariance_draws_parameters_together(windows: WindowSet) -> None:
    """The optimum is where the data, as a fit with a wide prior sums them up, and the prior balance."""
    wide = fitted(windows, 100.0).estimate
    errors = np.sqrt(np.diag(np.linalg.inv(wide.information)))
    covariance = np.outer(errors, errors) * (0.9 * np.ones((SIZE, SIZE)) + 0.1 * np.eye(SIZE))
    centre, known = raw_values(SPEC, SPEC.default_params), np.linalg.inv(covariance)
    right = wide.information @ wide.raw + known @ centre
    balance = np.linalg.solve(wide.information + known, right)
    found = fitted(windows, covariance).estimate.raw
    assert np.abs((wide.raw - balance) / errors).max() > 0.4
    np.testing.assert_allclose(found / errors, balance / errors, atol=0.15)


def test_priors_are_one_thing_in_three_forms() -> None:
    for prior in (2.0, np.full(3, 2.0), 4.0 * np.eye(3)):
        np.testing.assert_allclose(covariance_of(prior, 3), 4.0 * np.eye(3))
        np.testing.assert_allclose(information_of(prior, 3), 0.25 * np.eye(3))
        np.testing.assert_allclose(deviations_of(prior, 3), 2.0)
        np.testing.assert_allclose(deviations_of(without(prior, [1], 0.1, 3), 3), [2.0, 0.1, 2.0])
    held = without(np.array([[4.0, 1.0], [1.0, 4.0]]), [0], 0.1, 2)
    np.testing.assert_allclose(held, [[0.01, 0.0], [0.0, 4.0]])


def test_a_folder_is_read_before_a_fit(windows: WindowSet) -> None:
    with pytest.raises(UsageError, match="`prior=fleet`: expected a number, or the prior that was read"):
        fitting.fit(SPEC, windows, FitSettings(horizon=4, history=4, prior="fleet"))
