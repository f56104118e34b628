"""The posterior density of constant parameters, from the rollouts' errors and their derivatives.

The likelihood is that of the fit: the same windows and typical errors, Huber's loss, rows that windows share
count once, free starts at their best. It takes the errors of a drive as independent. They are not, so the
log likelihood is scaled to what the blocks of driving say, by the vertical adjustment of [1] about the
optimum:

    q = k(d) excess(d),  k(d) = d' G d / d' H d,  d = theta - optimum,
    excess(d) = loss(theta) - loss(optimum) - g' d,

with g the slope of the loss at the optimum, where the prior holds it, H the information that the data have if
errors are independent, and G what they have by the spread of the scores of rows and blocks (see
`factor_of_rows` and `adjusted_information`). Few blocks tell that spread as a variance of few degrees of
freedom nu, and with an unknown variance the likelihood of p known directions is Student's:

    log p(theta) = -(nu + p) / 2 log(1 + 2 q / nu) - g' d / max(c, 1) + log prior(theta),

where c is how much wider the scores are than independent ones: data that are worth less hold the car less
far from the prior. Where the loss is a parabola, that is the posterior of data with the information G; where
it is not, it follows the loss. Where errors are independent, G is H, and this is the plain posterior.

References:
    [1] R. Chandler, S. Bate, "Inference for clustered data using the independence loglikelihood", Biometrika
        94 (2007): vertical adjustment.
    [2] M. Ribatet, D. Cooley, A. Davison, "Bayesian inference from composite likelihoods, with an
        application to spatial extremes", Statistica Sinica 22 (2012): that an adjusted likelihood gives
        posterior intervals with the right coverage, and the plain one does not.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pct.dynamics.bounds import Bounds
from pct.optimization.constants.covariance import positive_part, solve_positive
from pct.optimization.constants.descent import CLIPPED, LEAST_DAMPING, Path, Problem, without_starts
from pct.optimization.constants.normal_equations import sums_by_group
from pct.optimization.constants.posterior.axes import DrawAxes
from pct.optimization.constants.posterior.information import FAINT, adjusted_information
from pct.optimization.constants.posterior.rows import factor_of_rows
from pct.types import Float, Int

# Steps that settle the optimum, and the relative gain that ends them.
SETTLING, SETTLED = 40, 1e-8
# Times that typical errors are taken anew there; free starts begin as they are logged, which errs more.
ROUNDS = 3
# Degrees of freedom of standard errors that allow for few drives.
KNOWN_WELL = 1e6
# Loss below that of the optimum counts down to this share of the variance, by rounding and kinks.
LEAST_SPREAD = 0.5
# Steps of Newton for the starts of a point at most, and the gain in log likelihood that ends them.
STEPS, SMALL_GAIN = 10, 0.1
# Damping of a step that did not help, next.
FIRST_DAMPING = 0.1
# Log density of rollouts that are not finite.
IMPOSSIBLE = -1e9
# So near the optimum, in standard errors, the density is a normal one.
NEAR = 1e-6


class _Windows(NamedTuple):
    """Losses of the accepted windows where their starts are, and sums of `NormalEquations`."""

    offsets: Float[np.ndarray, "K B"]
    losses: Float[np.ndarray, " B"]
    gradient: Float[np.ndarray, "P B"]
    cross: Float[np.ndarray, "P K B"]
    block: Float[np.ndarray, "K K B"]
    start_gradient: Float[np.ndarray, "K B"]

    def steps(self, damping: Float[np.ndarray, " B"]) -> Float[np.ndarray, "K B"]:
        """Steps of the starts towards their best, backwards, each window's damped."""
        block = self.block.transpose(2, 0, 1)
        one = np.eye(block.shape[1])
        block = block * (1 + damping[:, None, None] * one) + 1e-200 * one
        return np.linalg.solve(block, self.start_gradient.T[..., None])[..., 0].T

    @property
    def gains(self) -> Float[np.ndarray, " B"]:
        """What a step without damping would gain if losses were parabolas."""
        return 0.5 * np.sum(self.steps(np.zeros_like(self.losses)) * self.start_gradient, axis=0)


