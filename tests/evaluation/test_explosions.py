"""Which windows explode is decided by the log and the tables alone."""

import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS
from pct.evaluation.explosions import find_exploded, largest_errors, name_explosions
from pct.evaluation.scores import errors_of
from pct.windows.batch import WindowOrigin

SPEC = MODEL_SPECS["unicycle"]  # x, y, psi, v
ORIGIN = WindowOrigin(np.array([0, 0, 1, 1]), np.array([1.0, 2.0, 0.5, 0.7]), {}, ("one", "two"), (), 0.1)


def log() -> np.ndarray:
    """Four windows of three steps: 2 m ahead, at 4 to 6 m/s."""
    true = np.zeros((4, 3, 4))
    true[..., 0] = [0.5, 1.0, 2.0]
    true[..., 3] = np.linspace(4.0, 6.0, 4)[:, None]
    return true


def exploded(predicted: np.ndarray) -> np.ndarray:
    return find_exploded(errors_of(predicted, log(), SPEC), log(), SPEC)


def test_the_largest_errors_are_of_the_log() -> None:
    largest = largest_errors(log(), SPEC)
    assert largest["v"] == pytest.approx(6.0)  # three times 2 m/s
    assert largest["x"] == largest["y"] == largest["position"] == pytest.approx(6.0)
    assert "psi" not in largest
    # A log at one speed: five scales of 0.1 m/s are no explosion.
    still = log()
    still[..., 3] = 5.0
    assert largest_errors(still, SPEC)["v"] == pytest.approx(0.5)


def test_holding_the_last_value_never_explodes() -> None:
    hold = np.repeat(log()[:, :1], 3, axis=1)
    hold[..., 0] = 0.0
    assert not exploded(hold).any()


def test_what_explodes_is_counted_and_named() -> None:
    predicted = log()
    predicted[1, 1:, 3] += 6.5
    predicted[2, 2, 0] = np.inf
    predicted[3, :, 2] += 100.0  # many turns of the heading are no explosion
    beyond = exploded(predicted)
    np.testing.assert_array_equal(beyond.any(axis=(1, 2)), [False, True, True, False])
    # Up to the first step none has exploded yet.
    assert not beyond[:, :1].any()
    names = errors_of(predicted, log(), SPEC).names
    assert list(map(str, name_explosions(beyond, names, ORIGIN))) == [
        "'one' from 2.00 s (v after 0.20 s)",
        "'two' from 0.50 s (x after 0.30 s)",
    ]


def test_a_state_beyond_the_limit_of_its_channel_explodes() -> None:
    true = log()
    true[..., 3] = np.linspace(0.0, 100.0, 4)[:, None]
    predicted = true.copy()
    predicted[3, 2, 3] = 121.0
    beyond = find_exploded(errors_of(predicted, true, SPEC), true, SPEC)
    assert np.argwhere(beyond).tolist() == [[3, 2, 3]]
