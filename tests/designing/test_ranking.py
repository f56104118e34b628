"""What a piece of a log counts."""

import numpy as np

from pct.designing.ranking import _birge


def test_a_piece_counts_less_where_it_pulls_the_fit_beyond_its_errors() -> None:
    information = np.stack([4.0 * np.eye(2)] * 2)
    # Both standard errors are 1/2: the first piece moves each parameter by half of one, the other by ten.
    gradient = np.array([[1.0, -1.0], [20.0, -20.0]])
    np.testing.assert_allclose(_birge(information, gradient), [1.0, 100.0])
