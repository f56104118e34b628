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
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

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
FLOOR = 1e-4
# Done when an iteration gains less than this share of the cost.
TOLERANCE = 1e-4
LARGEST_DAMPING = 1e8


@dataclasses.dataclass(frozen=True, eq=False)
class Fit:
    """What `fit_parameters` found.

    Attributes:
        values: each learned parameter, the flat vector of `ModelSpec.param_keys`, (P,).
        raw: the same on the unbounded axis, (P,).
        covariance: of ``raw``, (P, P), the prior included.
        information: of ``raw`` from the data alone, (P, P), as if the model were right.
        sigma: what is left of each compared channel's error in its unit, (C,).
        cost: minus log likelihood and prior, by iteration.
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


class _Sums(NamedTuple):
    """Of some windows: normal matrix, gradient by window, squares by channel, cost by window."""

    matrix: Array
    gradients: Array
    squares: Array
    costs: Array


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
        iterations: most iterations.
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

    def weigh(error: Array, sigma: Array, keep: Array) -> tuple[Array, Array]:
        size = jnp.abs(error) / sigma[:, None, None]
        cost = jnp.where(size > huber, huber * size - huber**2 / 2, size**2 / 2) * keep
        return jnp.minimum(1.0, huber / jnp.maximum(size, 1e-9)) * keep, cost

    @jax.jit
    def derivatives(raw: Array, sigma: Array, part: WholeWindows, keep: Array) -> _Sums:
        unit = jnp.eye(raw.size, dtype=raw.dtype)
        directions = jax.vmap(lambda d: jax.jvp(params_of, (raw,), (d,))[1])(unit)
        states, change = roll.sensitivities(params_of(raw), directions, part)
        error = residual(states, part)
        weight, cost = weigh(error, sigma, keep)
        jacobian = jnp.stack([change[i] for i in channels]) / sigma[:, None, None, None]  # (C, T, P, B)
        weighted = jacobian * weight[:, :, None]
        return _Sums(
            jnp.einsum("ctpb,ctqb->pq", weighted, jacobian),
            jnp.einsum("ctpb,ctb->pb", weighted, error / sigma[:, None, None]),
            (weight * error**2).sum(axis=(1, 2)),
            cost.sum(axis=(0, 1)),
        )

    @jax.jit
    def costs(raw: Array, sigma: Array, part: WholeWindows, keep: Array) -> tuple[Array, Array]:
        error = residual(roll.states(params_of(raw), part)[1], part)
        weight, cost = weigh(error, sigma, keep)
        return cost.sum(axis=(0, 1)), (weight * error**2).sum(axis=(1, 2))

    padded = np.resize(numbers, -(-len(numbers) // CHUNK) * CHUNK)
    parts = [windows.whole(padded[i : i + CHUNK]) for i in range(0, len(padded), CHUNK)]
    dtype = parts[0].states[0].dtype
    kept = np.ones(len(numbers))
    # Each row is in so many windows.
    stride = np.median(np.diff(np.asarray(windows.arrays.starts)[numbers])) if len(numbers) > 1 else 1
    overlap = max(1.0, windows.horizon / max(1.0, float(stride)))
    count = windows.horizon * len(numbers)

    def over_parts(function: Callable[..., Any], z: np.ndarray, sigma: np.ndarray) -> list[Any]:
        keep = np.zeros(len(padded))
        keep[: len(numbers)] = kept
        given = jnp.asarray(z, dtype), jnp.asarray(sigma, dtype)
        with ThreadPoolExecutor(max_workers=2) as pool:
            jobs = [
                pool.submit(function, *given, part, jnp.asarray(keep[i * CHUNK : (i + 1) * CHUNK], dtype))
                for i, part in enumerate(parts)
            ]
            return [jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), job.result()) for job in jobs]

    def total(z: np.ndarray, sigma: np.ndarray) -> float:
        data = sum(float(part[0].sum()) for part in over_parts(costs, z, sigma))
        return data / overlap + 0.5 * float(np.sum(((z - centre) / prior) ** 2)) + penalty(sigma)

    def penalty(sigma: np.ndarray) -> float:
        return float(count / overlap * np.log(sigma / scales).sum())

    def spread(squares: np.ndarray) -> np.ndarray:
        return np.maximum(np.sqrt(squares / max(1.0, windows.horizon * kept.sum())), FLOOR * scales)

    sigma = spread(sum(part[1] for part in over_parts(costs, z, scales)))
    history: list[float] = []
    damping = 1e-2
    here = total(z, sigma)
    if not np.isfinite(here):
        raise DivergedError(
            f"{spec.name}: rollouts with the default parameters are not finite: "
            "shorten the horizon or raise the number of substeps"
        )
    for iteration in range(iterations):
        sums = over_parts(derivatives, z, sigma)
        matrix = sum(part.matrix for part in sums) / overlap + np.eye(z.size) / prior**2
        gradient = sum(part.gradients.sum(axis=1) for part in sums) / overlap + (z - centre) / prior**2
        while damping < LARGEST_DAMPING:
            move = -np.linalg.solve(matrix + damping * np.diag(np.diag(matrix)), gradient)
            move /= max(1.0, np.abs(move).max())
            there = total(z + move, sigma)
            if there < here:
                break
            damping *= 4
        else:
            break
        gain = here - there
        z, damping = z + move, max(damping / 6, 1e-7)
        sigma = spread(sum(part[1] for part in over_parts(costs, z, sigma)))
        here = total(z, sigma)
        history.append(here)
        report(iteration + 1, here)
        if gain < TOLERANCE * count / overlap * len(channels):
            break
    sums = over_parts(derivatives, z, sigma)
    information = sum(part.matrix for part in sums) / overlap
    gradients = np.concatenate([part.gradients for part in sums], axis=1)[:, : len(numbers)] / overlap
    bread = np.linalg.inv(information + np.eye(z.size) / prior**2)
    blocks = _block_sums(windows, numbers, gradients)
    meat = blocks @ blocks.T + np.eye(z.size) / prior**2
    return Fit(
        values=np.asarray(to_bounds(jnp.asarray(z), low, high, log_mask), np.float64),
        raw=z,
        covariance=bread @ meat @ bread,
        information=information,
        sigma=sigma,
        cost=tuple(history),
        kept=kept > 0,
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
