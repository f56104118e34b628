"""The filter in native code: one compiled file a model and choice of parameters."""

from __future__ import annotations

import ctypes
import hashlib
from functools import lru_cache
from importlib import resources
from typing import Any, NamedTuple

import numpy as np

from pct.dynamics.core import ModelSpec
from pct.rollout.integration import TABLEAUS
from pct.rollout.native.code import generator
from pct.rollout.native.compiler import load_library
from pct.rollout.native.trace import describe, trace
from pct.tracking.equations import Layout, generate
from pct.tracking.problem import GRACE, LONGEST_GAP, RECENT, SPACING, Levels, Problem
from pct.types import Float

_FOLDER = resources.files("pct.tracking")
_PARTS = ("scalar.h", "tracker.h", "entry.h")


class Code(NamedTuple):
    """A compiled filter.

    Attributes:
        library: with the functions of ``entry.h``.
        names: entries of the parameters.
        layout: what it filters.
    """

    library: ctypes.CDLL
    names: tuple[tuple[str, int], ...]
    layout: Layout


@lru_cache(maxsize=16)
def compiled(spec: ModelSpec, layout: Layout) -> Code:
    """Compiled code of a filter, from the cache or fresh.

    Raises:
        NotSupported: the equations use something that no code can be generated for.
        NoCompiler: the machine cannot compile.
    """
    equations = trace(spec)
    made_of = map(read_part, (*_PARTS, "equations.py"))
    tables = spec.lane_rates.held, spec.angle_mask.tolist(), layout, [row.name for row in spec.hidden]
    facts = "tracker", describe(equations), tables, len(spec.states), generator(), *made_of
    key = hashlib.sha256(repr(facts).encode()).hexdigest()
    library = load_library(key, lambda: make_source(spec, layout), None)
    for name in ("pct_tracker_size", "pct_settings_size", "pct_estimate_size", "pct_slots"):
        getattr(library, name).restype = ctypes.c_int64
    return Code(library, tuple(equations.names), layout)


def make_source(spec: ModelSpec, layout: Layout) -> str:
    """The whole source for Python."""
    scalar, tracker, entry = map(read_part, _PARTS)
    return "\n".join(
        ["#include <cmath>", scalar, "using std::isnan;", generate(spec, trace(spec), layout), tracker, entry]
    )


def read_part(name: str) -> str:
    """A part of the source that is the same for all models."""
    return (_FOLDER / name).read_text()


class Fields(NamedTuple):
    """Fields of ``Settings`` in ``tracker.h``, in order, flat."""

    params: np.ndarray
    tableau: np.ndarray
    longest: np.ndarray
    reading: np.ndarray
    process: np.ndarray
    first: np.ndarray
    share: np.ndarray
    prior_mean: np.ndarray
    prior_var: np.ndarray
    low: np.ndarray
    high: np.ndarray
    wander: np.ndarray
    held_mean: np.ndarray
    held_cov: np.ndarray
    jumps: np.ndarray
    huber: np.ndarray
    spacing: np.ndarray
    grace: np.ndarray
    recent: np.ndarray
    longest_gap: np.ndarray


def fields(problem: Problem, levels: Levels, names: tuple[tuple[str, int], ...], layout: Layout) -> Fields:
    """The numbers of a call."""
    spec, tableau = problem.spec, TABLEAUS[problem.integrator]
    shapes = spec.param_shapes
    flat = {
        name: np.ravel(np.broadcast_to(problem.params[name], shapes.get(name, ())))
        for name in dict.fromkeys(name for name, _ in names)
    }
    rows = [np.pad(row, (0, layout.stages - len(row))) for row in (*tableau.stages, tableau.weights)]
    reading = [levels.reading[name] ** 2 for name in problem.names[: layout.read]]
    first = [*reading, *(levels.process[n] ** 2 for n in problem.names[layout.read :])]
    priors = np.array([problem.prior(name) for name in layout.varying]).reshape(-1, 4)
    return Fields(
        *(
            np.ravel(np.asarray(values, float))
            for values in (
                [*(flat[name][entry] for name, entry in names), 0.0],
                rows,
                problem.longest,
                reading,
                [levels.process[name] ** 2 for name in problem.names],
                first,
                problem.shares(),
                *priors.T,
                [levels.wander.get(name, 0.0) ** 2 for name in layout.varying],
                [float(problem.params[name]) for name in layout.held] or [0.0],
                problem.covariance if layout.held else [0.0],
                levels.jumps,
                levels.huber,
                SPACING,
                GRACE,
                RECENT,
                LONGEST_GAP,
            )
        )
    )


