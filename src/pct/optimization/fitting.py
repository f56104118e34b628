"""Constant parameters of a whole log by Levenberg-Marquardt over rollouts, with errors of the estimates.

All learned parameters of the model, those of the measurement and the observer's gains included, are moved
until the rollouts meet the log: begun by the rows before each window, then open loop over its horizon. An
error counts in units of what is left of its channel's errors, which is found along the way, so no channel has
to be weighted by hand. Rows that windows share count once.

The covariance is the sandwich estimate over blocks of windows: it holds where residuals are correlated
along a drive and where the model is not quite the car.

References:
    K. Levenberg, Quarterly of Applied Mathematics 2 (1944); D. Marquardt, SIAM J. Appl. Math. 11 (1963).
    P. Huber, "The behavior of maximum likelihood estimates under nonstandard conditions", 1967; K.-Y. Liang,
    S. Zeger, "Longitudinal data analysis using generalized linear models", Biometrika 73 (1986).
    [1] J. MacKinnon, H. White, Journal of Econometrics 29 (1985): HC3, with equal leverage of all blocks.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pct.data.windows import WindowSet
from pct.dynamics.core import ModelSpec, flatten_bounds, flatten_params, unflatten_params
from pct.engine.observer import make_history_rollout
from pct.errors import DivergedError, UsageError
from pct.optimization.network import bounds_slope, from_bounds, to_bounds
from pct.types import Array, WholeWindows

# Windows whose derivatives are in memory at once.
CHUNK = 256
# Standard deviation of the prior about the defaults, on the unbounded axis (1 is 27 to 73 % of the range).
PRIOR = 1.0
# An error beyond so many of its channel's counts by its size, not its square.
HUBER = 3.0
# An error that is smaller than this share of the channel's scale is as good as none.
FLOOR = 1e-7
# An iteration that gains less than this share of the cost gains nothing.
TOLERANCE = 1e-4
# In a channel's usual error, one beyond so many times the median counts like that: first, and later.
FIRST_CLIPPED, CLIPPED = 1.0, 10.0
# So many iterations in a row that gain less end it.
PATIENCE = 2
LARGEST_DAMPING = 1e8
# Spread of further starts on the unbounded axis, and iterations before the best goes on alone.
SPREAD, FIRST_ITERATIONS = 0.7, 30
# A window with an error beyond so many of its channel's usual ones is broken and left out, up to a share.
REJECTED = 50.0
MOST_REJECTED = 0.3


@dataclasses.dataclass(frozen=True, eq=False)
class Fit:
    """What `fit_parameters` found.

    Attributes:
        values: each learned parameter, the flat vector of `ModelSpec.param_keys`, (P,).
        raw: the same on the unbounded axis, (P,).
        covariance: of ``raw``, (P, P), the prior included.
        information: of ``raw`` from the data alone, (P, P), as if the model were right.
        sigma: what is left of each compared channel's error in its unit, (C,).
        cost: what is minimised, by iteration; its unit changes with the usual errors.
        kept: which windows were not rejected, (W,).
    """

    values: np.ndarray
    raw: np.ndarray
    covariance: np.ndarray
    information: np.ndarray
    sigma: np.ndarray
    cost: tuple[float, ...]
    kept: np.ndarray

    def params(self, spec: ModelSpec) -> dict[str, Any]:
        """The values by name."""
        return unflatten_params(self.values, spec.param_keys, spec.full_shapes)

    def deviations(self, spec: ModelSpec) -> np.ndarray:
        """Standard error of each value in its unit, (P,)."""
        low, high, log_mask = _bounds(spec)
        # d value / d raw, by the chain of both maps.
        share = 1 / (1 + np.exp(-self.raw))
        slope = np.asarray(bounds_slope(jnp.asarray(self.values), low, high, log_mask)) * share * (1 - share)
        return np.sqrt(np.diag(self.covariance)) * slope


def fit_parameters(
    windows: WindowSet,
    numbers: np.ndarray,
    spec: ModelSpec,
    base_params: Mapping[str, Any],
    *,
    integrator: str = "rk4",
    substeps: int = 1,
    compare: Sequence[str] = (),
    start: Mapping[str, Any] | None = None,
    prior: float = PRIOR,
    huber: float = HUBER,
    iterations: int = 50,
    starts: int = 1,
    report: Callable[[int, float], None] = lambda iteration, cost: None,
) -> Fit:
    """Fit one value of each learned parameter to all windows, within the bounds.

    Args:
        windows: of the logs.
        numbers: which of them, in their order along the drives.
        spec: the model; its defaults are the centre of the prior.
        base_params: all parameters and ``dt``, from `ModelSpec.build_base_params`.
        integrator, substeps: how a time step is integrated.
        compare: names of the states whose errors count; all when left out.
        start: values to begin at, by name; the defaults when left out.
        prior: standard deviation of the prior on the unbounded axis.
        huber: see `HUBER`.
        iterations: most iterations, those from other starts not counted.
        starts: points to begin at; those after the first are drawn about the defaults.
        report: called after each.

    Raises:
        DivergedError: the rollouts at the start are not finite.
        UsageError: ``compare`` names no state.
    """
    keys, shapes = spec.param_keys, spec.full_shapes
    low, high, log_mask = _bounds(spec)
    centre = from_bounds(flatten_params(spec.default_params, keys, shapes), low, high, log_mask)
    first = {**spec.default_params, **(start or {})}
    z = from_bounds(flatten_params(first, keys, shapes), low, high, log_mask)
    channels = [i for i, name in enumerate(spec.state_names) if not compare or name in compare]
    if unknown := set(compare) - set(spec.state_names):
        raise UsageError(f"--compare {unknown.pop()}: expected some of {', '.join(spec.state_names)}")
    scales = spec.scales[channels]
    angles = spec.angle_mask[channels]
    roll = make_history_rollout(spec, base_params, integrator, substeps, windows.history)

    def params_of(raw: Array) -> dict[str, Array]:
        return unflatten_params(to_bounds(raw, low, high, log_mask), keys, shapes)

    def residual(states: Sequence[Array], part: WholeWindows) -> Array:
        """Errors of the compared channels, (C, T, B)."""
        rows = []
        for i, is_angle in zip(channels, angles, strict=True):
            error = states[i] - part.states[i][windows.history + 1 :]
            rows.append(jnp.arctan2(jnp.sin(error), jnp.cos(error)) if is_angle else error)
        return jnp.stack(rows)

    @jax.jit
    def errors(raw: Array, part: WholeWindows) -> Array:
        return residual(roll.states(params_of(raw), part)[1], part)

    @jax.jit
    def derivatives(raw: Array, part: WholeWindows, sigma: Array, keep: Array) -> tuple[Array, Array]:
        """Normal matrix, (P, P), and gradient by window, (P, B)."""
        unit = jnp.eye(raw.size, dtype=raw.dtype)
        directions = jax.vmap(lambda d: jax.jvp(params_of, (raw,), (d,))[1])(unit)
        states, change = roll.sensitivities(params_of(raw), directions, part)
        error = residual(states, part) / sigma[:, None, None]
        weight = keep * jnp.minimum(1.0, huber / jnp.maximum(jnp.abs(error), huber))
        jacobian = jnp.stack([change[i] for i in channels]) / sigma[:, None, None, None]  # (C, T, P, B)
        weighted = jacobian * weight[:, :, None]
        return (
            jnp.einsum("ctpb,ctqb->pq", weighted, jacobian),
            jnp.einsum("ctpb,ctb->pb", weighted, error),
        )

    count = len(numbers)
    padded = np.resize(numbers, -(-count // CHUNK) * CHUNK)
    parts = [windows.whole(padded[i : i + CHUNK]) for i in range(0, len(padded), CHUNK)]
    dtype = parts[0].states[0].dtype
    kept = np.ones(count, bool)
    # Each row is in so many windows.
    stride = np.median(np.diff(np.asarray(windows.arrays.starts)[numbers])) if count > 1 else 1
    overlap = max(1.0, windows.horizon / max(1.0, float(stride)))

    def over_parts(function: Callable[..., Any], raw: np.ndarray, *each: Sequence[Any]) -> list[Any]:
        """A compiled function of every part; two at a time, since each runs on one core."""
        given_raw = jnp.asarray(raw, dtype)
        with ThreadPoolExecutor(max_workers=2) as pool:
            jobs = [pool.submit(function, given_raw, *given) for given in zip(parts, *each, strict=True)]
            return [jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), job.result()) for job in jobs]

    def all_errors(z: np.ndarray) -> np.ndarray:
        return np.concatenate(over_parts(errors, z), axis=-1)[..., :count]

    def typical(error: np.ndarray, clipped: float) -> np.ndarray:
        """Root mean square error by channel, one beyond so many times the median error counted like that."""
        size = np.abs(error[..., kept])
        most = clipped * np.median(size, axis=(1, 2), keepdims=True)
        return np.maximum(np.sqrt(np.mean(np.minimum(size, most) ** 2, axis=(1, 2))), FLOOR * scales)

    def cost(z: np.ndarray, error: np.ndarray, sigma: np.ndarray) -> float:
        size = np.abs(error[..., kept]) / sigma[:, None, None]
        data = np.where(size > huber, huber * size - huber**2 / 2, size**2 / 2).sum()
        return float(data / overlap + 0.5 * np.sum(((z - centre) / prior) ** 2))

    def normal_equations(z: np.ndarray, sigma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        keep = np.zeros(len(padded))
        keep[:count] = kept
        each = [jnp.asarray(sigma, dtype)] * len(parts), list(jnp.asarray(keep.reshape(-1, CHUNK), dtype))
        matrices, gradients = zip(*over_parts(derivatives, z, *each), strict=True)
        return sum(matrices) / overlap, np.concatenate(gradients, axis=1)[:, :count] / overlap

    error = all_errors(z)
    if not np.isfinite(error).all():
        raise DivergedError(
            f"{spec.name}: rollouts with the default parameters are not finite: "
            "shorten the horizon or raise the number of substeps"
        )

    iteration = itertools.count(1)

    def descend(z: np.ndarray, most: int, clipped: float) -> tuple[np.ndarray, np.ndarray, list[float]]:
        """Levenberg-Marquardt from a point: where it ends, the errors there, and the cost by iteration."""
        nonlocal kept
        error = all_errors(z)
        costs: list[float] = []
        damping, idle = 1e-2, 0
        while len(costs) < most:
            sigma = typical(error, clipped)
            here = cost(z, error, sigma)
            matrix, gradients = normal_equations(z, sigma)
            matrix = matrix + np.eye(z.size) / prior**2
            gradient = gradients.sum(axis=1) + (z - centre) / prior**2
            gain = 0.0
            while damping < LARGEST_DAMPING:
                move = -np.linalg.solve(matrix + damping * np.diag(np.diag(matrix)), gradient)
                move /= max(1.0, np.abs(move).max())
                moved = all_errors(z + move)
                gain = here - cost(z + move, moved, sigma)
                if gain > 0:
                    z, error, damping = z + move, moved, max(damping / 6, 1e-7)
                    break
                damping *= 4
            costs.append(here - max(gain, 0.0))
            report(next(iteration), costs[-1])
            idle = 0 if gain > TOLERANCE * here else idle + 1
            if idle == PATIENCE or not gain > 0:
                broken = (np.abs(error) / typical(error, FIRST_CLIPPED)[:, None, None]).max(
                    axis=(0, 1)
                ) > REJECTED
                if not (broken & kept).any() or broken.mean() > MOST_REJECTED:
                    break
                kept, damping, idle = ~broken, 1e-2, 0
        return z, error, costs

    # First where few large errors weigh little, to find the way; then where they weigh as much as they are.
    rng = np.random.default_rng(0)
    found = []
    for number in range(starts):
        begin = z if number == 0 else centre + SPREAD * rng.standard_normal(z.size)
        kept = np.ones(count, bool)
        if number == 0 or np.isfinite(all_errors(begin)).all():
            found.append((*descend(begin, min(iterations, FIRST_ITERATIONS), FIRST_CLIPPED), kept))
    z, _, costs, kept = min(found, key=lambda end: float(np.log(typical(end[1], FIRST_CLIPPED)).sum()))
    z, error, more = descend(z, iterations - len(costs), CLIPPED)
    sigma = typical(error, CLIPPED)
    information, gradients = normal_equations(z, sigma)
    bread = np.linalg.inv(information + np.eye(z.size) / prior**2)
    blocks = _block_sums(windows, numbers, gradients)
    # Each block has drawn the answer towards itself; with few of them their spread would look too small [1].
    blocks *= blocks.shape[1] / max(1, blocks.shape[1] - 1)
    meat = blocks @ blocks.T + np.eye(z.size) / prior**2
    return Fit(
        values=np.asarray(to_bounds(jnp.asarray(z), low, high, log_mask), np.float64),
        raw=z,
        covariance=bread @ meat @ bread,
        information=information,
        sigma=sigma,
        cost=(*costs, *more),
        kept=kept,
    )


def _block_sums(windows: WindowSet, numbers: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Gradients summed over blocks of windows that share no row with the next but one, (P, K)."""
    starts = np.asarray(windows.arrays.starts)[numbers]
    length = 2 * (windows.history + windows.horizon)
    recording = windows.store.recording[starts]
    _, block = np.unique(recording * (starts.max() // length + 2) + starts // length, return_inverse=True)
    sums = np.zeros((gradients.shape[0], block.max() + 1))
    np.add.at(sums.T, block, gradients.T)
    return sums


def _bounds(spec: ModelSpec) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower and upper bounds and logarithmic entries of the flat vector."""
    keys, shapes = spec.param_keys, spec.full_shapes
    low, high = flatten_bounds(keys, spec.param_bounds, shapes)
    log = {key: float(spec.parameter(key).log) for key in keys}
    return low, high, flatten_params(log, keys, shapes) > 0
