"""Do the recordings of a fit agree? Each is fitted alone, and their values are compared.

The blocks of one drive cannot know what differs from drive to drive (grip, load, trim, or what the model
lacks), so each recording is fitted alone, from the pooled optimum and from the defaults, whichever fits
better, the prior counted. That lies about the pooled optimum: where recordings are equal, it then pulls none
of them away from the others, so they differ by their sampling error alone, and a ridge that one recording
does not resolve stays where the pooled fit put it. The pull is undone for each quantity by itself: a
deviation that the data determine to a share k is divided by k. Recordings with k below a half do not excite
the quantity.

Values are compared on the unbounded axis. In the unit, a value near a bound would have nearly no error and
all the weight. Errors are carried over to the unit by the slope, intervals and ``tau`` by their ends.

An error from few blocks is itself uncertain. By parameter, the ratio of the jackknife's variance to that of
independent errors is drawn towards its mean over the recordings, as variances are in [1].

Cochran's Q, by Welch's test, says whether recordings differ, over the scalar parameters and over the side
force of each axle at slip angles that were reached. All of these are one family to Holm's method: where
recordings are equal, the chance that anything is called different is 5 %.

References:
    [1] G. Smyth, "Linear models and empirical Bayes methods for assessing differential expression in
        microarray experiments", Stat. Appl. Genet. Mol. Biol. 3 (2004): moderated variances.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import expit

from pct.dynamics.bounds import Bounds
from pct.dynamics.core import ModelSpec
from pct.errors import DivergedError
from pct.optimization.constants.agreed import Agreed, Agreement
from pct.optimization.constants.covariance import solve_positive
from pct.optimization.constants.curves import (
    AXLES,
    NORMAL_95,
    differences,
    force_at,
    has_curves,
    reached_slips,
)
from pct.optimization.constants.estimate import Estimate, fit_errors, scalar_places, with_blocks
from pct.optimization.constants.groups import Groups, group_windows
from pct.optimization.constants.prior import covariance_of, information_of
from pct.optimization.constants.random_effects import (
    RandomEffects,
    combined_freedom,
    holm,
    random_effects,
)
from pct.optimization.constants.rollout_errors import RolloutErrors
from pct.types import Float
from pct.windows.store import spread

if TYPE_CHECKING:
    from pct.optimization.constants.fitting import ConstantFit

# Groups from which their spread is stated as that of the car's drives.
ENOUGH = 4
# Slip angles in rad at which side forces are compared.
SLIPS = (0.01, 0.03, 0.06, 0.1, 0.15)
# A recording excites a quantity where its data determine more than this share of a deviation: there the
# standard error is below 0.7 of the prior's.
EXCITED = 0.51
# Most iterations of a recording's fit.
ITERATIONS = 20
# Windows of each group that tell which slip angles were reached.
SHOWN = 200
# The mean ratio of variances counts like so many blocks.
MODERATION = 6


def agreement_of(
    fit: ConstantFit,
    by: str = "recording",
    *,
    files: Sequence[str] = (),
    least: int = 2,
    progress: Callable[[Any], None] | None = None,
) -> Agreement | None:
    """Fit each group of a fit's windows alone, and compare.

    Args:
        fit: to all windows.
        by: what a group is.
        files: the file that each recording is of, for ``by="file"``.
        least: fewest groups.
        progress: called with the name of each group that is fitted.

    Returns:
        None where there are fewer groups.

    Raises:
        UsageError: see `pct.optimization.constants.groups.group_windows`.
    """
    groups = group_windows(fit.windows, by, files)
    if len(groups.names) < least:
        return None
    alone = _Alone(fit, least)
    double: Any = jax.config
    double = double.jax_enable_x64

    def one(item: tuple[str, np.ndarray]) -> Estimate | None:
        # A thread does not know the precision that another one was set to.
        with jax.enable_x64(double):
            if progress is not None:
                progress(f"{by} {item[0]}")
            return alone.best(item[1])

    with ThreadPoolExecutor(max_workers=2) as pool:
        estimates = list(pool.map(one, zip(groups.names, groups.numbers, strict=True)))
        quantities = alone.compare(estimates, _reached(fit, groups))
        if any(item.varies for item in quantities.values()):
            halves = [half for numbers in groups.numbers for half in np.array_split(numbers, 2)]
            starts = [None if e is None else e.params(fit.spec) for e in estimates for _ in range(2)]

            def again(item: tuple[np.ndarray, Any]) -> Estimate | None:
                with jax.enable_x64(double):
                    return alone.from_start(*item)

            quantities = alone.compare_halves(
                quantities, list(pool.map(again, zip(halves, starts, strict=True)))
            )
    if len(groups.names) >= ENOUGH:
        quantities.update(_by_jackknife(fit, groups, quantities))
    places = scalar_places(fit.spec)
    return Agreement(
        by,
        groups.names,
        tuple(len(numbers) for numbers in groups.numbers),
        {name: quantities[name] for name in places},
        {name: item for name, item in quantities.items() if name not in places},
    )


def with_agreement(
    covariance: Float[np.ndarray, "P P"],
    deviations: Float[np.ndarray, " P"],
    spec: ModelSpec,
    agreement: Agreement | None,
    *,
    next_drive: bool = True,
) -> np.ndarray:
    """A covariance of the pooled fit, stretched to the errors that are stated where drives were compared.

    Args:
        covariance: on the unbounded axis.
        deviations: standard errors in each parameter's unit.
        spec: the model.
        agreement: of its drives; None leaves all as it is.
        next_drive: whether it is that of the next drive, which differs from the mean; else of the mean.
    """
    stretch = np.ones(len(covariance))
    if agreement is not None:
        for name, n in scalar_places(spec).items():
            item = agreement.parameters[name]
            if np.isfinite(item.error) and deviations[n] > 0:
                between = 0.0 if item.effects is None else item.effects.tau * next_drive
                stretch[n] = np.hypot(item.error, between) / deviations[n]
    return covariance * np.outer(stretch, stretch)


class _Readings(NamedTuple):
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


class _Alone:
    """Fits of groups, and their quantities."""

    def __init__(self, fit: ConstantFit, least: int) -> None:
        self._fit, self._least = fit, least
        self._spec, self._prior = fit.spec, fit.prior
        self._known = information_of(self._prior, fit.estimate.raw.size)
        self._places = scalar_places(self._spec)
        pooled = {**self._spec.default_params, **fit.estimate.params(self._spec)}
        errors = fit.rollout_errors
        centred = dataclasses.replace(self._spec, default_params=pooled)
        self._errors: RolloutErrors = dataclasses.replace(errors, spec=centred)
        self._axles = AXLES if has_curves(self._spec) else ()
        self._points = [(axle, slip) for axle in self._axles for slip in SLIPS]
        self.names = [*self._places, *(f"{axle} {slip:g}" for axle, slip in self._points)]
        unit = "1" if "m" in self._spec.param_keys else "N"
        units = [self._spec.parameter(name).unit for name in self._places]
        self._units = [*units, *[unit] * len(self._points)]

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
        """The quantities by name."""
        readings = self._read(estimates)
        used = (readings.determined > EXCITED) & np.isfinite(readings.errors) & (readings.errors > 0)
        for n, (axle, slip) in enumerate(self._points, len(self._places)):
            used[:, n] &= [by_axle.get(axle, 0.0) >= slip for by_axle in reached]
        least = max(self._least, (len(estimates) + 1) // 2)
        effects = [
            random_effects(readings.values[use, n], readings.errors[use, n], readings.freedom[use, n])
            if (use := used[:, n]).sum() >= least
            else None
            for n in range(len(self.names))
        ]
        adjusted = holm(np.array([np.nan if one is None else one.p for one in effects]))
        pooled, _, prior = self._at(self._fit.estimate)
        result = {}
        for n, (name, one) in enumerate(zip(self.names, effects, strict=True)):
            carry = partial(self._in_unit, n)
            item = Agreed(
                self._units[n],
                carry(readings.values[:, n]),
                readings.errors[:, n] * self._slope(n, readings.values[:, n]),
                used[:, n],
                float(carry(pooled[n])),
            )
            if one is not None:
                slope = float(self._slope(n, one.mean))
                tau = np.diff(carry(one.mean + np.array([-one.tau, one.tau])))[0] / 2
                besides = (pooled[n] - one.mean) ** 2 + prior[n]
                ends: Any = {
                    key: float(carry(value)) for key, value in _about(one, pooled[n], besides).items()
                }
                item = item._replace(
                    effects=one._replace(error=one.error * slope, tau=float(tau), **ends),
                    error=float(np.sqrt(one.error**2 + besides) * self._slope(n, pooled[n])),
                    freedom=combined_freedom([one.error**2, besides], [one.freedom, np.inf]),
                    p=one.p,
                    p_holm=float(adjusted[n]),
                )
            result[name] = item
        return result

    def compare_halves(
        self, quantities: Mapping[str, Agreed], halves: Sequence[Estimate | None]
    ) -> dict[str, Agreed]:
        """The quantities with the test of halves, two by two, where the groups differ."""
        from scipy.special import chdtrc

        readings = self._read(halves)
        chances = np.full(len(self.names), np.nan)
        for n, name in enumerate(self.names):
            first, second = (_Readings(*(part[k::2, n] for part in readings)) for k in (0, 1))
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
            for name, p in zip(self.names, holm(chances), strict=True)
        }

    def _read(self, estimates: Sequence[Estimate | None]) -> _Readings:
        """The quantities of each fit."""
        size = len(self.names)
        nothing = np.full(size, np.nan)
        pooled = self._at(self._fit.estimate)[0]
        known = [fit for fit in estimates if fit is not None and fit.sound]
        ratios = _moderated(known, self._known)
        rows = []
        left = iter(zip(known, *ratios, strict=True))
        for fit in estimates:
            if fit is None or not fit.sound:
                rows.append((nothing, nothing, np.zeros(size), np.ones(size)))
                continue
            _, stretch, freedom = next(left)
            sampling, bread = _parts(fit, self._known)
            sampling = sampling * np.outer(stretch, stretch)
            values, slopes, _ = self._at(fit)
            prior = np.einsum("fp,pq,fq->f", slopes, covariance_of(self._prior, fit.raw.size), slopes)
            held = np.einsum("fp,pq,fq->f", slopes, bread, slopes) / np.maximum(prior, 1e-300)
            determined = np.clip(1 - held, 1e-9, 1.0)
            errors = np.sqrt(np.maximum(np.einsum("fp,pq,fq->f", slopes, sampling, slopes), 0.0)) / determined
            rows.append((pooled + (values - pooled) / determined, errors, determined, np.full(size, freedom)))
        return _Readings(*(np.array(column) for column in zip(*rows, strict=True)))

    def _at(self, fit: Estimate) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The quantities of an estimate, (F,), their slopes on the unbounded axis, (F, P), and the variance
        that the prior has in them, (F,)."""
        spec, numbers = self._spec, list(self._places.values())
        unit = np.eye(fit.raw.size)[numbers]
        values, slopes = fit.raw[numbers], unit
        if self._points:
            params = {**spec.default_params, **fit.params(spec)}

            def forces(p: SimpleNamespace) -> np.ndarray:
                return np.concatenate([force_at(spec, axle, np.array(SLIPS), p) for axle in self._axles])

            curve, by_unit = differences(forces, spec, params)
            steep = np.array([self._slope(n, fit.raw[place]) for n, place in enumerate(numbers)])
            by_raw = np.zeros((len(curve), fit.raw.size))
            by_raw[:, numbers] = (by_unit * steep[:, None]).T
            values, slopes = np.concatenate([values, curve]), np.concatenate([unit, by_raw])
        _, bread = _parts(fit, self._known)
        pulled = slopes @ bread
        return values, slopes, np.einsum("fp,pq,fq->f", pulled, self._known, pulled)

    def _bounds(self, n: int) -> Bounds | None:
        """Bounds of a quantity; None for a point of a curve."""
        names = list(self._places)
        return Bounds.of(self._spec, [names[n]]) if n < len(names) else None

    def _in_unit(self, n: int, values: Any) -> np.ndarray:
        """Values of a quantity in its unit."""
        bounds = self._bounds(n)
        if bounds is None:
            return np.asarray(values, float)
        with jax.enable_x64(True):
            return np.asarray(bounds.to(jnp.asarray(values, float)[..., None])[..., 0])

    def _slope(self, n: int, values: Any) -> np.ndarray:
        """Change of a quantity in its unit with the axis that it is compared on."""
        bounds = self._bounds(n)
        if bounds is None:
            return np.ones(np.shape(values))
        with jax.enable_x64(True):
            at = bounds.slope(jnp.asarray(self._in_unit(n, values))[..., None])
        share = expit(np.asarray(values, float))
        return np.asarray(np.asarray(at, float)[..., 0] * share * (1 - share))


