"""PCT's own fit: single steps from the start, then Levenberg-Marquardt over the horizon."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pct.dynamics.core import unflatten_params
from pct.optimization.constants.rollout_errors import RolloutErrors, make_rollout_errors
from pct.optimization.constants.starts import fit_from_starts
from peers.fit_problem import COMPARED, SETTINGS, Problem


def make_solver(problem: Problem) -> Callable[[np.ndarray], np.ndarray]:
    """``solve(raw)``: the fit from a start, both on the unbounded axis, (P,)."""
    spec, windows = problem.spec, problem.windows

    def errors_of(integrator: str, free_start: bool) -> RolloutErrors:
        return make_rollout_errors(
            spec,
            spec.base_params(problem.dt),
            windows.history,
            integrator=integrator,
            compare=COMPARED,
            free_start=free_start,
        )

    errors, single = errors_of("rk4", True), errors_of("euler", False)

    def solve(raw: np.ndarray) -> np.ndarray:
        values = problem.low + (problem.high - problem.low) / (1 + np.exp(-raw))
        start = unflatten_params(values, spec.param_keys, spec.full_shapes)
        return fit_from_starts(errors, single, windows, SETTINGS, start, lambda number, error: None)[0].raw

    return solve
