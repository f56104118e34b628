"""A tracker of the friction for a car that is not the model.

On a lap of practice on an even road the single-track model of a 29-state car finds frictions from a quarter
to one and a half of the true one, with narrow bands, for three reasons. In a bend the inner wheels have
little load and spin or lock, which looks like a slippery road. Tyres that are softer than the model's look
like slippery ones as long as the car is far from the limit. And if the friction may change while the levels
of noise are estimated, what the model gets wrong is taken for changes. So rows with a sliding wheel are left
out, stiffnesses, mass and wheel radius are uncertain, and the levels are those of a road that is known to be
even.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from pct.api.cars import Car
from pct.api.drives import Drives
from pct.api.tracking import make_problem
from pct.racing.beliefs import restarting

if TYPE_CHECKING:
    from pct.tracking.live import LiveFilter
    from pct.tracking.problem import Problem

# Standard deviations of what the model holds, as shares of its values.
UNSURE = {"p_kx1": 0.2, "p_ky1": 0.2, "m": 0.1, "R_w": 0.005}


def race_tracker(car: Car, practice: Drives, sliding: np.ndarray) -> LiveFilter:
    """A tracker of the friction with the levels of a lap on an even road.

    Args:
        car: the model, with the friction learned and the rest held.
        practice: one drive, on a road of one friction.
        sliding: whether a row tells of a sliding wheel and is left out, (N,) of bool.

    Raises:
        UsageError: no compiler, see `pct.Tracker`.
    """
    from pct.tracking.drives import Rows, read_drives
    from pct.tracking.levels import estimate_levels
    from pct.tracking.live import LiveFilter
    from pct.tracking.problem import usual_levels

    problem = uncertain(make_problem(car, "mu"))
    read, (rows,) = read_drives(problem, practice.recordings, None)
    kept = ~np.asarray(sliding, bool)
    times = restarting(rows.t, kept)
    usual = usual_levels(read)
    even = dataclasses.replace(usual, jumps=0.0, wander={})
    found = estimate_levels(read, [Rows(times[kept], rows.states[kept], rows.controls[kept])], even)
    return LiveFilter(problem, dataclasses.replace(found, jumps=usual.jumps, wander=usual.wander))


def uncertain(problem: Problem) -> Problem:
    """The problem with what the model may be wrong in, see `UNSURE`."""
    sizes = [share * float(problem.params[name]) for name, share in UNSURE.items()]
    return dataclasses.replace(problem, held=tuple(UNSURE), covariance=np.diag(np.square(sizes)))
