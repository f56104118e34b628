"""The posterior density of constant parameters, from the rollouts' errors and their derivatives.

The likelihood is that of the fit: the same windows and typical errors, Huber's loss, rows that windows share
count once, free starts at their best. It takes the errors of a drive as independent. They are not, so the
log likelihood is scaled to what the blocks of driving say, by the vertical adjustment of [1] about the
optimum:

    q = k(d) excess(d),  k(d) = d' G d / d' H d,  d = theta - optimum,
    excess(d) = loss(theta) - loss(optimum) - g' d,

with g the slope of the loss at the optimum, where the prior holds it, H the information that the data have if
errors are independent, and G what they have by the spread of the scores of the blocks (see
`adjusted_information`). Few blocks tell that spread as a variance of few degrees of freedom nu, and with an
unknown variance the likelihood of p known directions is Student's:

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
    [3] R. Bell, D. McCaffrey, "Bias reduction in standard errors for linear regression with multi-stage
        samples", Survey Methodology 28 (2002): scores of blocks that have drawn the estimate.
    [4] Y. Chen, A. Wiesel, Y. Eldar, A. Hero, "Shrinkage algorithms for MMSE covariance estimation", IEEE
        Transactions on Signal Processing 58 (2010): oracle approximating shrinkage.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pct.optimization.constants.covariance import positive_part, solve_positive
from pct.optimization.constants.descent import CLIPPED, LEAST_DAMPING, Path, Problem, without_starts
from pct.optimization.constants.normal_equations import sums_by_group
from pct.types import Float, Int

# Steps that settle the optimum, and the relative gain that ends them.
SETTLING, SETTLED = 40, 1e-8
# A block has at most this share of all that is known along a direction; more would divide by nearly zero.
MOST_OF_ALL = 0.9
# Data without noise have scores of nearly zero.
LEAST_FACTOR = 1e-12
# Where nothing is known along a direction k is one: so much of all that is known is added to both.
FAINT = 1e-3
# Degrees of freedom of standard errors that allow for few drives.
KNOWN_WELL = 1e6
# Loss below that of the optimum counts down to this share of the variance, by rounding and kinks.
LEAST_SPREAD = 0.5
# Log density of rollouts that are not finite.
IMPOSSIBLE = -1e9
# So near the optimum, in standard errors, the density is a normal one.
NEAR = 1e-6


class Density:
    """Log posterior on axes on which its covariance is the unit matrix where the loss is a parabola.

    Attributes:
        centre: where the mode is then, on the unbounded axis, (P,).
        axes: ``raw = centre + axes @ z``, (P, P).
        covariance: on the unbounded axis, where the spread of the scores is known well, (P, P).
        freedom: degrees of freedom to which it is known.
    """

    def __init__(
        self,
        problem: Problem,
        path: Path,
        blocks: Int[np.ndarray, " W"],
        deviations: Float[np.ndarray, " P"] | None = None,
    ) -> None:
        """Settle the optimum, and measure curvature and information there.

        Args:
            problem: of the fit; its filter begins windows as at the fit.
            path: where the fit ended.
            blocks: number of the block of each accepted window, from 0.
            deviations: standard errors on the unbounded axis that the covariance is to have; those of the
                blocks when left out.
        """
        self._problem, self._sigma = problem, problem.weights(path, CLIPPED)
        self._path = self._settle(path)
        self._optimum = self._path.point.raw
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
        adjusted = adjusted_information(self._unit.T @ information @ self._unit, scores @ self._unit, known)
        self.freedom, self._known = adjusted.freedom, adjusted.directions
        data = adjusted.matrix
        if deviations is not None:
            data, self.freedom = self._widened(data, deviations), KNOWN_WELL
        covariance = np.linalg.inv(data + self._prior)
        self._least, self._tangent = 0.0, np.zeros_like(self._optimum)
        self._least, self._tangent = self._loss(self._optimum)
        self._information, self._plain = data + FAINT / adjusted.factor * one, known + FAINT * one
        away = prior @ (self._optimum - problem.centre)
        self._pull = self._unit.T @ (self._tangent / max(adjusted.factor, 1.0) + away)
        self._axes, self._middle, self._top = _root(covariance), np.zeros(len(one)), 0.0
        middle = -covariance @ self._pull
        if (gain := self(np.linalg.solve(self._axes, middle))[0]) > 0:
            self._middle, self._top = middle, gain
        self.centre = self._optimum + self._unit @ self._middle
        self.axes = self._unit @ self._axes
        self.covariance = self.axes @ self.axes.T

    def __call__(self, z: Float[np.ndarray, " P"]) -> tuple[float, Float[np.ndarray, " P"]]:
        """Log density at ``z``, 0 at the centre, and its gradient, (P,)."""
        n = self._middle + self._axes @ np.asarray(z, np.float64)
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
        return -float(value) - self._top, -(self._axes.T @ slope)

    def raw(self, z: Float[np.ndarray, "... P"]) -> Float[np.ndarray, "... P"]:
        """Points on the unbounded axis."""
        return self.centre + z @ self.axes.T

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
        problem, sigma, path = self._problem, self._sigma, self._path
        # Starts as they follow the parameters near the optimum; the rest of the way is a step of Newton,
        # whose gain is counted without going it.
        offsets = path.point.offsets.copy()
        offsets[:, path.accepted] -= np.einsum("pkb,p->kb", self._follow, raw - self._optimum)
        moved = path._replace(point=problem.at(raw, offsets))
        if not all(np.isfinite(error).all() for error in problem.accepted_errors(moved)):
            return np.inf, np.zeros_like(raw)
        equations = problem.normal(moved, sigma)
        reduced = without_starts(equations)
        gain = 0.5 * np.sum(reduced.starts * equations.start_gradient) / problem.overlap
        loss = float(problem.losses(moved, sigma).sum()) - gain - self._least
        return loss, reduced.gradient.sum(axis=1) / problem.overlap

    def _widened(
        self, adjusted: Float[np.ndarray, "P P"], deviations: Float[np.ndarray, " P"]
    ) -> Float[np.ndarray, "P P"]:
        """Information of the data with which the posterior has these standard errors, in our units."""
        covariance = self._unit @ np.linalg.inv(adjusted + self._prior) @ self._unit.T
        wider = deviations / np.sqrt(np.diag(covariance))
        whole = np.linalg.inv(covariance * np.outer(wider, wider))
        return positive_part(self._unit.T @ whole @ self._unit - self._prior)


class Adjusted(NamedTuple):
    """What data are worth by the spread of the scores of blocks.

    Attributes:
        matrix: information, (P, P).
        freedom: degrees of freedom of the variance along a direction, by Satterthwaite's approximation [3].
        directions: number of those that the data know.
        factor: mean square of the scores over that of independent errors.
    """

    matrix: np.ndarray
    freedom: float
    directions: float
    factor: float


def adjusted_information(
    information: Float[np.ndarray, "G P P"],
    scores: Float[np.ndarray, "G P"],
    known: Float[np.ndarray, "P P"],
) -> Adjusted:
    """Information of the data from the scores of blocks, shrunk towards a share of that as if independent.

    On axes on which the latter is the unit matrix, so is the sum of squares of the scores where errors are
    independent. What it is instead is estimated by [4], since few blocks tell a factor for all directions
    well, and one for each direction badly. Scores are those that a block would have without its own pull on
    the estimate [3].

    Args:
        information: of each block, in units in which that of all and of the prior is the unit matrix.
        scores: gradient of the cost of each block at the optimum, in these units.
        known: information of the data as if independent, in these units: the sum over the blocks.
    """
    values, vectors = np.linalg.eigh(known)
    scale = np.sqrt(np.maximum(values, FAINT))
    parts = vectors.T @ information @ vectors / np.outer(scale, scale)
    white = scores @ vectors / scale
    # Where the data alone have their optimum, by their own curvature: a prior has a pull, too.
    white = white - parts @ white.sum(axis=0)
    expected = np.zeros_like(known)
    for k, own in enumerate(parts):
        shares, axes = np.linalg.eigh(own)
        left = 1 - np.clip(shares, 0.0, MOST_OF_ALL)
        white[k] = axes @ ((axes.T @ white[k]) / np.sqrt(left))
        expected += (axes * (shares * (1 - shares) / left)) @ axes.T
    # Directions of which the data know nothing do not count, and what one block alone knows has the factor of
    # the others: its own score is zero.
    count, whole = len(scores), parts.sum(axis=0)
    size, sample = float(np.trace(whole)), white.T @ white
    told = float(np.trace(expected))
    factor = float(np.trace(sample)) / told if told > FAINT * size else 1.0
    factor = max(factor, LEAST_FACTOR)
    sample = sample + factor * (whole - expected)
    trace, square = np.trace(sample), np.sum(sample**2)
    spread = (count + 1 - 2 / size) * (square - trace**2 / size)
    share = float(np.clip(((1 - 2 / size) * square + trace**2) / spread, 0, 1)) if spread > 0 else 1.0
    shrunk = (1 - share) * sample + share * factor * np.eye(len(known))
    # Blocks that know more than others are as good as fewer that know the same.
    of_all = np.sum(parts**2) / size**2
    of_each = np.sum(np.diagonal(parts, axis1=1, axis2=2) ** 2) / size
    freedom = 1 / ((1 - share) ** 2 * of_each + (1 - (1 - share) ** 2) * of_all)
    root = vectors * np.sqrt(np.clip(values, 0.0, None))
    return Adjusted(root @ np.linalg.solve(shrunk, root.T), float(freedom), size, factor)


def _root(matrix: Float[np.ndarray, "P P"]) -> Float[np.ndarray, "P P"]:
    """A root of a symmetric positive definite matrix: ``root @ root.T`` is the matrix."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return vectors * np.sqrt(np.maximum(values, values[-1] * 1e-14))
