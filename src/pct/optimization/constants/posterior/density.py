"""The posterior density of constant parameters, from the rollouts' errors and their derivatives.

The likelihood is that of the fit: the same windows and typical errors, Huber's loss, rows that windows share
count once, free starts at their best. It takes the errors of a drive as independent. They are not, so the
log likelihood is scaled to what the blocks of driving say, by the vertical adjustment of [1]:

    log p(theta) = -k(d) excess(d) - d' d / (2 prior^2),  k(d) = d' A d / d' H d,  d = theta - optimum,

with ``excess`` the loss less its tangent at the optimum, which is where the prior holds it, H the measured
curvature of the loss, and A the information that belongs to the covariance which the scores of the blocks
give (see `block_covariance`). Where the loss is a parabola, that is the normal distribution of that
covariance; where it is not, the posterior follows the loss. Where errors are independent and the model is
right, k is one and this is the plain posterior.

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

import numpy as np

from pct.optimization.constants.covariance import positive_part, solve_positive
from pct.optimization.constants.descent import CLIPPED, Path, Problem, without_starts
from pct.optimization.constants.normal_equations import sums_by_group
from pct.types import Float, Int

# Steps of Newton that settle the optimum, and the relative gain that ends them.
SETTLING, SETTLED = 25, 1e-8
# The curvature is measured over so many standard errors to each side, as if the errors were independent.
STEP = 0.5
# It is that of Gauss and Newton within this factor: a kink of the cost is no reason to leave a valley.
FACTOR = 5.0
# A block has at most this share of all that is known along a direction; more would divide by nearly zero.
MOST_OF_ALL = 0.9
# Where nothing is known along a direction k is one: so much of the covariance's own is added to both.
FAINT = 1e-3
# Log density of rollouts that are not finite.
IMPOSSIBLE = -1e9
# So near the optimum, in standard errors, the density is a normal one.
NEAR = 1e-6


class Density:
    """Log posterior on axes on which the covariance of the fit is the unit matrix.

    Attributes:
        centre: the optimum on the unbounded axis, (P,).
        axes: ``raw = centre + axes @ z``, (P, P).
        covariance: that the posterior has where the cost is a parabola, (P, P).
    """

    def __init__(
        self,
        problem: Problem,
        path: Path,
        blocks: Int[np.ndarray, " W"],
        deviations: Float[np.ndarray, " P"] | None = None,
    ) -> None:
        """Settle the optimum, and measure curvature and covariance there.

        Args:
            problem: of the fit; its filter begins windows as at the fit.
            path: where the fit ended.
            blocks: number of the block of each accepted window, from 0.
            deviations: standard errors on the unbounded axis that the covariance is to have; those of the
                blocks when left out.
        """
        self._problem, self._sigma = problem, problem.weights(path, CLIPPED)
        self._path = self._settle(path)
        self.centre = self._path.point.raw
        groups = np.zeros(len(path.accepted), int)
        groups[path.accepted] = blocks
        reduced = without_starts(problem.normal(self._path, self._sigma, groups), blocks)
        self._follow = reduced.follow
        information = np.moveaxis(reduced.matrix, -1, 0) / problem.overlap
        scores = sums_by_group(reduced.gradient, blocks)[1].T / problem.overlap
        prior = problem.prior_information
        naive = _root(solve_positive(information.sum(axis=0) + prior, np.eye(self.centre.size))[0])
        covariance = block_covariance(information, scores, prior, naive)
        if deviations is not None:
            wider = deviations / np.sqrt(np.diag(covariance))
            covariance = covariance * np.outer(wider, wider)
        self.covariance = covariance
        self.axes = _root(covariance)
        self._least, self._tangent = 0.0, np.zeros_like(self.centre)
        self._least, self._tangent = self._loss(self.centre)
        self._prior = self.axes.T @ prior @ self.axes
        back = np.linalg.inv(naive) @ self.axes
        faint = FAINT * np.eye(self.centre.size)
        measured = positive_part(back.T @ (self._measured(naive) - naive.T @ prior @ naive) @ back)
        self._curvature = measured + faint
        self._information = positive_part(np.eye(self.centre.size) - self._prior) + faint

    def __call__(self, z: Float[np.ndarray, " P"]) -> tuple[float, Float[np.ndarray, " P"]]:
        """Log density at ``z``, 0 at the optimum, and its gradient, (P,)."""
        z = np.asarray(z, np.float64)
        square = float(z @ z)
        if square < NEAR**2:
            return -0.5 * square, -z
        shift = self.axes @ z
        excess, gradient = self._loss(self.centre + shift)
        if not np.isfinite(excess) or not np.isfinite(gradient).all():
            return IMPOSSIBLE, np.zeros_like(z)
        excess -= float(self._tangent @ shift)
        bent, known = self._curvature @ z, self._information @ z
        plain = float(z @ bent)
        scale = float(z @ known) / plain
        change = 2 * (known - scale * bent) / plain
        held = self._prior @ z
        slope = scale * (self.axes.T @ (gradient - self._tangent)) + excess * change + held
        return -scale * excess - 0.5 * float(z @ held), -slope

    def raw(self, z: Float[np.ndarray, "... P"]) -> Float[np.ndarray, "... P"]:
        """Points on the unbounded axis."""
        return self.centre + z @ self.axes.T

    def _settle(self, path: Path) -> Path:
        """The optimum for the typical errors as they are: a fit ends when it gains little."""
        problem, sigma = self._problem, self._sigma
        here = problem.cost(path, sigma)
        for _ in range(SETTLING):
            moved = problem.move(path, problem.normal(path, sigma), 1e-9)
            cost = problem.cost(moved, sigma)
            if not cost < here:
                break
            path, gain, here = moved, (here - cost) / max(here, 1.0), cost
            if gain < SETTLED:
                break
        return path

    def _loss(self, raw: np.ndarray) -> tuple[float, np.ndarray]:
        """Loss above that of the optimum, without the prior, and its gradient; free starts at their best."""
        problem, sigma, path = self._problem, self._sigma, self._path
        # Starts as they follow the parameters near the optimum; the rest of the way is a step of Newton,
        # whose gain is counted without going it.
        offsets = path.point.offsets.copy()
        offsets[:, path.accepted] -= np.einsum("pkb,p->kb", self._follow, raw - self.centre)
        moved = path._replace(point=problem.at(raw, offsets))
        if not all(np.isfinite(error).all() for error in problem.accepted_errors(moved)):
            return np.inf, np.zeros_like(raw)
        equations = problem.normal(moved, sigma)
        reduced = without_starts(equations)
        gain = 0.5 * np.sum(reduced.starts * equations.start_gradient) / problem.overlap
        loss = float(problem.losses(moved, sigma).sum()) - gain - self._least
        return loss, reduced.gradient.sum(axis=1) / problem.overlap

    def _measured(self, naive: Float[np.ndarray, "P P"]) -> Float[np.ndarray, "P P"]:
        """Curvature of the cost at the optimum in units of the naive covariance, (P, P)."""
        rows = []
        for axis in naive.T:
            ahead, behind = (self._loss(self.centre + side * STEP * axis)[1] for side in (1, -1))
            rows.append(naive.T @ ((ahead - behind) / (2 * STEP) + self._problem.prior_information @ axis))
        measured = np.array(rows)
        if not np.isfinite(measured).all():
            return np.eye(len(naive))
        values, vectors = np.linalg.eigh((measured + measured.T) / 2)
        return (vectors * np.clip(values, 1 / FACTOR, FACTOR)) @ vectors.T


def block_covariance(
    information: Float[np.ndarray, "G P P"],
    scores: Float[np.ndarray, "G P"],
    prior: Float[np.ndarray, "P P"],
    naive: Float[np.ndarray, "P P"],
) -> Float[np.ndarray, "P P"]:
    """Covariance of an estimate from the scores of blocks, shrunk towards a multiple of the naive one.

    In units of the naive covariance the scores have the unit matrix as theirs where errors are independent.
    What they have instead is estimated by [4], since few blocks tell a factor for all directions well, and
    one for each direction badly. Scores are those that a block would have without its own pull on the
    estimate [3].

    Args:
        information: of each block.
        scores: gradient of the cost of each block at the optimum.
        prior: information of the prior, one more measurement.
        naive: root of the covariance as if all errors were independent.
    """
    count, size = scores.shape
    free = np.empty_like(scores)
    for k, (own, score) in enumerate(zip(information, scores, strict=True)):
        values, vectors = np.linalg.eigh(naive.T @ own @ naive)
        left = 1 - np.clip(values, 0.0, MOST_OF_ALL)
        free[k] = vectors @ ((vectors.T @ (naive.T @ score)) / np.sqrt(left))
    sample = free.T @ free + naive.T @ prior @ naive
    trace, square = np.trace(sample), np.sum(sample**2)
    spread = (count + 1 - 2 / size) * (square - trace**2 / size)
    share = min(1.0, ((1 - 2 / size) * square + trace**2) / spread) if spread > 0 else 1.0
    shrunk = (1 - share) * sample + share * trace / size * np.eye(size)
    return naive @ shrunk @ naive.T


def _root(matrix: Float[np.ndarray, "P P"]) -> Float[np.ndarray, "P P"]:
    """A root of a symmetric positive definite matrix: ``root @ root.T`` is the matrix."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return vectors * np.sqrt(np.maximum(values, values[-1] * 1e-14))