def _by_jackknife(fit: ConstantFit, groups: Groups, quantities: Mapping[str, Agreed]) -> dict[str, Agreed]:
    """Parameters that single groups do not tell, with the jackknife over groups where it gives more."""
    untold = {name: n for name, n in scalar_places(fit.spec).items() if quantities[name].effects is None}
    if not untold:
        return {}
    blocks = np.full(len(fit.windows), -1)
    for number, of_group in enumerate(groups.numbers):
        blocks[of_group] = number
    options: Any = {"prior": fit.prior, "huber": fit.settings.huber}
    whole = with_blocks(fit.rollout_errors, fit.windows, fit.estimate, blocks, **options)
    errors, short = (estimate.deviations(fit.spec) for estimate in (whole, fit.estimate))
    return {
        name: quantities[name]._replace(error=float(errors[n]), freedom=whole.blocks - 1.0)
        for name, n in untold.items()
        if whole.sound and errors[n] > short[n]
    }


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


def _parts(fit: Estimate, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Covariance by sampling alone, and that as if the model were right with the prior, (P, P) each.

    Args:
        fit: to some of the windows.
        known: information of the prior, (P, P).
    """
    bread, _ = solve_positive(fit.information + known, np.eye(fit.raw.size))
    return fit.covariance - bread @ known @ bread, bread


def _moderated(fits: Sequence[Estimate], known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Factor of each fit's sampling errors by parameter, (M, P), and the freedom of what results, (M,)."""
    if not fits:
        return np.zeros((0, 0)), np.zeros(0)
    ratios = []
    for fit in fits:
        sampling, bread = _parts(fit, known)
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


def _reached(fit: ConstantFit, groups: Groups) -> list[dict[str, float]]:
    """The largest slip angle of each axle by group."""
    if not has_curves(fit.spec):
        return [{} for _ in groups.names]
    params, result = fit.estimate.params(fit.spec), []
    chosen = [spread(numbers, SHOWN) for numbers in groups.numbers]
    states = fit.model.predict_windows(fit.windows.select(np.concatenate(chosen)))
    ends = np.cumsum([len(numbers) for numbers in chosen])[:-1]
    for rows, numbers in zip(np.split(states, ends), chosen, strict=True):
        result.append(reached_slips(fit.spec, params, rows[fit.estimate.accepted[numbers]]))
    return result