class Filtered(NamedTuple):
    """What a car can know after each row of N, for V varying parameters; logarithms where these count.

    Attributes:
        middle, low, high: median and ends of the 95 % band, (N, V).
        mean, deviation: of the mixture, (N, V).
        recent: probability of a change within `RECENT`, (N, V).
        told: from 0, where the drive tells nothing, to 1, (N, V).
        likelihood: logarithm, of each row given those before, (N,).
        labels: rows that were read when each hypothesis was born; -1 the start, -2 none, (N, K).
        which: parameter that changed then, (N, K).
        weights: (N, K).
        means, covariances: of the varying parameters, (N, K, V), (N, K, V, V).
    """

    middle: np.ndarray
    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    recent: np.ndarray
    told: np.ndarray
    likelihood: np.ndarray
    labels: np.ndarray
    which: np.ndarray
    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray


class NativeFilter:
    """The filter with its numbers, and its memory, which does not grow."""

    def __init__(self, problem: Problem, levels: Levels) -> None:
        """Compile, or take the compiled code from the cache.

        Raises:
            NotSupported, NoCompiler: see `compiled`.
        """
        stages = len(TABLEAUS[problem.integrator].weights)
        self.code = compiled(problem.spec, problem.layout(stages))
        self.vary = len(problem.vary)
        self._library = self.code.library
        self._memory = np.zeros(self._library.pct_tracker_size(), np.uint8)
        self._out = np.zeros(self._library.pct_estimate_size() // 8)
        self._y = np.zeros(len(problem.spec.states))
        self._u = np.zeros(max(1, len(problem.spec.controls)))
        self._update = self._library.pct_update
        self._update.restype = None
        self._update.argtypes = [ctypes.c_void_p, ctypes.c_double, *[ctypes.c_void_p] * 3]
        self._places = [array.ctypes.data for array in (self._memory, self._y, self._u, self._out)]
        self.set(problem, levels)

    def set(self, problem: Problem, levels: Levels) -> None:
        """Begin anew with other numbers."""
        numbers = np.concatenate(fields(problem, levels, self.code.names, self.code.layout))
        assert numbers.nbytes == self._library.pct_settings_size(), (
            numbers.nbytes,
            self._library.pct_settings_size(),
        )
        self._library.pct_begin(ctypes.c_void_p(self._places[0]), ctypes.c_void_p(numbers.ctypes.data))

    def update(self, t: float, state: Any, control: Any) -> np.ndarray:
        """The estimate after a row, as of `Filtered` side by side; overwritten by the next one."""
        self._y[:] = state
        self._u[:] = control
        memory, y, u, out = self._places
        self._update(memory, t, y, u, out)
        return self._out

    def track(
        self,
        t: Float[np.ndarray, " N"],
        y: Float[np.ndarray, "N S"],
        u: Float[np.ndarray, "N C"],
        *,
        hypotheses: bool = True,
    ) -> Filtered:
        """All rows of a drive, from where the filter stands."""
        rows, slots, V = len(t), self.code.layout.slots, self.vary
        t, y, u = (np.ascontiguousarray(array, float) for array in (t, y, u))
        out = np.zeros((rows, len(self._out)))
        kept = rows if hypotheses else 0
        labels, which = np.zeros((kept, slots), np.int64), np.zeros((kept, slots), np.int32)
        weights, means = np.zeros((kept, slots)), np.zeros((kept, slots, V))
        covariances = np.zeros((kept, slots, V, V))
        arrays = [t, y, u, out, *((labels, which, weights, means, covariances) if hypotheses else ())]
        places = [ctypes.c_void_p(array.ctypes.data) for array in arrays]
        places += [ctypes.c_void_p(None)] * (9 - len(places))
        self._library.pct_track(ctypes.c_void_p(self._places[0]), ctypes.c_int64(rows), *places)
        middle, low, high, mean, deviation, recent, told = np.split(out[:, :-1], 7, axis=1)
        numbers = middle, low, high, mean, deviation, recent, told, out[:, -1]
        return Filtered(*numbers, labels, which, weights, means, covariances)
