"""Draws of a density by the No-U-Turn sampler of blackjax, several chains side by side.

The axes of the density have the fit's covariance as their unit, so the mass matrix is known before the first
draw; what is adapted is the step size alone.

References:
    M. Hoffman, A. Gelman, "The No-U-Turn Sampler", Journal of Machine Learning Research 15 (2014).
    A. Vehtari et al., "Rank-normalization, folding, and localization: an improved R-hat", Bayesian Analysis
        16 (2021): R-hat, and effective sample size of bulk and tails.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from pct.errors import UsageError
from pct.types import Bool, Float, Int

CHAINS = 4
# Draws of a chain that adapt the step size and are thrown away.
WARMUP = 100
# Acceptance that the step size aims at; doublings of a trajectory.
ACCEPTED, DOUBLINGS = 0.9, 6
# A chain begins where a normal posterior would draw, or nearer where that is beyond this log density a
# parameter.
BEGIN = -3.0

Function = Callable[[np.ndarray], tuple[float, np.ndarray]]


class Chains(NamedTuple):
    """Draws of several chains.

    Attributes:
        z: (M, N, P).
        divergent: whether the trajectory of a draw left the density, (M, N).
        steps: evaluations of the density by draw, (M, N).
    """

    z: Float[np.ndarray, "M N P"]
    divergent: Bool[np.ndarray, "M N"]
    steps: Int[np.ndarray, "M N"]


def require_sampler() -> Any:
    """The package blackjax.

    Raises:
        UsageError: it is not installed; names the command that installs it.
    """
    try:
        import blackjax.diagnostics
        import blackjax.mcmc.nuts
    except ImportError:
        raise UsageError(
            "`sample`: expected the package blackjax, found none: "
            'pip install "pct-vehicle[sample]", or leave it out'
        ) from None
    return blackjax


class Sampler:
    """NUTS for densities of one size, compiled when it first draws; it draws one density at a time."""

    def __init__(self, size: int, draws: int) -> None:
        """For densities of ``size`` dimensions; ``draws`` of each chain, after its warm-up."""
        self.size, self.draws = size, draws
        self._density: Function | None = None
        self._run: Callable[..., Any] | None = None

    def __call__(
        self, density: Function, seed: int, report: Callable[[int], None] = lambda chain: None
    ) -> Chains:
        """Chains of draws.

        Args:
            density: log density and its gradient at a point, (P,).
            seed: of the draws.
            report: called with the number of chains that are done.
        """
        import jax

        self._density = density
        self._run = self._run or _compiled(self._at, self.size, self.draws)
        rng = np.random.default_rng(seed)
        begins = [_begin(density, rng.standard_normal(self.size)) for _ in range(CHAINS)]
        keys = jax.random.split(jax.random.key(seed), CHAINS)
        chains = []
        for key, begin in zip(keys, begins, strict=True):
            chains.append([np.asarray(part) for part in self._run(key, begin)])
            report(len(chains))
        z, divergent, steps = (np.stack(part) for part in zip(*chains, strict=True))
        return Chains(z.astype(np.float64), divergent, steps)

    def _at(self, z: np.ndarray) -> tuple[float, np.ndarray]:
        assert self._density is not None, "called by its own run alone"
        return self._density(z)


def diagnose(values: Float[np.ndarray, "M N P"]) -> tuple[np.ndarray, np.ndarray]:
    """R-hat and effective sample size, the less of bulk and tails, of each parameter, (P,) both."""
    rhat_of, *sizes_of = _diagnostics()
    # In units of their spread: single precision holds few digits of a large value.
    centred = values - values.mean(axis=(0, 1))
    spread = centred.std(axis=(0, 1))
    scaled = centred / np.where(spread > 0, spread, 1.0)
    rhat = np.atleast_1d(np.asarray(rhat_of(scaled), np.float64))
    sizes = [np.atleast_1d(np.asarray(of(scaled))) for of in sizes_of]
    return rhat, np.minimum(*sizes).astype(np.float64)


@lru_cache(maxsize=1)
def _diagnostics() -> tuple[Callable[..., Any], ...]:
    """R-hat, and effective draws of bulk and tails; compiled once, since each compilation stays in memory."""
    import jax

    of = require_sampler().diagnostics
    return jax.jit(of.rhat), jax.jit(of.ess_bulk), jax.jit(of.ess_tail)


def _begin(density: Function, z: np.ndarray) -> np.ndarray:
    for _ in range(10):
        if density(z)[0] > BEGIN * len(z):
            break
        z = z / 2
    return z


def _compiled(density: Function, size: int, draws: int) -> Callable[..., Any]:
    """``run(key, begin)``: draws of one chain, whether each diverged, and its evaluations."""
    import jax
    import jax.numpy as jnp

    nuts = require_sampler().mcmc.nuts
    from blackjax.adaptation.step_size import dual_averaging_adaptation

    dtype = jnp.zeros(0).dtype
    shapes = jax.ShapeDtypeStruct((), dtype), jax.ShapeDtypeStruct((size,), dtype)

    def host(z: Any) -> tuple[np.ndarray, np.ndarray]:
        value, gradient = density(np.asarray(z))
        return np.asarray(value, dtype), np.asarray(gradient, dtype)

    @jax.custom_vjp
    def log_density(z: Any) -> Any:
        return jax.pure_callback(host, shapes, z, vmap_method="sequential")[0]

    log_density.defvjp(
        lambda z: jax.pure_callback(host, shapes, z, vmap_method="sequential"),
        lambda gradient, by: (by * gradient,),
    )
    kernel, mass = nuts.build_kernel(), jnp.ones(size, dtype)
    first, adapt, last = dual_averaging_adaptation(ACCEPTED)

    def move(carried: Any, given: Any) -> Any:
        state, adapted = carried
        key, warm = given
        step = jnp.where(warm, jnp.exp(adapted.log_step_size), last(adapted))
        state, info = kernel(key, state, log_density, step, mass, DOUBLINGS)
        new = adapt(adapted, info.acceptance_rate)
        adapted = jax.tree.map(lambda after, before: jnp.where(warm, after, before), new, adapted)
        return (state, adapted), (state.position, info.is_divergent, info.num_integration_steps)

    @jax.jit
    def run(key: Any, begin: Any) -> Any:
        # In so many dimensions, that is about what is accepted as often as asked for.
        carried = (
            nuts.init(jnp.asarray(begin, dtype), log_density),
            first(jnp.asarray(1.2 / size**0.25, dtype)),
        )
        number = jnp.arange(WARMUP + draws)
        drawn = jax.lax.scan(move, carried, (jax.random.split(key, len(number)), number < WARMUP))[1]
        return tuple(part[WARMUP:] for part in drawn)

    return run
