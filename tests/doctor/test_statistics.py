"""The quick forms of the doctor's statistics equal the plain formulas."""

import numpy as np
import pytest

from pct.doctor import Recording, examine_all
from pct.doctor.resampling import BLOCK, misfits
from pct.doctor.statistics import QR_ROWS, correlations_at, effective_rows, reduced


def red_noise(rows: int, seed: int, forget: float = 0.05) -> np.ndarray:
    """Noise that remembers about 1 / forget rows."""
    from scipy.signal import lfilter

    return lfilter([forget], [1.0, forget - 1.0], np.random.default_rng(seed).standard_normal(rows))


def direct_correlation(pairs: list[tuple[np.ndarray, np.ndarray]], keep: list[np.ndarray], lag: int) -> float:
    """Of the kept rows of the channels with the references so many rows before."""
    late, early = [], []
    for (a, b), good in zip(pairs, keep, strict=True):
        for row in np.flatnonzero(good):
            if 0 <= row - lag < len(b):
                late.append(a[row])
                early.append(b[row - lag])
    return float(np.corrcoef(late, early)[0, 1])


@pytest.mark.parametrize("offset", [0.0, 1e5])
def test_correlations_at_lags_equal_the_plain_ones(offset: float) -> None:
    rng = np.random.default_rng(0)
    pairs, keep = [], []
    for number, rows in enumerate((400, 150)):
        b = red_noise(rows, number)
        a = np.roll(b, 7) + 0.02 * rng.standard_normal(rows)
        # A row that is left out may hold anything.
        a[30] = 1e9
        pairs.append((a + offset, b - offset))
        keep.append((np.arange(rows) != 30) & (rng.random(rows) < 0.9))
    lags = np.array([-40, -7, -1, 0, 6, 7, 8, 50])
    found = correlations_at(pairs, keep, lags)
    expected = [direct_correlation(pairs, keep, int(lag)) for lag in lags]
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert lags[np.argmax(found)] == 7


def test_a_side_that_does_not_move_has_no_correlation() -> None:
    still, moving = np.full(50, 3.0), np.arange(50.0)
    keep = [np.ones(50, bool)]
    assert np.isnan(correlations_at([(still, moving)], keep, np.array([0, 5]))).all()
    assert np.isnan(correlations_at([(moving, still)], keep, np.array([0, 5]))).all()
    assert np.isnan(correlations_at([(moving, moving)], [np.zeros(50, bool)], np.array([0]))).all()
    # One that moves only in rows that have no reference at this lag.
    once = np.where(np.arange(50) == 0, 1e3, 0.1)
    found = correlations_at([(once, moving)], keep, np.array([0, 5]))
    assert np.isfinite(found[0])
    assert np.isnan(found[1])


# Forgets at once, within a block, over many rows, and never within its length.
@pytest.mark.parametrize(("rows", "forget"), [(1, 1.0), (500, 1.0), (30_011, 0.2), (30_011, 1e-3)])
def test_effective_rows_equal_those_of_all_autocorrelations(rows: int, forget: float) -> None:
    values = red_noise(rows, 3, forget)
    centred = values - values.mean()
    correlation = np.fft.irfft(np.abs(np.fft.rfft(centred, 2 * rows)) ** 2, 2 * rows)[:rows]
    stop = int(np.argmax(correlation <= 0)) if (correlation <= 0).any() else rows
    expected = rows / (1 + 2 * correlation[1:stop].sum() / correlation[0]) if correlation[0] > 0 else rows
    assert effective_rows(values) == pytest.approx(expected, rel=1e-9)


def test_reduced_equations_have_the_same_solution() -> None:
    rng = np.random.default_rng(4)
    rows = 2 * QR_ROWS + 17
    columns = [rng.standard_normal(rows), 1e3 + rng.standard_normal(rows), np.ones(rows)]
    values = 2.0 * columns[0] - columns[1] + rng.standard_normal(rows)
    keep = rng.random(rows) < 0.7
    known, shown = reduced(columns, values, keep)
    assert known.shape == (4, 3)
    table = np.stack(columns, axis=-1)[keep]
    np.testing.assert_allclose(known.T @ known, table.T @ table, rtol=1e-9)
    found, expected = (np.linalg.lstsq(*side)[0] for side in ((known, shown), (table, values[keep])))
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("length", [1.11, 2.0, 2.37, 17.3, 100.0, 150.0])
@pytest.mark.parametrize("share", [0.0, 0.41, 0.999])
def test_straight_pieces_leave_what_least_squares_leave(length: float, share: float) -> None:
    blocks = red_noise(3 * BLOCK, 5).reshape(BLOCK, 3)
    knots = np.arange(-length * share, BLOCK + length, length)
    hats = np.maximum(1.0 - np.abs(np.arange(BLOCK)[:, None] - knots) / length, 0.0)
    straight = hats @ np.linalg.solve(hats.T @ hats + 1e-9 * np.eye(len(knots)), hats.T @ blocks)
    expected = np.sqrt(np.mean((blocks - straight) ** 2, axis=0))
    # Beside pieces of another length, which have other knots.
    found = misfits(blocks, np.array([2.0 * length, length]), np.array([0.3, share]))[1]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-12)


def uniform(rows: int) -> Recording:
    """A recording on its grid with a channel of each kind."""
    names = ("x", "y", "psi", "v", "psi_dot", "delta")
    channels = {name: red_noise(rows, seed) for seed, name in enumerate(names)}
    return Recording("a", "a", 0.01 * np.arange(rows), channels, {}, {}, np.arange(rows))


def test_rows_on_a_grid_are_not_copied() -> None:
    drive = uniform(500)
    (piece,) = drive.pieces
    assert all(np.shares_memory(piece.columns[name], column) for name, column in drive.channels.items())
    (late,) = drive.sooner({"v": 0.013}).pieces
    assert not np.shares_memory(late.columns["v"], drive.channels["v"])
    expected = np.interp(drive.time + 0.013, drive.time, drive.channels["v"])
    np.testing.assert_allclose(late.columns["v"], expected, rtol=1e-9)


def test_what_checks_work_out_does_not_stay() -> None:
    drives = [uniform(500), uniform(400)]
    assert [drive for drive, _ in examine_all([drives])] == drives
    assert not any({"pieces", "remembered"} & vars(drive).keys() for drive in drives)
