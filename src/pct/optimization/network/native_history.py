"""The fit to histories in native code: what `HistoryFit` does by JAX, without compiling for any setting."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from pct.dynamics.bounds import Bounds
from pct.dynamics.core import ModelSpec, flatten_params
from pct.measurement.chain import effects_of
from pct.rollout.native.graph import NotSupported
from pct.rollout.native.sensitivities import Log, Sensitivities
from pct.types import Float

ITERATIONS = 2
# Precision of the prior that draws each unbounded parameter to its default. A channel's scale is some
# ten times its noise, so this stands for a standard deviation of about one on the unbounded axis.
PRIOR = 1e-2
# Longest move of an unbounded value in one iteration.
LONGEST_MOVE = 1.5
# Windows of one call; two threads share what is more.
PART = 256
# An error counts squared, however large it is.
SQUARED = 1e30
# Entries of a matrix beyond which a history cannot be fitted.
MOST = 1e20


class NativeHistoryFit:
    """Gauss-Newton with a prior on each history, as of `pct.optimization.network.history_fit`.

    Args:
        spec: the model.
        keys: its scalar parameters, in order.
        integrator_name: key of `pct.rollout.integration.INTEGRATORS`.
        substeps: equal parts of a time step.
        dt: time step in s.
        dtype: precision of the histories.

    Raises:
        NotSupported, NoCompiler: see `Sensitivities`.
    """

    def __init__(
        self,
        spec: ModelSpec,
        keys: tuple[str, ...],
        integrator_name: str,
        substeps: int,
        dt: float,
        dtype: object,
    ) -> None:
        x, y, _ = spec.pose_indices
        if effects_of(spec):
            raise NotSupported("a measurement")
        if spec.scales[x] != spec.scales[y]:
            # The code turns each history into the frame of its first row.
            raise NotSupported("other scales along x than along y")
        every = range(len(spec.states))
        spec = dataclasses.replace(spec, param_keys=keys)
        self._code = Sensitivities(
            spec,
            spec.base_params(dt),
            integrator=integrator_name,
            substeps=substeps,
            channels=every,
            free=every,
            dtype=dtype,
        )
        self._bounds = Bounds.of(spec)
        self._start = self._bounds.back(flatten_params(spec.default_params, keys, spec.full_shapes))
        self._scales = np.asarray(spec.scales, np.float64)

    def __call__(
        self, states: Float[np.ndarray, "B L S"], controls: Float[np.ndarray, "B H C"]
    ) -> Float[np.ndarray, "B K"]:
        """Estimates on the unbounded axis, then logarithms of their standard deviations."""
        count = len(states)
        parts = [slice(first, first + PART) for first in range(0, count, PART)]
        with ThreadPoolExecutor(max_workers=2) as pool:
            found = list(pool.map(lambda part: self._fit(states[part], controls[part]), parts))
        return np.concatenate(found).astype(self._code.dtype)

    def _fit(self, states: np.ndarray, controls: np.ndarray) -> np.ndarray:
        (batch, rows, size), known = states.shape, len(self._start)
        log = Log(
            np.ascontiguousarray(states, self._code.dtype).reshape(-1, size),
            # The last row's control acts after the history.
            np.ascontiguousarray(np.pad(controls, ((0, 0), (0, 1), (0, 0))), self._code.dtype).reshape(
                batch * rows, -1
            ),
            0,
            rows - 1,
        )
        starts = rows * np.arange(batch)
        prior = np.concatenate([np.full(known, PRIOR), np.zeros(size)])
        centre = np.concatenate([self._start, np.zeros(size)])
        z = np.tile(centre, (batch, 1))
        with np.errstate(invalid="ignore", over="ignore"):
            for _ in range(ITERATIONS):
                matrix, gradient = self._equations(z, log, starts)
                matrix = matrix + np.diag(prior)
                gradient = gradient + prior * (z - centre)
                sound = np.isfinite(gradient).all(axis=1) & (np.abs(matrix) < MOST).all(axis=(1, 2))
                matrix = np.where(sound[:, None, None], matrix, np.eye(len(prior)))
                # A history that cannot be fitted (a spin, an impact) keeps its value instead of spoiling it.
                inverse = _inverses(matrix)
                move = -np.einsum("bkl,bl->bk", inverse, np.where(sound[:, None], gradient, 0.0))
                move = np.where(np.isfinite(move).all(axis=1, keepdims=True), move, 0.0)
                z = z + np.clip(move, -LONGEST_MOVE, LONGEST_MOVE)
            variance = np.diagonal(inverse, axis1=1, axis2=2)[:, :known]
            told = sound[:, None] & np.isfinite(variance) & (variance > 0)
            log_std = 0.5 * np.log(np.where(told, variance, 1.0 / PRIOR))
        return np.concatenate([z[:, :known], log_std], axis=1)

    def _equations(self, z: np.ndarray, log: Log, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Matrix (B, U, U) and gradient (B, U) of the misfits alone, parameters first."""
        known = len(self._start)
        values, slopes = self._bounds.on_host(z[:, :known])
        offsets = (z[:, known:] * self._scales).T
        sums = self._code.normal(
            self._code.parameters(values),
            log,
            starts,
            offsets,
            None,
            slopes=np.ones(known),
            sigma=self._scales,
            huber=SQUARED,
            groups=np.arange(len(z)),
        )
        by_start = sums.by_start.transpose(2, 0, 1)
        matrix = np.concatenate(
            [np.concatenate([sums.matrix, by_start[:, :known].swapaxes(1, 2)], axis=1), by_start], axis=2
        )
        each = np.concatenate([slopes, np.tile(self._scales, (len(z), 1))], axis=1)
        return matrix * each[:, :, None] * each[:, None], sums.gradient.T * each


def _inverses(matrices: Float[np.ndarray, "B U U"]) -> Float[np.ndarray, "B U U"]:
    """The inverse of each; not a number where there is none."""
    try:
        return np.linalg.inv(matrices)
    except np.linalg.LinAlgError:
        if len(matrices) == 1:
            return np.full_like(matrices, np.nan)
        return np.concatenate([_inverses(matrix[None]) for matrix in matrices])
