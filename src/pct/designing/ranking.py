"""Which pieces of driven logs carry the information about a fit's parameters, and which carry none.

Each piece's information is the sum over its windows of the fit's own normal equations, large errors weighted
as the fit weighs them. It counts by what the model explains: where the piece alone would move the fit by more
of its own standard errors than a right model allows, these are too small, and its information is divided by
the square of that factor [2]. Pieces are taken greedily, each time the one that raises the logarithm of the
determinant most: with information that adds up this comes within 1 - 1/e of the best choice of as many [1].

References:
    [1] G. Nemhauser, L. Wolsey, M. Fisher, "An analysis of approximations for maximizing submodular set
        functions", Mathematical Programming 14 (1978).
    [2] R. Birge, "The calculation of errors by the method of least squares", Physical Review 40 (1932).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pct.designing.information import log_determinant, positive_parts
from pct.errors import DataError, UsageError
from pct.measurement.filter import filters
from pct.optimization.constants.estimate import HUBER, PRIOR, raw_values, scalar_places
from pct.optimization.constants.model import FittedModel
from pct.optimization.constants.rollout_errors import all_windows, make_rollout_errors
from pct.recordings.trajectory import Trajectory
from pct.rollout.compiled import in_single_precision
from pct.types import Float, Int
from pct.windows.store import make_window_store, window_starts
from pct.windows.window_set import make_window_set

# A piece that lowers the standard errors by less than this share, once all better ones are taken, adds
# nothing.
NOTHING = 0.005
# Parameters that a piece is said to tell about, and the least share of their information in it, over an
# even share.
TOLD, LEAST = 3, 1.0


class Piece(NamedTuple):
    """A part of a recording, in the order of worth.

    Attributes:
        recording: its number.
        begin, end: rows of the recording, the last exclusive.
        start, seconds: time of its first row from the beginning of the recording, and length, in s.
        lowers: share by which it lowers the standard errors (geometric mean) where all better pieces are
            known.
        left: standard errors of all better pieces and this one, over those of all pieces (geometric mean).
        told: parameters that it tells most about, compared with other pieces.
    """

    recording: int
    begin: int
    end: int
    start: float
    seconds: float
    lowers: float
    left: float
    told: tuple[str, ...]

    @property
    def worth(self) -> bool:
        """Whether it adds anything."""
        return self.lowers >= NOTHING


@in_single_precision
def rank_pieces(
    model: FittedModel,
    recordings: Sequence[tuple[str, Trajectory]],
    chosen: Sequence[str],
    *,
    seconds: float,
) -> list[Piece]:
    """Pieces of recordings from the one that tells most on.

    Args:
        model: the fit, whose windows, measurement and remaining errors count.
        recordings: name and trajectory of each.
        chosen: parameters to tell about; all learned scalars when empty.
        seconds: length of a piece.

    Raises:
        UsageError: ``chosen`` names no learned scalar parameter.
        DataError: no piece holds a whole window.
    """
    spec, dt = model.spec, model.dt
    places = scalar_places(spec)
    for name in chosen:
        spec.parameter(name)
        if name not in places:
            raise UsageError(
                f"`identify={name}`: expected a parameter that the fit has learned: {', '.join(places)}"
            )
    names = tuple(chosen) or tuple(places)
    numbers = [places[name] for name in names]
    information, gradient, pieces = _information(model, recordings, round(seconds / dt))
    base = np.eye(information.shape[-1]) / PRIOR**2
    information = information / _birge(information + base, gradient)[:, None, None]
    total = float(log_determinant(information.sum(axis=0), base, numbers))
    own = np.stack([np.diag(part)[numbers] for part in information])
    share = own / np.maximum(own.mean(axis=0), 1e-300)
    ranked: list[Piece] = []
    known, value = np.zeros_like(base), float(log_determinant(np.zeros_like(base), base, numbers))
    remaining = list(range(len(pieces)))
    while remaining:
        values = log_determinant(information[remaining] + known, base, numbers)
        best = int(np.argmax(values))
        number = remaining.pop(best)
        recording, begin, end = pieces[number]
        most = np.argsort(-share[number])[:TOLD]
        ranked.append(
            Piece(
                recording, begin, end, begin * dt, (end - begin) * dt,
                lowers=1 - float(np.exp((value - values[best]) / (2 * len(names)))),
                left=float(np.exp((total - values[best]) / (2 * len(names)))),
                told=tuple(names[q] for q in most if share[number, q] > LEAST),
            )
        )  # fmt: skip
        known, value = known + information[number], float(values[best])
    return ranked


def best_spans(pieces: Sequence[Piece], seconds: float) -> list[tuple[int, int, int]]:
    """Recording, first and last row (exclusive) of the best pieces of so many seconds; neighbours are
    joined."""
    total, spans = 0.0, []
    for piece in pieces:
        if total + piece.seconds > seconds * (1 + 1e-6):
            continue
        total += piece.seconds
        spans.append((piece.recording, piece.begin, piece.end))
    joined: list[tuple[int, int, int]] = []
    for recording, begin, end in sorted(spans):
        if joined and joined[-1][0] == recording and joined[-1][2] == begin:
            joined[-1] = (recording, joined[-1][1], end)
        else:
            joined.append((recording, begin, end))
    return joined


def _birge(
    information: Float[np.ndarray, "G P P"], gradient: Float[np.ndarray, "G P"]
) -> Float[np.ndarray, " G"]:
    """By how much each piece would move the fit, in its own variances, a mean over parameters; at least 1."""
    moves = np.linalg.solve(information, gradient[..., None])[..., 0]
    return np.maximum((gradient * moves).mean(axis=1), 1.0)


def _information(
    model: FittedModel, recordings: Sequence[tuple[str, Trajectory]], rows: int
) -> tuple[Float[np.ndarray, "G P P"], Float[np.ndarray, "G P"], list[tuple[int, int, int]]]:
    """Information and gradient of each piece of so many rows, and its recording and rows."""
    spec, dt = model.spec, model.dt
    horizon, history = (int(model.settings[name]) for name in ("horizon", "history"))
    store = make_window_store(recordings, spec, dt=dt)
    starts = window_starts(store, horizon=horizon, history=history, stride=horizon, label="ranked")
    windows = make_window_set(store, starts, spec, horizon=horizon, history=history, feature_mode="context")
    errors = make_rollout_errors(
        spec,
        spec.base_params(dt),
        history,
        integrator=model.integrator_name,
        substeps=model.substeps,
        compare=tuple(model.remaining_error),
        engine=model.engine,
    )
    raw = raw_values(spec, {**spec.default_params, **model.params})
    evaluate = all_windows(errors, windows, np.arange(len(windows)))
    if filters(spec):
        evaluate.refresh(raw, {})
    sigma = np.array([model.remaining_error[spec.state_names[i]] for i in errors.channels])
    accepted = np.ones(len(windows), bool)
    sums = evaluate.normal(
        raw,
        np.zeros((errors.free, len(windows))),
        sigma,
        accepted,
        HUBER,
        np.arange(len(windows)),
    )
    matrix = np.moveaxis(sums.matrix, -1, 0)
    gradient = np.moveaxis(np.asarray(sums.gradient), -1, 0)
    sound = np.isfinite(matrix).all(axis=(1, 2)) & np.isfinite(gradient).all(axis=1)
    both = np.where(sound[:, None, None], np.concatenate([matrix, gradient[:, None]], axis=1), 0.0)
    first = np.searchsorted(store.recording, np.arange(len(recordings)))
    length = np.bincount(store.recording, minlength=len(recordings))
    return _by_piece(both, starts, store.recording, first, length, rows, horizon)


def _by_piece(
    both: Float[np.ndarray, "W P_1 P"],
    starts: Int[np.ndarray, " W"],
    recording: Int[np.ndarray, " N"],
    first: Int[np.ndarray, " R"],
    length: Int[np.ndarray, " R"],
    rows: int,
    horizon: int,
) -> tuple[np.ndarray, np.ndarray, list[tuple[int, int, int]]]:
    """Sums over the windows whose middle lies in each piece; those of a recording are of one length."""
    of = recording[starts]
    counts = np.maximum(np.rint(length / rows).astype(int), 1)
    middle = starts - first[of] + horizon // 2
    keys = np.stack([of, middle * counts[of] // length[of]], axis=-1)
    known, groups = np.unique(keys, axis=0, return_inverse=True)
    sums = np.zeros((len(known), *both.shape[1:]))
    np.add.at(sums, groups.ravel(), both)
    pieces = [
        (number, *(int(-(-part * length[number] // counts[number])) for part in (k, k + 1)))
        for number, k in known.tolist()
    ]
    if not pieces:
        raise DataError("ranked data: expected a whole window in some piece: take longer pieces")
    return positive_parts(sums[:, :-1]), sums[:, -1], pieces
