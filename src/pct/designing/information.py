"""Information of drives about parameters: Fisher's, as the fit that will read them has it.

A drive is cut into windows whose starts are unknown; the starts are eliminated window by window, then the
parameters that nobody asks for, by Schur's complement. Everything is on the unbounded axis of
`pct.dynamics.bounds`, where the prior of a fit is one number.

References:
    K. Chaloner, I. Verdinelli, "Bayesian Experimental Design: A Review", Statistical Science 10 (1995),
    section 2.2: the expected logarithm of the determinant.
    F. Pukelsheim, "Optimal Design of Experiments", SIAM 2006, section 3.11: Schur's complement.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pct.dynamics.core import ModelSpec
from pct.optimization.constants.covariance import ROUNDING
from pct.optimization.constants.native_windows import NativeWindows
from pct.optimization.constants.normal_equations import NormalEquations, sums_by_group
from pct.optimization.constants.rollout_errors import RolloutErrors, make_rollout_errors
from pct.rollout.integration import choose_substeps
from pct.rollout.native.sensitivities import Log
from pct.types import Float, Int, WholeWindows

# Beyond any error: nothing is clipped.
NO_HUBER = 1e12


class DriveInformation:
    """Information of drives of one length."""

    def __init__(
        self, spec: ModelSpec, rows: int, dt: float, window: int, noise: Float[np.ndarray, " S"]
    ) -> None:
        """Compile.

        Args:
            spec: the model without an observer; its learned parameters are unknown.
            rows: of each drive.
            dt: time step in s.
            window: steps of each window.
            noise: standard deviation of the readings of each state, infinite for one that is not logged.
        """
        compared = [name for name, size in zip(spec.state_names, noise, strict=True) if np.isfinite(size)]
        self._errors = make_rollout_errors(
            spec, spec.base_params(dt), 1, substeps=choose_substeps(dt), compare=compared, free_start=True
        )
        self._spec, self._rows, self._window = spec, rows, min(window, rows - 2)
        self._noise = noise[list(self._errors.channels)]

    def of(
        self,
        raw: Float[np.ndarray, " P"],
        states: Float[np.ndarray, "K N S"],
        controls: Float[np.ndarray, "K N C"],
    ) -> Float[np.ndarray, "K P P"]:
        """Information of K drives of a car with these raw parameters; NaN for a drive that diverged."""
        count, rows, _ = states.shape
        flat = [np.ascontiguousarray(a, np.float32).reshape(count * rows, -1) for a in (states, controls)]
        log = Log(flat[0], flat[1], history=1, horizon=self._window)
        first = np.arange(1, rows - self._window, self._window + 1)
        starts = (np.arange(count)[:, None] * rows + first).ravel()
        groups = np.repeat(np.arange(count), len(first))
        sums = normal_equations(self._errors, log, starts, raw, self._noise)
        return by_group(sums, groups, count)


def normal_equations(
    errors: RolloutErrors, log: Log, starts: Int[np.ndarray, " W"], raw: np.ndarray, sigma: np.ndarray
) -> NormalEquations:
    """Normal equations of windows of exact rows, each by itself, by native code where there is some."""
    none = np.zeros((errors.free, len(starts)))
    if errors.native is not None:
        windows = NativeWindows(errors.native, log, starts.astype(np.int64))
        keep = np.ones(len(starts), bool)
        return windows.normal(raw, none, sigma, keep, NO_HUBER, np.arange(len(starts)))
    whole = whole_windows(errors.spec, log, starts)
    given = (sigma.astype(np.float32), np.float32(NO_HUBER), np.ones(len(starts), np.float32))
    sums = errors.normal(raw.astype(np.float32), none.astype(np.float32), whole, None, *given)
    return NormalEquations(*(np.asarray(part, float) for part in sums))


def whole_windows(spec: ModelSpec, log: Log, starts: Int[np.ndarray, " W"]) -> WholeWindows:
    """Windows in the frame of their starts, as JAX reads them."""
    rows = starts[None] + np.arange(-log.history, log.horizon + 1)[:, None]
    states = [log.states[rows, i].astype(float) for i in range(log.states.shape[1])]
    if spec.pose_invariant:
        x, y, heading = spec.pose_indices
        east, north, turn = (states[i] - states[i][log.history] for i in (x, y, heading))
        cos, sin = (f(states[heading][log.history]) for f in (np.cos, np.sin))
        states[x], states[y], states[heading] = cos * east + sin * north, cos * north - sin * east, turn
    controls = [log.controls[rows[:-1], i] for i in range(log.controls.shape[1])]
    return WholeWindows(*(tuple(a.astype(np.float32) for a in part) for part in (states, controls)))


def by_group(sums: NormalEquations, groups: Int[np.ndarray, " W"], count: int) -> Float[np.ndarray, "G P P"]:
    """Information of groups of windows, the windows' starts eliminated."""
    matrix = np.moveaxis(np.asarray(sums.matrix, float), -1, 0)
    if sums.block.shape[0]:
        block = np.moveaxis(sums.block, -1, 0)
        cross = np.moveaxis(sums.cross, -1, 0)
        safe = np.isfinite(block).all(axis=(1, 2))
        block = np.where(safe[:, None, None], block, np.eye(block.shape[1]))
        matrix = matrix - cross @ np.linalg.solve(block, cross.swapaxes(1, 2))
    numbers, totals = sums_by_group(np.moveaxis(matrix, 0, -1), groups)
    out = np.zeros((count, *matrix.shape[1:]))
    out[numbers] = np.moveaxis(totals, -1, 0)
    return positive_parts(out)


def positive_parts(information: Float[np.ndarray, "G P P"]) -> Float[np.ndarray, "G P P"]:
    """Information without what rounding made of directions that nothing is known of; NaN stays."""
    finite = np.isfinite(information).all(axis=(1, 2))
    symmetric = np.where(finite[:, None, None], (information + information.swapaxes(1, 2)) / 2, 0.0)
    size = np.sqrt(np.maximum(np.diagonal(symmetric, axis1=1, axis2=2), 0.0))
    unit = np.where(size > 0, size, 1.0)
    values, vectors = np.linalg.eigh(symmetric / (unit[:, :, None] * unit[:, None, :]))
    root = vectors * np.sqrt(np.where(values > ROUNDING, values, 0.0))[:, None, :] * unit[:, :, None]
    return np.where(finite[:, None, None], root @ root.swapaxes(1, 2), np.nan)


def about(information: Float[np.ndarray, "... P P"], chosen: Sequence[int]) -> Float[np.ndarray, "... Q Q"]:
    """Information about some parameters where the others are unknown, too."""
    others = [i for i in range(information.shape[-1]) if i not in chosen]
    own = information[..., chosen, :]
    if not others:
        return own[..., chosen]
    cross = own[..., others]
    rest = information[..., others, :][..., others]
    reduced: Any = own[..., chosen] - cross @ np.linalg.solve(rest, cross.swapaxes(-1, -2))
    return reduced


def log_determinant(
    information: Float[np.ndarray, "... P P"], prior: Float[np.ndarray, "P P"], chosen: Sequence[int]
) -> Float[np.ndarray, ...]:
    """Logarithm of the determinant of information about some parameters, the prior's included; that of the
    prior alone for what diverged."""
    finite = np.isfinite(information).all(axis=(-1, -2), keepdims=True)
    whole = np.where(finite, information, 0.0) + prior
    sign, size = np.linalg.slogdet(about(whole, chosen))
    least = np.linalg.slogdet(about(prior, chosen))[1]
    return np.where(sign > 0, size, least)
