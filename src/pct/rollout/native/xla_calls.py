"""The functions of JAX that call a model's native code, by way of `jax.ffi`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pct.dynamics.core import ModelSpec
from pct.rollout.native.code import Code
from pct.types import Array

_REGISTERED: set[str] = set()


class Kernel(Code):
    """Native code that is called inside JAX's compiled functions."""

    def __init__(self, spec: ModelSpec, integrator_name: str, keys: Sequence[str]) -> None:
        """Make the code and register it with XLA; arguments and errors as of `Code`."""
        super().__init__(spec, integrator_name, keys, xla=True)
        self._targets = {what: f"pct_{what}_{self.key[:32]}" for what in ("loss", "rollout")}
        for what, target in self._targets.items():
            _register(target, getattr(self.library, f"pct_{what}"))

    def states(self, answers: Array, fixed: Array, start: Array, controls: Array, substeps: int) -> Array:
        """States after each step, (B, T, S).

        Args:
            answers: (B, L), entries of `keys`, arrays row by row.
            fixed: from `fixed`.
            start: (B, X), hidden states last.
            controls: (B, T, C).
            substeps: equal parts of a time step.
        """
        windows, steps = controls.shape[:2] if controls.ndim == 3 else (len(start), 0)
        settings = np.array([substeps, steps], np.int32)
        result = jax.ShapeDtypeStruct((windows, steps, len(self.spec.states)), jnp.float32)
        call = jax.ffi.ffi_call(self._targets["rollout"], result, vmap_method="sequential")
        return call(answers, fixed, start, controls, settings)

    def pull_back(
        self, answers: Array, fixed: Array, start: Array, controls: Array, substeps: int, cotangents: Array
    ) -> tuple[Array, Array, Array]:
        """Gradients by answers, start and controls; cotangents are (B, T, S)."""
        settings = np.array([substeps, controls.shape[1]], np.int32)
        results = tuple(jax.ShapeDtypeStruct(x.shape, jnp.float32) for x in (answers, start, controls))
        call = jax.ffi.ffi_call(self._targets["rollout"], results, vmap_method="sequential")
        by_answers, by_start, by_controls = call(answers, fixed, start, controls, settings, cotangents)
        return by_answers, by_start, by_controls

    def loss(
        self,
        answers: Array,
        fixed: Array,
        start: Array | None,
        controls: Array,
        targets: Array,
        weights: Array,
        comparison: Array,
        substeps: int,
        *,
        rows: Array | None = None,
        gradient: bool = True,
    ) -> tuple[Array, Array]:
        """Loss of each window, (B,), as `pct.dynamics.losses` has it, and gradient by the answers, (B, L).

        Args:
            answers, fixed: as for `states`.
            start, controls, targets: (B, X), (B, T, C) and (B, T, S); with ``rows`` no start, and those of
                all recordings, (N, C) and (N, S).
            weights: (B, T).
            comparison: from `comparison`.
            substeps: equal parts of a time step.
            rows: first row of each window, (B,); the window starts there, and is seen from its first pose.
            gradient: whether it is wanted.
        """
        windows = weights.shape[0]
        settings = np.array([substeps, rows is not None], np.int32)
        rows = np.zeros(0, np.int32) if rows is None else rows
        start = np.zeros(0, np.float32) if start is None else start
        results = (
            jax.ShapeDtypeStruct((windows,), jnp.float32),
            jax.ShapeDtypeStruct(answers.shape if gradient else (0,), jnp.float32),
        )
        call = jax.ffi.ffi_call(self._targets["loss"], results, vmap_method="sequential")
        by_window, by_answers = call(
            answers, fixed, start, controls, settings, targets, rows, weights, comparison
        )
        return by_window, by_answers


def _register(target: str, function: Any) -> None:
    if target not in _REGISTERED:
        jax.ffi.register_ffi_target(target, jax.ffi.pycapsule(function), platform="cpu")
        _REGISTERED.add(target)
