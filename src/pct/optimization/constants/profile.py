"""Profile likelihood: how much worse the fit becomes where one parameter is held at another value.

At each point all others are fitted anew. The errors count as Gaussian with a size of its own by channel,
which is fitted, too: the loss is the number of rows times the logarithm of how much larger they are.
Errors along a drive are correlated, so rows are worth less than their number: the loss is scaled by
the ratio of the parameter's variance without that to that of the fit, which counts whole blocks [2].
Where it stays below the 95 % quantile of chi square with one degree of freedom, the drive does not
distinguish the values [1].

References:
    [1] A. Raue et al., "Structural and practical identifiability analysis of partially observed dynamical
        models by exploiting the profile likelihood", Bioinformatics 25 (2009).
    [2] R. Chandler, S. Bate, "Inference for clustered data using the independence loglikelihood", Biometrika
        94 (2007): vertical scaling.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from pct.dynamics.bounds import Bounds
from pct.dynamics.core import ModelSpec
from pct.errors import UsageError
from pct.optimization.constants.covariance import solve_positive
from pct.optimization.constants.estimate import (
    HUBER,
    PRIOR,
    Estimate,
    fit_errors,
    raw_values,
    scalar_places,
)
from pct.optimization.constants.prior import Prior, covariance_of, information_of, without
from pct.optimization.constants.rollout_errors import RolloutErrors
from pct.types import Float
from pct.windows.window_set import WindowSet

# 95 % quantile of chi square with one degree of freedom.
LIMIT = 3.841
# Points to each side, in standard errors of the fit on the unbounded axis; the last beyond the limit ends it.
POINTS = (0.8, 1.6, 2.4, 3.5, 5.0, 8.0, 14.0, 30.0, 100.0)
# Prior standard deviation that holds a parameter.
HELD = 1e-4
# An error below this share of the channel's scale is rounding.
ROUNDING = 1e-4
# The furthest on the unbounded axis: 0.7 % of the range from a bound.
FURTHEST = 5.0


class Profile(NamedTuple):
    """Profile likelihood of one parameter.

    Attributes:
        name: of the parameter.
        values: at which it was held, increasing, in its unit, (K,).
        excess: twice the log likelihood that is lost against the best, (K,).
        interval: ends of the 95 % interval; None where the profile stays below the limit as far as it goes.
        scale: what the loss was multiplied by for the correlation along the drive; below one.
        converged: whether no point is better than the fit by more than the limit.
    """

    name: str
    values: Float[np.ndarray, " K"]
    excess: Float[np.ndarray, " K"]
    interval: tuple[float | None, float | None]
    scale: float
    converged: bool = True

    @property
    def verdict(self) -> str:
        """Whether the drive identifies the parameter."""
        if not self.converged:
            return "rough: the fit had not converged, raise `iterations`"
        if self.interval == (None, None):
            return "flat: not identified"
        if None in self.interval:
            return f"open {'below' if self.interval[0] is None else 'above'}: bounded from one side only"
        return "closed"


def make_profile(
    name: str,
    estimate: Estimate,
    errors: RolloutErrors,
    windows: WindowSet,
    numbers: np.ndarray,
    *,
    prior: Prior = PRIOR,
    huber: float = HUBER,
    iterations: int = 20,
    report: Callable[[float, float], None] = lambda value, excess: None,
) -> Profile:
    """Hold a parameter at points about its fitted value and fit the others anew, from the neighbour's values.

    To each side it goes on until the limit is passed, or the parameter is nearly at its bound.

    Args:
        name: a scalar parameter that was fitted.
        estimate: of these windows.
        errors: of the model, compiled once for all points.
        windows, numbers: as in the fit; windows that it rejected do not count.
        prior, huber: those of the fit.
        iterations: most iterations at a point.
        report: called after each point with the value and what is lost there against the best so far.

    Raises:
        UsageError: there is no such parameter among the fitted ones, or it is an array.
    """
    spec = errors.spec
    require_scalar(spec, name)
    place = scalar_places(spec)[name]
    numbers = numbers[estimate.accepted]
    # An incomplete fit must not look like a gain by this parameter.
    options: Any = {"huber": huber, "iterations": 3 * iterations, "noise": estimate.noise}
    best = fit_errors(errors, windows, numbers, start=estimate.params(spec), prior=prior, **options)
    rows = _rows_counted_once(windows, numbers)
    size = best.raw.size
    naive = solve_positive(best.information + information_of(prior, size), np.eye(size))[0]
    scale = min(1.0, float(naive[place, place] / best.covariance[place, place]))
    deviation = float(np.sqrt(best.covariance[place, place]))
    priors = without(prior, [place], HELD, size)
    # Errors that are rounding carry no information, whatever their ratio.
    real = best.sigma > ROUNDING * spec.scales[list(errors.channels)]
    others = np.delete(np.arange(size), place)
    known = information_of(covariance_of(prior, size)[np.ix_(others, others)], size - 1)
    centre = raw_values(spec, spec.default_params)

    def sizes(sigma: np.ndarray) -> np.ndarray:
        """Twice the negative log likelihood of a row by channel: its error is of unknown size, or of one that
        is given."""
        least = None if best.noise is None else best.noise.least
        if least is None:
            return 2 * np.log(sigma)
        return np.where(sigma < least, (sigma / least) ** 2 - 1, 2 * np.log(sigma / least))

    def lost(estimate: Estimate) -> float:
        """Twice the negative log likelihood, the prior of the other parameters included."""
        away = (estimate.raw - centre)[others]
        return rows * float(sizes(estimate.sigma)[real].sum()) + float(away @ known @ away)

    def value_at(raw: float) -> float:
        """The parameter in its unit."""
        values = Bounds.of(spec).to(jnp.asarray(np.where(np.arange(best.raw.size) == place, raw, best.raw)))
        return float(values[place])

    held = {float(best.raw[place]): lost(best)}
    for side in (-1, 1):
        start: Mapping[str, Any] = best.params(spec)
        for point in POINTS:
            raw = float(np.clip(best.raw[place] + side * point * deviation, -FURTHEST, FURTHEST))
            if raw in held:
                break
            value = value_at(raw)
            here = dataclasses.replace(
                errors, spec=dataclasses.replace(spec, default_params={**spec.default_params, name: value})
            )
            start = {**start, name: value}
            options["iterations"] = iterations
            refit = fit_errors(here, windows, numbers, start=start, prior=priors, **options)
            start = refit.params(spec)
            held[raw] = lost(refit)
            excess = scale * (held[raw] - min(held.values()))
            report(value, excess)
            if excess > LIMIT:
                break
    points = np.array(sorted(held))
    losses = scale * np.array([held[point] for point in points])
    excess = losses - losses.min()
    values = np.array([value_at(point) for point in points])
    ends = (_crossing(points[::-1], excess[::-1]), _crossing(points, excess))
    interval = tuple(None if end is None else value_at(end) for end in ends)
    converged = bool(scale * held[float(best.raw[place])] - losses.min() <= LIMIT)
    return Profile(name, values, excess, (interval[0], interval[1]), scale, converged)


def require_scalar(spec: ModelSpec, name: str) -> None:
    """Refuse a parameter that cannot be profiled.

    Raises:
        UsageError: there is no such parameter among the fitted ones, or it is an array.
    """
    scalars = scalar_places(spec)
    if name not in scalars:
        raise UsageError(
            f"`profiles={name}`: expected a fitted scalar parameter, one of {', '.join(scalars)}"
        )


def profile_table(profile: Profile, unit: str) -> dict[str, Any]:
    """All numbers by name, for a JSON file."""
    return {
        "values": profile.values,
        "twice_log_likelihood_lost": profile.excess,
        "limit_95": LIMIT,
        "interval_95": profile.interval,
        "scale_for_autocorrelation": profile.scale,
        "unit": unit,
        "verdict": profile.verdict,
    }


def profile_fact(profile: Profile, unit: str) -> str:
    """A profile in words."""
    ends = [f"{value:.4g}" if value is not None else "open" for value in profile.interval]
    return f"{profile.name}: profile {profile.verdict}; 95 % interval {ends[0]} to {ends[1]} {unit}."


def _crossing(points: np.ndarray, excess: np.ndarray) -> float | None:
    """Where the excess first passes the limit on the way from its least to the last point; in its root.

    The root is nearly straight on both sides, so that lines between few points serve.
    """
    root = np.sqrt(excess)
    limit = np.sqrt(LIMIT)
    for k in range(int(np.argmin(excess)), points.size - 1):
        if root[k] <= limit < root[k + 1]:
            share = (limit - root[k]) / (root[k + 1] - root[k])
            return float(points[k] + share * (points[k + 1] - points[k]))
    return None


def _rows_counted_once(windows: WindowSet, numbers: np.ndarray) -> int:
    """Rows that some window predicts."""
    starts = windows.starts[numbers]
    return np.unique(starts[:, None] + np.arange(1, windows.horizon + 1)).size
