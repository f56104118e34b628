"""Errors of all windows of a fit by native code: what `AllWindows` does by JAX, without compiling a shape.

Rows are read where the store has them. What is kept by window are the filter's gains alone, of the first
windows: those of the others are computed at each call, so that memory does not grow with a drive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from pct.dynamics.bounds import Bounds
from pct.dynamics.core import ModelSpec, unflatten_params
from pct.interpreter import cores
from pct.measurement.filter import Uncertainty, filters, uncertainty
from pct.optimization.constants.normal_equations import NormalEquations
from pct.rollout.engine import EngineName, fallback_reason, require_cpu
from pct.rollout.native.compiler import NoCompiler
from pct.rollout.native.graph import NotSupported
from pct.rollout.native.sensitivities import Log, Sensitivities
from pct.types import Float, Int
from pct.windows.window_set import WindowSet

# Windows of one call: two threads share a fit from so many on, and the order of sums does not depend on them.
PART = 256
# Bytes of gains that are kept: some 70,000 windows of the usual history.
KEPT = 256 << 20


class NativeErrors(NamedTuple):
    """Native code of a fit.

    Attributes:
        code: of the model and what of it is compared.
        spec: the model.
        base: all parameters and ``dt``, by name.
        free: number of free states of a start.
    """

    code: Sensitivities
    spec: ModelSpec
    base: Mapping[str, Any]
    free: int


def native_errors(
    engine: EngineName, spec: ModelSpec, base_params: Mapping[str, Any], **options: Any
) -> tuple[NativeErrors | None, str]:
    """Native code of a fit, or None and why not; empty where nobody expects it.

    Args:
        engine: ``auto`` is ``native`` where the model and the machine allow it, else ``jax``.
        spec, base_params, options: as of `Sensitivities`.

    Raises:
        UsageError: ``native``, and the model or the machine does not allow it.
    """
    if engine == "jax":
        return None, ""
    try:
        require_cpu()
        code = Sensitivities(spec, base_params, **options)
    except (NoCompiler, NotSupported) as error:
        return None, fallback_reason(engine, spec, error)
    return NativeErrors(code, spec, base_params, len(options["free"])), ""


class Gains(NamedTuple):
    """The filter's gains at some parameters.

    Attributes:
        params: as of `Sensitivities.parameters`.
        uncertain: of the filter.
        kept: of the first windows, (K, H, N, M); where readings have no noise the same in all rows, (N, M).
    """

    params: np.ndarray
    uncertain: Uncertainty
    kept: np.ndarray


class NativeWindows:
    """`pct.optimization.constants.rollout_errors.AllWindows` by native code.

    Windows of a model with the filter have their gains from `refresh`; without it, those at the values of a
    call.
    """

    def __init__(self, errors: NativeErrors, log: Log, rows: Int[np.ndarray, " W"]) -> None:
        self._code, self._spec, self._base, self._free = errors
        self._bounds, self._filtered = Bounds.of(self._spec), filters(self._spec)
        self._log, self._rows = log, rows
        self._noise: Mapping[str, Any] = {}
        self._gains: Gains | None = None

    def refresh(self, raw: np.ndarray, noise: Mapping[str, Any]) -> None:
        """Let the observer begin windows as raw parameters (P,) and the filter's parameters have it."""
        former, self._noise = self._gains, noise
        gains = self._gains_at(self._bounds.on_host(raw)[0], noise)
        self._gains = gains
        if not gains.uncertain.reading > 0:
            return
        size = np.prod(shape := (self._log.history, *gains.uncertain.plain.shape)) * self._code.dtype.itemsize
        count = min(len(self._rows), KEPT // int(size))
        # In the place of the former ones: they are the largest array of a fit.
        keeps = former is not None and former.kept.ndim == 4 and len(former.kept) == count
        kept = former.kept if former is not None and keeps else np.empty((count, *shape), self._code.dtype)
        _map(lambda part: self._compute(gains, part, kept[_span(part)]), _parts(np.arange(count)))
        self._gains = gains._replace(kept=kept)

    def errors(self, raw: np.ndarray, offsets: np.ndarray) -> Float[np.ndarray, "C T W"]:
        """Errors at raw parameters (P,) and offsets of the starts (K, W), in the precision of the code."""
        values = self._bounds.on_host(raw)[0]
        params, gains = self._code.parameters(values, self._noise), self._known_gains(values)
        shape = self._code.channels, self._log.horizon + (1 if self._free else 0), len(self._rows)
        out = np.empty(shape, self._code.dtype)

        def one(part: np.ndarray) -> None:
            rows, to = self._rows[part], out[..., _span(part)]
            self._code.errors(params, self._log, rows, offsets[:, part], self._of(gains, part), to)

        _map(one, _parts(np.arange(len(self._rows))))
        return out

    def states(self, values: Float[np.ndarray, " P"]) -> Float[np.ndarray, "C T W"]:
        """The compared states themselves with these parameters."""
        params, none = self._code.parameters(values), np.zeros((0, PART))
        gains = self._gains_at(values, {}) if self._filtered else None
        out = np.empty((self._code.channels, self._log.horizon, len(self._rows)), self._code.dtype)

        def one(part: np.ndarray) -> None:
            rows, to, own = self._rows[part], out[..., _span(part)], self._of(gains, part)
            self._code.errors(params, self._log, rows, none[:, : len(part)], own, to, plain=True)

        _map(one, _parts(np.arange(len(self._rows))))
        return out

    def normal(
        self,
        raw: np.ndarray,
        offsets: np.ndarray,
        sigma: np.ndarray,
        accepted: np.ndarray,
        huber: float,
        groups: Int[np.ndarray, " W"] | None = None,
    ) -> NormalEquations:
        """Normal equations as of `AllWindows.normal`."""
        values, slopes = self._bounds.on_host(raw)
        params, gains = self._code.parameters(values, self._noise), self._known_gains(values)
        count = 1 if groups is None else int(groups.max()) + 1
        groups = np.zeros(len(self._rows), int) if groups is None else groups

        numbers, size = np.flatnonzero(accepted), len(slopes)
        matrix = np.zeros((size, size, count))
        gradient = np.empty((size + self._free, len(numbers)))
        by_start = np.empty((size + self._free, self._free, len(numbers)))

        def one(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            part, to = numbers[places], _span(places)
            known, local = np.unique(groups[part], return_inverse=True)
            given: Any = {"slopes": slopes, "sigma": sigma, "huber": huber, "groups": local}
            own, gradient[:, to], by_start[..., to] = self._code.normal(
                params, self._log, self._rows[part], offsets[:, part], self._of(gains, part), **given
            )
            return known, own

        with np.errstate(invalid="ignore"):  # windows that diverge
            for known, own in _map(one, _parts(np.arange(len(numbers)))):
                matrix[..., known] += own.transpose(1, 2, 0)
        return NormalEquations(
            matrix=matrix,
            gradient=gradient[:size],
            cross=by_start[:size],
            block=by_start[size:],
            start_gradient=gradient[size:],
        )

    def _known_gains(self, values: np.ndarray) -> Gains | None:
        if self._filtered and self._gains is None:
            return self._gains_at(values, {})
        return self._gains

    def _gains_at(self, values: np.ndarray, noise: Mapping[str, Any]) -> Gains:
        """Gains of which none are kept."""
        uncertain = self._uncertainty(values, noise)
        kept = np.empty((0, 0, 0, 0)) if uncertain.reading > 0 else _same_gains(uncertain)
        return Gains(self._code.parameters(values, noise), uncertain, kept)

    def _of(self, gains: Gains | None, part: Int[np.ndarray, " B"]) -> np.ndarray | None:
        """Those of some windows, (B, H, N, M) or (N, M); None without a filter."""
        if gains is None or gains.kept.ndim == 2:
            return None if gains is None else gains.kept
        if part[-1] < len(gains.kept):
            return gains.kept[_span(part)] if len(part) == part[-1] - part[0] + 1 else gains.kept[part]
        shape = len(part), self._log.history, *gains.uncertain.plain.shape
        return self._compute(gains, part, np.empty(shape, self._code.dtype))

    def _compute(self, gains: Gains, part: np.ndarray, out: np.ndarray) -> np.ndarray:
        return self._code.gains(gains.params, self._log, self._rows[part], gains.uncertain, out)

    def _uncertainty(self, values: np.ndarray, noise: Mapping[str, Any]) -> Uncertainty:
        spec = self._spec
        learned = unflatten_params(values, spec.param_keys, spec.full_shapes)
        known = {**self._base, **learned, **noise}
        return uncertainty(spec, known, self._base["dt"], self._code.dtype, np)


def _same_gains(uncertain: Uncertainty) -> np.ndarray:
    scale = uncertain.scale
    return np.asarray(uncertain.plain * (scale[:, None] / scale[: uncertain.plain.shape[1]]))


def log_of(windows: WindowSet, dtype: Any) -> Log:
    """The rows of windows, where they are."""
    states, controls = (
        np.ascontiguousarray(rows, dtype) for rows in (windows.store.states, windows.store.controls)
    )
    return Log(states, controls, windows.history, windows.horizon)


def native_windows(errors: NativeErrors, windows: WindowSet, numbers: Int[np.ndarray, " W"]) -> NativeWindows:
    """The windows of these numbers."""
    log = log_of(windows, errors.code.dtype)
    return NativeWindows(errors, log, windows.starts[numbers].astype(np.int64))


def _parts(numbers: Int[np.ndarray, " W"]) -> list[np.ndarray]:
    return np.split(numbers, range(PART, len(numbers), PART))


def _span(part: Int[np.ndarray, " B"]) -> slice:
    """Numbers without a gap as a slice."""
    return slice(int(part[0]), int(part[-1]) + 1) if len(part) else slice(0)


def _map(function: Callable[[np.ndarray], Any], parts: Sequence[np.ndarray]) -> list[Any]:
    """A function of each part; two at a time where there are two cores."""
    if len(parts) == 1 or cores() == 1:
        return [function(part) for part in parts]
    with ThreadPoolExecutor(max_workers=2) as pool:
        return list(pool.map(function, parts))
