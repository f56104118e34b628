"""Errors of all windows of a fit by native code: what `AllWindows` does by JAX, without compiling a shape.

Rows are read where the store has them. What is kept by window are the filter's gains alone.
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
        self._gains: np.ndarray | None = None

    def refresh(self, raw: np.ndarray, noise: Mapping[str, Any]) -> None:
        """Let the observer begin windows as raw parameters (P,) and the filter's parameters have it."""
        self._gains, self._noise = self._all_gains(self._bounds.on_host(raw)[0], noise), noise

    def errors(self, raw: np.ndarray, offsets: np.ndarray) -> Float[np.ndarray, "C T W"]:
        """Errors at raw parameters (P,) and offsets of the starts (K, W)."""
        values = self._bounds.on_host(raw)[0]
        params, gains = self._code.parameters(values, self._noise), self._known_gains(values)
        out = np.empty((self._code.channels, self._log.horizon + (1 if self._free else 0), len(self._rows)))

        def one(part: np.ndarray) -> None:
            rows, to = self._rows[part], out[..., _span(part)]
            self._code.errors(params, self._log, rows, offsets[:, part], _of(gains, part), to)

        _map(one, _parts(np.arange(len(self._rows))))
        return out

    def states(self, values: Float[np.ndarray, " P"]) -> Float[np.ndarray, "C T W"]:
        """The compared states themselves with these parameters."""
        params, none = self._code.parameters(values), np.zeros((0, PART))
        out = np.empty((self._code.channels, self._log.horizon, len(self._rows)))

        def one(part: np.ndarray) -> None:
            rows, to = self._rows[part], out[..., _span(part)]
            gains = self._gains_at(values, rows) if self._filtered else None
            self._code.errors(params, self._log, rows, none[:, : len(part)], gains, to, plain=True)

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

        def one(part: np.ndarray) -> tuple[np.ndarray, ...]:
            known, local = np.unique(groups[part], return_inverse=True)
            given: Any = {"slopes": slopes, "sigma": sigma, "huber": huber, "groups": local}
            sums = self._code.normal(
                params, self._log, self._rows[part], offsets[:, part], _of(gains, part), **given
            )
            return known, *sums

        size = len(slopes)
        matrix = np.zeros((size, size, count))
        by_window = []
        with np.errstate(invalid="ignore"):  # windows that diverge
            for known, own, *rest in _map(one, _parts(np.flatnonzero(accepted))):
                matrix[..., known] += own.transpose(1, 2, 0)
                by_window.append(rest)
        gradient, by_start = (np.concatenate(part, axis=-1) for part in zip(*by_window, strict=True))
        return NormalEquations(
            matrix=matrix,
            gradient=gradient[:size],
            cross=by_start[:size],
            block=by_start[size:],
            start_gradient=gradient[size:],
        )

    def _known_gains(self, values: np.ndarray) -> np.ndarray | None:
        if self._filtered and self._gains is None:
            return self._all_gains(values, {})
        return self._gains

    def _all_gains(self, values: np.ndarray, noise: Mapping[str, Any]) -> np.ndarray:
        code, uncertain = self._code, self._uncertainty(values, noise)
        if not uncertain.reading > 0:
            return _same_gains(uncertain)
        gains = np.empty(0) if self._gains is None else self._gains
        if gains.ndim != 4:
            gains = np.empty((len(self._rows), self._log.history, *uncertain.plain.shape), code.dtype)
        params = code.parameters(values, noise)

        def one(part: np.ndarray) -> None:
            code.gains(params, self._log, self._rows[part], uncertain, gains[_span(part)])

        # In the place of the former ones: they are the largest array of a fit.
        _map(one, _parts(np.arange(len(self._rows))))
        return gains

    def _gains_at(self, values: np.ndarray, rows: Int[np.ndarray, " B"]) -> np.ndarray:
        """(B, H, N, M); where the noise of readings is zero, the same (N, M) in all rows."""
        code, uncertain = self._code, self._uncertainty(values, {})
        if not uncertain.reading > 0:
            return _same_gains(uncertain)
        gains = np.empty((len(rows), self._log.history, *uncertain.plain.shape), code.dtype)
        return code.gains(code.parameters(values), self._log, rows, uncertain, gains)

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


def _of(gains: np.ndarray | None, part: Int[np.ndarray, " B"]) -> np.ndarray | None:
    """Those of some windows."""
    if gains is None or gains.ndim == 2:
        return gains
    return gains[_span(part)] if len(part) == part[-1] - part[0] + 1 else gains[part]


def _map(function: Callable[[np.ndarray], Any], parts: Sequence[np.ndarray]) -> list[Any]:
    """A function of each part; two at a time where there are two cores."""
    if len(parts) == 1 or cores() == 1:
        return [function(part) for part in parts]
    with ThreadPoolExecutor(max_workers=2) as pool:
        return list(pool.map(function, parts))
