"""Statistics of the checks: noise, effective sample size, and how two signals agree.

Their cost is that of a few passes over the rows, and none of them asks BLAS for a sum over rows: it shares
even short columns among threads, which on a busy machine wait for each other far longer than they add.

No check compares with a number that was found on one log. Noise is estimated from the signal itself, and
rows that resemble their neighbours are not counted as so many independent ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from pct.recordings.outliers import MAD as MAD
from pct.recordings.time_steps import rows_of
from pct.types import Bool, Float, Int

# Twice the log-likelihood that a better hypothesis must gain: beyond 1e-6 by chance, for one parameter.
DECISIVE = 24.0
# Of a whole recording or of a part; functions take and give columns of several lengths.
Column: TypeAlias = Float[np.ndarray, " _"]
# Residuals beyond this many robust deviations are left out of a fit.
TRIM = 6.0
# Lags and time constants that are looked for, in s.
LONGEST_LAG = 2.5
FINEST_LAG = 0.02
COARSE_LAG = 0.08
# Autocorrelations that are tried first, and by how much more each time.
SHORT, LONGER = 1024, 8
# Rows of a QR factorisation that BLAS leaves to one thread.
QR_ROWS = 1024
# A smaller part of a sum of squares is what rounding leaves of it.
ROUNDING = 1e-12
# Fewer rows than these have no spread.
LEAST_ROWS = 10


def spread(values: Column) -> float:
    """Robust standard deviation."""
    return float(MAD * np.median(np.abs(values - np.median(values)))) if len(values) else 0.0


def noise_of(values: Column) -> float:
    """Standard deviation of the white noise of a signal, from its third differences.

    What moves smoothly from row to row cancels; white noise of unit variance gives differences of variance
    20.
    """
    differences = np.diff(values, 3)
    return float(MAD * np.median(np.abs(differences)) / np.sqrt(20.0)) if len(differences) else 0.0


def inner(a: Column, b: Column) -> float:
    """Sum of the products of two columns."""
    return float(np.einsum("i,i->", a, b))


def reduced(
    columns: Sequence[Column], values: Column, keep: Bool[np.ndarray, " N"]
) -> tuple[Float[np.ndarray, "R C"], Column]:
    """As few equations as there are unknowns and one, with the same least-squares solution.

    Args:
        columns: what the unknowns are multiplied by, (N,) each.
        values: what the products should add up to, (N,).
        keep: rows that count, (N,).

    Returns:
        Columns and values of the triangle of a QR factorisation, by blocks of rows.
    """
    triangle = np.zeros((0, len(columns) + 1))
    for start in range(0, len(values), QR_ROWS):
        inside = slice(start, start + QR_ROWS)
        rows = np.stack([column[inside] for column in (*columns, values)], axis=-1)[keep[inside]]
        triangle = np.asarray(np.linalg.qr(np.concatenate([triangle, rows]), mode="r"))
    return triangle[:, :-1], triangle[:, -1]


def effective_rows(residuals: Column) -> float:
    """How many independent rows a residual is worth.

    Rows over 1 + 2·(sum of autocorrelations up to the first that is not positive).

    References:
        C. J. Geyer, "Practical Markov chain Monte Carlo", Statistical Science 7 (1992): initial positive
        sequence.
    """
    rows = len(residuals)
    centred = residuals - residuals.mean()
    lags, known = SHORT, 0
    # Most residuals forget within a few rows.
    while known < rows:
        known = min(lags, rows)
        correlation = _autocorrelation(centred, known)
        if correlation[0] <= 0:
            return float(rows)
        end = np.flatnonzero(correlation <= 0.0)
        if len(end):
            known = int(end[0])
            break
        lags *= LONGER
    return rows / (1.0 + 2.0 * float(correlation[1:known].sum() / correlation[0]))


def _autocorrelation(values: Column, lags: int) -> Column:
    """Sums of products of rows 0, 1, ... lags - 1 apart: by blocks and their FFTs, (lags,)."""
    block = min(7 * lags, len(values))
    size = 1 << (block + lags - 2).bit_length()
    spectrum = np.zeros(size // 2 + 1, complex)
    for start in range(0, len(values), block):
        first = np.fft.rfft(values[start : start + block], size)
        second = np.fft.rfft(values[start : start + block + lags - 1], size)
        spectrum += first.conj() * second
    return np.fft.irfft(spectrum, size)[:lags]


class Agreement(NamedTuple):
    """How a channel follows what other channels say of it: channel(t) ≈ gain · reference(t − lag) + offset.

    Attributes:
        gain: channel over reference; between ``low`` and ``high`` whichever of the two is noisy.
        low, high: slope of the channel on the reference, and the inverse of the slope the other way.
        correlation: at the lag.
        correlation_now: at no lag.
        lag: in s, positive where the channel is late.
        lag_error: standard error of the lag in s.
        rows: how many independent rows it rests on.
        gain_error: relative standard error of the gain.
    """

    gain: float
    low: float
    high: float
    correlation: float
    correlation_now: float
    lag: float
    lag_error: float
    rows: float
    gain_error: float


Pair = tuple[Column, Column]


def agreement(pairs: Sequence[Pair], dt: float) -> Agreement | None:
    """Compare a channel with its reference over pieces of a recording.

    Args:
        pairs: channel and reference of each piece, (N,) each, equally smoothed.
        dt: time step in s.

    Returns:
        None where a signal does not move.
    """
    shortest = min(len(a) for a, _ in pairs)
    most = rows_of(LONGEST_LAG, dt, most=shortest // 3, least=0)
    # What a span has smoothed changes little from one lag to the next: a coarse search, then a fine one.
    coarse = rows_of(COARSE_LAG, dt, most=max(most, 1))
    lags = np.union1d(np.arange(-most, most + 1, coarse), [0]) if most > 0 else np.array([0])
    keep = [np.ones(len(a), bool) for a, _ in pairs]
    best = None
    for _ in range(3):
        correlations = correlations_at(pairs, keep, lags)
        if not np.isfinite(correlations).any():
            return None
        lag_rows = int(lags[int(np.nanargmax(np.abs(correlations)))])
        best = _fit(pairs, keep, lag_rows)
        if best is None:
            return None
        _, _, residuals = best
        # Standing rows agree whatever the rest does: only those that move say how much scatter there is.
        middle, usual = _mean_and_spread(pairs)
        active = [
            r[np.isfinite(r) & (np.abs(a - middle) > 0.3 * usual)]
            for r, (a, _) in zip(residuals, pairs, strict=True)
        ]
        scale = max(spread(np.concatenate(active)), 1e-12)
        keep = [~(np.abs(r) > TRIM * scale) for r in residuals]
        lags = np.arange(max(-most, lag_rows - coarse), min(most, lag_rows + coarse) + 1)
    assert best is not None
    slope, _, residuals = best
    a, b = _shifted(pairs, keep, lag_rows)
    if len(a) < LEAST_ROWS:
        return None
    around = lag_rows + np.array([-1, 0, 1])
    before, correlation, after, now = map(float, correlations_at(pairs, keep, np.append(around, 0)))
    rest = np.concatenate([r[np.isfinite(r)] for r in residuals])
    rows = min(effective_rows(rest), float(len(a)))
    # A parabola through the three best lags places the peak between them.
    lag = float(lag_rows * dt)
    sign = float(np.sign(correlation))
    bend = sign * (before - 2 * correlation + after)
    if bend < 0 and abs(lag_rows) < most:
        lag += 0.5 * sign * (before - after) / bend * dt
    rate = float(np.std(np.concatenate([np.diff(r) for _, r in pairs])) / dt)
    error = float(np.std(a - slope * b))
    # The inverse of the slope the other way.
    high = float(np.sign(slope)) * float(np.var(a)) / max(abs(slope) * float(np.var(b)), 1e-300)
    return Agreement(
        gain=float(np.sign(slope) * np.sqrt(abs(slope * high))),
        low=slope,
        high=high,
        correlation=correlation,
        correlation_now=now,
        lag=lag,
        lag_error=error / max(abs(slope) * rate * math.sqrt(rows), 1e-12),
        rows=rows,
        gain_error=error / max(abs(slope) * float(np.std(b)) * math.sqrt(rows), 1e-12),
    )


def improvement(before: float, after: float, rows: float) -> float:
    """Twice the gain in log-likelihood of a better fit, from the two unexplained shares of the variance."""
    return rows * float(np.log(max(before, 1e-12) / max(after, 1e-12)))


def _mean_and_spread(pairs: Sequence[Pair]) -> tuple[float, float]:
    a = np.concatenate([a for a, _ in pairs])
    return float(a.mean()), float(a.std())


def _slices(rows: int, k: int) -> tuple[slice, slice]:
    """Rows of a channel and of its reference, the channel k rows later."""
    stop = rows - abs(k)
    return slice(max(k, 0), max(k, 0) + stop), slice(max(-k, 0), max(-k, 0) + stop)


def _shifted(pairs: Sequence[Pair], keep: Sequence[np.ndarray], k: int) -> Pair:
    """Channel k rows after the reference, pieces joined."""
    values, references = [], []
    for (a, b), good in zip(pairs, keep, strict=True):
        late, early = _slices(len(a), k)
        values.append(a[late][good[late]])
        references.append(b[early][good[late]])
    return np.concatenate(values), np.concatenate(references)


def correlations_at(pairs: Sequence[Pair], keep: Sequence[np.ndarray], lags: Int[np.ndarray, " K"]) -> Column:
    """Correlation of channel and reference at each lag; NaN where a side does not move, (K,).

    Args:
        pairs: channel and reference of each piece, (N,) each.
        keep: rows of the channel that count, (N,) for each piece.
        lags: rows by which the channel is late.
    """
    # About their own means the sums lose no digits.
    middle, reference = (
        sum(float(side[good].sum()) for side, good in zip(sides, keep, strict=True))
        / max(sum(map(np.count_nonzero, keep)), 1)
        for sides in zip(*pairs, strict=True)
    )
    moments = np.zeros((6, len(lags)))
    for (a, b), good in zip(pairs, keep, strict=True):
        weight = good.astype(float)
        a, b = np.where(good, a - middle, 0.0), b - reference
        for i, k in enumerate(lags):
            late, early = _slices(len(a), int(k))
            x, y, w = a[late], b[early], weight[late]
            wy = w * y
            moments[:, i] += w.sum(), x.sum(), wy.sum(), inner(x, x), inner(wy, y), inner(x, y)
    rows, x, y, xx, yy, xy = moments
    with np.errstate(divide="ignore", invalid="ignore"):
        of_x, of_y = xx - x * x / rows, yy - y * y / rows
        moving = (rows >= 3) & (of_x > ROUNDING * xx) & (of_y > ROUNDING * yy)
        size = np.sqrt(np.maximum(of_x, 0.0) * np.maximum(of_y, 0.0))
        return np.where(moving & (size > 1e-20), np.clip((xy - x * y / rows) / size, -1.0, 1.0), np.nan)


def _fit(
    pairs: Sequence[Pair], keep: Sequence[np.ndarray], k: int
) -> tuple[float, float, list[Column]] | None:
    """Slope, offset, and residuals of every row; NaN where the shift leaves a row without a reference."""
    a, b = _shifted(pairs, keep, k)
    centred = b - b.mean()
    size = inner(centred, centred)
    if size <= 1e-20:
        return None
    slope = inner(a - a.mean(), centred) / size
    offset = float(a.mean() - slope * b.mean())
    residuals = []
    for value, reference in pairs:
        stop = len(value) - abs(k)
        column = np.full(len(value), np.nan)
        late, early = slice(max(k, 0), max(k, 0) + stop), slice(max(-k, 0), max(-k, 0) + stop)
        column[late] = value[late] - slope * reference[early] - offset
        residuals.append(column)
    return slope, offset, residuals


def time_constant(pairs: Sequence[Pair], dt: float, agreed: Agreement, decisive: float) -> float:
    """Time constant in s of the first-order low-pass that explains a channel better than any lag, or 0.

    Args:
        pairs, dt: as in `agreement`.
        agreed: at the best lag.
        decisive: what it must improve on that, see `improvement`.
    """
    correlation, rows = agreed.correlation, agreed.rows
    from scipy.signal import lfilter

    keep = [np.ones(len(a), bool) for a, _ in pairs]
    best, best_constant = abs(correlation), 0.0
    for constant in np.geomspace(0.5 * dt, LONGEST_LAG, 40):
        pole = np.exp(-dt / constant)
        filtered = [(a, lfilter([1 - pole], [1, -pole], b - b[0])) for a, b in pairs]
        likeness = abs(float(correlations_at(filtered, keep, np.array([0]))[0]))
        if likeness > best:
            best, best_constant = likeness, float(constant)
    gained = improvement(1 - correlation**2, 1 - best**2, rows)
    return best_constant if gained > decisive and best_constant < LONGEST_LAG else 0.0
