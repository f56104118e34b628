"""Features from the history: a Gauss-Newton fit of the parameters before each window.

A network that reads raw rows has to learn the physics from them and needs far more data.
So the model itself is fitted to the history: the parameters, and the state at its first row, such that the
rollout over the history matches the measurements. The estimate and its uncertainty are features; the network
learns how far to trust them.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pct.dynamics.bounds import Bounds
from pct.dynamics.core import ModelSpec, flatten_params, unflatten_params
from pct.dynamics.losses import channel_residual
from pct.optimization.chunks import in_chunks
from pct.optimization.network.native_history import ITERATIONS, LONGEST_MOVE, PRIOR, NativeHistoryFit
from pct.rollout.engine import EngineName, require_cpu
from pct.rollout.integration import choose_substeps, make_integrator, rollout
from pct.rollout.native.compiler import NoCompiler
from pct.rollout.native.graph import NotSupported
from pct.types import Array, Float

CHUNK = 512


class HistoryFit:
    """Features from the rows before a window; `pct.windows.window_set.HistoryFeatures`.

    Array parameters (matrices of learned models) stay at their defaults: they are too many for a
    history to identify.

    Attributes:
        names: name of each feature.
    """

    def __init__(
        self, spec: ModelSpec, integrator_name: str, substeps: int | None, engine: EngineName = "auto"
    ) -> None:
        """For a model and how it is integrated; in native code where the engine and the machine allow it."""
        self._spec, self._engine = spec, engine
        self._keys = tuple(key for key in spec.param_keys if not spec.full_shapes[key])
        self._integrator_name, self._substeps = integrator_name, substeps
        # Made once for training and validation data.
        self._compiled_fit = jax.jit(self._fit, static_argnames="dt")
        self._native = lru_cache(self._make_native)
        self.names = tuple(
            f"{part}_fit.{what}{key}"
            for part in ("history", "recent")
            for what in ("", "log_std.")
            for key in self._keys
        )

    def __call__(
        self, states: Float[Array, "B L S"], controls: Float[Array, "B H C"], dt: float
    ) -> Float[np.ndarray, "B K"]:
        """Fit every history, once whole and once its later half, which sees a change of surface first.

        Args:
            states: rows of the history and the window's first row, L = H + 1, in one frame a window.
            controls: control over each step of the history.
            dt: time step in s.

        Returns:
            Estimate of each scalar parameter on the unbounded axis, then the logarithm of its standard
            deviation there, of the whole history and of its later half; the default where a history
            cannot be fitted.
        """
        if not self._keys:
            return np.zeros((states.shape[0], 0), np.float32)
        later = controls.shape[1] // 2
        if (native := self._native(dt, np.dtype(states.dtype))) is not None:
            logged, given = np.asarray(states), np.asarray(controls)
            return np.concatenate(
                [native(logged, given), native(logged[:, later:], given[:, later:])], axis=-1
            )
        fit = partial(self._compiled_fit, dt=dt)

        def fit_both(rows: tuple[Array, Array]) -> np.ndarray:
            states, controls = rows
            return np.concatenate([fit(*rows), fit(states[:, later:], controls[:, later:])], axis=-1)

        return in_chunks(fit_both, (states, controls), CHUNK)

    def _make_native(self, dt: float, dtype: np.dtype[Any]) -> NativeHistoryFit | None:
        """Native code; None where JAX is to fit."""
        if self._engine == "jax":
            return None
        substeps = choose_substeps(dt, self._substeps)
        try:
            require_cpu()
            return NativeHistoryFit(self._spec, self._keys, self._integrator_name, substeps, dt, dtype)
        except (NoCompiler, NotSupported):
            return None  # the engine of the training says so

    def _fit(self, states: Array, controls: Array, *, dt: float) -> Array:
        """Gauss-Newton with a prior on all windows at once."""
        spec, keys = self._spec, self._keys
        shapes = {key: spec.full_shapes[key] for key in keys}
        integrator = make_integrator(self._integrator_name, choose_substeps(dt, self._substeps))
        bounds = Bounds.of(spec, keys)
        start = bounds.back(flatten_params(spec.default_params, keys, shapes))
        scales = jnp.asarray(spec.scales, states.dtype)
        batch, _, size = states.shape
        unknowns = size + len(keys)

        def residual(z: Array) -> Array:
            """Misfit of the first row's correction and of the rollout, in units of each scale."""
            offset = z[:, :size]
            values = bounds.to(z[:, size:])
            params: dict[str, Any] = {**spec.default_params, **unflatten_params(values, keys, shapes)}
            first = states[:, 0] + offset * scales
            predicted = rollout(spec.dynamics_fn, integrator, first, controls, params, dt)
            misfit = channel_residual(predicted, states[:, 1:], spec.angle_mask) / scales
            return jnp.concatenate([offset[:, None], misfit], axis=1).reshape(batch, -1)

        prior = jnp.concatenate([jnp.zeros(size), jnp.full(len(keys), PRIOR)]).astype(states.dtype)
        centre = jnp.concatenate([jnp.zeros(size), jnp.asarray(start)]).astype(states.dtype)
        directions = jnp.broadcast_to(
            jnp.eye(unknowns, dtype=states.dtype)[:, None], (unknowns, batch, unknowns)
        )

        def iterate(z: Array, _: None) -> tuple[Array, Array]:
            along = jax.vmap(lambda direction: jax.jvp(residual, (z,), (direction,)), out_axes=(None, 0))
            misfit, jacobian = along(directions)
            matrix = jnp.einsum("kbr,lbr->bkl", jacobian, jacobian) + jnp.diag(prior)
            gradient = jnp.einsum("kbr,br->bk", jacobian, misfit) + prior * (z - centre)
            move = -jnp.linalg.solve(matrix, gradient[..., None])[..., 0]
            # A history that cannot be fitted (a spin, an impact) keeps its value instead of spoiling it.
            move = jnp.where(jnp.isfinite(move).all(axis=1, keepdims=True), move, 0.0)
            return z + jnp.clip(move, -LONGEST_MOVE, LONGEST_MOVE), matrix

        z, matrices = jax.lax.scan(iterate, jnp.broadcast_to(centre, (batch, unknowns)), length=ITERATIONS)
        variance = jnp.diagonal(jnp.linalg.inv(matrices[-1]), axis1=1, axis2=2)[:, size:]
        sound = jnp.isfinite(variance) & (variance > 0)
        log_std = 0.5 * jnp.log(jnp.where(sound, variance, 1.0 / PRIOR))
        return jnp.concatenate([z[:, size:], log_std], axis=1)
