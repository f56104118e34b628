"""A model's native code: its C++ source, and the library that is compiled of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from pct.dynamics.core import ModelSpec
from pct.rollout.integration import TABLEAUS
from pct.rollout.native.codegen import Options, generate
from pct.rollout.native.compiler import load_library
from pct.rollout.native.trace import Equations, describe, trace

_FOLDER = resources.files("pct.rollout.native")


class Code:
    """Compiled rollouts of a model and their gradients, in single precision.

    Attributes:
        spec: the model.
        keys: names of the parameters that calls give by window, side by side in ``answers``.
        key: hash of all that the source depends on.
        library: with the functions of ``rollout.h`` and, for XLA, of ``ffi.h``.
    """

    def __init__(self, spec: ModelSpec, integrator_name: str, keys: Sequence[str], *, xla: bool) -> None:
        """Generate, and compile where the cache does not have it.

        Args:
            spec: the model.
            integrator_name: key of `pct.rollout.integration.TABLEAUS`.
            keys: parameters that calls give by window.
            xla: whether XLA calls it, too.

        Raises:
            NotSupported: the equations use something that no code can be generated for.
            NoCompiler: the machine cannot compile.
        """
        self.spec, self.keys = spec, tuple(keys)
        self._equations = trace(spec)
        options = _options(spec, self._equations, integrator_name, self.keys)
        include, version = None, None
        if xla:
            import jax

            # Its headers, whose version is compiled in.
            include, version = jax.ffi.include_dir(), jax.__version__
        # Generating the source takes longer than reading the library, and a start waits for it.
        facts = describe(self._equations), options, generator(), version
        self.key = hashlib.sha256(repr(facts).encode()).hexdigest()
        self.library = load_library(self.key, lambda: make_source(self._equations, options, xla=xla), include)

    def fixed(self, base_params: Mapping[str, Any], substeps: int) -> np.ndarray:
        """All parameters as `Call.fixed` has them, and the length of a substep in s."""
        shapes = self.spec.param_shapes
        values = {
            name: np.broadcast_to(base_params[name], shapes.get(name, ())).ravel()
            for name in dict.fromkeys(name for name, _ in self._equations.names)
        }
        numbers = [values[name][entry] for name, entry in self._equations.names]
        return np.array([*numbers, base_params["dt"] / substeps], np.float32)


def make_source(equations: Equations, options: Options, *, xla: bool) -> str:
    """The whole C++ source of a model, with or without the entry points for XLA."""
    after = ("rollout.h", "pool.h", "ffi.h") if xla else ("rollout.h",)
    return "\n".join(
        [*map(read_part, ("simd.h", "scratch.h")), generate(equations, options), *map(read_part, after)]
    )


def read_part(name: str) -> str:
    """A part of the sources that is the same for all models."""
    return (_FOLDER / name).read_text()


def comparison(angle_mask: Any, scales: Any, huber: float | None = None) -> np.ndarray:
    """How states are compared, as `Call.comparison` has it; arguments as of the loss."""
    return np.array([*(1.0 / np.asarray(scales)), *np.asarray(angle_mask), huber or np.inf], np.float32)


def _options(spec: ModelSpec, equations: Equations, integrator_name: str, keys: Sequence[str]) -> Options:
    place = {name: i for i, name in enumerate(equations.names)}
    learned = [
        place[key, entry] for key in keys for entry in range(int(np.prod(spec.param_shapes.get(key, ()))))
    ]
    return Options(
        tableau=TABLEAUS[integrator_name],
        shown=len(spec.states),
        learned=tuple(learned),
        pose=spec.pose_indices,
        held=spec.lane_rates.held,
    )


@cache
def generator() -> str:
    """Hash of what makes sources of equations, and of the interface that they are called by."""
    files = sorted((file.name, file.read_bytes()) for file in _FOLDER.iterdir() if file.is_file())
    return hashlib.sha256(repr(files).encode()).hexdigest()
