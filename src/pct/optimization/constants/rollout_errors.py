"""Errors of rollouts over windows and their derivatives, compiled once for a model and any data.

`make_rollout_errors` fixes the model, the integration and what is compared; data come as arguments, so that
one compilation serves all logs, starts and seeds of the same shape. `AllWindows` evaluates them over a log.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pct.dynamics.bounds import Bounds
from pct.dynamics.core import ModelSpec, unflatten_params
from pct.errors import UsageError
from pct.measurement.observer import observes
from pct.rollout.history import make_history_rollout
from pct.types import Array, Float, Int, WholeWindows
from pct.windows.window_set import WindowSet

# Windows whose derivatives are in memory at once, and the multiple that vector units need.
CHUNK, LANES = 256, 32


class NormalEquations(NamedTuple):
    """Sums of weighted products of derivatives; K counts the free states of a window's start.

    Attributes:
        matrix: of the parameters by window, (P, P, B); of all windows of each group, (P, P, G), from
            `AllWindows.normal`.
        gradient: of the parameters by window, (P, B).
        cross: of the parameters with each window's start, (P, K, B).
        block: of each window's start, (K, K, B).
        start_gradient: of each window's start, (K, B).
    """

    matrix: Float[Array, "P P _"]
    gradient: Float[Array, "P B"]
    cross: Float[Array, "P K B"]
    block: Float[Array, "K K B"]
    start_gradient: Float[Array, "K B"]


@dataclasses.dataclass(frozen=True, eq=False)
class RolloutErrors:
    """Compiled functions of raw parameters (P,), offsets of the starts (K, B), `WholeWindows` and the
    `Correction` of an observer, None without one.

    Attributes:
        spec: the model.
        channels: positions of the compared states.
        free: number of free states of a start, K: none, or all that are compared.
        errors: ``errors(raw, offsets, windows, correction)``: of the compared channels in their unit, (C, T,
            B); where starts are free, the first row is how far they are from what is logged.
        normal: ``normal(raw, offsets, windows, correction, sigma, huber, keep)``: `NormalEquations` of errors
            in units of ``sigma`` (C,), weighted as Huber's loss is and by ``keep``, 1 or 0, (B,). The gains
            count as given.
        gains: ``gains(raw, windows, noise)``: those of the observer there, (H, N, M, B); None without one.
            ``noise`` holds the filter's parameters by name.
        part: windows that are computed at once, so that logs of unlike length need one compilation; chosen by
            their number where it is None.
    """

    spec: ModelSpec
    channels: tuple[int, ...]
    free: int
    errors: Callable[..., Float[Array, "C T B"]]
    normal: Callable[..., NormalEquations]
    gains: Callable[..., Array] | None = None
    part: int | None = None


class Correction(NamedTuple):
    """How an observer begins windows.

    Attributes:
        noise: values of the filter's parameters by name; of those of the model's equations, too.
        gains: corrections after each row of the history, (H, N, M, B).
    """

    noise: Mapping[str, Array]
    gains: Array


def make_rollout_errors(
    spec: ModelSpec,
    base_params: Mapping[str, Any],
    history: int,
    *,
    integrator: str = "rk4",
    substeps: int = 1,
    compare: Sequence[str] = (),
    free_start: bool = False,
) -> RolloutErrors:
    """Errors of a model's rollouts.

    Args:
        spec: the model, with its bounds.
        base_params: all parameters and ``dt``, from `ModelSpec.base_params`.
        history: rows before a window's start.
        integrator, substeps: how a time step is integrated.
        compare: names of the states whose errors count; all when left out.
        free_start: whether the compared states are fitted at each window's start, too.

    Raises:
        UsageError: ``compare`` names no state, or free starts with an observer, which estimates them itself.
    """
    if unknown := set(compare) - set(spec.state_names):
        raise UsageError(f"`compare={unknown.pop()}`: expected some of {', '.join(spec.state_names)}")
    if free_start and observes(spec):
        raise UsageError("`free_start`: the observer estimates the starts; add `observer=False`")
    keys, shapes = spec.param_keys, spec.full_shapes
    bounds = Bounds.of(spec)
    channels = tuple(i for i, name in enumerate(spec.state_names) if not compare or name in compare)
    free = channels if free_start else ()
    roll = make_history_rollout(spec, base_params, integrator, substeps, history)

    def params_of(raw: Array, correction: Correction | None) -> dict[str, Array]:
        learned = unflatten_params(bounds.to(raw), keys, shapes)
        return learned if correction is None else {**learned, **correction.noise}

    def moved(offsets: Array, windows: WholeWindows) -> WholeWindows:
        """Windows with starts moved by the offsets."""
        states = list(windows.states)
        for offset, i in zip(offsets, free, strict=True):
            states[i] = states[i].at[history].add(offset)
        return windows._replace(states=tuple(states))

    def residual(states: Sequence[Array], offsets: Array, windows: WholeWindows) -> Array:
        rows = []
        for i in channels:
            error = states[i] - windows.states[i][history + 1 :]
            rows.append(jnp.arctan2(jnp.sin(error), jnp.cos(error)) if spec.angle_mask[i] else error)
        ahead = jnp.stack(rows)
        return jnp.concatenate([offsets[:, None], ahead], axis=1) if free else ahead

    @jax.jit
    def errors(raw: Array, offsets: Array, windows: WholeWindows, correction: Correction | None) -> Array:
        gains = None if correction is None else correction.gains
        states = roll.states(params_of(raw, correction), moved(offsets, windows), gains)[1]
        return residual(states, offsets, windows)

    @jax.jit
    def normal(
        raw: Array,
        offsets: Array,
        windows: WholeWindows,
        correction: Correction | None,
        sigma: Array,
        huber: Array,
        keep: Array,
    ) -> NormalEquations:
        size, count = raw.size, raw.size + len(free)
        unit = jnp.eye(count, dtype=raw.dtype)
        params = params_of(raw, correction)
        along = jax.vmap(lambda d: jax.jvp(lambda raw: params_of(raw, correction), (raw,), (d,))[1])
        directions = along(unit[:, :size])
        none = jnp.zeros((count, 1), raw.dtype)
        along_start = tuple(
            unit[:, size + free.index(i), None] if i in free else none for i in range(len(spec.states))
        )
        gains = None if correction is None else correction.gains
        states, change = roll.sensitivities(params, directions, moved(offsets, windows), gains, along_start)
        error = residual(states, offsets, windows) / sigma[:, None, None]
        weight = keep * jnp.minimum(1.0, huber / jnp.maximum(jnp.abs(error), huber))
        jacobian = jnp.stack([change[i] for i in channels])  # (C, T, P + K, B)
        if free:
            first = jnp.broadcast_to(unit[size:, None, :, None], (len(free), 1, count, error.shape[2]))
            jacobian = jnp.concatenate([first, jacobian], axis=1)
        jacobian = jacobian / sigma[:, None, None, None]
        weighted = jacobian * weight[:, :, None]
        gradient = jnp.einsum("ctpb,ctb->pb", weighted, error)
        by_start = jnp.einsum("ctpb,ctkb->pkb", weighted, jacobian[:, :, size:])
        return NormalEquations(
            matrix=jnp.einsum("ctpb,ctqb->pqb", weighted[:, :, :size], jacobian[:, :, :size]),
            gradient=gradient[:size],
            cross=by_start[:size],
            block=by_start[size:],
            start_gradient=gradient[size:],
        )

    @jax.jit
    def gains(raw: Array, windows: WholeWindows, noise: Mapping[str, Array]) -> Array:
        assert roll.gains is not None
        return roll.gains({**unflatten_params(bounds.to(raw), keys, shapes), **noise}, windows)

    return RolloutErrors(spec, channels, len(free), errors, normal, gains if observes(spec) else None)


def sums_by_group(
    values: Float[np.ndarray, "... W"], groups: Int[np.ndarray, " W"]
) -> tuple[Int[np.ndarray, " G"], Float[np.ndarray, "... G"]]:
    """Numbers of the groups that there are, and the sum of each over its windows.

    Examples:
        >>> sums_by_group(np.array([1.0, 2.0, 3.0]), np.array([7, 4, 7]))
        (array([4, 7]), array([2., 4.]))
    """
    order = np.argsort(groups, kind="stable")
    numbers, firsts = np.unique(groups[order], return_index=True)
    return numbers, np.add.reduceat(values[..., order], firsts, axis=-1)


def part_size(count: int) -> int:
    """Windows that are computed at once, of so many in all."""
    return count if count <= LANES else min(CHUNK, LANES * -(-count // (2 * LANES)))


class AllWindows:
    """Errors of all windows of a fit, in parts of equal size; what goes in and comes out is on the host.

    Windows of a model with an observer have their corrections from `refresh`.
    """

    def __init__(self, errors: RolloutErrors, windows: WindowSet, numbers: np.ndarray) -> None:
        self._functions, self._count = errors, len(numbers)
        size = errors.part or part_size(self._count)
        self._padding = -self._count % size
        padded = np.resize(numbers, self._count + self._padding).reshape(-1, size)
        self._parts = [windows.whole(part) for part in padded]
        self._dtype = self._parts[0].states[0].dtype
        config: Any = jax.config
        self._double = config.jax_enable_x64
        self._corrections: list[Correction | None] = [None] * len(self._parts)

    def refresh(self, raw: np.ndarray, noise: Mapping[str, Any]) -> None:
        """Let the observer begin windows as raw parameters (P,) and the filter's parameters have it."""

        place = partial(jnp.asarray, dtype=self._dtype)
        gains_of = self._functions.gains
        assert gains_of is not None, "a model without an observer"

        def correct(windows: WholeWindows) -> Correction:
            placed = {name: place(value) for name, value in noise.items()}
            return Correction(placed, gains_of(place(raw), windows, placed))

        self._corrections = self._map(correct, self._parts)

    def errors(self, raw: np.ndarray, offsets: np.ndarray) -> Float[np.ndarray, "C T W"]:
        """Errors at raw parameters (P,) and offsets of the starts (K, W)."""
        place = partial(jnp.asarray, dtype=self._dtype)
        here = place(raw)

        def one(windows: WholeWindows, correction: Correction | None, offsets: np.ndarray) -> Any:
            return self._on_host(self._functions.errors(here, place(offsets), windows, correction))

        parts = self._map(one, self._parts, self._corrections, self._split(offsets))
        return np.concatenate(parts, axis=-1)[..., : self._count]

    def normal(
        self,
        raw: np.ndarray,
        offsets: np.ndarray,
        sigma: np.ndarray,
        accepted: np.ndarray,
        huber: float,
        groups: Int[np.ndarray, " W"] | None = None,
    ) -> NormalEquations:
        """Normal equations of the accepted windows, (W,).

        Args:
            raw, offsets, sigma, huber: see `RolloutErrors.normal`.
            accepted: which windows count.
            groups: number of the group of each window, from 0; all are of one when left out.
        """
        groups = np.zeros(self._count, int) if groups is None else groups
        # The windows that pad the last part do not count.
        by_part = [
            np.pad(rows, (0, self._padding)).reshape(len(self._parts), -1) for rows in (accepted, groups)
        ]
        needed: Any = by_part[0].any(axis=1)
        place = partial(jnp.asarray, dtype=self._dtype)
        given = place(sigma), place(huber)
        here = place(raw)
        matrix = np.zeros((len(raw), len(raw), int(groups.max()) + 1))

        def one(
            windows: WholeWindows, correction: Any, offsets: np.ndarray, keep: np.ndarray, group: np.ndarray
        ) -> Any:
            change = self._functions.normal(here, place(offsets), windows, correction, *given, place(keep))
            own, *by_window = (leaf[..., keep] for leaf in self._on_host(change))
            return *sums_by_group(own, group[keep]), *by_window

        parts: Any = (self._parts, self._corrections, self._split(offsets), *by_part)
        numbers, matrices, *by_window = zip(
            *self._map(one, *(itertools.compress(part, needed) for part in parts)), strict=True
        )
        for number, own in zip(numbers, matrices, strict=True):
            matrix[..., number] += own
        return NormalEquations(matrix, *(np.concatenate(part, axis=-1) for part in by_window))

    def _split(self, offsets: np.ndarray) -> list[np.ndarray]:
        return np.split(np.pad(offsets, ((0, 0), (0, self._padding))), len(self._parts), axis=-1)

    @staticmethod
    def _on_host(result: Any) -> Any:
        return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), result)

    def _map(self, function: Callable[..., Any], *by_part: Any) -> list[Any]:
        """A function of each part; two at a time, since each runs on one core."""

        def job(given: tuple[Any, ...]) -> Any:
            # A thread does not know the precision that another one was set to.
            with jax.enable_x64(self._double):
                return function(*given)

        with ThreadPoolExecutor(max_workers=2) as pool:
            return list(pool.map(job, zip(*by_part, strict=True)))
