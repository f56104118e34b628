"""Errors of rollouts over windows of a log, their normal equations, and the filter's gains, in native code.

The same numbers as of `pct.rollout.history`, which is the reference. The code depends on the equations and
the precision alone: which parameters are learned, what is compared, horizon, history, integration and the
number of windows are arguments of a call. It runs on the calling thread, without JAX; Python's lock is
released.
"""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from pct.dynamics.core import ModelSpec
from pct.measurement.base import Layer
from pct.measurement.chain import effects_of
from pct.measurement.delay import Delay, share_slopes, taps
from pct.measurement.filter import EXPECTED, Uncertainty, filters, layout
from pct.measurement.observer import observes
from pct.rollout.integration import TABLEAUS
from pct.rollout.native.code import generator, read_part
from pct.rollout.native.compiler import load_library
from pct.rollout.native.graph import NotSupported
from pct.rollout.native.stages import generate_stages
from pct.rollout.native.trace import Equations, describe, trace
from pct.types import Float, Int

# Its loops are over vectors already: more optimisation takes twice the time to compile for a tenth of speed.
FLAGS = ("-O2",)
# The fields of `Call` in sensitivities.h, in order.
LONGS = ("windows", "history", "steps", "first", "stride")
INTS = (
    "substeps",
    "stages",
    "directions",
    "starts",
    "compared",
    "held",
    "estimated",
    "read",
    "logged",
    "plain",
)
SCALARS = ("dt", "huber", "expected", "noise")
POINTERS = (
    "params", "own_params", "tableau", "states", "controls", "rows", "pose", "angle", "held_places",
    "begin_place", "begin_share", "moved", "taps", "shares", "share_slopes", "observed", "gains",
    "same_gains", "offsets", "start_places", "compared_places", "entry", "control", "slope", "sigma",
    "uncertain", "groups", "errors", "matrix", "gradient", "by_start", "gains_out",
)  # fmt: skip
# Kinds of the arrays whose numbers are not of the precision of the code.
KINDS = {
    **dict.fromkeys(("rows", "groups"), np.int64),
    **dict.fromkeys(("matrix", "gradient", "by_start"), np.float64),
    **dict.fromkeys(
        (
            "pose", "angle", "held_places", "begin_place", "moved", "taps", "observed", "start_places",
            "compared_places", "entry", "control",
        ),
        np.int32,
    ),
}  # fmt: skip


class Log(NamedTuple):
    """Rows of a log, and the windows of it.

    Attributes:
        states: (N, S), contiguous and in the precision of the code.
        controls: (N, C), the same.
        history, horizon: rows before a window's start and after it.
    """

    states: Float[np.ndarray, "N S"]
    controls: Float[np.ndarray, "N C"]
    history: int
    horizon: int


class Sums(NamedTuple):
    """Normal equations, K free states of a start included; see `Sensitivities.normal`.

    Attributes:
        matrix: of each group, (G, P, P).
        gradient: of each window, starts last, (P + K, B).
        by_start: the rows of each window's matrix that belong to its start, (P + K, K, B).
    """

    matrix: np.ndarray
    gradient: np.ndarray
    by_start: np.ndarray


