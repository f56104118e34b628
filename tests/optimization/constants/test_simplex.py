"""The simplex method goes the way of SciPy's, step by step."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize, rosen

from pct.optimization.constants.simplex import minimize_simplex


def hills(x: np.ndarray) -> float:
    """Many dents, so that corners are mirrored, stretched, drawn in and shrunk."""
    return float((x**2).sum() + 3.0 * np.cos(3.0 * x).sum() + x[0] * x[1])


@pytest.mark.parametrize("evaluations", [2, 7, 36, 400])
@pytest.mark.parametrize("function", [rosen, hills])
def test_as_scipy(function: object, evaluations: int) -> None:
    start = np.array([1.7, -0.4, 2.6])
    corners = np.vstack([start, start + np.diag([-1.0, -1.0, -0.7])])
    ours: list[np.ndarray] = []
    theirs: list[np.ndarray] = []

    def watched(seen: list[np.ndarray]):  # type: ignore[no-untyped-def]
        return lambda x: (seen.append(np.array(x)), function(x))[1]  # type: ignore[operator]

    found = minimize_simplex(watched(ours), corners, evaluations=evaluations, still=1e-3, flat=1e-4)
    options = {"maxfev": evaluations, "initial_simplex": corners, "xatol": 1e-3, "fatol": 1e-4}
    expected = minimize(watched(theirs), start, method="Nelder-Mead", options=options)
    assert len(ours) == len(theirs)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found, expected.x, rtol=1e-12)
