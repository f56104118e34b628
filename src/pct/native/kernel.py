"""A model's native code and the functions of JAX that call it, by way of `jax.ffi`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pct.dynamics.core import ModelSpec
from pct.integration import TABLEAUS
from pct.native.codegen import Options, generate
from pct.native.compiler import load_library
from pct.native.trace import Equations, describe, trace
from pct.types import Array

_REGISTERED: set[str] = set()

PARTS = ("simd.h", "rollout.h", "ffi.h")
_FOLDER = resources.files("pct.native")


class Kernel:
    """Compiled rollouts of a model and their gradients, in single precision.

    Attributes:
        keys: names of the parameters that calls give by window, side by side in ``answers``.
    """

    def __init__(self, spec: ModelSpec, integrator_name: str, keys: Sequence[str]) -> None:
        """Generate, compile where the cache does not have it, and register with XLA.

        Args:
            spec: the model.
            integrator_name: key of `pct.integration.TABLEAUS`.
            keys: parameters that calls give by window.

        Raises:
            NotSupported: the equations use something that no code can be generated for.
            NoCompiler: the machine cannot compile.
        """
        self._spec, self.keys = spec, tuple(keys)
        self._equations = trace(spec)
        options = _options(spec, self._equations, integrator_name, self.keys)
        # Generating the source takes longer than reading the library, and a start waits for it.
        key = hashlib.sha256(repr((describe(self._equations), options, _generator())).encode()).hexdigest()
        self.library = load_library(key, lambda: make_source(self._equations, options), jax.ffi.include_dir())
        self._targets = {what: f"pct_{what}_{key[:32]}" for what in ("loss", "rollout")}
        for what, target in self._targets.items():
            _register(target, getattr(self.library, f"pct_{what}"))

    def fixed(self, base_params: Mapping[str, Any], substeps: int) -> np.ndarray:
        """All parameters as `Call.fixed` has them, and the length of a substep in s."""
        shapes = self._spec.param_shapes
        values = {
            name: np.broadcast_to(base_params[name], shapes.get(name, ())).ravel()
            for name in dict.fromkeys(name for name, _ in self._equations.names)
        }
        numbers = [values[name][entry] for name, entry in self._equations.names]
        return np.array([*numbers, base_params["dt"] / substeps], np.float32)

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
        result = jax.ShapeDtypeStruct((windows, steps, len(self._spec.states)), jnp.float32)
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
        start: Array,
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
            answers, fixed, start: as for `states`.
            controls, targets: (B, T, C) and (B, T, S); with ``rows`` those of all recordings, (N, C) and
                (N, S).
            weights: (B, T).
            comparison: from `comparison`.
            substeps: equal parts of a time step.
            rows: first row of each window, (B,); targets are then seen from the window's first pose.
            gradient: whether it is wanted.
        """
        windows = weights.shape[0]
        settings = np.array([substeps, rows is not None], np.int32)
        rows = np.zeros(0, np.int32) if rows is None else rows
        results = (
            jax.ShapeDtypeStruct((windows,), jnp.float32),
            jax.ShapeDtypeStruct(answers.shape if gradient else (0,), jnp.float32),
        )
        call = jax.ffi.ffi_call(self._targets["loss"], results, vmap_method="sequential")
        given = answers, fixed, start, controls, settings, targets, rows, weights, comparison
        by_window, by_answers = call(*given)
        return by_window, by_answers


def make_source(equations: Equations, options: Options, *, ffi: bool = True) -> str:
    """The whole C++ source of a model's kernel, with or without the entry points for XLA."""
    simd, driver, entry = ((_FOLDER / name).read_text() for name in PARTS)
    return "\n".join([simd, generate(equations, options), driver, *([entry] if ffi else [])])


def _options(spec: ModelSpec, equations: Equations, integrator_name: str, keys: Sequence[str]) -> Options:
    place = {name: i for i, name in enumerate(equations.names)}
    learned = [place[key, entry] for key in keys for entry in range(_size(spec, key))]
    return Options(
        tableau=TABLEAUS[integrator_name],
        shown=len(spec.states),
        learned=tuple(learned),
        pose=spec.pose_indices,
    )


@cache
def _generator() -> str:
    """Hash of what makes sources of equations, and of the interface that they are called by."""
    files = sorted((file.name, file.read_bytes()) for file in _FOLDER.iterdir() if file.is_file())
    return hashlib.sha256(repr((files, jax.__version__)).encode()).hexdigest()


def comparison(angle_mask: Any, scales: Any, huber: float | None = None) -> np.ndarray:
    """How states are compared, as `Call.comparison` has it; arguments as of the loss."""
    return np.array([*(1.0 / np.asarray(scales)), *np.asarray(angle_mask), huber or np.inf], np.float32)


def _size(spec: ModelSpec, key: str) -> int:
    return int(np.prod(spec.param_shapes.get(key, ())))


def _register(target: str, function: Any) -> None:
    if target not in _REGISTERED:
        jax.ffi.register_ffi_target(target, jax.ffi.pycapsule(function), platform="cpu")
        _REGISTERED.add(target)
