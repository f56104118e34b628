"""The posterior of a fit by draws: intervals without the assumption that errors are normal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pct.dynamics.bounds import Bounds
from pct.dynamics.core import ModelSpec, unflatten_params
from pct.errors import DivergedError, UsageError
from pct.measurement.filter import filters, noise_values
from pct.optimization.constants.descent import Problem
from pct.optimization.constants.estimate import number_blocks, raw_slopes, raw_values, scalar_places
from pct.optimization.constants.filtering import starts_as_logged, weigh_as_logged
from pct.optimization.constants.posterior.density import Density
from pct.optimization.constants.posterior.nuts import CHAINS, Sampler, diagnose, require_sampler
from pct.optimization.constants.prior import deviations_of
from pct.optimization.constants.verdicts import facts_of
from pct.types import Bool, Float

if TYPE_CHECKING:
    from pct.optimization.constants.fitting import ConstantFit

# Draws that are kept when only asked for a posterior.
DRAWS = 1000
NORMAL_95 = 1.96
INTERVAL = (0.025, 0.975)
# R-hat above this, or effective draws below: not converged (Vehtari et al., 2021).
LARGEST_RHAT, LEAST_SIZE = 1.01, 400
# Ends of intervals that differ by more than this share of the normal one's half width: the posterior is not
# normal. The ends of 400 draws are known to 7 %.
DIFFERENT = 0.25
# Draws that bands are made of.
SHOWN = 300


class Posterior(NamedTuple):
    """Draws of the posterior of a fit.

    Attributes:
        names: of the scalar parameters, N of them.
        draws: in their units, (M chains, K draws, N).
        flat: all learned parameters, arrays included, as of `ModelSpec.param_keys`, (M, K, P).
        divergent: draws whose trajectory left the density, (M, K).
        rhat: R-hat of each, 1 where chains agree, (N,).
        effective: effective number of draws, the less of bulk and tails, (N,).
        normal: 95 % intervals of a normal posterior with the same covariance, (N, 2).
        steps: rollouts of all windows that it took.
        seconds: the same, in s.
    """

    names: tuple[str, ...]
    draws: Float[np.ndarray, "M K N"]
    flat: Float[np.ndarray, "M K P"]
    divergent: Bool[np.ndarray, "M K"]
    rhat: Float[np.ndarray, " N"]
    effective: Float[np.ndarray, " N"]
    normal: Float[np.ndarray, "N 2"]
    steps: int
    seconds: float

    @property
    def interval(self) -> Float[np.ndarray, "N 2"]:
        """95 % intervals by quantiles of the draws, in their units."""
        return np.quantile(self.draws, INTERVAL, axis=(0, 1)).T

    @property
    def different(self) -> Bool[np.ndarray, " N"]:
        """Whose interval is not the normal one."""
        half = np.diff(self.normal, axis=1) / 2
        return np.asarray((np.abs(self.interval - self.normal) > DIFFERENT * half).any(axis=1))

    @property
    def fact(self) -> str:
        """How it was drawn, in a sentence."""
        chains, draws, _ = self.draws.shape
        return (
            f"Posterior: {chains} chains of {draws} draws by NUTS; R-hat at most {self.rhat.max():.3f}, "
            f"effective number of draws at least {self.effective.min():.0f}, "
            f"{int(self.divergent.sum())} divergent; {self.seconds:.1f} s."
        )

    @property
    def warnings(self) -> list[str]:
        """What a reader must know before trusting the draws."""
        lines = []
        if count := int(self.divergent.sum()):
            lines.append(
                f"posterior: {count} of {self.divergent.size} trajectories diverged, so that a part of it "
                "may be missing: hold parameters that are not identified with `fixed`"
            )
        if self.rhat.max() > LARGEST_RHAT or self.effective.min() < LEAST_SIZE:
            worst = self.names[int(np.argmin(self.effective))]
            lines.append(
                f"posterior: the chains do not agree well enough (R-hat {self.rhat.max():.3f}, expected at "
                f"most {LARGEST_RHAT}; {self.effective.min():.0f} effective draws of {worst}, expected "
                f"{LEAST_SIZE}): ask for more `draws`"
            )
        for name, own, normal, differs in zip(
            self.names, self.interval, self.normal, self.different, strict=True
        ):
            if differs:
                lines.append(
                    f"posterior: {name} is not normal: 95 % interval {own[0]:.4g} to {own[1]:.4g}, by the "
                    f"standard error {normal[0]:.4g} to {normal[1]:.4g}; use that of the posterior"
                )
        return lines

    def params(self, spec: ModelSpec, most: int = SHOWN) -> Iterator[dict[str, Any]]:
        """Learned parameters by name of at most so many draws, spread evenly."""
        flat = self.flat.reshape(-1, self.flat.shape[-1])
        for row in flat[np.linspace(0, len(flat) - 1, min(most, len(flat))).astype(int)]:
            yield unflatten_params(row, spec.param_keys, spec.full_shapes)


def draw_posterior(
    fit: ConstantFit,
    draws: int = DRAWS,
    progress: Callable[[Any], None] | None = None,
    sampler: Sampler | None = None,
) -> Posterior:
    """Draws of the posterior of a fit; see `pct.optimization.constants.posterior.density`.

    Args:
        fit: whose covariance is the unit of the sampler's steps.
        draws: in all, after the warm-up of each chain.
        progress: called with a line after each chain.
        sampler: of as many dimensions, whose number of draws counts; saves compiling where there are many
            fits.

    Raises:
        UsageError: blackjax is not installed, or the fit's covariance is not known.
        DivergedError: the rollouts at the fit are not finite.
    """
    require_sampler()
    if not fit.estimate.sound:
        raise UsageError("`sample`: the covariance of the fit is not known: hold parameters with `fixed`")
    begin = time.perf_counter()
    density = density_of(fit)
    size = len(density.centre)

    def report(chain: int) -> None:
        if progress is not None:
            progress(f"posterior: chain {chain} of {CHAINS}  {time.perf_counter() - begin:.1f} s")

    sampler = sampler or Sampler(size, -(-draws // CHAINS))
    chains = sampler(density, fit.settings.seed, report)
    spec = fit.spec
    bounds = Bounds.of(spec)
    raw = density.raw(chains.z)
    flat = bounds.on_host(raw.reshape(-1, size))[0].reshape(raw.shape)
    places = scalar_places(spec)
    columns = list(places.values())
    rhat, effective = diagnose(raw[..., columns])
    middle = bounds.on_host(density.centre)[0]
    reach = NORMAL_95 * np.sqrt(np.diag(density.covariance)) * raw_slopes(spec, density.centre)
    normal = np.stack([middle - reach, middle + reach], axis=-1)[columns]
    return Posterior(
        tuple(places),
        flat[..., columns],
        flat,
        chains.divergent,
        rhat,
        effective,
        normal,
        int(chains.steps.sum()),
        time.perf_counter() - begin,
    )


def density_of(fit: ConstantFit) -> Density:
    """The posterior density of a fit.

    Raises:
        DivergedError: the rollouts at the fit are not finite.
    """
    spec, estimate, settings = fit.spec, fit.estimate, fit.settings
    numbers = np.arange(len(fit.windows))
    centre = raw_values(fit.errors.spec, fit.errors.spec.default_params)
    problem = Problem(fit.errors, fit.windows, numbers, centre, fit.prior, settings.huber)
    if filters(spec):
        problem.refresh(estimate.raw, noise_values(spec, estimate.noise or starts_as_logged(fit.errors)))
    weigh_as_logged(problem, estimate.noise)
    path = problem.start(problem.at(estimate.raw))._replace(accepted=estimate.accepted)
    if not all(np.isfinite(error).all() for error in problem.accepted_errors(path)):
        raise DivergedError(f"{spec.name}: rollouts of the fit are not finite: shorten the `horizon`")
    blocks = np.unique(number_blocks(fit.windows, numbers)[estimate.accepted], return_inverse=True)[1]
    return Density(problem, path, blocks, Bounds.of(spec), _across_drives(fit))


def _across_drives(fit: ConstantFit) -> np.ndarray | None:
    """Standard errors across drives on the unbounded axis, (P,); None where drives were not compared."""
    if fit.agreement is None:
        return None
    deviations = np.sqrt(np.diag(fit.estimate.covariance))
    slopes = raw_slopes(fit.spec, fit.estimate.raw, fit.estimate.values)
    facts = facts_of(fit.estimate, fit.spec, fit.prior, fit.agreement)
    for name, place in scalar_places(fit.spec).items():
        deviations[place] = facts[name].widening * facts[name].std / slopes[place]
    return np.minimum(deviations, deviations_of(fit.prior, deviations.size))


def posterior_table(posterior: Posterior, spec: ModelSpec) -> dict[str, Any]:
    """Intervals and diagnostics by name, for a JSON file."""
    chains, draws, _ = posterior.draws.shape
    return {
        "chains": chains,
        "draws_per_chain": draws,
        "divergent": int(posterior.divergent.sum()),
        "rollouts": posterior.steps,
        "parameters": {
            name: {
                "mean": posterior.draws[..., n].mean(),
                "std": posterior.draws[..., n].std(),
                "interval_95": posterior.interval[n],
                "normal_95": posterior.normal[n],
                "not_normal": bool(posterior.different[n]),
                "rhat": posterior.rhat[n],
                "effective_draws": posterior.effective[n],
                "unit": spec.parameter(name).unit,
            }
            for n, name in enumerate(posterior.names)
        },
    }


def posterior_cells(posterior: Posterior, spec: ModelSpec) -> tuple[list[str], list[list[str]]]:
    """Head and rows of a table of the posterior, as text."""
    head = ["parameter", "mean", "std", "95 % interval", "if normal", "R-hat", "eff. draws", "unit"]
    rows = []
    for n, name in enumerate(posterior.names):
        draws = posterior.draws[..., n]
        own, normal = (
            f"{low:.4g} to {high:.4g}" for low, high in (posterior.interval[n], posterior.normal[n])
        )
        rows.append(
            [
                name,
                f"{draws.mean():.4g}",
                f"{draws.std():.2g}",
                own,
                normal,
                f"{posterior.rhat[n]:.3f}",
                f"{posterior.effective[n]:.0f}",
                spec.parameter(name).unit,
            ]
        )
    return head, rows
