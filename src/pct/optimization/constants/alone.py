"""Groups of a fit's windows fitted alone, and what these fits say of each quantity.

Each group is fitted from the pooled optimum and from the defaults, whichever fits better, the prior counted.
That lies about the pooled optimum: where groups are equal, it then pulls none of them away from the others,
so they differ by their sampling error alone, and a ridge that one group does not resolve stays where the
pooled fit put it. The pull is undone for each quantity by itself: a deviation that the data determine to a
share k is divided by k. Groups with k below a half do not excite the quantity.

An error from few blocks is itself uncertain. By parameter, the ratio of the jackknife's variance to that of
independent errors is drawn towards its mean over the groups, as variances are in [1].

References:
    [1] G. Smyth, "Linear models and empirical Bayes methods for assessing differential expression in
        microarray experiments", Stat. Appl. Genet. Mol. Biol. 3 (2004): moderated variances.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pct.errors import DivergedError
from pct.optimization.constants.agreed import Agreed
from pct.optimization.constants.curves import NORMAL_95
from pct.optimization.constants.estimate import Estimate, fit_errors
from pct.optimization.constants.prior import covariance_of, information_of
from pct.optimization.constants.quantities import Quantities, covariances_of
from pct.optimization.constants.random_effects import (
    RandomEffects,
    combined_freedom,
    holm,
    random_effects,
)
from pct.optimization.constants.rollout_errors import RolloutErrors

if TYPE_CHECKING:
    from pct.optimization.constants.constant_fit import ConstantFit

# A group excites a quantity where its data determine more than this share of a deviation: there the
# standard error is below 0.7 of the prior's.
EXCITED = 0.51
# Most iterations of a group's fit.
ITERATIONS = 20
# The mean ratio of variances counts like so many blocks.
MODERATION = 6


class Readings(NamedTuple):
    """What the groups say of F quantities, parameters on the unbounded axis.

    Attributes:
        values, errors: with the prior's pull undone, and sampling errors, (M, F).
        determined: share of a deviation that the data determine, (M, F).
        freedom: of the errors, (M, F).
    """

    values: np.ndarray
    errors: np.ndarray
    determined: np.ndarray
    freedom: np.ndarray


class Alone:
    """Fits of groups, and their quantities.

    Args:
        fit: to all windows.
        least: fewest groups that excite a quantity which is compared.
    """

    def __init__(self, fit: ConstantFit, least: int) -> None:
        self._fit, self._least = fit, least
        self._spec, self._prior = fit.spec, fit.prior
        self._known = information_of(self._prior, fit.estimate.raw.size)
        self._quantities = Quantities(self._spec, self._known)
        pooled = {**self._spec.default_params, **fit.estimate.params(self._spec)}
        errors = fit.rollout_errors
        centred = dataclasses.replace(self._spec, default_params=pooled)
        self._errors: RolloutErrors = dataclasses.replace(errors, spec=centred)

    def from_start(self, numbers: np.ndarray, start: Mapping[str, Any] | None = None) -> Estimate | None:
        """Fit to the windows of these numbers, about the pooled optimum; None where it diverges.

        What the fit to all rejected counts here: a drive that differs much is broken by another one's errors.
        """
        fit = self._fit
        try:
            return fit_errors(
                self._errors,
                fit.windows,
                numbers,
                start=start,
                prior=self._prior,
                huber=fit.settings.huber,
                iterations=ITERATIONS,
                noise=fit.estimate.noise,
            )
        except DivergedError:
            return None

    def best(self, numbers: np.ndarray) -> Estimate | None:
        """The better of two fits, begun at the pooled optimum and at the defaults."""
        fits = [self.from_start(numbers), self.from_start(numbers, self._spec.default_params)]
        finite = [fit for fit in fits if fit is not None and np.isfinite(fit.raw).all()]
        windows, pooled = self._fit.windows, self._fit.estimate.raw
        strides = np.diff(windows.starts[numbers])
        rows = numbers.size * min(float(np.median(strides)) if strides.size else np.inf, windows.horizon)

        def cost(fit: Estimate) -> float:
            """Minus the logarithm of the likelihood and the prior: a ridge may lead far for nothing."""
            away = fit.raw - pooled
            return float(rows * np.log(fit.sigma).sum() + 0.5 * away @ self._known @ away)

        return min(finite, key=cost, default=None)

    def compare(
        self, estimates: Sequence[Estimate | None], reached: Sequence[Mapping[str, float]]
    ) -> dict[str, Agreed]:
        """The quantities by name.

        Args:
            estimates: fit of each group; None where it diverged.
            reached: largest slip angle in rad of each group by axle.
        """
        readings = self._read(estimates)
        used = (readings.determined > EXCITED) & np.isfinite(readings.errors) & (readings.errors > 0)
        for n, (axle, slip) in enumerate(self._quantities.points, len(self._quantities.places)):
            used[:, n] &= [by_axle.get(axle, 0.0) >= slip for by_axle in reached]
        least = max(self._least, (len(estimates) + 1) // 2)
        effects = [
            random_effects(readings.values[use, n], readings.errors[use, n], readings.freedom[use, n])
            if (use := used[:, n]).sum() >= least
            else None
            for n in range(len(self._quantities.names))
        ]
        adjusted = holm(np.array([np.nan if one is None else one.p for one in effects]))
        pooled, _, prior = self._quantities.at(self._fit.estimate)
        result = {}
        for n, (name, one) in enumerate(zip(self._quantities.names, effects, strict=True)):
            carry = partial(self._quantities.in_unit, n)
            item = Agreed(
                self._quantities.units[n],
                carry(readings.values[:, n]),
                readings.errors[:, n] * self._quantities.slope(n, readings.values[:, n]),
                used[:, n],
                float(carry(pooled[n])),
            )
            if one is not None:
                slope = float(self._quantities.slope(n, one.mean))
                tau = np.diff(carry(one.mean + np.array([-one.tau, one.tau])))[0] / 2
                besides = (pooled[n] - one.mean) ** 2 + prior[n]
                ends: Any = {
                    key: float(carry(value)) for key, value in _about(one, pooled[n], besides).items()
                }
                item = item._replace(
                    effects=one._replace(error=one.error * slope, tau=float(tau), **ends),
                    error=float(np.sqrt(one.error**2 + besides) * self._quantities.slope(n, pooled[n])),
                    freedom=combined_freedom([one.error**2, besides], [one.freedom, np.inf]),
                    p=one.p,
                    p_holm=float(adjusted[n]),
                )
            result[name] = item
        return result

    def compare_halves(
        self, quantities: Mapping[str, Agreed], halves: Sequence[Estimate | None]
    ) -> dict[str, Agreed]:
        """The quantities with the test of halves, where the groups differ.

        Args:
            quantities: from `compare`.
            halves: fits of both halves of each group, two by two; None where one diverged.
        """
        from scipy.special import chdtrc

        readings = self._read(halves)
        chances = np.full(len(self._quantities.names), np.nan)
        for n, name in enumerate(self._quantities.names):
            first, second = (Readings(*(part[k::2, n] for part in readings)) for k in (0, 1))
            both = np.minimum(first.determined, second.determined) > EXCITED
            if not quantities[name].varies or not both.any():
                continue
            squares = (first.values - second.values) ** 2 / (first.errors**2 + second.errors**2)
            # The square of Student's t is larger on average.
            freedom = np.minimum(first.freedom, second.freedom)
            statistic = (squares * np.maximum(freedom - 2, 0.0) / np.maximum(freedom, 1.0))[both].sum()
            chances[n] = chdtrc(both.sum(), statistic)
        return {
            name: quantities[name]._replace(halves_p=float(p))
            for name, p in zip(self._quantities.names, holm(chances), strict=True)
        }

    def _read(self, estimates: Sequence[Estimate | None]) -> Readings:
        """The quantities of each fit."""
        size = len(self._quantities.names)
        nothing = np.full(size, np.nan)
        pooled = self._quantities.at(self._fit.estimate)[0]
        known = [fit for fit in estimates if fit is not None and fit.sound]
        ratios = _moderated(known, self._known)
        rows = []
        left = iter(zip(known, *ratios, strict=True))
        for fit in estimates:
            if fit is None or not fit.sound:
                rows.append((nothing, nothing, np.zeros(size), np.ones(size)))
                continue
            _, stretch, freedom = next(left)
            sampling, bread = covariances_of(fit, self._known)
            sampling = sampling * np.outer(stretch, stretch)
            values, slopes, _ = self._quantities.at(fit)
            prior = np.einsum("fp,pq,fq->f", slopes, covariance_of(self._prior, fit.raw.size), slopes)
            held = np.einsum("fp,pq,fq->f", slopes, bread, slopes) / np.maximum(prior, 1e-300)
            determined = np.clip(1 - held, 1e-9, 1.0)
            errors = np.sqrt(np.maximum(np.einsum("fp,pq,fq->f", slopes, sampling, slopes), 0.0)) / determined
            rows.append((pooled + (values - pooled) / determined, errors, determined, np.full(size, freedom)))
        return Readings(*(np.array(column) for column in zip(*rows, strict=True)))


def _about(effects: RandomEffects, pooled: float, besides: float) -> dict[str, float]:
    """Mean, and intervals about the pooled value, which has that variance besides that of the mean.

    Student's t of so few drives belongs to what they tell alone.
    """
    more = NORMAL_95**2 * besides
    mean = float(np.hypot((effects.high - effects.low) / 2, np.sqrt(more)))
    further = float(np.hypot((effects.next_high - effects.next_low) / 2, np.sqrt(more)))
    return {
        "mean": effects.mean,
        "low": pooled - mean,
        "high": pooled + mean,
        "next_low": pooled - further,
        "next_high": pooled + further,
    }


def _moderated(fits: Sequence[Estimate], known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Factor of each fit's sampling errors by parameter, (M, P), and the freedom of what results, (M,)."""
    if not fits:
        return np.zeros((0, 0)), np.zeros(0)
    ratios = []
    for fit in fits:
        sampling, bread = covariances_of(fit, known)
        naive = np.einsum("pq,qr,rp->p", bread, fit.information, bread)
        ratios.append(np.clip(np.diag(sampling), 1e-300, None) / np.clip(naive, 1e-300, None))
    ratio = np.clip(np.array(ratios), 1e-3, 1e3)
    own = np.array([max(fit.blocks - 1, 0) for fit in fits], float)
    total = own.sum()
    usual = own @ ratio / total if total else np.ones(ratio.shape[1])
    added = min(float(MODERATION), total)
    freedom = np.maximum(own + added, 1.0)
    settled = (added * usual + own[:, None] * ratio) / freedom[:, None] if total else np.ones_like(ratio)
    return np.sqrt(settled / ratio), freedom