class Sensitivities:
    """Native code of a model over windows.

    Attributes:
        dtype: precision that it computes in.
        channels: number of compared states.
    """

    def __init__(
        self,
        spec: ModelSpec,
        base_params: Mapping[str, Any],
        *,
        integrator: str,
        substeps: int,
        channels: Sequence[int],
        free: Sequence[int],
        dtype: Any,
    ) -> None:
        """Compile, or take the compiled code from the cache.

        Args:
            spec: the model.
            base_params: all parameters and ``dt`` in s.
            integrator: key of `pct.rollout.integration.TABLEAUS`.
            substeps: equal parts of a time step.
            channels: positions of the compared states.
            free: of those that are fitted at the start, too: none or all.
            dtype: precision, that of the log.

        Raises:
            NotSupported: the equations use something that no code can be generated for, or the
                measurement has something that this has no code for.
            NoCompiler: the machine cannot compile.
        """
        self.dtype, self.channels, self._spec = np.dtype(dtype), len(channels), spec
        code = _code(spec, self.dtype == np.float64)
        self._library, names = code.library, code.names
        size = self._library.pct_call_size
        size.restype = ctypes.c_int64
        self._call_type = _call_type(self.dtype)
        assert size() == ctypes.sizeof(self._call_type)
        self._place = {name: i for i, name in enumerate(names)}
        self._dt = float(base_params["dt"])
        values = {name: np.ravel(np.broadcast_to(base_params[name], _shape(spec, name))) for name, _ in names}
        self._base = np.array([*(values[name][entry] for name, entry in names), self._dt / substeps])
        learned = [(name, entry) for name in spec.param_keys for entry in range(_size(spec, name))]
        self._learned = np.array([self._place[item] for item in learned], int)
        self._delays = _delays(spec)
        self._observed = observes(spec)
        self._numbers: dict[str, Any] = {"substeps": substeps, "dt": self._dt, "expected": EXPECTED}
        self._fixed: dict[str, np.ndarray] = {}
        controls = {self._place[name, 0]: control for control, name in self._delays.items()}
        own = [[int(i), controls.get(int(i), -1)] for i in self._learned]
        entry, control = np.array([*own, *[[-1, -1]] * len(free)], int).reshape(-1, 2).T
        self._set(entry=entry, control=control, compared_places=channels, start_places=free)
        self._numbers |= {"directions": len(entry), "starts": len(free), "compared": len(channels)}
        self._describe_model(integrator)

    def _describe_model(self, integrator: str) -> None:
        spec, tableau = self._spec, TABLEAUS[integrator]
        stages = len(tableau.weights)
        rows = [np.pad(row, (0, stages - len(row))) for row in (*tableau.stages, tableau.weights)]
        names = (*spec.state_names, *spec.control_names)
        hidden = [state for effect in effects_of(spec) for state in effect.hidden()]
        held = spec.lane_rates.held
        places = layout(spec) if self._observed else None
        observed = (*places.estimated, *places.logged) if places else ()
        self._set(
            tableau=rows,
            pose=spec.pose_indices,
            angle=[*spec.angle_mask, *[0] * len(hidden)],
            held_places=held,
            begin_place=[names.index(state.channel) for state in hidden],
            begin_share=[state.start for state in hidden],
            observed=observed,
        )
        self._numbers |= {"stages": stages, "held": len(held)}
        if places:
            sizes = len(places.estimated), len(places.read), len(places.logged)
            self._numbers |= dict(zip(("estimated", "read", "logged"), sizes, strict=True))

    def parameters(
        self, learned: Float[np.ndarray, "... P"], others: Mapping[str, Any] | None = None
    ) -> Float[np.ndarray, "... E"]:
        """All entries of the parameters, and the length of a substep.

        Args:
            learned: values of those that are learned, flat; or of each window, (B, P), which gives (B, E).
            others: values by name in place of the base ones.
        """
        vector = self._base.copy()
        for name, value in (others or {}).items():
            places = [self._place[name, entry] for entry in range(_size(self._spec, name))]
            vector[places] = np.ravel(np.broadcast_to(value, _shape(self._spec, name)))
        learned = np.asarray(learned)
        vectors = np.tile(vector, (*learned.shape[:-1], 1)) if learned.ndim > 1 else vector
        vectors[..., self._learned] = learned
        return vectors

    def errors(
        self,
        params: Float[np.ndarray, " E"],
        log: Log,
        rows: Int[np.ndarray, " B"],
        offsets: Float[np.ndarray, "K B"],
        gains: np.ndarray | None,
        out: Float[np.ndarray, "C T B"],
        *,
        plain: bool = False,
    ) -> None:
        """Errors of the compared states, as of `RolloutErrors.errors`.

        Args:
            params: from `parameters`.
            log: the rows.
            rows: of each window's start.
            offsets: of the free states of each start.
            gains: of the observer, (B, H, N, M) or the same in all rows, (N, M); None without one.
            out: where they go, in the precision of the code; windows side by side.
            plain: the states themselves in place of their errors.
        """
        numbers = {"stride": out.strides[1] // out.itemsize, "plain": plain}
        self._run(
            "pct_errors", params, log, rows, gains, numbers=numbers, views={"errors": out}, offsets=offsets
        )

    def normal(
        self,
        params: Float[np.ndarray, "... E"],
        log: Log,
        rows: Int[np.ndarray, " B"],
        offsets: Float[np.ndarray, "K B"],
        gains: np.ndarray | None,
        *,
        slopes: Float[np.ndarray, " P"],
        sigma: Float[np.ndarray, " C"],
        huber: float,
        groups: Int[np.ndarray, " B"],
    ) -> Sums:
        """Normal equations of errors in units of ``sigma``, weighted as Huber's loss is.

        Args:
            params, log, rows, offsets, gains: as of `errors`; parameters may be each window's own, (B, E),
                where no control is delayed.
            slopes: change of each learned value with one on the unbounded axis; ones for those of values.
            sigma: errors that count one.
            huber: error over sigma beyond which it counts linearly.
            groups: number of each window's group, from 0.
        """
        size, free = len(slopes), self._numbers["starts"]
        count = int(groups.max(initial=-1)) + 1
        sums = Sums(
            np.zeros((count, size, size)),
            np.empty((size + free, len(rows))),
            np.empty((size + free, free, len(rows))),
        )
        self._run(
            "pct_normal",
            params,
            log,
            rows,
            gains,
            numbers={"huber": huber},
            views=sums._asdict(),
            offsets=offsets,
            sigma=sigma,
            slope=np.concatenate([slopes, np.ones(free)]),
            groups=groups,
        )
        matrix = sums.matrix
        upper = np.triu(matrix)
        return sums._replace(matrix=upper + np.triu(matrix, 1).swapaxes(1, 2))

    def gains(
        self,
        params: Float[np.ndarray, " E"],
        log: Log,
        rows: Int[np.ndarray, " B"],
        uncertain: Uncertainty,
        gains: Float[np.ndarray, "B H N M"],
    ) -> Float[np.ndarray, "B H N M"]:
        """Gains of the filter after each row of the history, as of `RolloutErrors.gains`, in place."""
        shape = len(rows), log.history, self._numbers["estimated"], self._numbers["read"]
        assert gains.shape == shape
        assert gains.flags.c_contiguous
        self._run(
            "pct_gains",
            params,
            log,
            rows,
            None,
            numbers={"noise": float(uncertain.reading)},
            views={"gains_out": gains},
            uncertain=np.stack([uncertain.scale, uncertain.first, uncertain.process]),
        )
        return gains

    def _run(
        self,
        function: str,
        params: np.ndarray,
        log: Log,
        rows: np.ndarray,
        gains: np.ndarray | None,
        *,
        numbers: Mapping[str, Any],
        views: Mapping[str, np.ndarray],
        **arrays: Any,
    ) -> None:
        given = {
            **self._fixed,
            **self._moves(params, log.history + log.horizon),
            **self._arrays(rows=rows, states=log.states, controls=log.controls, **arrays),
            **self._arrays(
                **({"params": params} if params.ndim == 1 else {"params": self._base, "own_params": params})
            ),
        }
        if gains is not None:
            given |= self._arrays(**{"gains" if gains.ndim == 4 else "same_gains": gains})
        for name, array in views.items():
            assert array.dtype == KINDS.get(name, self.dtype)
            given[name] = array
        call = self._call_type(
            **self._numbers,
            **numbers,
            windows=len(rows),
            history=log.history,
            steps=log.horizon,
            first=0 if self._observed else log.history,
            **{name: array.ctypes.data for name, array in given.items()},
        )
        getattr(self._library, function)(ctypes.byref(call))

    def _moves(self, params: np.ndarray, rows: int) -> dict[str, np.ndarray]:
        """When the controls act."""
        count = len(self._spec.controls)
        moved, shape = np.zeros(count), (count, rows)
        before, shares, changes = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        for control, name in self._delays.items() if rows > 1 else ():
            delay = np.asarray(params[self._place[name, 0]], self.dtype)
            moved[control] = 1
            before[control], shares[control] = taps(delay, rows, self._dt, np)
            changes[control] = share_slopes(delay, rows, self._dt)
        return self._arrays(moved=moved, taps=before, shares=shares, share_slopes=changes)

    def _set(self, **arrays: Any) -> None:
        self._fixed |= self._arrays(**arrays)

    def _arrays(self, **arrays: Any) -> dict[str, np.ndarray]:
        return {
            name: np.ascontiguousarray(array, KINDS.get(name, self.dtype)) for name, array in arrays.items()
        }


class _Code(NamedTuple):
    library: ctypes.CDLL
    names: tuple[tuple[str, int], ...]


@lru_cache(maxsize=64)
def _code(spec: ModelSpec, double: bool) -> _Code:
    equations = trace(spec)
    shown = len(spec.states)
    facts = "sensitivities", describe(equations), shown, double, generator()
    key = hashlib.sha256(repr(facts).encode()).hexdigest()
    library = load_library(key, lambda: make_source(equations, shown, double=double), None, FLAGS)
    return _Code(library, tuple(equations.names))


def make_source(equations: Equations, shown: int, *, double: bool) -> str:
    """The whole C++ source of a model."""
    vectors = read_part("simd_double.h" if double else "simd.h")
    stages = generate_stages(equations, shown, double=double)
    return "\n".join(
        [vectors, read_part("scratch.h"), stages, *map(read_part, ("sensitivities.h", "filter_gains.h"))]
    )


@lru_cache
def _call_type(dtype: np.dtype[Any]) -> type[ctypes.Structure]:
    """`Call` of sensitivities.h."""
    scalar = np.ctypeslib.as_ctypes_type(dtype)
    kinds = ((LONGS, ctypes.c_int64), (INTS, ctypes.c_int32), (SCALARS, scalar), (POINTERS, ctypes.c_void_p))
    fields = [(name, kind) for names, kind in kinds for name in names]
    return type("Call", (ctypes.Structure,), {"_fields_": fields})


def _delays(spec: ModelSpec) -> dict[int, str]:
    """The parameter that delays each control that is delayed.

    Raises:
        NotSupported: another effect on columns, or an observer of an earlier version.
    """
    if observes(spec) and not filters(spec):
        raise NotSupported("gains of an observer of an earlier version")
    delayed: dict[int, str] = {}
    for effect in effects_of(spec):
        if effect.layer is Layer.CLOCK:
            if type(effect) is not Delay:
                raise NotSupported(f"the measurement's `{effect.option}`")
            delayed |= {spec.control_names.index(n): effect.parameter(n).name for n in effect.channels}
    return delayed


def _shape(spec: ModelSpec, name: str) -> tuple[int, ...]:
    return tuple(spec.param_shapes.get(name, ()))


def _size(spec: ModelSpec, name: str) -> int:
    return int(np.prod(_shape(spec, name)))