class Density:
    """Log posterior on axes on which its covariance is about the unit matrix where the loss is a parabola.

    Attributes:
        centre: where the mode is then, on the unbounded axis, (P,); there ``z`` is zero.
        covariance: on the unbounded axis, where the spread of the scores is known well, (P, P).
        factor: mean square of the scores over that of independent errors.
        freedom: degrees of freedom to which it is known.
    """

    def __init__(
        self,
        problem: Problem,
        path: Path,
        blocks: Int[np.ndarray, " W"],
        bounds: Bounds,
        deviations: Float[np.ndarray, " P"] | None = None,
    ) -> None:
        """Settle the optimum, and measure curvature and information there.

        Args:
            problem: of the fit; its filter begins windows as at the fit.
            path: where the fit ended.
            blocks: number of the block of each accepted window, from 0.
            bounds: of the parameters.
            deviations: standard errors on the unbounded axis that the covariance is to have; those of the
                blocks when left out.
        """
        self._problem = problem
        for _ in range(ROUNDS):
            self._sigma = problem.weights(path, CLIPPED)
            path = self._settle(path)
        self._path, self._optimum = path, path.point.raw
        groups = np.zeros(len(path.accepted), int)
        groups[path.accepted] = blocks
        reduced = without_starts(problem.normal(self._path, self._sigma, groups), blocks)
        self._follow = reduced.follow
        information = np.moveaxis(reduced.matrix, -1, 0) / problem.overlap
        scores = sums_by_group(reduced.gradient, blocks)[1].T / problem.overlap
        prior, one = problem.prior_information, np.eye(self._optimum.size)
        # From here on in units of the covariance as if errors were independent.
        self._unit = _root(solve_positive(information.sum(axis=0) + prior, one)[0])
        self._prior = self._unit.T @ prior @ self._unit
        known = positive_part(one - self._prior)
        factor = factor_of_rows(problem, path, self._sigma, self._unit, reduced.follow)
        own = self._unit.T @ information @ self._unit
        adjusted = adjusted_information(own, scores @ self._unit, known, factor)
        self.factor, self.freedom = adjusted.factor, adjusted.freedom
        self._known = adjusted.directions
        data = adjusted.matrix
        if deviations is not None:
            data, self.freedom = self._widened(data, deviations), KNOWN_WELL
        covariance = np.linalg.inv(data + self._prior)
        self._least, self._tangent = 0.0, np.zeros_like(self._optimum)
        self._least, self._tangent = self._loss(self._optimum)
        self._information, self._plain = data + FAINT / adjusted.factor * one, known + FAINT * one
        away = prior @ (self._optimum - problem.centre)
        self._pull = self._unit.T @ (self._tangent / max(adjusted.factor, 1.0) + away)
        self._into = np.linalg.inv(self._unit)
        middle, root = -covariance @ self._pull, _root(covariance)
        if not self._value(middle)[0] > self._value(np.zeros(len(one)))[0]:
            middle = np.zeros(len(one))
        self.centre = self._optimum + self._unit @ middle
        self._draw_axes = DrawAxes(bounds)
        self._middle, slope = self._draw_axes.at(self.centre)
        self._steps = slope[:, None] * (self._unit @ root)
        self._top = 0.0
        self._top = self(np.zeros(len(one)))[0]
        self.covariance = self._unit @ covariance @ self._unit.T

    def __call__(self, z: Float[np.ndarray, " P"]) -> tuple[float, Float[np.ndarray, " P"]]:
        """Log density at ``z``, 0 at the centre, and its gradient, (P,)."""
        place = self._draw_axes.back(self._middle + self._steps @ np.asarray(z, np.float64))
        value, slope = IMPOSSIBLE, np.zeros_like(place.raw)
        if np.isfinite(place.raw).all():
            value, slope = self._value(self._into @ (place.raw - self._optimum))
        if value == IMPOSSIBLE:
            return IMPOSSIBLE, np.zeros_like(place.raw)
        by_point = place.slope * (self._into.T @ slope) + place.volume_slope
        return value + place.volume - self._top, self._steps.T @ by_point

    def raw(self, z: Float[np.ndarray, "... P"]) -> Float[np.ndarray, "... P"]:
        """Points on the unbounded axis."""
        return self._draw_axes.raw(self._middle + z @ self._steps.T)

    def _value(self, n: Float[np.ndarray, " P"]) -> tuple[float, Float[np.ndarray, " P"]]:
        """Log density on the unbounded axis and its gradient at the optimum and ``n`` units, (P,)."""
        known = self._information @ n
        if n @ n < NEAR**2:
            loss, slope = 0.5 * float(n @ known), known
        else:
            excess, gradient = self._loss(self._optimum + self._unit @ n)
            if not np.isfinite(excess) or not np.isfinite(gradient).all():
                return IMPOSSIBLE, np.zeros_like(n)
            excess -= float(self._tangent @ self._unit @ n)
            bent = self._plain @ n
            plain = float(n @ bent)
            scale = float(n @ known) / plain
            change = 2 * (known - scale * bent) / plain
            loss = scale * excess
            slope = scale * (self._unit.T @ (gradient - self._tangent)) + excess * change
        spread = max(1 + 2 * loss / self.freedom, LEAST_SPREAD)
        held = self._prior @ n
        value = (self.freedom + self._known) / 2 * np.log(spread) + n @ (0.5 * held + self._pull)
        slope = (1 + self._known / self.freedom) / spread * slope + held + self._pull
        return -float(value), -slope

    def _settle(self, path: Path) -> Path:
        """The optimum for the typical errors as they are: a fit ends when it gains little."""
        problem, sigma = self._problem, self._sigma
        here = problem.cost(path, sigma)
        damping = LEAST_DAMPING
        for _ in range(SETTLING):
            moved = problem.move(path, problem.normal(path, sigma), damping)
            cost = problem.cost(moved, sigma)
            if cost < here:
                path, gain, here = moved, (here - cost) / max(here, 1.0), cost
                damping = max(damping / 10, LEAST_DAMPING)
                if gain < SETTLED:
                    break
            elif (damping := 10 * damping) > 1:
                break
        return path

    def _loss(self, raw: np.ndarray) -> tuple[float, np.ndarray]:
        """Loss above that of the optimum, without the prior, and its gradient; free starts at their best."""
        problem, accepted = self._problem, self._path.accepted
        # Starts as they follow the parameters near the optimum; the rest of the way is steps of Newton, each
        # window's shortened until its loss is less, and what the next would gain is counted without going it.
        along = np.einsum("pkb,p->kb", self._follow, raw - self._optimum)
        best = self._windows(raw, self._path.point.offsets[:, accepted] - along)
        if not np.isfinite(best.losses).all():
            return np.inf, np.zeros_like(raw)
        none = np.zeros_like(best.losses)
        damping = none
        for _ in range(STEPS):
            if np.sum(best.gains) < SMALL_GAIN * problem.overlap:
                break
            here = self._windows(raw, best.offsets - best.steps(damping))
            better = here.losses < best.losses
            damping = np.where(better, damping / 10, np.maximum(10 * damping, FIRST_DAMPING))
            both = zip(here, best, strict=True)
            best = _Windows(*(np.where(better, new, old) for new, old in both))
        loss = best.losses.sum() - np.minimum(best.gains, SMALL_GAIN).sum() / problem.overlap
        gradient = best.gradient.sum(axis=1) - np.einsum("pkb,kb->p", best.cross, best.steps(none))
        return float(loss) - self._least, gradient / problem.overlap

    def _windows(self, raw: np.ndarray, starts: np.ndarray) -> _Windows:
        """Windows with their starts moved by so much, (K, B)."""
        problem, path = self._problem, self._path
        offsets = np.zeros_like(path.point.offsets)
        offsets[:, path.accepted] = starts
        moved = path._replace(point=problem.at(raw, offsets))
        losses = problem.losses(moved, self._sigma)
        _, *sums = problem.normal(moved, self._sigma)
        return _Windows(starts, np.where(np.isfinite(losses), losses, np.inf), *sums)

    def _widened(
        self, adjusted: Float[np.ndarray, "P P"], deviations: Float[np.ndarray, " P"]
    ) -> Float[np.ndarray, "P P"]:
        """Information of the data with which the posterior has these standard errors, in our units."""
        covariance = self._unit @ np.linalg.inv(adjusted + self._prior) @ self._unit.T
        wider = deviations / np.sqrt(np.diag(covariance))
        whole = np.linalg.inv(covariance * np.outer(wider, wider))
        return positive_part(self._unit.T @ whole @ self._unit - self._prior)


def _root(matrix: Float[np.ndarray, "P P"]) -> Float[np.ndarray, "P P"]:
    """A root of a symmetric positive definite matrix: ``root @ root.T`` is the matrix."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return vectors * np.sqrt(np.maximum(values, values[-1] * 1e-14))
