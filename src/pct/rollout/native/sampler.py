"""Rollouts of many control sequences from one state, as sampling controllers (MPPI) ask for them.

Forward only, in single precision, on NumPy arrays, without JAX and on the calling thread; Python's lock is
released during a call, so that several threads can share a batch.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

import numpy as np

from pct.dynamics.core import ModelSpec
from pct.errors import UsageError
from pct.rollout.native.code import Code, comparison
from pct.types import Float

# The fields of `Call` in rollout.h, in order.
NUMBERS = (("windows", ctypes.c_int64), ("steps", ctypes.c_int64), ("substeps", ctypes.c_int32))
FLAGS = (("localise", ctypes.c_int32), ("shared", ctypes.c_int32))
POINTERS = (
    "answers", "fixed", "start", "controls", "rows", "targets", "weights", "comparison", "cotangents",
    "states", "loss", "by_answers", "by_start", "by_controls",
)  # fmt: skip


class _Call(ctypes.Structure):
    _fields_ = [*NUMBERS, *FLAGS, *((name, ctypes.c_void_p) for name in POINTERS)]


class Rollout:
    """A model with constant parameters, rolled out natively.

    Examples:
        >>> from pct.dynamics import MODEL_SPECS
        >>> from pct.rollout.native.compiler import NoCompiler
        >>> try:
        ...     car = Rollout(MODEL_SPECS["unicycle"], dt=0.1)
        ...     print(car.states(np.array([0.0, 0.0, 0.0, 2.0]), np.zeros((1, 3, 2)))[0, :, 0].round(3))
        ... except NoCompiler:
        ...     print("[0.2 0.4 0.6]")
        [0.2 0.4 0.6]
    """

    def __init__(
        self,
        spec: ModelSpec,
        params: Mapping[str, Any] | None = None,
        *,
        dt: float,
        integrator_name: str = "rk4",
        substeps: int = 1,
    ) -> None:
        """Compile, or take the compiled code from the cache.

        Args:
            spec: the model.
            params: values of parameters that are not at their defaults.
            dt: time step in s.
            integrator_name: key of `pct.rollout.integration.TABLEAUS`.
            substeps: equal parts of a time step.

        Raises:
            UsageError: an unknown parameter.
            NotSupported, NoCompiler: see `pct.rollout.native.code.Code`.
        """
        self._code = Code(spec, integrator_name, (), xla=False)
        self._spec, self._library = spec, self._code.library
        self._substeps, self._dt = substeps, dt
        self.set(params or {})
        size = self._library.pct_call_size
        size.restype = ctypes.c_int64
        assert size() == ctypes.sizeof(_Call)

    def set(self, params: Mapping[str, Any]) -> None:
        """Take other parameters, at once: nothing is compiled.

        Args:
            params: values of parameters that are not at their defaults.

        Raises:
            UsageError: an unknown parameter.
        """
        for name in params:
            self._spec.parameter(name)
        values = {**self._spec.default_params, **params, "dt": self._dt}
        self._fixed = self._code.fixed(values, self._substeps)

    def states(
        self, start: Float[np.ndarray, " X"], controls: Float[np.ndarray, "K T C"]
    ) -> Float[np.ndarray, "K T S"]:
        """States after each step, from one start (hidden states last), in the model's units.

        Raises:
            UsageError: shapes that are not those of the model.
        """
        start, controls = self._checked(start, controls)
        count, steps, _ = controls.shape
        states = np.empty((count, steps, len(self._spec.states)), np.float32)
        self._run(start=start, controls=controls, states=states)
        return states

    def costs(
        self,
        start: Float[np.ndarray, " X"],
        controls: Float[np.ndarray, "K T C"],
        reference: Float[np.ndarray, "T S"],
        scales: Float[np.ndarray, " S"] | None = None,
        weights: Float[np.ndarray, " T"] | None = None,
    ) -> Float[np.ndarray, " K"]:
        """Distance of each rollout from a reference, without keeping the rollouts.

        The sum over steps and states of ``weight * ((state - reference) / scale)^2``, angles the short way
        round; NaN for a rollout that diverges.

        Args:
            start: first state, hidden ones last.
            controls: over each step.
            reference: wanted state after each step.
            scales: deviation that costs one, in each state's unit; infinite for a state that does not count.
                The model's when left out.
            weights: of the steps, none below zero; one each when left out.

        Raises:
            UsageError: shapes that are not those of the model, weights or scales that mean nothing.
        """
        start, controls = self._checked(start, controls)
        count, steps, _ = controls.shape
        shape = steps, len(self._spec.states)
        scales = self._spec.scales if scales is None else scales
        weights = np.ones(steps) if weights is None else weights
        reference, weights, scales = (
            _as_single(name, value, wanted)
            for name, value, wanted in (
                ("reference", reference, shape),
                ("weights", weights, shape[:1]),
                ("scales", scales, shape[1:]),
            )
        )
        if not (scales > 0).all():
            raise UsageError(f"`scales`: expected numbers above zero, got {scales}")
        if not (weights >= 0).all():
            raise UsageError(f"`weights`: expected numbers of zero or more, got {weights}")
        costs = np.empty(count, np.float32)
        compared = comparison(self._spec.angle_mask, scales)
        self._run(
            start=start,
            controls=controls,
            targets=reference,
            weights=weights,
            comparison=compared,
            loss=costs,
        )
        # Native code takes the mean over steps and states.
        return costs * np.float32(weights.sum() * shape[1])

    def _checked(self, start: np.ndarray, controls: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        size = len(self._spec.states) + len(self._spec.hidden)
        actual = np.shape(controls)
        wanted = (*(actual[:2] if len(actual) == 3 else ("K", "T")), len(self._spec.controls))
        return _as_single("start", start, (size,)), _as_single("controls", controls, wanted)

    def _run(self, **arrays: np.ndarray) -> None:
        controls = arrays["controls"]
        numbers = {"windows": len(controls), "steps": controls.shape[1], "substeps": self._substeps}
        pointers = {name: array.ctypes.data for name, array in arrays.items()}
        call = _Call(**numbers, shared=1, fixed=self._fixed.ctypes.data, **pointers)
        self._library.pct_run(ctypes.byref(call))


def _as_single(name: str, value: np.ndarray, shape: tuple[Any, ...]) -> np.ndarray:
    if np.shape(value) != shape:
        wanted = ", ".join(map(str, shape))
        raise UsageError(f"`{name}`: expected shape ({wanted}), got {np.shape(value)}")
    return np.ascontiguousarray(value, np.float32)
