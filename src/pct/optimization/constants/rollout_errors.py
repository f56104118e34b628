"""Errors of rollouts over windows and their derivatives, compiled once for a model and any data.

`make_rollout_errors` fixes the model, the integration and what is compared; data come as arguments, so that
one compilation serves all logs, starts and seeds of the same shape. `all_windows` evaluates them over a log:
by native code where there is some for the log's precision, else by JAX, which is the reference.
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
from pct.optimization.constants.native_windows import (
    NativeErrors,
    NativeWindows,
    native_errors,
    native_windows,
)
from pct.optimization.constants.normal_equations import NormalEquations, equations_by_window, sums_by_group
from pct.rollout.engine import EngineName
from pct.rollout.history import make_history_rollout
from pct.types import Array, Float, Int, WholeWindows
from pct.windows.window_set import WindowSet

# Windows whose derivatives are in memory at once, and the multiple that vector units need.
CHUNK, LANES = 256, 32


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
        native: the same in native code; None where JAX computes all.
        fallback: why native code is not used, where somebody may expect it.
        made: makes the functions anew, in another process.
    """

    spec: ModelSpec
    channels: tuple[int, ...]
    free: int
    errors: Callable[..., Float[Array, "C T B"]]
    normal: Callable[..., NormalEquations]
    gains: Callable[..., Array] | None = None
    part: int | None = None
    native: NativeErrors | None = None
    fallback: str = ""
    made: Callable[[], RolloutErrors] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        # Compiled functions are not pickled, what they are made of is.
        return _made_again, (self.made, self.spec, self.part)


def _made_again(made: Callable[[], RolloutErrors], spec: ModelSpec, part: int | None) -> RolloutErrors:
    return dataclasses.replace(made(), spec=spec, part=part)


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
    engine: EngineName = "auto",
    dtype: Any = np.float32,
) -> RolloutErrors:
    """Errors of a model's rollouts.

    Args:
        spec: the model, with its bounds.
        base_params: all parameters and ``dt``, from `ModelSpec.base_params`.
        history: rows before a window's start.
        integrator, substeps: how a time step is integrated.
        compare: names of the states whose errors count; all when left out.
        free_start: whether the compared states are fitted at each window's start, too.
        engine: ``native``, ``jax``, or ``auto``: native code where the model and the machine allow it.
        dtype: precision of the logs that native code is for; others go to JAX.

    Raises:
        UsageError: ``compare`` names no state, free starts with an observer, which estimates them itself, or
            native code is asked for and cannot be had.
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
        jacobian = jnp.stack([change[i] for i in channels])
        if free:
            first = jnp.broadcast_to(unit[size:, None, :, None], (len(free), 1, count, error.shape[2]))
            jacobian = jnp.concatenate([first, jacobian], axis=1)
        return equations_by_window(error, jacobian / sigma[:, None, None, None], weight, size)

    @jax.jit
    def gains(raw: Array, windows: WholeWindows, noise: Mapping[str, Array]) -> Array:
        assert roll.gains is not None
        return roll.gains({**unflatten_params(bounds.to(raw), keys, shapes), **noise}, windows)

    options: Any = {"integrator": integrator, "substeps": substeps, "channels": channels, "free": free}
    dtype = jax.dtypes.canonicalize_dtype(dtype)
    native, fallback = native_errors(engine, spec, base_params, **options, dtype=dtype)
    own_gains = gains if observes(spec) else None
    made = partial(
        make_rollout_errors,
        spec,
        base_params,
        history,
        integrator=integrator,
        substeps=substeps,
        compare=compare,
        free_start=free_start,
        engine=engine,
        dtype=dtype,
    )
    return RolloutErrors(
        spec, channels, len(free), errors, normal, own_gains, native=native, fallback=fallback, made=made
    )


def all_windows(
    errors: RolloutErrors, windows: WindowSet, numbers: Int[np.ndarray, " W"]
) -> AllWindows | NativeWindows:
    """Errors of the windows of these numbers, in their order along the drives."""
    dtype = jax.dtypes.canonicalize_dtype(windows.store.states.dtype)
    if errors.native is not None and errors.native.code.dtype == dtype:
        return native_windows(errors.native, windows, numbers)
    return AllWindows(errors, windows, numbers)


def part_size(count: int) -> int:
    """Windows that are computed at once, of so many in all."""
    return count if count <= LANES else min(CHUNK, LANES * -(-count // (2 * LANES)))


class AllWindows:
    """Errors of all windows of a fit by JAX, in parts of equal size; arguments and results are on the host.

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
