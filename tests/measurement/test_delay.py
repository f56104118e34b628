"""`delay`: controls that act later."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from measurement.driving import UNICYCLE
from pct.measurement import Measurement, with_measurement
from pct.measurement.chain import acting_controls
from pct.measurement.delay import taps

DELAYED = with_measurement(UNICYCLE, Measurement(delay=("accel",)))
ROWS = np.random.default_rng(0).standard_normal((8, 2))


def late(delay: float, rows: Any = ROWS) -> np.ndarray:
    other, column = acting_controls(
        DELAYED, {"delay_accel": jnp.asarray(delay)}, (ROWS, jnp.asarray(rows)), 0.1
    )
    np.testing.assert_array_equal(other, ROWS)
    return np.asarray(column)


def test_a_delay_shifts_a_control_and_keeps_its_ends() -> None:
    np.testing.assert_array_equal(late(0.0), ROWS)
    np.testing.assert_allclose(late(0.2), ROWS[[0, 0, 0, 1, 2, 3, 4, 5]], rtol=1e-12)
    np.testing.assert_allclose(late(-0.3), ROWS[[3, 4, 5, 6, 7, 7, 7, 7]], rtol=1e-12)
    np.testing.assert_array_equal(late(50.0), ROWS[[0] * 8])
    np.testing.assert_array_equal(late(-50.0), ROWS[[7] * 8])


@pytest.mark.parametrize("delay", [0.04, 0.25, -0.13, -0.31])
def test_between_rows_a_delay_is_a_straight_line(delay: float) -> None:
    t = 0.1 * np.arange(8)
    wanted = np.stack([np.interp(t - delay, t, column) for column in ROWS.T], axis=1)
    np.testing.assert_allclose(late(delay), wanted, rtol=1e-12)


def test_the_derivative_of_a_delay_is_the_slope() -> None:
    found = jax.jacfwd(
        lambda d: acting_controls(DELAYED, {"delay_accel": d}, (ROWS, jnp.asarray(ROWS)), 0.1)[1]
    )(0.13)
    wanted = (late(0.13 + 1e-4) - late(0.13 - 1e-4)) / 2e-4
    np.testing.assert_allclose(found, wanted, atol=1e-8)


def test_of_a_delay_that_is_no_number_nothing_acts() -> None:
    """Quietly: a step of a fit has failed, and is not taken."""
    before, shares = taps(np.float32(np.nan), 8, 0.1, np)
    assert np.isnan(shares).all()
    assert ((before >= 0) & (before <= 6)).all()
