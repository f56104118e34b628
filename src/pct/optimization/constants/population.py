"""Many cars of one model, each fitted alone: their mean, how much they differ, and what that says of one car.

The fit of a car is drawn towards the centre of its prior. What its data say by themselves is undone of that,
on the unbounded axis: a likelihood of information H about the parameters, and its slope h at the centre. As
if the model were right H is the information I of the fit. Where residuals are correlated, or the model is not
quite the car, the jackknife's errors are larger: so along each principal axis of I against the prior, H is
the part of I that the jackknife leaves. Nothing is divided by H: a car that says nothing of a parameter, or
of a combination of two, says nothing of it for the fleet.

Cars are drawn from N(mean, between). Both follow by expectation and maximisation [1], with what is taken for
granted before any car: the mean has the prior of the fits, and ``between`` is as if `DOUBT` more cars had
shown a spread of `USUAL` of that prior. So a fleet of a few cars gives no prior that is too narrow, and
correlations of many parameters are not taken from a few cars. A car's value, its own data and the fleet
together, is the mean of what is then known of it (empirical Bayes).

The mean, spread and test that are shown are those of `random_effects`, parameter by parameter, as where
single drives are compared: an equal fleet has a spread of zero.

References:
    [1] A. Dempster, D. Rubin, R. Tsutakawa, "Estimation in covariance components models", J. Am. Stat. Assoc.
        76 (1981).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtr

from pct.optimization.constants.agreed import DIFFERENT
from pct.optimization.constants.alone import EXCITED, MODERATION
from pct.optimization.constants.prior import Prior, covariance_of, information_of
from pct.optimization.constants.random_effects import RandomEffects, random_effects
from pct.types import Bool, Float

# Cars whose spread is taken for granted, and that spread as a share of the prior of the fits.
DOUBT, USUAL = 2.0, 0.3
# Rounds of expectation and maximisation, and the change of any entry of ``between`` that ends them.
ROUNDS, STILL = 500, 1e-6
# Fewest cars of which one can be told from the others.
FEWEST = 4
# Information of the prior that stays where the data say nothing.
FAINT = 1e-4
# The jackknife's variance over that as if the model were right, at least and at most.
RATIOS = (1e-2, 1e4)


class CarFit(NamedTuple):
    """The solution of one car's fit on the unbounded axis.

    Attributes:
        raw: parameters, (P,).
        covariance: of them, the prior included, (P, P).
        information: of the data alone, as if the model were right, (P, P).
        blocks: of driving that the covariance rests on.
    """

    raw: Float[np.ndarray, " P"]
    covariance: Float[np.ndarray, "P P"]
    information: Float[np.ndarray, "P P"]
    blocks: int


class Readings(NamedTuple):
    """What the data of M cars say of P parameters, on the unbounded axis.

    Attributes:
        information: H of each car, (M, P, P).
        slope: h of each car at the centre of the prior, (M, P).
        values, errors: each parameter by the car's data alone, all others unknown, and its error, (M, P).
        used: which of them the car's data determine, (M, P).
        freedom: of the errors, (M,).
    """

    information: Float[np.ndarray, "M P P"]
    slope: Float[np.ndarray, "M P"]
    values: Float[np.ndarray, "M P"]
    errors: Float[np.ndarray, "M P"]
    used: Bool[np.ndarray, "M P"]
    freedom: Float[np.ndarray, " M"]


class Population(NamedTuple):
    """Mean and spread of M cars, and each car with both known; on the unbounded axis.

    Attributes:
        mean: (P,).
        doubt: covariance of the mean, (P, P).
        between: covariance of what differs between cars, (P, P).
        values: of each car, its data and the fleet together, (M, P).
        errors: their standard errors, (M, P).
    """

    mean: Float[np.ndarray, " P"]
    doubt: Float[np.ndarray, "P P"]
    between: Float[np.ndarray, "P P"]
    values: Float[np.ndarray, "M P"]
    errors: Float[np.ndarray, "M P"]

    @property
    def next_car(self) -> Float[np.ndarray, "P P"]:
        """Covariance of one more car about the mean."""
        return self.between + self.doubt


def read_cars(fits: Sequence[CarFit], centre: Float[np.ndarray, " P"], prior: Prior) -> Readings:
    """What the fits of M cars say.

    Args:
        fits: sound solutions, all with the same prior.
        centre: of the prior on the unbounded axis.
        prior: of the fits.
    """
    size = centre.size
    known, width = information_of(prior, size), np.diag(covariance_of(prior, size))
    axes = [_axes(fit, known) for fit in fits]
    shares = np.array([share for _, share, _ in axes])
    ratios, freedom = _moderated(
        shares, np.array([ratio for *_, ratio in axes]), [fit.blocks for fit in fits]
    )
    root = np.array([one for one, *_ in axes])
    information = np.einsum("mpj,mj,mqj->mpq", root, shares / ratios, root)
    away = np.array([fit.raw for fit in fits]) - centre
    slope = np.einsum("mpj,mj,mqj,mq->mp", root, 1 / ratios, root, away)
    # What the data do not say at all is known as badly as by a prior of a hundred times the width.
    covariance = np.linalg.inv(information + FAINT * known)
    values = centre + np.einsum("mpq,mq->mp", covariance, slope)
    errors = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    used = errors**2 < (1 - EXCITED) / EXCITED * width
    return Readings(information, slope, values, errors, used, freedom)


def estimate_population(readings: Readings, centre: Float[np.ndarray, " P"], prior: Prior) -> Population:
    """Mean, spread and single cars by expectation and maximisation; arguments as of `read_cars`."""
    cars, size = readings.slope.shape
    before, width = information_of(prior, size), np.diag(covariance_of(prior, size))
    information, slope, unit = readings.information, readings.slope, np.eye(size)
    # So many cars must differ in as many ways as there are parameters before ways are believed.
    apart = (size + 1) / (size + 1 + cars)
    between = scale = USUAL**2 * np.diag(width)
    for _ in range(ROUNDS):
        left = np.linalg.inv(unit + between @ information)
        right = left.transpose(0, 2, 1)
        doubt = np.linalg.inv((right @ information).sum(axis=0) + before)
        mean = doubt @ np.einsum("mpq,mq->p", right, slope)
        misfit = slope - np.einsum("mpq,q->mp", information, mean)
        offset = np.einsum("pq,mqr,mr->mp", between, right, misfit)
        # What is left unknown of each car, its mean known, and what the mean's own doubt adds to its offset.
        about, follow = left @ between, unit - left
        seen = offset.T @ offset + (about + follow @ doubt @ follow.transpose(0, 2, 1)).sum(axis=0)
        new = (DOUBT * scale + (seen + seen.T) / 2) / (DOUBT + cars)
        new = (1 - apart) * new + apart * np.diag(np.diag(new))
        change, between = np.abs(new - between).max(), new
        if change < STILL * width.max():
            break
    errors = np.sqrt(np.diagonal(about + left @ doubt @ right, axis1=1, axis2=2))
    return Population(centre + mean, doubt, between, centre + mean + offset, errors)


def effects_of(readings: Readings) -> list[RandomEffects | None]:
    """Mean, spread and test of each parameter on the unbounded axis; None where not two cars say it."""
    return [
        random_effects(readings.values[use, n], readings.errors[use, n], readings.freedom[use])
        if (use := readings.used[:, n]).sum() > 1
        else None
        for n in range(readings.used.shape[1])
    ]


def find_outliers(readings: Readings) -> Mapping[int, list[int]]:
    """Numbers of the cars, and of the parameters in which each differs from all others beyond their spread.

    The car that differs most is looked for among the others, then the next without it. All are one family to
    Holm's method: in a fleet of normal cars the chance that any is named is 5 %.
    """
    used = readings.used.copy()
    found: list[tuple[int, int]] = []
    while True:
        furthest = [_furthest(readings, used[:, n], n) for n in range(used.shape[1])]
        chance, car, n = min((chance, car, n) for n, (chance, car) in enumerate(furthest))
        # Holm's first step; the next one has a test less. None is left where too few cars say a parameter.
        if car < 0 or not chance * used.sum() < DIFFERENT:
            return {car: sorted(n for other, n in found if other == car) for car, _ in sorted(found)}
        found.append((car, n))
        used[car, n] = False


def _furthest(readings: Readings, used: np.ndarray, n: int) -> tuple[float, int]:
    """Probability of a value as far from all others as that of the car that is furthest, and this car."""
    cars = np.flatnonzero(used)
    if cars.size < FEWEST:
        return 1.0, -1
    values, errors = readings.values[:, n], readings.errors[:, n]
    whole = random_effects(values[cars], errors[cars])
    apart = np.abs(values - whole.mean) / np.hypot(errors, whole.tau)
    car = int(cars[np.argmax(apart[cars])])
    others = cars[cars != car]
    rest = random_effects(values[others], errors[others])
    room = np.sqrt(errors[car] ** 2 + rest.tau**2 + rest.error**2)
    return float(2 * stdtr(others.size - 1, -abs(values[car] - rest.mean) / room)), car


def _axes(fit: CarFit, known: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Principal axes of a fit's information against the prior, (P, P), each with the share of it that the
    data determine, (P,), and the jackknife's variance over that as if the model were right, (P,)."""
    precision = fit.information + known
    values, vectors = np.linalg.eigh((precision + precision.T) / 2)
    values = np.maximum(values, 1e-300)
    half, back = (vectors * np.sqrt(values)) @ vectors.T, (vectors / np.sqrt(values)) @ vectors.T
    shares, turned = np.linalg.eigh(back @ ((fit.information + fit.information.T) / 2) @ back)
    shares = np.clip(shares, 0.0, 1.0)
    bread = back @ back
    sampling = half @ (fit.covariance - bread @ known @ bread) @ half
    own = np.einsum("pj,pq,qj->j", turned, sampling, turned)
    ratio = np.clip(own, 0.0, None) / np.maximum(shares, 1e-12)
    return half @ turned, shares, np.clip(ratio, *RATIOS)


def _moderated(
    shares: np.ndarray, ratios: np.ndarray, blocks: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Ratios drawn towards their mean over the fleet, (M, P), and the freedom of what results, (M,).

    Those of few blocks are uncertain, and those of axes that the data do not determine say nothing.
    """
    own = np.maximum(np.array(blocks, float) - 1, 0.0)
    weights = own[:, None] * shares
    usual = float((weights * ratios).sum() / weights.sum()) if weights.sum() > 0 else 1.0
    freedom = own + MODERATION
    return (MODERATION * usual + own[:, None] * ratios) / freedom[:, None], freedom
